//! Traces from the responder to somebody who asked for nothing: the host `other` of the network `third.toml`.

use std::net::IpAddr;

use otherhalf_engine::Outcome;
use otherhalf_lab::Family;
use otherhalf_wire::extension::Class;
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::trace::Refusal;
use serde_json::Value;

use super::bench::{Bench, Probe};
use super::exchange::{PROTOCOLS, open_port};
use super::refusals::{REACHED, REFUSED, otherhalf};
use super::traces::hops;

/// What the client's user is told when a target is refused.
const NOT_ALLOWED: &str =
    "refuses: you may not have others traced (--via), or it does not probe this one";

/// The client has traced from the responder to `other`, over `routers`: every hop of every protocol and family, and TTLs that go beyond. Beside it, its own
/// traces go as they go without.
#[track_caller]
pub(crate) fn every_answer(bench: &mut Bench, routers: &[&str]) {
    let exceeded = Outcome::ResponseTimeExceeded;
    for family in Family::ALL {
        let other = bench.address("other", family);
        for (protocol, flow, at_other) in PROTOCOLS {
            for (ttl, router) in (1..).zip(routers) {
                let probe = Probe { protocol, ttl, flow };
                bench.hop_towards(family, probe, other, router, exceeded);
                bench.hop(family, Probe { ttl: 1, ..probe }, "R2", exceeded);
            }
            let last = u8::try_from(routers.len() + 1).unwrap();
            for ttl in [last, 30, 255] {
                let probe = Probe { protocol, ttl, flow };
                bench.hop_towards(family, probe, other, "other", at_other);
            }
            // Towards oneself is as it is without a target.
            let probe = Probe { protocol, ttl: 2, flow };
            let client = bench.address("client", family);
            bench.hop_towards(family, probe, client, "R1", exceeded);
        }
        open_port(bench, family, "other", |bench, probe, outcome| {
            bench.hop_towards(family, probe, other, "other", outcome);
        });
    }
}

/// A request for a probe to `target`, which must be refused. Nobody gets anything but the refusal: the next one is heard as the next.
#[track_caller]
fn refused(bench: &mut Bench, family: Family, target: IpAddr, outcome: Outcome) {
    let request = bench.request(family, Probe { protocol: Protocol::Udp, ttl: 1, flow: 53 });
    bench.client(family).send_towards(request, target);
    let refusal = Refusal::Extension(Class::INDIRECT_TARGET.value());
    bench.hear_refusal(family, request, refusal, outcome);
    bench.barrier(family);
}

/// The same for `other`, of both families; and `explain` says so, because of what `key` says of each family.
#[track_caller]
fn other_is_refused(bench: &mut Bench, outcome: Outcome, key: [&str; 2]) {
    for (family, key) in Family::ALL.into_iter().zip(key) {
        let ends = ["client", "www", "other"].map(|node| bench.address(node, family));
        refused(bench, family, ends[2], outcome);
        let text = bench.explain_towards(ends[0], ends[1], Some(ends[2]));
        assert!(text.contains(&format!("\noutcome   {}: ", outcome.name())), "{text}");
        assert!(text.contains(key), "no {key} in {text}");
    }
}

/// Answered, of both families; `explain` says so as well.
#[track_caller]
fn other_is_probed(bench: &mut Bench) {
    for family in Family::ALL {
        let ends = ["client", "www", "other"].map(|node| bench.address(node, family));
        let probe = Probe { protocol: Protocol::Udp, ttl: 2, flow: 53 };
        bench.hop_towards(family, probe, ends[2], "R3", Outcome::ResponseTimeExceeded);
        let text = bench.explain_towards(ends[0], ends[1], Some(ends[2]));
        assert!(text.contains("\noutcome   probe_udp: "), "{text}");
    }
}

/// A responder that has no `[indirect]` to begin with: who may not have others traced, and whom nobody may have traced.
#[track_caller]
pub(crate) fn who_may_not_and_whom(bench: &mut Bench) {
    let (refused_extension, refused_indirect) =
        (Outcome::RefusedExtension, Outcome::RefusedIndirect);
    other_is_refused(bench, refused_extension, ["no request may name a target"; 2]);

    // Somebody may, but not this client.
    bench.write("friends", "192.0.2.0/24\n2001:db8:b::/64\n");
    bench.write("spared", "");
    bench.reload(
        "\n[indirect]\nallow_files = [\"friends\"]\nprivate_targets = true\n[opt_out]\nfiles = [\"spared\"]\n",
    );
    other_is_refused(bench, refused_indirect, ["no prefix of indirect.allow holds it"; 2]);
    bench.write("friends", "198.51.100.0/24\n2001:db8:a::/64\n");
    bench.reload("");
    other_is_probed(bench);

    // Targets that nobody may have: ourselves, groups, loopback, none at all, what is beside the link, the other family.
    let never: [&[&str]; 2] = [
        &[
            "192.0.2.255",
            "192.0.2.0",
            "255.255.255.255",
            "224.0.0.1",
            "127.0.0.1",
            "0.0.0.0",
            "169.254.1.1",
        ],
        &["ff02::1", "ff0e::1", "::1", "::", "fe80::1"],
    ];
    for (family, never) in Family::ALL.into_iter().zip(never) {
        for target in never {
            refused(bench, family, target.parse().unwrap(), refused_indirect);
        }
        let other_family = if family == Family::V4 { Family::V6 } else { Family::V4 };
        let ourselves = bench.address("www", family);
        let of_the_other_family = bench.address("other", other_family);
        for target in [ourselves, of_the_other_family] {
            refused(bench, family, target, refused_indirect);
        }
    }

    // Who wants no probes, whoever asks; a part of who may.
    bench.write("spared", "203.0.113.200\n2001:db8:d::/64\n");
    bench.reload("");
    let spared = ["203.0.113.200/32, by", "2001:db8:d::/64, by"];
    other_is_refused(bench, refused_indirect, spared);
    bench.write("spared", "");
    bench.reload("");
    other_is_probed(bench);
    bench.change("allow_files", "deny = [\"198.51.100.10\", \"2001:db8:a::10\"]\nallow_files");
    let denied =
        ["198.51.100.10/32, by indirect.deny[0]", "2001:db8:a::10/128, by indirect.deny[1]"];
    other_is_refused(bench, refused_indirect, denied);
    bench.change("deny = [\"198.51.100.10\", \"2001:db8:a::10\"]\n", "");

    // The addresses of this network are of documentation prefixes.
    bench.change("private_targets = true", "private_targets = false");
    other_is_refused(bench, refused_indirect, ["indirect.private_targets = false"; 2]);
    bench.change("private_targets = false", "private_targets = true");
    other_is_probed(bench);

    // Nobody may any more.
    bench.write("friends", "");
    bench.reload("");
    other_is_refused(bench, refused_extension, ["no request may name a target"; 2]);
}

/// The program `otherhalf` has the way to `other` traced, by each protocol of each family; each router must be found, by every query. Then nobody may have
/// others traced, which it says. At the end every probe was answered.
#[track_caller]
pub(crate) fn by_the_program(mut bench: Bench) {
    let via = ["--via", "www.example.com"];
    let towards = |said: &str| format!("towards others: {said}\n");
    for family in Family::ALL {
        let path = ["R2", "R3", "R4", "other"].map(|node| bench.address(node, family).to_string());
        for protocol in ["udp", "tcp", "icmp"] {
            let arguments = ["reverse", protocol, family.flag(), "--json", via[0], via[1], "other"];
            let text = otherhalf(&bench, &arguments, REACHED);
            let document: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(hops(&document["reverse"]), path, "{document}");
            assert_eq!(document["target"]["address"], path[3], "{document}");
            let www = bench.address("www", family).to_string();
            assert_eq!(document["via"]["address"], www, "{document}");
        }
        let check = otherhalf(&bench, &["check", family.flag(), via[1]], REACHED);
        assert!(check.contains(&towards("yes")), "{check}");
    }
    bench.change("[indirect]\nallow = ", "[indirect]\ndeny = ");
    for family in Family::ALL {
        let arguments = ["reverse", "udp", family.flag(), via[0], via[1], "other"];
        let text = otherhalf(&bench, &arguments, REFUSED);
        assert!(text.contains(NOT_ALLOWED), "{text}");
        let check = otherhalf(&bench, &["check", family.flag(), via[1]], REACHED);
        assert!(check.contains(&towards("no")), "{check}");
    }
    let (counters, _lab) = bench.stop();
    let of_kind = |prefix: &str| counters.sum(|outcome| outcome.name().starts_with(prefix));
    assert_eq!(
        of_kind("probe_"),
        of_kind("response_"),
        "every probe was answered, once: {counters}"
    );
    assert!(counters.outcome(Outcome::RefusedExtension) >= 4, "{counters}");
    assert_eq!(counters.outcome(Outcome::RefusedIndirect), 0, "{counters}");
}

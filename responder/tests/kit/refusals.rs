//! What `otherhalf` tells its user of a responder that does not answer everybody, and what `otherhalfd explain` tells its operator.

use otherhalf_engine::Outcome;
use otherhalf_lab::Family;

use super::bench::{Bench, program};

/// The exit codes of `otherhalf`: reached, no answer, and refused.
pub(crate) const REACHED: i32 = 0;
const NO_ANSWER: i32 = 4;
pub(crate) const REFUSED: i32 = 6;

/// Runs `otherhalf` at the client; what it wrote, on both its outputs. It must end with `code`.
#[track_caller]
pub(crate) fn otherhalf(bench: &Bench, arguments: &[&str], code: i32) -> String {
    let program = program("otherhalf", "otherhalf-client");
    let mut command = bench.lab.command("client", program.to_str().unwrap());
    let output = command.args(arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    text
}

/// Checks `www` and traces from it: both succeed.
#[track_caller]
fn reached(bench: &Bench, family: Family, www: &str) -> String {
    for protocol in ["udp", "tcp", "icmp"] {
        otherhalf(bench, &["reverse", protocol, family.flag(), "-n", www], REACHED);
    }
    otherhalf(bench, &["check", family.flag(), "-n", www], REACHED)
}

/// The same: neither is answered, and pings are.
#[track_caller]
fn ignored(bench: &Bench, family: Family, www: &str) {
    for command in ["reverse", "check"] {
        let text = otherhalf(bench, &[command, family.flag(), "-n", "-w", "1", www], NO_ANSWER);
        let why = "answers ping, but not reverse traceroute: it, or a filter on the way, drops echo requests of code 1";
        assert!(text.contains(why), "{text}");
    }
}

/// Checks that `explain` says of the client's request to `www` that it ends as `outcome`, because of `key`.
#[track_caller]
fn explained(bench: &Bench, family: Family, www: &str, outcome: Outcome, key: &str) {
    let (client, www) = (bench.address("client", family), bench.address(www, family));
    let text = bench.explain(client, www);
    assert!(text.contains(&format!("\noutcome   {}: ", outcome.name())), "{text}");
    assert!(text.contains(key), "{text}");
}

/// The responder of `bench`, which has `max_amplification = 1.0` as its last key, demands padding; clients give it, and need not when
/// they are exempt.
#[track_caller]
pub(crate) fn padding_is_demanded(mut bench: Bench) {
    // The probe and the response of the largest exchange, TCP's, less the request (docs/security.md).
    let missing = [44 + 56 - 32, 64 + 76 - 52];
    for (family, missing) in Family::ALL.into_iter().zip(missing) {
        explained(&bench, family, "www", Outcome::RefusedPadding, "requests.max_amplification");
        let text = reached(&bench, family, "www");
        assert!(text.contains(&format!("demands {missing} octets of padding")), "{text}");
    }
    bench.change(
        "max_amplification = 1.0\n",
        "unpadded = [\"0.0.0.0/0\", \"::/0\"]\nmax_amplification = 1.0\n",
    );
    for family in Family::ALL {
        explained(&bench, family, "www", Outcome::ProbeUdp, "probe.udp.enabled");
        let text = reached(&bench, family, "www");
        assert!(!text.contains("padding"), "{text}");
    }
    let (counters, _) = bench.stop();
    // Before, each protocol of each family was refused once at least.
    assert!(counters.outcome(Outcome::RefusedPadding) >= 6, "{counters:?}");
}

/// The responder of `bench`, which has `bogons = "drop"`, takes no requests from the client, whose address is of a documentation prefix;
/// then it does.
#[track_caller]
pub(crate) fn bogons_are_ignored(mut bench: Bench) {
    for family in Family::ALL {
        explained(&bench, family, "www", Outcome::DropBogon, "requests.bogons");
        ignored(&bench, family, "www");
    }
    bench.change("bogons = \"drop\"", "bogons = \"public\"");
    for family in Family::ALL {
        explained(&bench, family, "www", Outcome::ProbeUdp, "probe.udp.enabled");
        reached(&bench, family, "www");
    }
    let (counters, _) = bench.stop();
    assert!(counters.outcome(Outcome::DropBogon) >= 4, "{counters:?}");
}

/// The responder of `bench`, whose routes all lead by its port `www2` and which has `strict_source = true`, takes no requests that come in by its
/// port `www`; then it does.
#[track_caller]
pub(crate) fn the_other_port_is_ignored(mut bench: Bench) {
    let at = |bench: &Bench, node, family| bench.address(node, family).to_string();
    for family in Family::ALL {
        explained(&bench, family, "www", Outcome::DropWrongPort, "requests.strict_source");
        ignored(&bench, family, &at(&bench, "www", family));
        explained(&bench, family, "www2", Outcome::ProbeUdp, "probe.udp.enabled");
        reached(&bench, family, &at(&bench, "www2", family));
    }
    bench.change("strict_source = true", "strict_source = false");
    for family in Family::ALL {
        explained(&bench, family, "www", Outcome::ProbeUdp, "probe.udp.enabled");
        reached(&bench, family, &at(&bench, "www", family));
    }
    let (counters, _) = bench.stop();
    assert!(counters.outcome(Outcome::DropWrongPort) >= 4, "{counters:?}");
}

use std::path::Path;

use super::*;

const FILE: &str = r#"
    [[port]]
    device = "net_null0"
    [port.kernel]
    interface = "k0"
    addresses = ["192.0.2.9"]
    [[port.interface]]
    name = "uplink"
    addresses = ["192.0.2.2/24", "2001:db8::2/64"]
    [[port.interface]]
    vlan = 7
    addresses = ["198.51.100.2/24"]
    [[route]]
    to = "203.0.113.0/24"
    via = "192.0.2.1"
    [[route]]
    to = "203.0.113.128/25"
    via = "198.51.100.1"
    [[route]]
    to = "2001:db8:1::/48"
    via = "fe80::1"
    interface = "uplink"
    [probe.tcp]
    enabled = false
    [probe.udp]
    flows = [53, "33434-33534"]
"#;

const ASK: Question = Question {
    from: IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7)),
    at: None,
    protocol: Protocol::Udp,
    flow: None,
    ttl: 5,
    towards: None,
};

fn from(text: &str) -> Question {
    Question { from: text.parse().unwrap(), ..ASK }
}

fn explained(file: &str, question: &Question) -> Explanation {
    let config = Config::parse(file, Path::new("a.toml")).unwrap_or_else(|e| panic!("{e}"));
    explain(&config, &Sources::read(&config).unwrap(), question).unwrap()
}

#[test]
fn each_decision_names_its_key() {
    let cases: &[(Question, Outcome, &[&str])] = &[
        (
            ASK,
            Outcome::ProbeUdp,
            &[
                "port[0].interface[0].addresses[0]",
                "probe.udp.enabled = true",
                "53, by probe.udp.default_flow",
                "probe and replies by \"uplink\" and its neighbour 192.0.2.1: route[0], to 203.0.113.0/24",
            ],
        ),
        // The longest prefix, by another interface than it came in by.
        (
            from("203.0.113.130"),
            Outcome::ProbeUdp,
            &["by \"net_null0.7\" and its neighbour 198.51.100.1: route[1], to 203.0.113.128/25"],
        ),
        (
            from("198.51.100.77"),
            Outcome::ProbeUdp,
            &["by \"net_null0.7\" and its neighbour 198.51.100.77: 198.51.100.0/24 is on the link"],
        ),
        (
            Question { at: Some("198.51.100.2".parse().unwrap()), ..ASK },
            Outcome::ProbeUdp,
            &["to 198.51.100.2, in by \"net_null0.7\" (port[0].interface[1].addresses[0])"],
        ),
        (
            from("2001:db8:1::5"),
            Outcome::ProbeUdp,
            &[
                "to 2001:db8::2, in by \"uplink\"",
                "its neighbour fe80::1: route[2], to 2001:db8:1::/48",
            ],
        ),
        (from("fe80::5"), Outcome::ProbeUdp, &["its neighbour fe80::5: fe80::5 is link-local"]),
        (
            Question { flow: Some(33434), ..ASK },
            Outcome::ProbeUdp,
            &["33434 is within probe.udp.flows"],
        ),
        (
            Question { flow: Some(99), ..ASK },
            Outcome::RefusedFlow,
            &["99 is refused: it is not within probe.udp.flows", "the refusal by \"uplink\""],
        ),
        (
            Question { protocol: Protocol::Tcp, ..ASK },
            Outcome::RefusedProtocol,
            &["TCP is refused: probe.tcp.enabled = false"],
        ),
        (Question { ttl: 0, ..ASK }, Outcome::RefusedTtl, &["0 is refused"]),
        (
            from("192.0.2.2"),
            Outcome::DropBadSource,
            &["an address of this responder itself: port[0].interface[0].addresses[0]"],
        ),
        (
            from("192.0.2.9"),
            Outcome::DropBadSource,
            &["192.0.2.9 is the kernel's: port[0].kernel.addresses[0]"],
        ),
        (
            from("192.0.2.255"),
            Outcome::DropBadSource,
            &["the network or the broadcast address of port[0].interface[0].addresses[0]"],
        ),
        (from("127.0.0.1"), Outcome::DropBadSource, &["not the address of one host"]),
        (from("ff02::1"), Outcome::DropBadSource, &["not the address of one host"]),
        (
            from("192.0.3.1"),
            Outcome::DropNoRoute,
            &["no route leads to 192.0.3.1: add a [[route]]"],
        ),
    ];
    for (question, outcome, sentences) in cases {
        let explanation = explained(FILE, question);
        assert_eq!(explanation.outcome, *outcome, "{question:?}\n{explanation}");
        let text = explanation.to_string();
        for sentence in *sentences {
            assert!(text.contains(sentence), "no {sentence:?} in\n{text}");
        }
    }
}

#[test]
fn routes_that_stand_in_are_named() {
    let more = "[[route]]\nto = \"203.0.113.0/24\"\nvia = \"192.0.2.8\"\npreference = 2\n";
    let text = explained(&format!("{FILE}\n{more}"), &ASK).to_string();
    let by = "its neighbour 192.0.2.1: route[0], to 203.0.113.0/24, and while its router is silent route[3] ";
    assert!(text.contains(by), "{text}");
}

#[test]
fn a_hairpin_needs_no_route() {
    let file = format!("{FILE}\n[reply]\npath = \"hairpin\"");
    let explanation = explained(&file, &from("192.0.3.1"));
    assert_eq!(explanation.outcome, Outcome::ProbeUdp);
    let text = explanation.to_string();
    assert!(text.contains("that the request came from: reply.path = \"hairpin\""), "{text}");
}

#[test]
fn who_can_not_be_asked_is_said() {
    let file = FILE.replace(", \"2001:db8::2/64\"", "").replace("2001:db8:1::/48", "fd00::/8");
    let config = Config::parse(&file, Path::new("a.toml")).unwrap();
    let lists = Sources::read(&config).unwrap();
    let error = explain(&config, &lists, &from("2001:db8:1::5")).unwrap_err().to_string();
    assert!(error.starts_with("there is no own IPv6 address"), "{error}");
    let at = Some("192.0.2.3".parse().unwrap());
    let error = explain(&config, &lists, &Question { at, ..ASK }).unwrap_err().to_string();
    assert_eq!(error, "192.0.2.3 is no address of this responder; it has 192.0.2.2, 198.51.100.2");
}

#[test]
fn who_may_not_ask_is_told_by_the_key() {
    let strict = format!("{FILE}\n[requests]\nbogons = \"drop\"");
    let bogon = explained(&strict, &ASK);
    assert_eq!(bogon.outcome, Outcome::DropBogon);
    assert!(bogon.to_string().contains("of the Internet: requests.bogons = \"drop\"\n"), "{bogon}");
    assert_eq!(explained(&strict, &from("9.9.9.9")).outcome, Outcome::DropNoRoute);

    let strict = format!("{FILE}\n[requests]\nstrict_source = true");
    assert_eq!(explained(&strict, &ASK).outcome, Outcome::ProbeUdp);
    let wrong = explained(&strict, &from("203.0.113.130"));
    assert_eq!(wrong.outcome, Outcome::DropWrongPort);
    assert!(wrong.to_string().contains("interface: requests.strict_source = true\n"), "{wrong}");

    let padded = format!("{FILE}\n[requests]\nmax_amplification = 1.0");
    let small = explained(&padded, &ASK);
    assert_eq!(small.outcome, Outcome::RefusedPadding);
    let size = "it must have 92 octets: requests.max_amplification = 1.0; requests.unpadded = [] (the default)\n";
    assert!(small.to_string().contains(size), "{small}");
    let exempt = format!("{padded}\nunpadded = [\"203.0.113.0/24\"]");
    assert_eq!(explained(&exempt, &ASK).outcome, Outcome::ProbeUdp);
}

#[test]
fn the_limits_of_who_asks_are_told_with_their_keys() {
    let said = |file: &str, question: &Question| explained(file, question).to_string();
    let v4 = said(FILE, &from("198.51.100.7"));
    // As docs/operations.md shows it.
    let line = "\nrate      probes a second, by TCP alone the last: 500 to 198.51.100.7/32 (rate.ipv4.address), \
        2000 to 198.51.100.0/24 (rate.ipv4.prefix_24), 32000 to 198.51.0.0/16 (rate.ipv4.prefix_16), \
        500 to 198.51.100.0/24 (rate.ipv4.syn); beyond them it is dropped, but for one in 50, of TCP none (rate.leak)\n";
    assert!(v4.contains(line), "{v4}");
    let file = format!("{FILE}\n[rate]\ndry_run = true\n[rate.ipv6]\nprefix_48 = 77\n");
    let v6 = said(&file, &from("2001:db8:1:2::7"));
    for part in
        ["1000 to 2001:db8:1:2::/64 (rate.ipv6.prefix_64)", "77 to 2001:db8:1::/48", "is served"]
    {
        assert!(v6.contains(part), "{v6}");
    }
    let off = said(&format!("{FILE}\n[rate]\nenabled = false\n"), &ASK);
    assert!(off.contains("rate.enabled = false"), "{off}");
}

#[test]
fn the_line_that_denies_or_allows_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deny");
    std::fs::write(&file, "# hosts\n203.0.113.0/24\n::/0\n").unwrap();
    let text = format!(
        "{FILE}\n[access]\ndeny_files = [{file:?}]\nallow = [\"203.0.113.8\"]\n[opt_out]\nprefixes = [\"203.0.113.8\"]"
    );
    let at = |line: u32| format!("by {}:{line} (access.deny_files[0])", file.display());
    for (who, outcome, said) in [
        (
            "203.0.113.7",
            Outcome::DropDenied,
            format!("203.0.113.7 may not ask: it is in 203.0.113.0/24, {}", at(2)),
        ),
        (
            "2001:db8:1::5",
            Outcome::DropDenied,
            format!("2001:db8:1::5 may not ask: it is in ::/0, {}", at(3)),
        ),
        ("192.0.2.7", Outcome::ProbeUdp, "192.0.2.7 may ask: no prefix of access holds it".into()),
        (
            "203.0.113.8",
            Outcome::DropOptedOut,
            "203.0.113.8 may ask: it is in 203.0.113.8/32, by access.allow[0]".into(),
        ),
        (
            "203.0.113.8",
            Outcome::DropOptedOut,
            "203.0.113.8 is never probed: it is in 203.0.113.8/32, by opt_out.prefixes[0]".into(),
        ),
    ] {
        let explanation = explained(&text, &from(who));
        assert_eq!(explanation.outcome, outcome, "{explanation}");
        assert!(explanation.to_string().contains(&said), "{explanation}\n{said}");
    }
}

/// A file by which those of a file of prefixes may have others traced, and that file.
fn with_friends() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("friends");
    std::fs::write(&file, "203.0.113.0/24 # ours\n").unwrap();
    let text = format!(
        "{FILE}\n[indirect]\nprivate_targets = true\nallow_files = [{file:?}]\nallow = [\"2001:db8:1::/48\"]\n\
         deny = [\"203.0.113.9\"]\n[opt_out]\nprefixes = [\"198.51.100.78\"]\n"
    );
    (folder, text)
}

/// Checks what becomes of the request from `from` for a probe to `target`, and that all of `said` is said of it.
#[track_caller]
fn assert_target(file: &str, [from, target]: [&str; 2], outcome: Outcome, said: &[&str]) {
    let question = Question { towards: Some(target.parse().unwrap()), ..self::from(from) };
    let explanation = explained(file, &question);
    assert_eq!(explanation.outcome, outcome, "{explanation}");
    let text = explanation.to_string();
    for sentence in said {
        assert!(text.contains(sentence), "no {sentence:?} in\n{text}");
    }
}

#[test]
fn a_target_that_is_taken_is_told_with_both_ways() {
    let (folder, file) = with_friends();
    let by = format!("by {} (indirect.allow_files[0])", folder.path().join("friends:1").display());
    let said = [
        "from 203.0.113.7 for a probe by UDP towards 198.51.100.77, TTL 5, ",
        &format!("\nindirect  203.0.113.7 may have others traced: it is in 203.0.113.0/24, {by}\n"),
        "\ntarget    198.51.100.77 may be probed: it is one host elsewhere\n",
        "\nway       the probe by \"net_null0.7\" and its neighbour 198.51.100.77: 198.51.100.0/24 is on the link",
        "\nway       the response by \"uplink\" and its neighbour 192.0.2.1: route[0], to 203.0.113.0/24",
        "500 to 198.51.100.77/32 (rate.ipv4.address)",
        "500 to 203.0.113.7/32 (rate.ipv4.address)",
    ];
    assert_target(&file, ["203.0.113.7", "198.51.100.77"], Outcome::ProbeUdp, &said);
    // By one neighbour both ways.
    let said = [
        "the probe by \"uplink\" and its neighbour 192.0.2.1: route[0]",
        "the response by \"uplink\" and its neighbour 192.0.2.1: route[0]",
    ];
    assert_target(&file, ["203.0.113.7", "203.0.113.8"], Outcome::ProbeUdp, &said);
    let ends = ["2001:db8:1::5", "2001:db8:1::6"];
    assert_target(&file, ends, Outcome::ProbeUdp, &["2001:db8:1::/48, by indirect.allow[0]"]);
    let said = ["no route leads to 192.0.3.1: add a [[route]]"];
    assert_target(&file, ["203.0.113.7", "192.0.3.1"], Outcome::DropNoRoute, &said);
    let hairpin = format!("{file}\n[reply]\npath = \"hairpin\"");
    let said = ["the probe by the neighbour that", "the response by the neighbour that"];
    assert_target(&hairpin, ["203.0.113.7", "192.0.3.1"], Outcome::ProbeUdp, &said);
}

#[test]
fn what_refuses_a_target_is_named() {
    let refused = Outcome::RefusedIndirect;
    let said = ["no request may name a target"];
    assert_target(FILE, ["203.0.113.7", "198.51.100.77"], Outcome::RefusedExtension, &said);

    let (_folder, file) = with_friends();
    let own = "port[0].interface[0].addresses[0]";
    for (from, said) in [
        ("203.0.113.9", "traced: it is in 203.0.113.9/32, by indirect.deny[0]"),
        ("192.0.2.7", "192.0.2.7 may not have others traced: no prefix of indirect.allow holds it"),
    ] {
        assert_target(&file, [from, "198.51.100.77"], refused, &[said]);
    }
    for (target, said) in [
        ("198.51.100.78", "is never probed: it is in 198.51.100.78/32, by opt_out.prefixes[0]"),
        ("192.0.2.2", &format!("is an address of this responder itself: {own}")),
        ("192.0.2.9", "is the kernel's: port[0].kernel.addresses[0]"),
        ("192.0.2.255", &format!("is the network or the broadcast address of {own}")),
        ("224.0.0.5", "not the address of one host elsewhere"),
        ("169.254.3.3", "not the address of one host elsewhere"),
        ("2001:db8:1::6", "of another family than the request"),
    ] {
        let said =
            ["203.0.113.7 may have others traced", &format!("\ntarget    {target} is"), said];
        assert_target(&file, ["203.0.113.7", target], refused, &said);
    }
    let said = ["not the address of one host elsewhere"];
    assert_target(&file, ["2001:db8:1::5", "fe80::7"], refused, &said);
    let translated = "64:ff9b::c633:644e";
    let said =
        ["it stands for 198.51.100.78, which is in 198.51.100.78/32, by opt_out.prefixes[0]"];
    assert_target(&file, ["2001:db8:1::5", translated], refused, &said);
    let public = file.replace("private_targets = true", "private_targets = false");
    let said = ["198.51.100.77 is no address of the Internet: indirect.private_targets = false"];
    assert_target(&public, ["203.0.113.7", "198.51.100.77"], refused, &said);
}

//! Which of several settings is in force. Nothing is sent: every run ends at its target.

use std::process::Command;

const OTHERHALF: &str = env!("CARGO_BIN_EXE_otherhalf");
/// Refused for lack of an interface, once all options are found sound.
const NOWHERE: &str = "fe80::1";

/// A run of `words` with the file `text` and `variables`: exit code, stdout, stderr.
fn run(text: &str, variables: &[(&str, &str)], words: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, text).unwrap();
    let mut run = Command::new(OTHERHALF);
    run.args(words).env("OTHERHALF_CONFIG", &file).envs(variables.iter().copied());
    let output = run.output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code(), out, err)
}

/// The options are sound: the target is what stops it.
#[track_caller]
fn passes(text: &str, variables: &[(&str, &str)], words: &[&str]) {
    let (code, _, err) = run(text, variables, words);
    let case = format!("{text} {variables:?} {words:?}: {err}");
    assert_eq!(code, Some(2), "{case}");
    assert!(err.starts_with("otherhalf: fe80::1 is a link-local address"), "{case}");
}

#[track_caller]
fn fails(text: &str, variables: &[(&str, &str)], words: &[&str], with: &str) {
    let (code, _, err) = run(text, variables, words);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains(with), "{text} {variables:?} {words:?}: {err}");
}

#[test]
fn an_option_decides_over_what_excludes_it() {
    for (key, value, option) in [
        ("tos", "4", &["--dscp", "ef"][..]),
        ("dscp", "4", &["--tos", "8"]),
        ("ipv4", "true", &["-6"]),
        ("format", "mtr", &["--json"]),
        ("format", "mtr", &["--stream"]),
        ("json", "true", &["--format", "mtr"]),
        ("stream", "true", &["--format", "mtr"]),
        ("multipath", "true", &["--mtu"]),
        ("mtu", "true", &["--multipath"]),
        ("nearest", "true", &[]),
    ] {
        let words = [&["forward"][..], option, &[NOWHERE]].concat();
        let quoted = if value == "mtr" { "\"mtr\"" } else { value };
        passes(&format!("{key} = {quoted}\n"), &[], &words);
        let variable = format!("OTHERHALF_{}", key.to_uppercase());
        passes("", &[(&variable, value)], &words);
    }
    // And it is the one in force.
    for (key, option, target, said) in [
        ("ipv4", "-6", "192.0.2.1", "192.0.2.1 has no IPv6 address"),
        ("ipv6", "-4", "2001:db8::1", "2001:db8::1 has no IPv4 address"),
    ] {
        let words = ["forward", option, target];
        fails(&format!("{key} = true\n"), &[], &words, said);
        fails("", &[(&format!("OTHERHALF_{}", key.to_uppercase()), "1")], &words, said);
    }
}

#[test]
fn the_environment_decides_over_the_file_and_a_table_over_the_rest() {
    passes("tos = 4\n", &[("OTHERHALF_DSCP", "ef")], &["forward", NOWHERE]);
    fails("ipv4 = true\n", &[("OTHERHALF_IPV6", "1")], &["forward", "192.0.2.1"], "has no IPv6");
    fails("ipv4 = true\n[forward]\nipv6 = true\n", &[], &["forward", "192.0.2.1"], "has no IPv6");
    // What falls puts nothing else out of force.
    let chain = [("OTHERHALF_FORMAT", "mtr")];
    let (_, out, _) = run("stream = true\n", &chain, &["forward", "--json", NOWHERE]);
    assert!(out.starts_with("{\n"), "{out}");
    // A variable takes a switch of the file back, and excludes nothing then.
    let back = [("OTHERHALF_IPV4", "false"), ("OTHERHALF_IPV6", "true")];
    passes("ipv4 = true\n", &back, &["forward", NOWHERE]);
}

#[test]
fn two_of_one_source_name_it() {
    let words = &["forward", NOWHERE][..];
    fails("tos = 4\ndscp = 4\n", &[], words, "config.toml: tos and dscp exclude each other");
    let table = "[forward]\nipv4 = true\nipv6 = true\n";
    fails(table, &[], words, "config.toml, [forward]: ipv4 and ipv6 exclude each other");
    let both = [("OTHERHALF_TOS", "4"), ("OTHERHALF_DSCP", "4")];
    fails("", &both, words, "the environment: OTHERHALF_TOS and OTHERHALF_DSCP exclude each other");
    let typed = &["forward", "-4", "-6", NOWHERE];
    fails("", &[], typed, "'--ipv4' cannot be used with '--ipv6'");
    // Another command is not concerned.
    passes(table, &[], &["reverse", NOWHERE]);
}

#[test]
fn a_key_that_several_commands_know_is_for_those_that_take_it() {
    let words = &["report", "/no/such/file"][..];
    fails("format = \"mtr\"\n", &[], words, "cannot read /no/such/file");
    fails("", &[("OTHERHALF_FORMAT", "mtr")], words, "cannot read /no/such/file");
    passes("format = \"markdown\"\n", &[], &["forward", NOWHERE]);
    fails("format = \"neither\"\n", &[], words, "config.toml:1: format: invalid value 'neither'");
    fails("", &[("OTHERHALF_FORMAT", "neither")], words, "invalid value 'neither'");
    passes("size = 200\nvia = \"192.0.2.1\"\n", &[], &["two-way", NOWHERE]);
    fails("size = 200\nmtu = true\n", &[], &["reverse", NOWHERE], "fe80::1 is a link-local");
    let table = "[reverse]\nmtu = true\n";
    fails(table, &[], &["reverse", NOWHERE], "config.toml:2: no option of reverse is called mtu");
}

#[test]
fn what_does_nothing_is_refused_if_it_was_typed() {
    for (option, value, switch) in [
        ("cycles", "3", "live"),
        ("interval", "3", "live"),
        ("flows", "3", "live"),
        ("confidence", "90", "multipath"),
        ("retry", "1", "multipath"),
        ("max-flows", "9", "multipath"),
    ] {
        let typed = ["forward", &format!("--{option}"), value, NOWHERE];
        fails("", &[], &typed, &format!("--{option} means nothing without --{switch}: add"));
        let variable = format!("OTHERHALF_{}", option.replace('-', "_").to_uppercase());
        passes("", &[(&variable, value)], &["forward", NOWHERE]);
    }
    passes("multipath = true\n", &[], &["forward", "--retry", "1", NOWHERE]);
    for what in ["check", "nearest"] {
        fails("", &[], &["endpoints", what, "--toml"], "--toml is for list");
    }
    for what in [&["endpoints"][..], &["endpoints", "list"]] {
        let typed = [what, &["--wait", "2"]].concat();
        fails("", &[], &typed, "--wait is for check and nearest: the list asks nobody");
        assert_eq!(run("", &[("OTHERHALF_WAIT", "2")], what).0, Some(0));
    }
    fails("", &[], &["forward", "--via", "192.0.2.1", NOWHERE], "--via is for reverse");
    fails("", &[], &["reverse", "--size", "200", NOWHERE], "--size is for forward");
}

#[test]
fn whoever_asks_for_json_gets_errors_as_json() {
    let plain = &["forward", NOWHERE][..];
    for (text, variables, words) in [
        ("", &[][..], &["forward", "--json", NOWHERE][..]),
        ("", &[], &["forward", "--stream", NOWHERE]),
        ("", &[], &["forward", "--format", "json", NOWHERE]),
        ("", &[], &["forward", "--format=json", NOWHERE]),
        ("", &[], &["forward", "--json", "--no-such-option"]),
        ("nonsense", &[], &["forward", "--stream", NOWHERE]),
        ("json = true\n", &[], plain),
        ("[forward]\nstream = true\n", &[], plain),
        ("format = \"json\"\n", &[], plain),
        ("json = true\n", &[], &["forward"]),
        ("", &[("OTHERHALF_JSON", "1")], plain),
        ("", &[("OTHERHALF_JSON", "yes")], plain),
        ("", &[("OTHERHALF_STREAM", "true")], plain),
        ("", &[("OTHERHALF_FORMAT", "json")], plain),
        ("nonsense", &[("OTHERHALF_JSON", "on")], plain),
    ] {
        let (code, out, _) = run(text, variables, words);
        let case = format!("{text} {variables:?} {words:?}: {out}");
        let document: serde_json::Value = serde_json::from_str(&out).expect(&case);
        assert_eq!((code, &document["exit_code"]), (Some(2), &2.into()), "{case}");
        assert!(document["error"].as_str().is_some_and(|error| !error.is_empty()), "{case}");
        let streams = [text, &format!("{variables:?}{words:?}")].concat().to_lowercase();
        assert_eq!(out.lines().count() == 1, streams.contains("stream"), "{case}");
    }
    for (text, variables, words) in [
        ("", &[][..], plain),
        ("json = true\n", &[("OTHERHALF_JSON", "no")][..], plain),
        ("json = true\n", &[], &["forward", "--format", "csv", NOWHERE]),
    ] {
        let (_, out, _) = run(text, variables, words);
        assert_eq!(out, "", "{text} {variables:?} {words:?}");
    }
}

#[test]
fn watch_keeps_its_traces_itself_and_says_so_before_it_sends_anything() {
    for (option, text, words) in [
        ("output", "", &["-o", "x.json"][..]),
        ("stream", "", &["--stream"]),
        ("format", "", &["--format", "mtr"]),
        ("json", "", &["--json"]),
        ("live", "", &["--live"]),
        ("output", "output = \"x.json\"\n", &[]),
        ("live", "live = true\n", &[]),
    ] {
        let words = [&["watch", "--count", "1", "forward"][..], words, &[NOWHERE]].concat();
        fails(text, &[], &words, &format!("leave --{option} out"));
    }
    for option in ["--state=x.json", "--count=1", "--interval=2"] {
        let name = option.split('=').next().unwrap();
        let words = ["watch", "forward", NOWHERE, option];
        fails("", &[], &words, &format!("{name} is an option of watch: write it in front"));
    }
    // These are put out of force.
    for variable in ["OTHERHALF_JSON", "OTHERHALF_STREAM"] {
        let words = &["watch", "--count", "1", "forward", NOWHERE];
        fails("", &[(variable, "1")], words, "fe80::1 is a link-local address");
    }
}

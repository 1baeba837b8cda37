//! The program's errors and exit codes, as far as they need no root.

use std::process::{Command, Output};

const OTHERHALF: &str = env!("CARGO_BIN_EXE_otherhalf");

fn otherhalf(arguments: &[&str]) -> Output {
    Command::new(OTHERHALF).args(arguments).output().unwrap()
}

/// A name that no resolver asks anybody for: a label has 63 octets, at most (RFC 1035, section 2.3.4).
fn nowhere() -> String {
    "x".repeat(64) + ".invalid"
}

/// The one line on stderr of a run that ends with `code` and prints nothing else.
#[track_caller]
fn fails(arguments: &[&str], code: i32) -> String {
    let output = otherhalf(arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{arguments:?} prints");
    stderr
}

#[track_caller]
fn says(arguments: &[&str], code: i32, words: &str) {
    let stderr = fails(arguments, code);
    assert!(stderr.starts_with("otherhalf: ") && stderr.contains(words), "{arguments:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn usage() {
    for arguments in [
        &[][..],
        &["sideways", "192.0.2.1"],
        &["forward"],
        &["reverse", "udp", "192.0.2.1", "more"],
        &["check"],
        &["forward", "-4", "-6", "192.0.2.1"],
        &["forward", "-q", "0", "192.0.2.1"],
        &["forward", "-q", "11", "192.0.2.1"],
        &["forward", "-m", "256", "192.0.2.1"],
        &["forward", "-f", "0", "192.0.2.1"],
        &["forward", "-w", "0", "192.0.2.1"],
        &["forward", "-w", "nan", "192.0.2.1"],
        &["forward", "-z", "-1", "192.0.2.1"],
        &["reverse", "--flow", "0", "192.0.2.1"],
        &["reverse", "--flow", "65536", "192.0.2.1"],
        &["reverse", "--parallel", "0", "192.0.2.1"],
        &["reverse", "--gap", "0", "192.0.2.1"],
    ] {
        let stderr = fails(arguments, 2);
        assert!(stderr.contains("Usage") || stderr.contains("--help"), "{arguments:?}: {stderr}");
    }
    for (option, value, range) in [
        ("-N", "0", "1 to 65535"),
        ("-N", "100000", "1 to 65535"),
        ("-q", "-1", "1 to 10"),
        ("-m", "-1", "1 to 255"),
        ("--gap", "0", "1 to 255 hops"),
        ("-w", "abc", "0.001 to 3600 seconds"),
        ("-w", "-1", "0.001 to 3600 seconds"),
        ("-w", "0", "0.001 to 3600 seconds"),
        ("-z", "-1", "0 to 10 seconds"),
        ("--flow", "-1", "1 to 65535"),
    ] {
        let stderr = fails(&["forward", option, value, "192.0.2.1"], 2);
        assert!(stderr.contains(range), "{option} {value}: {stderr}");
    }
    for first in ["trace", "192.0.2.1", "www.example.com"] {
        let stderr = fails(&[first], 2);
        assert!(stderr.contains("otherhalf two-way www.example.com"), "{stderr}");
    }
    let stderr = fails(&["revers", "192.0.2.1"], 2);
    assert!(stderr.contains("'reverse'") && !stderr.contains("comes first"), "{stderr}");
    says(&["reverse", "udp"], 2, "TARGET is missing: otherhalf reverse udp TARGET");
    says(&["reverse", "192.0.2.1", "Tcp"], 2, "comes first: otherhalf reverse Tcp 192.0.2.1");
    says(
        &["reverse", "-I", "192.0.2.1"],
        2,
        "instead of -I write: otherhalf reverse icmp 192.0.2.1",
    );
    says(&["two-way", "-T", "192.0.2.1"], 2, "otherhalf two-way tcp 192.0.2.1");
    // Read as a protocol: the next mistake is found.
    says(&["forward", "UDP", &nowhere()], 2, &format!("unknown name: {}", nowhere()));
    says(&["forward", "sctp", "192.0.2.1"], 2, "udp, tcp or icmp, not sctp");
    says(&["forward", "\x1b[2J", "192.0.2.1"], 2, r"not \u{1b}[2J");
    says(
        &["two-way", "-f", "5", "-m", "4", "192.0.2.1"],
        2,
        "the first TTL (5) is beyond the last (4)",
    );
}

#[test]
fn a_live_view_needs_a_terminal() {
    for command in ["forward", "reverse", "two-way"] {
        says(&[command, "--live", "192.0.2.1"], 2, "--live needs a terminal");
    }
    for wrong in [["-i", "0.05"], ["-i", "x"], ["-c", "0"], ["--flows", "0"]] {
        fails(&[&["forward", "--live", "192.0.2.1"][..], &wrong].concat(), 2);
    }
}

#[test]
fn names_that_lead_nowhere() {
    for command in ["forward", "reverse", "two-way", "check"] {
        says(&[command, &nowhere()], 2, &format!("unknown name: {}", nowhere()));
    }
    says(&["forward", "fe80::1"], 2, "as in fe80::1%eth0");
    says(&["reverse", "255.255.255.255"], 2, "broadcast");
    says(&["check", "ff02::1"], 2, "multicast");
    says(&["check", ""], 2, "unknown name");
    says(&["reverse", "-6", "192.0.2.1"], 2, "192.0.2.1");
    says(&["check", &format!("bad\x1b{}", nowhere())], 2, r"bad\u{1b}xxx");
}

#[test]
fn help_shows_no_option_that_does_nothing() {
    for (command, option, owner) in [
        ("reverse", "--mtu", "forward"),
        ("reverse", "--size", "forward"),
        ("reverse", "--by-destination", "forward"),
        ("forward", "--via", "reverse"),
        ("two-way", "--via", "reverse"),
    ] {
        let help = |command| String::from_utf8(otherhalf(&[command, "-h"]).stdout).unwrap();
        let shows = |command| help(command).lines().any(|line| line.trim().starts_with(option));
        assert!(shows(owner) && !shows(command), "{command} {option}");
        let typed = format!("{option}=600");
        let word = if matches!(option, "--size" | "--via") { &typed } else { option };
        says(&[command, word, "192.0.2.1"], 2, &format!("{option} is for {owner}"));
    }
}

#[test]
fn help_has_examples_and_exit_codes() {
    for arguments in [
        &["--help"][..],
        &["forward", "--help"],
        &["reverse", "--help"],
        &["two-way", "-h"],
        &["check", "--help"],
        &["endpoints", "--help"],
        &["convert", "--help"],
        &["report", "--help"],
        &["diff", "--help"],
        &["watch", "--help"],
        &["generate", "--help"],
    ] {
        let output = otherhalf(arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0));
        for part in ["Usage: otherhalf", "Examples:", "Exit codes"] {
            assert!(text.contains(part), "{arguments:?} lacks {part}: {text}");
        }
        let part = "setcap cap_net_raw+ep";
        assert_eq!(text.contains(part), arguments.len() == 1, "{arguments:?}, {part}: {text}");
    }
    let version = String::from_utf8(otherhalf(&["--version"]).stdout).unwrap();
    assert_eq!(version.trim(), concat!("otherhalf ", env!("CARGO_PKG_VERSION")));
}

/// What the help of `command` says of exit codes: each with its meaning.
fn exit_codes(command: &[&str]) -> Vec<(u8, String)> {
    let help = String::from_utf8(otherhalf(&[command, &["--help"]].concat()).stdout).unwrap();
    let rows = help.lines().skip_while(|line| !line.starts_with("Exit codes")).skip(1);
    rows.map_while(|row| row.strip_prefix("  ")?.split_once(' '))
        .map(|(code, meaning)| (code.parse().unwrap(), meaning.trim().to_owned()))
        .collect()
}

#[test]
fn exit_codes_mean_the_same_in_all_helps_and_in_the_readme() {
    let all = exit_codes(&[]);
    let codes = |rows: &[(u8, String)]| rows.iter().map(|(code, _)| *code).collect::<Vec<_>>();
    assert_eq!(codes(&all), [0, 1, 2, 3, 4, 5, 6, 130]);
    for (command, expected) in [
        ("forward", &[0, 1, 2, 4, 5, 130][..]),
        ("reverse", &[0, 1, 2, 3, 4, 5, 6, 130]),
        ("two-way", &[0, 1, 2, 3, 4, 5, 6, 130]),
        ("check", &[0, 1, 2, 3, 4, 5, 130]),
    ] {
        let own = exit_codes(&[command]);
        assert_eq!(codes(&own), expected, "{command}");
        // What a command can't meet is left out of what it says.
        for (code, meaning) in own {
            let (_, whole) = all.iter().find(|(other, _)| *other == code).unwrap();
            assert!(whole.contains(&meaning), "{command}, {code}: {meaning:?}, not {whole:?}");
        }
    }
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"));
    let readme = readme.unwrap();
    let rows = readme.lines().skip_while(|line| *line != "| exit code | means |").skip(2);
    let table: Vec<&str> = rows.take_while(|row| row.starts_with("| ")).collect();
    let expected = all.iter().map(|(code, meaning)| format!("| {code} | {meaning} |"));
    assert_eq!(table, expected.collect::<Vec<_>>());
}

/// The program without the capability that it needs.
fn without_permission() -> Command {
    if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-net_raw", "--inh-caps=-net_raw", OTHERHALF]);
        command
    } else {
        Command::new(OTHERHALF)
    }
}

#[test]
fn without_permission_it_says_how_to_grant_it() {
    let output = without_permission().args(["forward", "127.0.0.1"]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{stderr}");
    assert_eq!(
        stderr,
        "otherhalf: no permission for raw sockets. \
         Grant it once with: sudo setcap cap_net_raw+ep $(command -v otherhalf)\n"
    );
    assert!(output.stdout.is_empty());
    // So does a directory, which needs more than one socket.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("endpoints.toml");
    std::fs::write(&file, "[[endpoint]]\naddress = \"127.0.0.1\"\n").unwrap();
    for what in ["check", "nearest"] {
        let mut command = without_permission();
        let output = command.args(["endpoints", what, "--directory"]).arg(&file).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(5), "{stderr}");
        assert!(stderr.starts_with("otherhalf: no permission for raw sockets"), "{stderr}");
    }
}

#[test]
fn what_a_package_installs() {
    let config = String::from_utf8(otherhalf(&["generate", "config"]).stdout).unwrap();
    assert!(config.contains("OTHERHALF_QUERIES") && config.contains("# queries = 3"), "{config}");
    let bash = String::from_utf8(otherhalf(&["generate", "completions", "bash"]).stdout).unwrap();
    assert!(bash.contains("complete -F _otherhalf"), "{bash}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    assert_eq!(otherhalf(&["generate", "man", path]).status.code(), Some(0));
    for page in ["otherhalf.1", "otherhalf-reverse.1", "otherhalf-two-way.1"] {
        let text = std::fs::read_to_string(folder.path().join(page)).unwrap();
        for part in [".SH SYNOPSIS", "Exit codes", "130  interrupted"] {
            assert!(text.contains(part), "{page} lacks {part}: {text}");
        }
    }
    let missing = folder.path().join("missing");
    says(&["generate", "man", missing.to_str().unwrap()], 2, "cannot write man pages to");
}

#[test]
fn a_configuration_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "queries = 7\n[check]\nwait = 2\n").unwrap();
    let help = |command: &str, variables: &[(&str, &str)]| {
        let mut run = Command::new(OTHERHALF);
        run.args([command, "--config", path, "--help"]).envs(variables.iter().copied());
        String::from_utf8(run.output().unwrap().stdout).unwrap()
    };
    let (forward, check) = (help("forward", &[]), help("check", &[]));
    assert!(forward.contains("[default: 7]") && forward.contains("[default: 5]"), "{forward}");
    assert!(check.contains("[default: 7]") && check.contains("[default: 2]"), "{check}");
    std::fs::write(&file, "queries = 7\nwiat = 2\n").unwrap();
    let hint = format!("{path}:2: no option is called wiat: wait, perhaps?");
    says(&["forward", "--config", path, "192.0.2.1"], 2, &hint);
    says(
        &["forward", "--config", "/no/such/file", "192.0.2.1"],
        2,
        "cannot read the configuration",
    );
    // Where XDG says it is.
    let home = folder.path().join("otherhalf");
    std::fs::create_dir(&home).unwrap();
    std::fs::write(home.join("config.toml"), "queries = 99\n").unwrap();
    let mut run = Command::new(OTHERHALF);
    run.args(["forward", "192.0.2.1"]).env("XDG_CONFIG_HOME", folder.path());
    let output = run.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("config.toml:1: queries: invalid value '99'"), "{text}");
}

#[test]
fn variables() {
    let run = |variable: &str, value: &str| {
        let mut run = Command::new(OTHERHALF);
        run.args(["forward", &nowhere()]).env(variable, value);
        let output = run.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = run("OTHERHALF_QUERIES", "11");
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("invalid value '11' for '--queries"), "{text}");
    let (_, text) = run("OTHERHALF_QUERYS", "1");
    assert!(text.contains("OTHERHALF_QUERYS sets nothing: OTHERHALF_QUERIES, perhaps?"), "{text}");
}

#[test]
fn files_about_addresses_are_read_before_anything_is_sent() {
    for option in ["--as-file", "--ixp-file"] {
        says(&["forward", option, "/no/such/file", "192.0.2.1"], 2, "cannot read /no/such/file");
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    says(&["reverse", "--as-file", file, "192.0.2.1"], 2, "line 1: expected first address");
    says(&["two-way", "--ixp-file", file, "192.0.2.1"], 2, "line 1: expected a prefix, a comma");
}

#[test]
fn directories_of_responders() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(OTHERHALF);
        let output =
            command.env("XDG_CONFIG_HOME", folder.path()).args(arguments).output().unwrap();
        let [out, err] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code(), out, err)
    };
    // What comes with the program, as nothing else is known.
    let (code, shipped, err) = run(&["endpoints"]);
    assert_eq!((code, shipped.lines().count()), (Some(0), 5), "{shipped}{err}");
    assert!(shipped.lines().any(|line| line.contains("www.bcix.de") && line.contains("AS62193")));
    let (_, toml, _) = run(&["endpoints", "list", "--toml"]);
    // A user's own, added to that; then alone.
    let own = folder.path().join("otherhalf/endpoints.toml");
    std::fs::create_dir(folder.path().join("otherhalf")).unwrap();
    let more = "[[endpoint]]\naddress = \"WWW.bcix.de\"\nnote = \"ours\"\n[[endpoint]]\naddress = \"www.example.com\"\n";
    std::fs::write(&own, more).unwrap();
    let (_, both, _) = run(&["endpoints", "list"]);
    assert_eq!(both.lines().count(), 6, "{both}");
    assert!(both.contains("WWW.bcix.de") && !both.contains("AS62193"), "{both}");
    std::fs::write(&own, "shipped = false\n".to_owned() + more).unwrap();
    assert_eq!(run(&["endpoints"]).1.lines().count(), 2);
    std::fs::write(&own, &toml).unwrap();
    assert_eq!(run(&["endpoints"]).1, shipped);
    // The reference's form.
    let lines = folder.path().join("ENDPOINTS");
    std::fs::write(
        &lines,
        "address;asnumber;email_contact\nwww.example.com;64500;noc@example.com\n",
    )
    .unwrap();
    let (_, json, _) = run(&["endpoints", "--json", "--directory", lines.to_str().unwrap()]);
    let document: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["endpoints"][0]["contact"], "noc@example.com");
    assert!(document["endpoints"][0]["checked"].is_null());
    // What is wrong is said.
    std::fs::write(&own, "shipped = false\n").unwrap();
    let (code, _, err) = run(&["endpoints", "check"]);
    assert_eq!(code, Some(2));
    assert!(
        err.contains("no responders are known: name some in") && err.contains("endpoints.toml"),
        "{err}"
    );
    std::fs::write(&own, "[[endpoint]]\nadress = 'x'\n").unwrap();
    let (code, _, err) = run(&["reverse", "--nearest"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("endpoints.toml, line 2: unknown field `adress`"), "{err}");
    says(&["endpoints", "--directory", "/no/such/file"], 2, "cannot read /no/such/file");
    for what in [&["192.0.2.1"][..], &["udp", "192.0.2.1"]] {
        let words = "--nearest chooses the TARGET: otherhalf reverse --nearest [udp|tcp|icmp]";
        says(&[&["reverse", "--nearest"], what].concat(), 2, words);
    }
}

#[test]
fn of_a_url_the_host_is_wanted() {
    let words = "https://www.example.com/x is no host: give its name alone, www.example.com";
    for command in ["forward", "check"] {
        says(&[command, "https://www.example.com/x"], 2, words);
    }
}

#[test]
fn output_that_cannot_be_written() {
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = Command::new(OTHERHALF).arg("endpoints").stdout(full()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.starts_with("otherhalf: cannot write the output: "), "{text}");
    // Whoever closed the pipe has what they wanted.
    let closed = || std::io::pipe().unwrap().1;
    for json in [&["endpoints"][..], &["endpoints", "--json"]] {
        let mut run = Command::new(OTHERHALF);
        let status = run.args(json).stdout(closed()).stderr(closed()).status().unwrap();
        assert_eq!(status.code(), Some(0), "{json:?}");
    }
    let mut run = Command::new(OTHERHALF);
    let wrong = run.args(["forward", "fe80::1", "--json"]).stdout(closed()).stderr(closed());
    assert_eq!(wrong.status().unwrap().code(), Some(2));
}

#[test]
fn a_stderr_that_nobody_reads_is_no_error_of_its_own() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut run = Command::new(OTHERHALF);
    let status = run.args(["forward", "fe80::1"]).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(2));
}

//! The live view on a terminal, in a network of kernel routers. Needs root; fails without.

mod terminal;

use std::path::Path;
use std::time::Duration;

use otherhalf_lab::{Kind, Lab, Topology};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::LocalModes;
use serde_json::Value;
use terminal::Terminal;

/// client, R1, R2, www in a row; www is a kernel, which answers no request.
fn lab() -> Lab {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/line.toml");
    let mut topology = Topology::read(file).unwrap();
    topology.node_mut("www").unwrap().kind = Kind::Host;
    Lab::build(&topology).unwrap_or_else(|error| panic!("{error}"))
}

/// otherhalf on a terminal of its own; `setsid` makes that the controlling one, which hears of resizing.
fn start(
    lab: &Lab,
    arguments: &[&str],
    environment: &[(&str, &str)],
    size: (u16, u16),
) -> Terminal {
    let mut command = lab.command("client", "setsid");
    command.args(["--ctty", env!("CARGO_BIN_EXE_otherhalf")]).args(arguments);
    command.env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8").env_remove("NO_COLOR");
    command.envs(environment.iter().copied());
    Terminal::start(&mut command, size)
}

#[test]
fn a_trace_of_both_ways_shows_how_far_it_is() {
    let lab = lab();
    // www answers no request, nor as ping does: the reverse trace waits.
    let silence = ["-q", "-w", "net.ipv4.icmp_echo_ignore_all=1"];
    assert!(lab.command("www", "sysctl").args(silence).status().unwrap().success());
    let arguments = ["two-way", "-4", "-n", "-q", "1", "-w", "2", TARGET];
    let mut terminal = start(&lab, &arguments, &[], (100, 30));
    let text = terminal.wait_for(|text| text.contains("reverse: 0 hops, "));
    assert!(text.contains("forward: "), "{text}");
    terminal.end();
    // It goes away.
    let text = terminal.screen().contents();
    assert!(!text.contains("reverse: 0 hops"), "{text}");
}

const FORWARD: [&str; 5] = ["forward", "-4", "--live", "-i", "0.2"];
const TARGET: &str = "www.example.com";

fn forward(lab: &Lab) -> Terminal {
    start(lab, &[&FORWARD[..], &[TARGET]].concat(), &[], (100, 30))
}

/// The words of a screen's lines, numbers and times masked.
fn masked(text: &str) -> Vec<String> {
    let mask = |word: &str| match word {
        number if number.parse::<f64>().is_ok() => "#".to_owned(),
        clock if clock.split(':').count() == 3 => "hh:mm:ss".to_owned(),
        word => word.to_owned(),
    };
    text.lines()
        .map(|line| line.split_whitespace().map(mask).collect::<Vec<_>>().join(" "))
        .collect()
}

/// Whether the screen shows round `least` or a later one.
fn round(text: &str, least: u64) -> bool {
    let words: Vec<_> = text.split_whitespace().collect();
    words
        .windows(2)
        .any(|pair| pair[0] == "round" && pair[1].parse().is_ok_and(|number: u64| number >= least))
}

#[track_caller]
fn assert_given_back(terminal: &Terminal, before: &rustix::termios::Termios) {
    let after = terminal.settings();
    assert_eq!(after.local_modes, before.local_modes);
    assert_eq!(after.input_modes, before.input_modes);
    assert_eq!(after.output_modes, before.output_modes);
    assert!(after.local_modes.contains(LocalModes::ICANON | LocalModes::ECHO));
    assert!(!terminal.screen().alternate_screen() && !terminal.screen().hide_cursor());
}

#[test]
fn it_draws_obeys_keys_and_leaves_a_report() {
    let lab = lab();
    let mut terminal = forward(&lab);
    let before = terminal.settings();
    let shown = terminal.wait_for(|text| round(text, 3) && text.contains("R2 ("));
    let raw = terminal.settings();
    assert!(!raw.local_modes.contains(LocalModes::ICANON) && terminal.screen().alternate_screen());
    let lines = masked(&shown);
    let address = lab.address("www", otherhalf_lab::Family::V4);
    let (r1, r2) = (
        lab.address("R1", otherhalf_lab::Family::V4),
        lab.address("R2", otherhalf_lab::Family::V4),
    );
    let expected = [
        format!("otherhalf forward www.example.com ({address}) UDP flow # round # # s hh:mm:ss"),
        "Forward: from here to www.example.com".to_owned(),
        "Loss% Snt Last Avg Best Wrst StDev".to_owned(),
        format!("# R1 ({r1}) # # # # # # #"),
        format!("# R2 ({r2}) # # # # # # #"),
        format!("# www.example.com ({address}) # # # # # # #"),
    ];
    assert_eq!(lines[..6], expected);

    terminal.type_in("?");
    terminal.wait_for(|text| text.contains("quit; a report of all that was seen"));
    terminal.type_in("?d");
    terminal.wait_for(|text| text.contains("P50") && !text.contains("quit; a report"));
    terminal.type_in("ddn");
    terminal.wait_for(|text| text.contains("StDev") && !text.contains("R1 ("));
    terminal.type_in("n\x1b[B\r");
    terminal.wait_for(|text| text.contains("Hop 1, forward") && text.contains("R1 ("));
    terminal.type_in("\rp");
    let paused = terminal.wait_for(|text| text.contains("PAUSED") && text.contains("StDev"));
    let number = masked(&paused).len();
    assert!(number > 6);
    // Whatever was under way is over, and nothing is begun.
    terminal.watch(Duration::from_secs(1));
    let rounds =
        |text: &str| text.split("round ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let one = rounds(&terminal.screen().contents());
    terminal.watch(Duration::from_secs(1));
    assert_eq!(rounds(&terminal.screen().contents()), one);
    terminal.type_in(" +");
    terminal.wait_for(|text| !text.contains("PAUSED") && text.contains("0.5 s"));
    terminal.type_in("r");
    terminal.wait_for(|text| round(text, 1) && !round(text, 4));

    terminal.type_in("q");
    let status = terminal.end();
    assert_eq!(status.code(), Some(0), "{}", terminal.screen().contents());
    assert_given_back(&terminal, &before);
    let report = masked(&terminal.screen().contents());
    let head =
        format!("otherhalf forward www.example.com ({address}), UDP, flow 33434: # rounds in # s");
    let begin = report.iter().position(|line| line.starts_with("otherhalf forward")).unwrap();
    assert_eq!(report[begin].replace("round in", "rounds in"), head);
    assert_eq!(report[begin + 2..begin + 5], expected[1..4]);
}

#[test]
fn what_was_forgotten_is_no_verdict() {
    let lab = lab();
    let mut terminal = forward(&lab);
    terminal.wait_for(|text| round(text, 3) && text.contains("R2 ("));
    terminal.type_in("p");
    terminal.wait_for(|text| text.contains("PAUSED"));
    // Whatever was under way is over.
    terminal.watch(Duration::from_secs(1));
    terminal.type_in("r");
    terminal.wait_for(|text| !text.contains("R2 ("));
    terminal.type_in("q");
    let status = terminal.end();
    let text = terminal.screen().contents();
    assert_eq!(status.code(), Some(4), "{text}");
    assert!(text.contains("nothing was measured"), "{text}");
}

#[test]
fn any_size_will_do() {
    let lab = lab();
    let mut terminal = forward(&lab);
    terminal.wait_for(|text| text.contains("R2 ("));
    for (columns, rows) in [(60, 15), (10, 4), (1, 1), (2, 30), (250, 60)] {
        terminal.resize(columns, rows);
        terminal.watch(Duration::from_millis(400));
        assert!(terminal.screen().alternate_screen(), "it ended at {columns} x {rows}");
    }
    terminal.wait_for(|text| text.contains("R2 (") && text.contains("+/- interval"));
    // Ctrl-C is a key in raw mode.
    terminal.type_in("\x03");
    assert_eq!(terminal.end().code(), Some(130));
}

#[test]
fn a_signal_ends_it_and_the_terminal_is_given_back() {
    let lab = lab();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut terminal = forward(&lab);
        let before = terminal.settings();
        terminal.wait_for(|text| text.contains("R2 ("));
        let pid = Pid::from_child(terminal.child());
        // Twice, as by somebody in a hurry.
        kill_process(pid, signal).unwrap();
        kill_process(pid, signal).unwrap();
        assert_eq!(terminal.end().code(), Some(130));
        assert_given_back(&terminal, &before);
        let left = terminal.screen().contents();
        assert!(left.contains("Loss%") && left.contains("otherhalf: interrupted"), "{left}");
    }
}

#[test]
fn suspended_and_continued() {
    let lab = lab();
    let mut terminal = forward(&lab);
    let before = terminal.settings();
    terminal.wait_for(|text| text.contains("R2 ("));
    terminal.type_in("\x1a");
    terminal.wait_for(|text| !text.contains("R2 ("));
    assert_given_back(&terminal, &before);
    let pid = Pid::from_child(terminal.child());
    kill_process(pid, Signal::CONT).unwrap();
    terminal.wait_for(|text| text.contains("R2 (") && text.contains("q quit"));
    assert!(terminal.screen().alternate_screen());
    terminal.type_in("q");
    assert_eq!(terminal.end().code(), Some(0));
    assert_given_back(&terminal, &before);
}

#[test]
fn after_so_many_rounds_it_ends_with_the_document() {
    let lab = lab();
    let arguments = [&FORWARD[..], &["-c", "3", "--json", TARGET]].concat();
    // Tall enough for all of it.
    let mut terminal = start(&lab, &arguments, &[], (100, 900));
    assert_eq!(terminal.end().code(), Some(0));
    let text = terminal.screen().contents();
    let document: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(document["exit_code"], 0);
    let hops = document["forward"]["hops"].as_array().unwrap();
    assert_eq!(hops.len(), 3);
    for hop in hops {
        assert_eq!(hop["statistics"]["sent"], 3);
        assert_eq!(hop["probes"].as_array().unwrap().len(), 3);
    }
    assert_eq!(
        document["hosts"][hops[0]["responders"][0]["address"].as_str().unwrap()]["name"],
        "R1"
    );
}

#[test]
fn colours_unless_they_are_not_wanted() {
    let lab = lab();
    for (environment, coloured) in [(&[][..], true), (&[("NO_COLOR", "1")], false)] {
        let mut terminal = start(&lab, &[&FORWARD[..], &[TARGET]].concat(), environment, (100, 20));
        terminal.wait_for(|text| text.contains("R2 ("));
        let screen = terminal.screen();
        let found = (0..20).any(|row| {
            (0..100).any(|column| {
                screen.cell(row, column).is_some_and(|cell| cell.fgcolor() != vt100::Color::Default)
            })
        });
        assert_eq!(found, coloured);
        terminal.type_in("q");
        assert_eq!(terminal.end().code(), Some(0));
    }
}

#[test]
fn who_speaks_ping_only_is_told_so_in_the_view_and_by_the_exit_code() {
    let lab = lab();
    let arguments = ["two-way", "-4", "--live", "-i", "0.2", TARGET];
    let mut terminal = start(&lab, &arguments, &[], (120, 30));
    terminal.wait_for(|text| text.contains("answers ping, but does not") && text.contains("R2 ("));
    terminal.type_in("q");
    assert_eq!(terminal.end().code(), Some(3));
    let left = terminal.screen().contents();
    assert!(left.contains("answers ping, but does not speak reverse"), "{left}");
}

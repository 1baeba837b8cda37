//! What a responder that lies without end costs: time, memory and output are bounded, and a terminal is told nothing.

use std::fs::{self, File};
use std::process::ExitStatus;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use otherhalf_lab::Lab;
use serde_json::Value;

use super::liar::{Lie, with_liar};
use super::responder::{Manners, with_responder};
use super::{OTHERHALF, WWW, line};

/// What one run of the program cost and said.
#[derive(Debug)]
struct Cost {
    status: ExitStatus,
    time: Duration,
    /// The most memory that it had resident, KiB.
    resident_kib: u64,
    out: Vec<u8>,
    err: Vec<u8>,
}

/// Far longer than any of these runs takes, on a busy machine too: what does not end is ended.
const MOST_TIME: Duration = Duration::from_mins(1);
/// What lies may cost more than an honest answer; 1.6 MiB were measured at most.
const MOST_KIB: u64 = 8 << 10;
/// Octets of a trace of 30 hops, three queries each, in any format; 24 843 were measured at most.
const MOST_OCTETS: usize = 64 << 10;

/// Runs the program at the client until it ends, or for [`MOST_TIME`].
fn run(lab: &Lab, arguments: &[&str]) -> Cost {
    let folder = tempfile::tempdir().unwrap();
    let [out, err] = ["out", "err"].map(|name| folder.path().join(name));
    let mut command = lab.command("client", OTHERHALF);
    command.args(arguments).stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
    let start = Instant::now();
    let mut guard = lab.spawn(&mut command).unwrap();
    let status_file = format!("/proc/{}/status", guard.child().id());
    let mut resident_kib = 0;
    let status = loop {
        // The peak, so that nothing between two looks is missed; gone when it has ended.
        let said = fs::read_to_string(&status_file).unwrap_or_default();
        let peak = said.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(kib) = peak.and_then(|peak| peak.trim().strip_suffix(" kB")) {
            resident_kib = kib.parse().unwrap();
        }
        if let Some(status) = guard.child().try_wait().unwrap() {
            break status;
        }
        assert!(start.elapsed() < MOST_TIME, "{arguments:?} does not end");
        thread::sleep(Duration::from_millis(2));
    };
    let time = start.elapsed();
    let [out, err] = [out, err].map(|file| fs::read(file).unwrap());
    Cost { status, time, resident_kib, out, err }
}

/// Whether a terminal would obey `c`.
fn is_order(c: char) -> bool {
    c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}')
}

/// The text of what it wrote, which is checked to be short and without orders.
#[track_caller]
fn harmless(what: &[&str], written: &[u8]) -> String {
    assert!(written.len() < MOST_OCTETS, "{what:?}: {} octets", written.len());
    let text = String::from_utf8(written.to_vec()).unwrap();
    assert!(!text.contains(is_order), "{what:?}: {text:?}");
    text
}

/// Each command with the lies that it is told, and how it may end: no lie makes a trace a success or a failure that it is not.
const RUNS: &[(Lie, &[&str], &[i32])] = &[
    (Lie::Hops, &["reverse"], &[1]),
    (Lie::Hops, &["reverse", "--json"], &[1]),
    (Lie::Hops, &["reverse", "tcp", "--stream"], &[1]),
    (Lie::Hops, &["reverse", "--format", "csv"], &[1]),
    (Lie::Hops, &["reverse", "--multipath", "-m", "4", "--max-flows", "16"], &[1]),
    (Lie::Hops, &["two-way"], &[1]),
    (Lie::Hops, &["check", "-w", "1", "--json"], &[0]),
    (Lie::Refusals, &["reverse"], &[6]),
    (Lie::Refusals, &["reverse", "--json"], &[6]),
    (Lie::Refusals, &["check", "-w", "1"], &[0]),
    (Lie::Undelivered, &["reverse"], &[4]),
    (Lie::Undelivered, &["check", "-w", "1"], &[4]),
    (Lie::Mirrors, &["reverse"], &[3]),
    (Lie::Mirrors, &["check", "-w", "1", "--json"], &[3]),
];

#[test]
fn a_responder_that_lies_without_end_costs_little() {
    let lab = line();
    for (lie, options, ends) in RUNS {
        let arguments = [options, &["-n", "-4", WWW][..]].concat();
        let mut honest = None;
        with_responder(&lab, Manners::default(), || honest = Some(run(&lab, &arguments)));
        let honest = honest.unwrap();
        with_liar(&lab, *lie, |sent| {
            let cost = run(&lab, &arguments);
            let sent = sent.load(Ordering::Relaxed);
            let [out, err] = [&cost.out, &cost.err].map(|text| harmless(&arguments, text));
            println!(
                "{lie:?} {options:?}: {sent} lies, {:?}, {} KiB (honest: {:?}, {} KiB), {} octets, {}",
                cost.time,
                cost.resident_kib,
                honest.time,
                honest.resident_kib,
                out.len() + err.len(),
                cost.status,
            );
            let code = cost.status.code().unwrap_or_else(|| panic!("{}: {err}", cost.status));
            assert!(ends.contains(&code), "{arguments:?}: {code}\n{out}{err}");
            // Only routers without end keep a trace from its end.
            let least = if *lie == Lie::Hops { 1000 } else { 1 };
            assert!(sent >= least, "{arguments:?}: {sent} lies, the flood came too late");
            let most = honest.resident_kib + MOST_KIB;
            assert!(cost.resident_kib < most, "{arguments:?}: {} KiB", cost.resident_kib);
            // The refusals were heard, and shown as what they are: by escapes of text or of JSON.
            let shown = [r"\u{1b}[2J", r"\u001b[2J"]
                .iter()
                .any(|order| (out.clone() + &err).contains(order));
            assert_eq!(shown, *lie == Lie::Refusals, "{out}{err}");
            let documents = match options.last() {
                Some(&"--json") => vec![&out[..]],
                Some(&"--stream") => out.lines().collect(),
                _ => vec![],
            };
            for document in documents {
                serde_json::from_str::<Value>(document).unwrap();
            }
        });
    }
}

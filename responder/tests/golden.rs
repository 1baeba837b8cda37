//! The whole program on packet files: what goes in is in `golden/*.in.pcap`, what comes out must be
//! `golden/*.out.pcap` and, as printed at its end, `golden/*.counters`. `golden/README.md` says how
//! they were made; `UPDATE_GOLDEN=1` makes them anew.
//!
//! All frames of one receive burst get one reading of the clock. An input fits into one burst, so
//! its round-trip times are exactly 0, and all else is fixed by the secret: nothing is masked.

mod process;
#[path = "golden/make.rs"]
mod make;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use make::Capture;
use otherhalf_wire::ip::protocol;
use pcap_file::pcap::{PcapPacket, PcapWriter};
use process::{Daemon, Ended};
use rustix::process::Signal;

type Frames = Vec<Vec<u8>>;

/// What fits into one receive burst.
const BURST: usize = 32;

/// A run of the program.
struct Case {
    name: &'static str,
    /// Captured files, by how their names begin.
    captures: &'static [&'static str],
    /// Frames built by hand, which come first.
    built: fn() -> Frames,
    /// The VLAN that all is in.
    vlan: Option<u16>,
    reply: Reply,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reply {
    Hairpin,
    Route,
}

const CASE: Case =
    Case { name: "", captures: &[], built: Vec::new, vlan: None, reply: Reply::Hairpin };

const CASES: &[Case] = &[
    Case {
        name: "v4-traces",
        captures: &["v4-icmp", "v4-tcp-ttl", "v4-udp", "v4-default"],
        ..CASE
    },
    Case {
        name: "v6-traces",
        captures: &["v6-icmp", "v6-tcp-ttl", "v6-udp", "v6-default"],
        ..CASE
    },
    Case { name: "v4-answers", captures: &["v4-ans", "v4-tcp-open-port"], ..CASE },
    Case { name: "v6-answers", captures: &["v6-ans"], ..CASE },
    Case { name: "v4-requests", captures: &["v4-err", "v4-req", "v4-ping"], ..CASE },
    Case { name: "v6-requests", captures: &["v6-err", "v6-req", "v6-ping"], ..CASE },
    Case { name: "neighbours", built: make::neighbours, ..CASE },
    Case { name: "junk", built: make::junk, ..CASE },
    Case {
        name: "vlan",
        captures: &["v4-udp-ttl1", "v6-tcp-ttl2", "v6-ping", "v4-tcp-open-port"],
        vlan: Some(7),
        ..CASE
    },
    Case {
        name: "route",
        captures: &["v4-udp-ttl", "v6-icmp-ttl", "v4-err-ttl0", "v6-ans-tcp-synack"],
        built: make::around_a_router,
        reply: Reply::Route,
        ..CASE
    },
];

impl Case {
    /// Whether it is what the reference received, in its order and nothing else.
    fn is_plain_capture(&self) -> bool {
        self.name.starts_with("v4-") || self.name.starts_with("v6-")
    }

    fn named(name: &str) -> &'static Self {
        CASES.iter().find(|case| case.name == name).unwrap()
    }

    fn file(&self, extension: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        folder.join(format!("{}.{extension}", self.name))
    }

    fn config(&self, input: &Path, output: &Path) -> String {
        let vlan = self.vlan.map_or(String::new(), |id| format!("vlan = {id}"));
        let reply = match self.reply {
            Reply::Hairpin => "reply.path = \"hairpin\"",
            // No default route for IPv4: what it has none for is dropped.
            Reply::Route => {
                "route = [
                    { to = \"10.0.0.0/8\", via = \"10.0.3.1\" },
                    { to = \"::/0\", via = \"fd00:3::1\" },
                ]"
            }
        };
        format!(
            r#"
            {reply}

            [eal]
            huge_pages = false
            memory_mb = 64
            file_prefix = "otherhalf-golden-{name}-{pid}"

            [workers]
            cpus = [0]
            idle_sleep_us = 50

            # Probes that nothing in the file answers are not waited for.
            [drain]
            deadline_ms = 0

            [pending]
            entries = 1024
            timeout_ms = 3600000
            secret = "00112233445566778899aabbccddeeff"

            [[port]]
            device = "net_pcap0,rx_pcap={input},tx_pcap={output}"

            [[port.interface]]
            addresses = ["{v4}/24", "{v6}/64"]
            {vlan}
            "#,
            name = self.name,
            pid = std::process::id(),
            input = input.display(),
            output = output.display(),
            v4 = make::OUR_V4,
            v6 = make::OUR_V6,
        )
    }

    /// Runs the program on the file `input` of `frames` frames.
    fn run(&self, input: &Path, frames: usize) -> (Frames, Ended) {
        assert!(frames <= BURST, "{}: {frames} frames are more than a burst", self.name);
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out.pcap");
        let mut daemon = Daemon::start(folder.path(), &self.config(input, &output));
        daemon.wait_for("ready");
        daemon.settled(frames as u64);
        let ended = daemon.stop(Signal::TERM);
        assert_eq!(ended.code, 0, "{}", ended.log);
        (make::read(&output), ended)
    }

    /// Has the program replay `input`: no port, and so no reading of a clock but the file's.
    fn replay(&self, input: &Path) -> (Frames, String) {
        let folder = tempfile::tempdir().unwrap();
        let (config, output) =
            (folder.path().join("otherhalfd.toml"), folder.path().join("out.pcap"));
        fs::write(&config, self.config(input, &output)).unwrap();
        let replay = Command::new(env!("CARGO_BIN_EXE_otherhalfd"))
            .args(["replay", "--config"])
            .args([&config, input, &output])
            .output()
            .unwrap();
        let stderr = String::from_utf8(replay.stderr).unwrap();
        assert_eq!((replay.status.code(), stderr.as_str()), (Some(0), ""), "{}", self.name);
        (make::read(&output), String::from_utf8(replay.stdout).unwrap())
    }

    /// Makes the input anew.
    fn update_input(&self) {
        let folder = tempfile::tempdir().unwrap();
        let mut captures = make::captures(self.captures);
        if self.reply == Reply::Route {
            // An answer that comes while its request waits for a neighbour is one to a probe never sent.
            for capture in &mut captures {
                capture.received.truncate(1);
            }
        }
        let led_here = make::input(&captures, |requests| {
            if requests.is_empty() {
                return Frames::new();
            }
            let path = folder.path().join("requests.pcap");
            write(&path, requests);
            let plain = Self { vlan: None, reply: Reply::Hairpin, ..*self };
            plain.run(&path, requests.len()).0
        });
        let mut frames = [(self.built)(), led_here].concat();
        if let Some(vlan) = self.vlan {
            frames = frames.iter().map(|frame| make::tagged(frame, vlan)).collect();
        }
        write(&self.file("in.pcap"), &frames);
    }
}

fn write(path: &Path, frames: &[Vec<u8>]) {
    let mut writer = PcapWriter::new(File::create(path).unwrap()).unwrap();
    for frame in frames {
        let len = u32::try_from(frame.len()).unwrap();
        writer.write_packet(&PcapPacket::new(Duration::ZERO, len, frame)).unwrap();
    }
}

/// Compares a run with its golden files.
fn check(name: &str) {
    let case = Case::named(name);
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    if update {
        case.update_input();
    }
    let input = case.file("in.pcap");
    let (mut frames, ended) = case.run(&input, make::read(&input).len());
    let mut counters = without_zeros(&ended.stdout);
    if case.reply == Reply::Route {
        set_apart_from_time(&mut frames, &mut counters);
    }
    if update {
        write(&case.file("out.pcap"), &frames);
        fs::write(case.file("counters"), &counters).unwrap();
    }
    let golden = make::read(&case.file("out.pcap"));
    for (place, (got, wanted)) in frames.iter().zip(&golden).enumerate() {
        assert_eq!(got, wanted, "{name}: frame {place}: {got:02x?} is not {wanted:02x?}");
    }
    assert_eq!(frames.len(), golden.len(), "{name}: frames");
    assert_eq!(counters, fs::read_to_string(case.file("counters")).unwrap(), "{name}");
    if case.is_plain_capture() {
        agrees_with_the_reference(case, &golden);
    }
    replay_does_the_same(case, &golden, &counters);
}

/// The engine over the file itself, against what it did on a port.
fn replay_does_the_same(case: &Case, golden: &[Vec<u8>], counters: &str) {
    let (mut frames, replayed) = case.replay(&case.file("in.pcap"));
    // What the port counts, a file does not.
    let mut wanted: String =
        counters.split_inclusive('\n').filter(|line| !line.starts_with("port ")).collect();
    if case.reply == Reply::Route {
        frames.sort();
        // No time passes in the file, so what waits for a silent neighbour waits until its end.
        let waiting = format!("  {:<28} 1\n", "drop_neighbour_unresolved");
        assert!(wanted.contains(&waiting), "{wanted}");
        wanted = wanted.replace(&waiting, &format!("  {:<28} 1\n", "drop_stopped"));
    }
    assert_eq!(frames, golden, "{}: replayed", case.name);
    assert_eq!(without_zeros(&replayed), wanted, "{}: replayed", case.name);
}

/// The counters that have counted: what is not there is 0. A worker's line is of times.
fn without_zeros(counters: &str) -> String {
    let zero = |line: &&str| line.split_whitespace().collect::<Vec<_>>()[1..] == ["0"];
    let lines = counters.split_inclusive('\n').filter(|line| !line.starts_with("worker "));
    lines.filter(|line| !zero(line)).collect()
}

/// Takes out of a run what depends on when the control thread took its turns.
///
/// - It asks for a router unless it has heard of it before, so its questions are none or more.
/// - It publishes the neighbours that it has heard of so far, so one family may go out before
///   the other: the frames are compared as a set.
fn set_apart_from_time(frames: &mut Frames, counters: &mut String) {
    let sent = frames.len();
    frames.retain(|frame| !is_question(frame));
    let questions = sent - frames.len();
    frames.sort();
    let mut take_out = |text: &str, instead: &str| {
        assert!(counters.contains(text), "no {text:?} in\n{counters}");
        *counters = counters.replace(text, instead);
    };
    // The neighbour that never answers was asked.
    take_out(&format!("{:<30} {questions}\n", "solicitations_sent"), "");
    take_out(&format!(" sent {sent} "), &format!(" sent {} and the questions ", frames.len()));
}

/// Whether it is an ARP request or a neighbour solicitation.
fn is_question(frame: &[u8]) -> bool {
    matches!(frame, [_, _, _, _, _, _, _, _, _, _, _, _, 8, 6, _, _, _, _, _, _, 0, 1, ..])
        || (frame[12..14] == [0x86, 0xdd] && frame[20] == protocol::ICMPV6 && frame[54] == 135)
}

/// The octets of a frame that the protocol fixes, from the IP header on; the others are 0.
fn fixed(frame: &[u8]) -> Vec<u8> {
    let packet = make::packet(frame);
    let mut bytes = frame[frame.len() - packet.header_len - packet.payload.len()..].to_vec();
    let upper = packet.header_len;
    let is_v4 = packet.src.is_ipv4();
    let mut free = Vec::new();
    if is_v4 {
        // Identification and DF, and the checksum, which goes with them.
        free.extend([4..8, 10..12]);
    }
    match packet.protocol {
        protocol::UDP => free.push(upper + 8..upper + 16),
        protocol::TCP => free.extend([upper + 4..upper + 8, upper + 16..upper + 18]),
        _ if matches!(packet.payload[..2], [8 | 128, 0]) => free.push(upper + 8..upper + 16),
        _ => {
            free.push(if is_v4 { 1..2 } else { 0..4 });
            if packet.payload.len() == 36 {
                // The round-trip time, and the checksum.
                free.extend([upper + 2..upper + 4, upper + 28..upper + 32]);
            }
        }
    }
    for range in free {
        bytes[range].fill(0);
    }
    bytes
}

/// The golden output against what the reference sent, in all octets that the protocol fixes.
fn agrees_with_the_reference(case: &Case, golden: &[Vec<u8>]) {
    let is_reset = |frame: &&Vec<u8>| {
        let packet = make::packet(frame);
        packet.protocol == protocol::TCP && packet.payload[13] == 4
    };
    // The RST for a SYN+ACK is what the reference lacks.
    let ours: Vec<_> = golden.iter().filter(|frame| !is_reset(frame)).collect();
    let captures = make::captures(case.captures);
    let theirs: Vec<(&Capture, &Vec<u8>)> = captures
        .iter()
        .flat_map(|capture| capture.sent.iter().map(move |frame| (capture, frame)))
        .collect();
    for (got, (capture, wanted)) in ours.iter().zip(&theirs) {
        assert_eq!(fixed(got), fixed(wanted), "{}: {got:02x?} is not {wanted:02x?}", capture.name);
    }
    assert_eq!(ours.len(), theirs.len(), "{}", case.name);
}

#[test]
fn traces() {
    check("v4-traces");
    check("v6-traces");
}

#[test]
fn every_kind_of_answer() {
    check("v4-answers");
    check("v6-answers");
}

#[test]
fn every_kind_of_request() {
    check("v4-requests");
    check("v6-requests");
}

#[test]
fn neighbours() {
    check("neighbours");
}

#[test]
fn junk() {
    check("junk");
}

#[test]
fn in_a_vlan() {
    check("vlan");
}

#[test]
fn by_the_routes_once_the_routers_are_known() {
    check("route");
}

#[test]
fn each_captured_file_is_in_a_case() {
    let captured = CASES.iter().filter(|case| case.is_plain_capture());
    let count: usize = captured.map(|case| make::captures(case.captures).len()).sum();
    assert_eq!(count, make::captures(&[""]).len());
}

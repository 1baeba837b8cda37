//! `otherhalfctl capture` of a running `otherhalfd`, whose port receives the frames of a file again and again.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pcap_file::pcap::PcapReader;

use crate::instance::{DEVICE, instance};
use crate::socket::Served;

/// What takes longer does not come.
const LIMIT: Duration = Duration::from_secs(20);

/// All kinds of frames, requests, pings and made-up answers among them.
fn junk() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/junk.in.pcap")
}

fn frames(path: &Path) -> HashSet<Vec<u8>> {
    let mut reader = PcapReader::new(File::open(path).unwrap()).unwrap();
    let next = || reader.next_packet().map(|packet| packet.unwrap().data.to_vec());
    std::iter::from_fn(next).collect()
}

/// A daemon that receives them without end, and sends into nothing.
fn flooded(name: &str, reply: &str) -> Served {
    let endless = "net_pcap0,rx_pcap=FOLDER/in,infinite_rx=1";
    let (folder, text) = instance(name, (DEVICE, endless));
    fs::copy(junk(), folder.path().join("in")).unwrap();
    let text = text
        .replace("192.0.2.2/24", "10.0.3.2/24")
        .replace("2001:db8::2/64", "fd00:3::2/64")
        .replace("[pending]", "[pending]\nsecret = \"00112233445566778899aabbccddeeff\"");
    let router = "route = [{ to = \"0.0.0.0/0\", via = \"10.0.3.1\" }]";
    Served::on(folder, &format!("reply.path = \"{reply}\"\n{router}\n{text}"), "")
}

/// What tshark reads of `fields` in the file, a line a packet.
fn tshark(file: &Path, fields: &[&str]) -> Vec<Vec<String>> {
    let mut command = Command::new("tshark");
    command.args(["-n", "-T", "fields", "-E", "separator=|", "-r"]).arg(file);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().expect("tshark (scripts/setup --test installs it)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect()
}

/// The counter `name` after `otherhalfd replay` of a file, with the configuration of `served`.
fn replayed(served: &Served, file: &Path, name: &str) -> u64 {
    let folder = served.folder.path();
    let output = Command::new(env!("CARGO_BIN_EXE_otherhalfd"))
        .args(["replay", "--mac", "02:70:63:61:70:00", "--config"])
        .args([&folder.join("otherhalfd.toml"), file, &folder.join("replayed.pcap")])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap_or_else(|| {
        panic!("no {name} in {text}\n{}", String::from_utf8_lossy(&output.stderr))
    });
    line.trim().parse().unwrap()
}

#[test]
fn forged_answers_are_captured_while_all_else_is_answered() {
    let served = flooded("capture", "hairpin");
    let file = served.folder.path().join("out.pcapng");
    let path = file.to_str().unwrap();
    let answered = || served.json(&["stats"])["outcomes"]["ping_reply"].as_u64().unwrap();
    let before = answered();
    let said = served.says(&["capture", "--outcome", "drop_forged", "--limit", "100", path]);
    assert!(said.starts_with("100 frames captured (the limit)"), "{said}");
    let start = Instant::now();
    while answered() <= before {
        assert!(start.elapsed() < LIMIT, "nobody is answered");
        std::thread::sleep(Duration::from_millis(10));
    }

    let fields = [
        "frame.number",
        "frame.comment",
        "frame.interface_name",
        "frame.time_epoch",
        "frame.len",
        "frame.cap_len",
        "eth.dst",
    ];
    let packets = tshark(&file, &fields);
    assert_eq!(packets.len(), 100);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    for (place, packet) in packets.iter().enumerate() {
        let [number, comment, interface, time, len, kept, destination] = packet.as_slice() else {
            panic!("{packet:?}")
        };
        assert_eq!(*number, (place + 1).to_string());
        assert_eq!(comment, "drop_forged, worker 0");
        assert_eq!(interface, "net_pcap0");
        assert!((now - time.parse::<f64>().unwrap()).abs() < 60.0, "{time} and {now}");
        assert_eq!(len, kept);
        assert_eq!(destination, "02:70:63:61:70:00");
    }
    // They are what came in, before the engine's eyes and not after its pen.
    assert_eq!(replayed(&served, &file, "drop_forged"), 100);
    // Several outcomes, short names, and cut.
    let arguments = [
        "--json",
        "capture",
        "--outcome",
        "forged",
        "--outcome",
        "ping_reply",
        "--limit",
        "500",
        "--snaplen",
        "34",
        path,
    ];
    let ended: serde_json::Value = serde_json::from_str(&served.says(&arguments)).unwrap();
    assert_eq!((&ended["packets"], &ended["reason"]), (&500.into(), &"limit".into()));
    let packets = tshark(&file, &["frame.comment", "frame.cap_len"]);
    let kinds: HashSet<_> = packets.into_iter().collect();
    let kind = |comment: &str| vec![comment.to_owned(), "34".to_owned()];
    let expected = ["drop_forged, worker 0", "ping_reply, worker 0"].map(kind);
    assert_eq!(kinds, HashSet::from(expected));
    let log = served.stop();
    assert!(log.contains("told to by=\"control socket, uid "), "{log}");
    assert!(log.contains(" command=\"capture --outcome "), "{log}");
}

#[test]
fn pings_are_answered_during_a_capture() {
    let served = flooded("during", "hairpin");
    let mut capture = served
        .command(&["capture", "--outcome", "forged", "--limit", "1000000000", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut frames = capture.stdout.take().unwrap();
    frames.read_exact(&mut [0; 4]).unwrap();
    // Frames come all the while: whoever does not read them would hold the capture up.
    let reader = std::thread::spawn(move || std::io::copy(&mut frames, &mut std::io::sink()));
    let answered = || served.json(&["stats"])["outcomes"]["ping_reply"].as_u64().unwrap();
    let more_than = |before: u64| {
        let start = Instant::now();
        loop {
            let now = answered();
            if now > before {
                return now;
            }
            assert!(start.elapsed() < LIMIT, "nobody is answered during a capture");
        }
    };
    // The first state that is newer than one that was shown during the capture was taken during it, and so was the next.
    let first = more_than(answered());
    let second = more_than(first);
    assert!(second > first);
    assert_eq!(capture.try_wait().unwrap(), None, "the capture was over already");
    capture.kill().unwrap();
    capture.wait().unwrap();
    assert!(reader.join().unwrap().unwrap() > 0, "nothing was captured");
    served.stop();
}

#[test]
fn answered_frames_are_captured_as_they_came_in() {
    let served = flooded("answered", "hairpin");
    let file = served.folder.path().join("out.pcapng");
    let path = file.to_str().unwrap();
    for outcome in ["probe_udp", "ping_reply", "closed_udp_unreachable"] {
        served.says(&["capture", "--outcome", outcome, "--limit", "64", path]);
        // Written over, they would be something else to the engine.
        assert_eq!(replayed(&served, &file, outcome), 64, "{outcome}");
    }
    served.stop();
}

#[test]
fn frames_that_waited_in_vain_are_captured() {
    // The router never answers.
    let served = flooded("waiting", "route");
    let file = served.folder.path().join("out.pcapng");
    let path = file.to_str().unwrap();
    let junk = frames(&junk());
    for outcome in ["drop_neighbour_unresolved", "drop_hold_full"] {
        let counted = || served.json(&["stats"])["outcomes"][outcome].as_u64().unwrap();
        let start = Instant::now();
        while counted() == 0 {
            assert!(start.elapsed() < LIMIT, "no {outcome}");
            std::thread::sleep(Duration::from_millis(20));
        }
        served.says(&["capture", "--outcome", outcome, "--limit", "40", path]);
        let packets = tshark(&file, &["frame.comment"]);
        assert_eq!(packets, vec![vec![format!("{outcome}, worker 0")]; 40]);
        let mut reader = pcap_file::pcapng::PcapNgReader::new(File::open(&file).unwrap()).unwrap();
        while let Some(block) = reader.next_block() {
            if let pcap_file::pcapng::Block::EnhancedPacket(packet) = block.unwrap() {
                assert!(junk.contains(&*packet.data), "{outcome}: {:02x?}", packet.data);
            }
        }
    }
    served.stop();
}

#[test]
fn a_capture_ends_with_its_time_or_its_client_and_there_is_one_at_a_time() {
    let served = Served::start("times");
    let file = served.folder.path().join("out.pcapng");
    let path = file.to_str().unwrap();
    let said = served.says(&["capture", "--outcome", "forged", "--seconds", "1", path]);
    assert_eq!(said, "0 frames captured (the time is over)\n");
    assert_eq!(tshark(&file, &["frame.number"]).len(), 0, "a file without packets");
    fs::write(&file, "mine").unwrap();
    let wrong = served.fails(&["capture", "--outcome", "forgd", path]);
    assert!(wrong.contains("no outcome is called \"forgd\", did you mean drop_forged?"), "{wrong}");
    let long = served.fails(&["capture", "--outcome", "forged", "--snaplen", "3000", path]);
    assert!(long.contains("can't keep 3000 octets"), "{long}");
    let mut waiting = served
        .command(&["capture", "--outcome", "forged", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It begins its file when the capture has begun.
    waiting.stdout.as_mut().unwrap().read_exact(&mut [0; 4]).unwrap();
    let busy = served.fails(&["capture", "--outcome", "forged", path]);
    assert!(busy.contains("another capture is running"), "{busy}");
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    // The daemon notices within some seconds that nobody takes it any more.
    let again = || served.ctl(&["capture", "--outcome", "forged", "--seconds", "1", path]);
    let start = Instant::now();
    while again().status.code() != Some(0) {
        assert!(start.elapsed() < LIMIT, "the capture of a client that is gone goes on");
        std::thread::sleep(Duration::from_millis(100));
    }
    served.stop();
}

#[test]
fn what_waits_is_listed_while_it_comes_and_goes() {
    // Nobody answers the probes, so they wait until they are given up.
    let served = flooded("pending", "hairpin");
    let deadline = Instant::now() + LIMIT;
    let listed = loop {
        let listed = served.json(&["pending", "--limit", "3"]);
        if listed["probes"].as_array().unwrap().len() == 3 {
            break listed;
        }
        assert!(Instant::now() < deadline, "no probe waits: {listed}");
    };
    let timeout_us = listed["timeout_ms"].as_u64().unwrap() * 1000;
    let ages: Vec<u64> = listed["probes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|probe| {
            let [age, left] = ["age_us", "left_us"].map(|key| probe[key].as_u64().unwrap());
            // Each is rounded down.
            assert!((timeout_us - 2..=timeout_us).contains(&(age + left)), "{probe}");
            assert!(u16::try_from(probe["request_id"].as_u64().unwrap()).is_ok());
            age
        })
        .collect();
    assert!(ages.is_sorted_by(|older, younger| older >= younger), "{ages:?}");
    let text = served.says(&["pending", "--limit", "1"]);
    let lines: Vec<&str> = text.lines().collect();
    let [_, head, line, more] = lines.as_slice() else { panic!("four lines:\n{text}") };
    assert!(head.starts_with("listed by themselves; "), "{text}");
    assert!(line.starts_with("request ") && line.contains(" ago, given up in "), "{text}");
    assert_eq!(*more, "there may be more: see --limit");
    // Whoever wants none gets the table's line alone.
    assert_eq!(served.says(&["pending", "--limit", "0"]).lines().count(), 1);
    let none = served.json(&["pending", "--limit", "0"]);
    assert_eq!(none["probes"].as_array().unwrap().len(), 0);
    assert!(none["live"].as_u64().is_some());
    assert_eq!(served.ctl(&["pending", "--limit", "1001"]).status.code(), Some(2));
    served.stop();
}

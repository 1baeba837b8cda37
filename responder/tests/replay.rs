//! `otherhalfd replay`: time, neighbours, files that are as they should be and files that are not. What it does with each kind of
//! frame is compared with the program on a port in `golden.rs`, whose files are the frames here as well.

use std::borrow::Cow;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use otherhalf_wire::ethernet::Link;
use otherhalf_wire::icmp::Message;
use otherhalf_wire::ip::{Family, Packet};
use otherhalf_wire::trace::{Response, Verdict};
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapReader, PcapWriter};
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionBlock;
use pcap_file::pcapng::{Block, PcapNgReader, PcapNgWriter};
use pcap_file::{DataLink, TsResolution};
use tempfile::TempDir;

/// The secret that the frames of the golden files were made with.
const SECRET: &str = "secret = \"00112233445566778899aabbccddeeff\"";
/// Back to where a frame came from.
const HAIRPIN: &str = "reply.path = \"hairpin\"";
/// All by one router.
const ROUTER: &str = "route = [{ to = \"0.0.0.0/0\", via = \"10.0.3.1\" }]";
/// Neither a second nor a burst.
const START: Duration = Duration::new(1_700_000_000, 123_456_789);

/// A frame, and when it comes after the first.
type Timed = (Duration, Vec<u8>);

fn after(ms: u64, frame: &[u8]) -> Timed {
    (Duration::from_millis(ms), frame.to_vec())
}

/// The frames that the golden case `name` received.
fn golden(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    read(&folder.join(format!("{name}.in.pcap"))).into_iter().map(|(_, frame)| frame).collect()
}

/// A request over IPv4, and the answer to its probe.
fn request_and_answer() -> [Vec<u8>; 2] {
    let mut frames = golden("v4-traces").into_iter();
    [(); 2].map(|()| frames.next().unwrap())
}

fn read(path: &Path) -> Vec<Timed> {
    let mut reader = PcapReader::new(File::open(path).unwrap()).unwrap();
    let frames = std::iter::from_fn(|| {
        let packet = reader.next_packet()?.unwrap();
        Some((packet.timestamp, packet.data.to_vec()))
    });
    frames.collect()
}

fn write(path: &Path, frames: &[Timed]) {
    let header = PcapHeader { ts_resolution: TsResolution::NanoSecond, ..PcapHeader::default() };
    let mut writer = PcapWriter::with_header(File::create(path).unwrap(), header).unwrap();
    for (at, frame) in frames {
        let len = u32::try_from(frame.len()).unwrap();
        writer.write_packet(&PcapPacket::new(START + *at, len, frame)).unwrap();
    }
}

/// A folder with a configuration in it.
struct Place {
    folder: TempDir,
}

/// What came of a run.
#[derive(Debug)]
struct Ran {
    code: i32,
    counters: String,
    stderr: String,
}

impl Ran {
    #[track_caller]
    fn count(&self, name: &str) -> u64 {
        let line = self.counters.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
            .unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }
}

impl Place {
    fn new(reply: &str, secret: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            r#"
            {reply}
            [pending]
            entries = 1024
            timeout_ms = 3000
            {secret}
            [[port]]
            device = "net_null0"
            [[port.interface]]
            addresses = ["10.0.3.2/24", "fd00:3::2/64"]
            [[port]]
            device = "net_null1"
            [[port.interface]]
            addresses = ["10.0.4.2/24"]
            "#
        );
        fs::write(folder.path().join("otherhalfd.toml"), config).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn replay(&self, arguments: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_otherhalfd"))
            .current_dir(self.folder.path())
            .args(["replay", "--config", "otherhalfd.toml"])
            .args(arguments)
            .output()
            .unwrap();
        Ran {
            code: output.status.code().unwrap(),
            counters: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Replays `frames`, whose port has the address of `net_pcap0`, from a file into another.
    fn frames(&self, frames: &[Timed], more: &[&str]) -> (Vec<Timed>, Ran) {
        write(&self.path("in.pcap"), frames);
        let macs = ["--mac", "02:70:63:61:70:00", "--mac", "02:70:63:61:70:01"];
        let ran = self.replay(&[&macs, more, &["in.pcap", "out.pcap"]].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        (read(&self.path("out.pcap")), ran)
    }
}

/// The round-trip time that the response in `frame` tells.
fn rtt(frame: &[u8]) -> Option<u32> {
    let (_, payload) = Link::parse(frame).unwrap();
    let packet = Packet::parse_v4(payload).unwrap();
    let message = Message::parse(Family::V4, packet.payload).unwrap();
    let Verdict::Hop { rtt, .. } = Response::parse(&message).unwrap().verdict else {
        panic!("{frame:02x?}")
    };
    rtt.ns()
}

#[test]
fn round_trip_times_and_time_outs_are_the_files() {
    let [request, answer] = request_and_answer();
    let place = Place::new(HAIRPIN, SECRET);
    let waits = Duration::from_nanos(12_345_678);
    let (sent, ran) = place.frames(&[after(0, &request), (waits, answer.clone())], &[]);
    assert_eq!(sent.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [START, START + waits]);
    assert_eq!(rtt(&sent[1].1), Some(12_345_678));
    assert_eq!((ran.count("received"), ran.count("pending")), (2, 0));
    for (ms, responses) in [(2999, 1), (3001, 0), (400 * 24 * 3_600_000, 0)] {
        let (sent, ran) = place.frames(&[after(0, &request), after(ms, &answer)], &[]);
        assert_eq!(sent.len(), 1 + responses, "{ms}");
        assert_eq!(ran.count("drop_unmatched"), 1 - responses as u64, "{ms}");
    }
    // 2^48 ns and a bit after the probe, a time of 48 bits looks as if it were just sent.
    let wrapped = (Duration::from_nanos((1 << 48) + 1000), answer);
    let (_, ran) = place.frames(&[after(0, &request), wrapped], &[]);
    assert_eq!(ran.count("drop_unmatched"), 1);
}

#[test]
fn a_clock_that_goes_back_is_taken_to_stand() {
    let [request, answer] = request_and_answer();
    let place = Place::new(HAIRPIN, SECRET);
    write(&place.path("in.pcap"), &[after(5, &request), after(0, &answer)]);
    let ran = place.replay(&[
        "--mac",
        "02:70:63:61:70:00",
        "--mac",
        "02:00:00:00:00:01",
        "in.pcap",
        "out.pcap",
    ]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("1 frames are older than one before them"), "{}", ran.stderr);
    assert_eq!(rtt(&read(&place.path("out.pcap"))[1].1), Some(0));
}

#[test]
fn a_frame_waits_for_its_neighbour_as_long_as_in_a_worker() {
    let [request, _] = request_and_answer();
    // The router asks for our address, and so tells its own.
    let told = golden("neighbours")[0].clone();
    let place = Place::new(ROUTER, SECRET);
    let probes = ["probe_icmp", "probe_udp", "probe_tcp"];
    let (sent, ran) = place.frames(&[after(0, &request), after(1999, &told)], &[]);
    assert_eq!(sent.len(), 2, "the answer to the router, and the probe");
    assert_eq!(sent[1].0, START + Duration::from_millis(1999));
    assert_eq!(probes.map(|name| ran.count(name)).iter().sum::<u64>(), 1);
    let (sent, ran) = place.frames(&[after(0, &request), after(2001, &told)], &[]);
    assert_eq!((sent.len(), ran.count("drop_neighbour_unresolved")), (1, 1));
    let (sent, ran) = place.frames(&[after(0, &request)], &[]);
    assert_eq!((sent.len(), ran.count("drop_stopped")), (0, 1));
    // Told on the command line.
    for router in ["10.0.3.1=02:00:00:00:03:01", "10.0.3.1%net_null0=02:00:00:00:03:01"] {
        let (sent, _) = place.frames(&[after(0, &request)], &["--neighbour", router]);
        assert_eq!(sent[0].1[..6], [2, 0, 0, 0, 3, 1]);
    }
}

/// The limits' clock comes round every nine minutes; what is spent does not come back with it.
#[test]
fn who_asks_seldom_is_never_limited() {
    let [request, _] = request_and_answer();
    let other = golden("v6-traces").swap_remove(0);
    let place = Place::new(HAIRPIN, SECRET);
    let probes = ["probe_icmp", "probe_udp", "probe_tcp"];
    // Two seconds and a bit before the turn: after a silence, and while others ask.
    let turn_ms = (1 << 39) / 1_000_000;
    for step_ms in [turn_ms - 2500, 50_000, 1000] {
        let asked = (0..turn_ms - 2500).step_by(step_ms).map(|ms| after(ms as u64, &request));
        let last = after(turn_ms as u64 - 2500, &other);
        let frames: Vec<Timed> = asked.chain([last]).collect();
        let (sent, ran) = place.frames(&frames, &[]);
        assert_eq!(sent.len(), frames.len(), "{step_ms}: {ran:?}");
        let served = probes.map(|name| ran.count(name)).iter().sum::<u64>();
        assert_eq!(served, frames.len() as u64, "{step_ms}: {ran:?}");
    }
}

#[test]
fn more_wait_than_there_is_room_for() {
    let [request, _] = request_and_answer();
    let place = Place::new(ROUTER, SECRET);
    let frames: Vec<Timed> = (0..200).map(|n| after(n / 40, &request)).collect();
    let (_, ran) = place.frames(&frames, &[]);
    assert_eq!((ran.count("drop_stopped"), ran.count("drop_hold_full")), (128, 72));
}

#[test]
fn the_same_file_gives_the_same_octets() {
    let frames: Vec<Timed> = ["v4-traces", "junk", "neighbours", "v6-answers"]
        .into_iter()
        .flat_map(golden)
        .enumerate()
        .map(|(place, frame)| (Duration::from_millis(place as u64 / 3), frame))
        .collect();
    for secret in ["", SECRET] {
        let place = Place::new(HAIRPIN, secret);
        write(&place.path("in.pcap"), &frames);
        let macs = ["--mac", "02:70:63:61:70:00", "--mac", "02:00:00:00:00:01"];
        let runs = ["1.pcap", "2.pcap", "1.pcapng", "2.pcapng"].map(|name| {
            let ran = place.replay(&[&macs[..], &["in.pcap", name]].concat());
            assert_eq!(ran.code, 0, "{ran:?}");
            assert_eq!(ran.stderr.contains("no pending.secret"), secret.is_empty(), "{ran:?}");
            (fs::read(place.path(name)).unwrap(), ran.counters)
        });
        assert_eq!(runs[0], runs[1]);
        assert_eq!(runs[2], runs[3]);
        assert!(runs[0].0.len() > 1000);
    }
}

/// `frames` as pcapng, each with its interface, in microseconds.
fn write_ng(path: &Path, frames: &[(u32, Timed)], link: DataLink) {
    let mut writer = PcapNgWriter::new(File::create(path).unwrap()).unwrap();
    for _ in 0..3 {
        let interface = InterfaceDescriptionBlock { linktype: link, snaplen: 0, options: vec![] };
        writer.write_pcapng_block(interface).unwrap();
    }
    for (interface, (at, frame)) in frames {
        let block = EnhancedPacketBlock {
            interface_id: *interface,
            // The writer takes all for nanoseconds.
            timestamp: Duration::from_nanos(u64::try_from((START + *at).as_micros()).unwrap()),
            original_len: u32::try_from(frame.len()).unwrap(),
            data: Cow::Borrowed(frame),
            options: vec![],
        };
        writer.write_pcapng_block(block).unwrap();
    }
}

#[test]
fn pcapng_has_interfaces_and_says_what_frames_are() {
    let [request, answer] = request_and_answer();
    let place = Place::new(HAIRPIN, SECRET);
    let both = [(0, after(0, &request)), (0, after(7, &answer))];
    write_ng(&place.path("in.pcapng"), &both, DataLink::ETHERNET);
    let macs = ["--mac", "02:70:63:61:70:00", "--mac", "02:00:00:00:00:01"];
    let ran = place.replay(&[&macs[..], &["in.pcapng", "out.pcapng"]].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    let mut reader = PcapNgReader::new(File::open(place.path("out.pcapng")).unwrap()).unwrap();
    let mut packets = Vec::new();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(packet) = block.unwrap() {
            packets.push(packet.into_owned());
        }
    }
    let comments: Vec<_> = packets.iter().map(|packet| packet.options.clone()).collect();
    let comment = |text: &'static str| vec![EnhancedPacketOption::Comment(text.into())];
    assert_eq!(comments, [comment("probe_icmp"), comment("response_time_exceeded")]);
    assert_eq!((packets[0].interface_id, rtt(&packets[1].data)), (0, Some(7_000_000)));
    assert_eq!(packets[0].timestamp.as_micros(), START.as_micros());

    // The second interface is the second port, which has another hardware address; --port says otherwise.
    let second = both.clone().map(|(_, timed)| (1, timed));
    write_ng(&place.path("in.pcapng"), &second, DataLink::ETHERNET);
    let ran = place.replay(&[&macs[..], &["in.pcapng", "out.pcapng"]].concat());
    assert_eq!((ran.code, ran.count("drop_not_our_mac")), (0, 2), "{ran:?}");
    let ran = place.replay(&[&macs[..], &["--port", "0", "in.pcapng", "out.pcapng"]].concat());
    assert_eq!((ran.code, ran.count("response_time_exceeded")), (0, 1), "{ran:?}");
    // A third has no port; what came before is done.
    let third = [both[0].clone(), (2, both[1].1.clone())];
    write_ng(&place.path("in.pcapng"), &third, DataLink::ETHERNET);
    let ran = place.replay(&[&macs[..], &["in.pcapng", "out.pcapng"]].concat());
    assert_eq!((ran.code, ran.count("probe_icmp")), (1, 1));
    assert!(ran.stderr.contains("its interface 2, and the configuration has 2 ports"), "{ran:?}");
}

#[test]
fn a_damaged_file_is_done_up_to_where_it_breaks() {
    let [request, answer] = request_and_answer();
    let place = Place::new(HAIRPIN, SECRET);
    let macs = ["--mac", "02:70:63:61:70:00", "--mac", "02:00:00:00:00:01"];
    let run = |name| place.replay(&[&macs[..], &[name, "out.pcap"]].concat());
    let frames = [after(0, &request), after(1, &answer)];
    write(&place.path("in.pcap"), &frames);
    let whole = fs::read(place.path("in.pcap")).unwrap();
    let first = 24 + 16 + request.len();
    for len in [first + 1, first + 16, whole.len() - 1] {
        fs::write(place.path("cut.pcap"), &whole[..len]).unwrap();
        let ran = run("cut.pcap");
        assert_eq!((ran.code, ran.count("received"), ran.count("probe_icmp")), (1, 1, 1), "{len}");
        let said = "cut.pcap ends in the midst of a packet, after 1 whole ones: was it cut off?\n";
        assert_eq!(ran.stderr, format!("otherhalfd: {said}"));
        assert_eq!(read(&place.path("out.pcap")).len(), 1);
    }
    // A length that is none.
    let mut wrong = whole.clone();
    wrong[first + 8..first + 12].fill(0xff);
    fs::write(place.path("wrong.pcap"), &wrong).unwrap();
    assert_eq!((run("wrong.pcap").code, read(&place.path("out.pcap")).len()), (1, 1));
    write_ng(&place.path("in.pcapng"), &frames.clone().map(|one| (0, one)), DataLink::ETHERNET);
    let whole = fs::read(place.path("in.pcapng")).unwrap();
    fs::write(place.path("cut.pcapng"), &whole[..whole.len() - 3]).unwrap();
    let ran = run("cut.pcapng");
    assert_eq!((ran.code, ran.count("received")), (1, 1));
    assert!(ran.stderr.contains("after 1 whole ones"), "{ran:?}");
    // What is left of a frame that was not kept whole is what is judged.
    let snapped = PcapPacket::new(START, u32::try_from(request.len()).unwrap(), &request[..40]);
    let mut writer = PcapWriter::new(File::create(place.path("snap.pcap")).unwrap()).unwrap();
    writer.write_packet(&snapped).unwrap();
    let ran = run("snap.pcap");
    assert_eq!((ran.code, ran.count("drop_truncated")), (0, 1), "{ran:?}");
    assert!(ran.stderr.contains("1 frames are cut off in the file"), "{ran:?}");
}

#[test]
fn what_can_not_be_replayed_is_refused_before_anything_is_written() {
    let [request, _] = request_and_answer();
    let place = Place::new(HAIRPIN, SECRET);
    write(&place.path("in.pcap"), &[after(0, &request)]);
    fs::write(place.path("text.pcap"), "no packets in here").unwrap();
    fs::write(place.path("empty.pcap"), "").unwrap();
    let raw = PcapHeader { datalink: DataLink::RAW, ..PcapHeader::default() };
    PcapWriter::with_header(File::create(place.path("raw.pcap")).unwrap(), raw).unwrap();
    let mac = ["--mac", "02:70:63:61:70:00"];
    let both = [&mac[..], &["--mac", "02:00:00:00:00:01"]].concat();
    let cases: [(&[&str], &[&str], &str); 9] = [
        (&both, &["absent.pcap", "out.pcap"], "can't open absent.pcap: No such file"),
        (&both, &["text.pcap", "out.pcap"], "text.pcap is no capture file"),
        (&both, &["empty.pcap", "out.pcap"], "empty.pcap is no capture file"),
        (&both, &["raw.pcap", "out.pcap"], "raw.pcap: frames of link type RAW, not of Ethernet"),
        (&both, &["in.pcap", "./in.pcap"], "./in.pcap is the file to be read"),
        (&both, &["--port", "2", "in.pcap", "out.pcap"], "the configuration has no port 2"),
        (
            &mac,
            &["in.pcap", "out.pcap"],
            "for an address of port 1 (net_null1), so its hardware address is not known",
        ),
        (
            &both,
            &["--neighbour", "192.0.2.1=02:00:00:00:00:01", "in.pcap", "out.pcap"],
            "on which interface is the neighbour 192.0.2.1?",
        ),
        (
            &both,
            &["--neighbour", "10.0.3.1%eth0=02:00:00:00:00:01", "in.pcap", "out.pcap"],
            "no interface is called \"eth0\": there are net_null0, net_null1",
        ),
    ];
    for (macs, arguments, expected) in cases {
        let ran = place.replay(&[macs, arguments].concat());
        assert_eq!((ran.code, ran.counters.as_str()), (1, ""), "{arguments:?}");
        assert!(ran.stderr.contains(expected), "{arguments:?}: {}", ran.stderr);
        assert!(!place.path("out.pcap").exists(), "{arguments:?}");
    }
    assert_eq!(read(&place.path("in.pcap")).len(), 1, "it is as it was");
    let ran = place.replay(&[&both[..], &["in.pcap", "no/such/folder"]].concat());
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("can't write no/such/folder"), "{ran:?}");
    assert_eq!(place.replay(&["--mac", "ff:ff:ff:ff:ff:ff", "in.pcap", "out.pcap"]).code, 2);
    fs::write(place.path("otherhalfd.toml"), "[ports]").unwrap();
    assert_eq!(place.replay(&["in.pcap", "out.pcap"]).code, 78);
}

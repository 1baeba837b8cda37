//! Clients under floods, at rates that any machine carries: what is promised of answers, memory and the time after is kept, and
//! a promise that is broken is named.
//!
//! Over rings it needs no root and no hugepages; with the responder as a process of its own (feature `e2e`), whose memory can
//! be told from the generator's, both, and otherhalfd built to the same folder: `scripts/check perf` sees to that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::time::Duration;

use otherhalf_perf::EXIT_WRONG;
use otherhalf_perf::addresses;
use otherhalf_perf::attack::Attacked;
use otherhalf_perf::report::Report;
use otherhalf_wire::ethernet::{Link, Mac, ethertype};
use otherhalf_wire::ip::{Family, Fields, protocol};
use otherhalf_wire::trace::{REQUEST_LEN, Request};
use pcap_file::pcap::{PcapPacket, PcapWriter};

/// Both CPUs are for one run at a time.
static CPUS: Mutex<()> = Mutex::new(());

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn flood(name: &str) -> PathBuf {
    top().join("floods").join(name).with_extension("toml")
}

/// Runs these floods; what was said, and what is in the report.
fn attack(profile: &str, floods: &[PathBuf], seconds: &str) -> (Output, Vec<Attacked>) {
    let _alone = CPUS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<&str> = floods.iter().map(|flood| flood.to_str().unwrap()).collect();
    let output = Command::new(env!("CARGO_BIN_EXE_otherhalf-perf"))
        .args(["attack", "--rate", "5k", "--seconds", seconds, "--flood", &names.join(",")])
        .arg("--scenario")
        .arg(top().join("scenarios/attack.toml"))
        .arg("--profile")
        .arg(top().join("profiles").join(profile).with_extension("toml"))
        .arg("--out")
        .arg(folder.path())
        .output()
        .unwrap();
    let report = Report::load(&folder.path().join("report.ndjson"));
    let attacked = report.unwrap_or_else(|error| panic!("{error}\n{output:?}")).run.attacked;
    (output, attacked)
}

/// What holds for every flood whose promises were kept.
fn kept(output: &Output, attacked: &[Attacked], floods: usize) {
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}\n{said}", output.status);
    assert!(!said.contains("BROKEN"), "{said}");
    assert_eq!(attacked.len(), floods);
    for one in attacked {
        assert!(one.broken.is_empty() && one.asked > 20, "{one:?}");
        assert!(one.sent_per_s > 1000.0 && one.outcomes.values().sum::<u64>() > 1500, "{one:?}");
        assert!(said.contains(&format!("ratio attack/{} ", one.flood)), "{said}");
    }
}

#[test]
fn clients_are_served_over_rings_whatever_comes_besides() {
    let floods = ["forged-echoes", "neighbours", "replay", "unanswered"].map(flood);
    let (output, attacked) = attack("attack", &floods, "0.8");
    kept(&output, &attacked, floods.len());
    let [echoes, neighbours, replay, unanswered] = attacked.as_slice() else {
        panic!("four floods were asked for")
    };
    assert!(echoes.outcomes["drop_unmatched"] > 2000, "{echoes:?}");
    assert!(neighbours.neighbours.most > 100, "{neighbours:?}");
    assert!(replay.outcomes["drop_forged"] > 100 && replay.replies > 100, "{replay:?}");
    // It fills, and is empty again.
    assert!(unanswered.pending.most > 3000 && unanswered.pending.after < 200, "{unanswered:?}");
}

#[test]
fn a_promise_that_is_broken_is_named_and_fails_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("too-much.toml");
    // Five times its entries within a time-out, and no word of why clients may get less.
    let text = "about = \"x\"\nkind = \"unanswered\"\nfill = 5.0\n";
    fs::write(&path, text).unwrap();
    let (output, attacked) = attack("attack", &[path], "2");
    assert_eq!(output.status.code(), Some(EXIT_WRONG.into()));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("BROKEN: too-much: clients got "), "{said}");
    // It is full, and then empty again.
    assert!(attacked[0].outcomes["drop_table_full"] > 1000, "{attacked:?}");
    assert_eq!(attacked[0].broken.len(), 1, "{attacked:?}");
}

/// A request in the name of a client that did not send it: what it is sent for it is wrong, whatever the responder thinks.
fn spoofed(identifier: u16) -> Vec<u8> {
    let (src, dst) = (addresses::client(Family::V4, 5), addresses::responder(Family::V4));
    let [from, to] = [1, 2].map(|last| Mac([2, 0, 0, 0, 0, last]));
    let link = Link { dst: to, src: from, vlan: None, ethertype: ethertype::IPV4 };
    let fields = Fields {
        src,
        dst,
        ttl: 64,
        traffic_class: 0,
        flow_label: 0,
        identification: Some(0),
        protocol: protocol::ICMP,
    };
    let request = Request { identifier, sequence: 0, ttl: 5, protocol: protocol::UDP, flow: 33434 };
    let mut frame = vec![0; 128];
    let packet = link.emit(&mut frame).unwrap();
    let message = fields.emit(REQUEST_LEN, packet).unwrap();
    request.emit(src, dst, &[], message).unwrap();
    frame.truncate(link.len() + Family::V4.header_len() + REQUEST_LEN);
    frame
}

#[test]
fn frames_that_no_client_asked_for_are_named_and_fail_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let capture = fs::File::create(folder.path().join("spoofed.pcap")).unwrap();
    let mut capture = PcapWriter::new(capture).unwrap();
    for frame in (1..100).map(spoofed) {
        let len = frame.len().try_into().unwrap();
        capture.write_packet(&PcapPacket::new(Duration::ZERO, len, &frame)).unwrap();
    }
    let path = folder.path().join("in-a-name.toml");
    fs::write(&path, "about = \"x\"\nkind = \"replay\"\nfiles = [\"spoofed.pcap\"]\n").unwrap();
    let (output, attacked) = attack("attack", &[path], "1");
    assert_eq!(output.status.code(), Some(EXIT_WRONG.into()));
    let said = String::from_utf8_lossy(&output.stdout);
    let broken = |line: &str| {
        line.starts_with("BROKEN: in-a-name: ")
            && line.ends_with(" frames to clients were not as they have to be")
    };
    assert!(said.lines().any(broken), "{said}");
    // The others lost nothing by it.
    assert_eq!(attacked[0].broken.len(), 1, "{attacked:?}");
}

#[cfg(feature = "e2e")]
#[test]
fn a_process_of_its_own_keeps_its_memory_under_every_flood() {
    let folder = fs::read_dir(top().join("floods")).unwrap();
    let mut floods: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    floods.sort_unstable();
    assert!(floods.len() >= 14);
    let (output, attacked) = attack("attack-memif", &floods, "1");
    kept(&output, &attacked, floods.len());
    for one in &attacked {
        assert!(one.resident.before > 1 << 20 && one.resident.after > 1 << 20, "{one:?}");
    }
}

//! The program on the packet files that `otherhalfd` is tested with: the same frames in, the same
//! frames out, to the octet, and the same counters. What drives the engine makes no difference.
//!
//! An input fits into one burst, whose frames get one reading of the clock: round-trip times are 0.

mod common;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::RuntimeFolder;
use pcap_file::pcap::PcapReader;

/// Those that need neither a VLAN nor routes.
const CASES: [&str; 8] = [
    "v4-traces",
    "v6-traces",
    "v4-answers",
    "v6-answers",
    "v4-requests",
    "v6-requests",
    "neighbours",
    "junk",
];

fn golden(case: &str, extension: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../responder/tests/golden");
    folder.join(format!("{case}.{extension}"))
}

fn frames(path: &Path) -> Vec<Vec<u8>> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut reader = PcapReader::new(file).unwrap();
    std::iter::from_fn(|| reader.next_packet().map(|packet| packet.unwrap().data.into_owned()))
        .collect()
}

/// The counters of the packet path that are not 0.
fn counters(text: &str) -> Vec<&str> {
    let ours = |line: &&str| {
        line.starts_with("received ") || line.starts_with("  ") || line.starts_with("resets_sent ")
    };
    text.lines().filter(ours).filter(|line| !line.ends_with(" 0")).collect()
}

#[test]
fn the_same_frames_and_counters_as_otherhalfd() {
    let folder = tempfile::tempdir().unwrap();
    let instance = format!("capsule-golden-{}", std::process::id());
    let _runtime = RuntimeFolder::of(&instance);
    for case in CASES {
        let output = folder.path().join(format!("{case}.pcap"));
        let config = folder.path().join(format!("{case}.toml"));
        let text = format!(
            r#"
            addresses = ["10.0.3.2/24", "fd00:3::2/64"]

            [pending]
            entries = 1024
            timeout_ms = 3600000
            secret = "00112233445566778899aabbccddeeff"

            [capsule]
            app_name = "{instance}"
            master_core = 1
            dpdk_args = "--no-huge -m 64"
            duration = 2
            mempool = {{ capacity = 2047 }}

            [[capsule.ports]]
            name = "wire"
            device = "net_pcap0"
            args = "rx_pcap={input},tx_pcap={output}"
            cores = [0]
            "#,
            input = golden(case, "in.pcap").display(),
            output = output.display(),
        );
        fs::write(&config, text).unwrap();
        let run = Command::new(env!("CARGO_BIN_EXE_otherhalf-capsule")).arg(&config).output();
        let run = run.unwrap();
        let errors = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{case}: {errors}");

        let expected = fs::read_to_string(golden(case, "counters")).unwrap();
        let printed = String::from_utf8(run.stdout).unwrap();
        assert_eq!(counters(&printed), counters(&expected), "{case}");
        let (sent, expected) = (frames(&output), frames(&golden(case, "out.pcap")));
        assert_eq!(sent.len(), expected.len(), "{case}");
        for (number, (sent, expected)) in sent.iter().zip(&expected).enumerate() {
            assert_eq!(sent, expected, "{case}, frame {number}");
        }
    }
}

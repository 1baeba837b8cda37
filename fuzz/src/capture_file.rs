//! A capture file for `otherhalfd replay`: pcap or pcapng. What can be read of it goes through an engine, as a replay leads it.

use std::convert::Infallible;
use std::path::Path;
use std::sync::LazyLock;

use otherhalf_engine::PortId;
use otherhalf_responder::config::Config;
use otherhalf_responder::replay::Replay;
use otherhalf_responder::replay::input::Input;
use otherhalf_wire::ethernet::Mac;

/// The responder that the captures in `responder/tests/golden` are of.
const CONFIG: &str = r#"
workers = { cpus = [1] }
rate = { lines = 64 }
pending = { entries = 64, secret = "00112233445566778899aabbccddeeff" }

[[port]]
device = "net_null0"

[[port.interface]]
addresses = ["10.0.3.2/24", "fd00:3::2/64"]
"#;
const MAC: Mac = Mac([2, 0x70, 0x63, 0x61, 0x70, 0]);

static RESPONDER: LazyLock<Config> =
    LazyLock::new(|| Config::parse(CONFIG, Path::new("replayed.toml")).unwrap());

/// Reads `octets` as such a file, and replays it.
///
/// # Panics
///
/// If a packet is longer than the file, or not all are counted.
pub fn run(octets: &[u8]) {
    let Ok(mut input) = Input::read(octets, Path::new("capture")) else { return };
    let mut replay = Replay::new(&RESPONDER, &[MAC]).unwrap();
    let mut packets = 0;
    while let Ok(Some(packet)) = input.next() {
        assert!(packet.octets.len() <= octets.len());
        let frames = [packet.octets.as_slice()];
        let Ok(()) =
            replay.pass(packet.at_ns, PortId(0), &frames, &mut |_| Ok::<_, Infallible>(()));
        packets += 1;
    }
    let totals = replay.end();
    assert_eq!(totals.received, packets);
    assert_eq!(
        totals.outcomes.iter().map(|(_, count)| count).sum::<u64>(),
        packets,
        "each packet is counted once"
    );
}

//! A worker that finds no buffer for what comes: nothing else goes wrong, what is lost is counted by the port, and it goes on
//! when there are buffers again. Buffers can't run out in a responder that loses none, so the test takes them.

use std::cell::RefCell;
use std::fs::{self, File};
use std::time::{Duration, Instant};

use dpdk::{Mbuf, Mempool};
use otherhalf_engine::Outcome;
use otherhalf_responder::config::Config;
use otherhalf_responder::control::{Control, End, Wishes};
use otherhalf_responder::setup::Responder;
use pcap_file::pcap::{PcapPacket, PcapWriter};

/// Frames that come.
const FRAMES: u64 = 3000;
/// Of these at least are lost before there are buffers again.
const LOST: u64 = 100;
/// No step takes this long.
const LIMIT: Duration = Duration::from_secs(30);

/// The buffers that the test holds, and gives back when the port has counted enough losses.
struct Starve {
    held: RefCell<Vec<Mbuf>>,
    shared: std::sync::Arc<otherhalf_responder::shared::Shared>,
    began: Instant,
}

impl Starve {
    fn new(mempool: &Mempool, control: &Control) -> Self {
        let held: Vec<Mbuf> = std::iter::from_fn(|| mempool.alloc()).collect();
        assert_eq!(u32::try_from(held.len()).unwrap(), mempool.size(), "it was in use before");
        let shared = std::sync::Arc::clone(&control.shared);
        Self { held: RefCell::new(held), shared, began: Instant::now() }
    }

    /// Frames that were lost, as the port counts, and that came.
    fn seen(&self) -> (u64, u64) {
        let status = self.shared.status.load();
        let lost = |port: &otherhalf_control::status::Port| port.counters["rx_no_mbuf"];
        (status.ports.first().map_or(0, lost), status.received)
    }
}

impl Wishes for Starve {
    fn stop(&self) -> bool {
        let (lost, received) = self.seen();
        if lost >= LOST {
            self.held.borrow_mut().clear();
        } else if !self.held.borrow().is_empty() {
            assert_eq!(received, 0, "there was a buffer");
        }
        assert!(self.began.elapsed() < LIMIT, "lost {lost}, received {received}");
        lost + received == FRAMES
    }

    fn print(&self) -> bool {
        false
    }
}

#[test]
fn without_buffers_frames_are_counted_as_lost_and_with_buffers_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    // To our address, of a kind that is none of ours.
    let mut frame = [0; 60];
    frame[..14].copy_from_slice(&[2, 0x70, 0x63, 0x61, 0x70, 0, 2, 0, 0, 0, 0, 1, 0x88, 0xcc]);
    let mut writer = PcapWriter::new(File::create(&input).unwrap()).unwrap();
    for _ in 0..FRAMES {
        writer.write_packet(&PcapPacket::new(Duration::ZERO, 60, &frame)).unwrap();
    }
    drop(writer);
    let config = folder.path().join("otherhalfd.toml");
    let text = format!(
        r#"
        [eal]
        huge_pages = false
        memory_mb = 64
        file_prefix = "otherhalf-starved-{}"

        [workers]
        cpus = [0]
        idle_sleep_us = 1000

        [pending]
        entries = 1024

        [[port]]
        device = "net_pcap0,rx_pcap={},tx_pcap={}"

        [[port.interface]]
        addresses = ["192.0.2.2/24"]
        "#,
        std::process::id(),
        input.display(),
        output.display(),
    );
    fs::write(&config, text).unwrap();
    let config = Config::load(&config).unwrap();
    let Responder { workers, mut control, eal, .. } = Responder::start(&config).unwrap();
    let mempool = control.mempool.clone();
    let starve = Starve::new(&mempool, &control);
    let handles: Vec<_> = workers
        .into_iter()
        .map(|(lcore, worker)| eal.launch(lcore, move || worker.run()).unwrap())
        .collect();

    assert_eq!(control.run(&handles, &starve), End::Stopped);
    let (lost, received) = starve.seen();
    control.shared.stop();
    for handle in handles {
        handle.join().unwrap();
    }
    assert!(lost >= LOST && received > 0, "lost {lost}, received {received}");
    let stats = &control.shared.workers[0].stats;
    assert_eq!(stats.received.get(), received);
    assert_eq!(stats.outcomes().get(Outcome::DropUnknownEthertype), received);
    control.ports.clear();
    assert_eq!(mempool.in_use(), 0);
}

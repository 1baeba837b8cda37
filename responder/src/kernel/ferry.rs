//! The thread between the workers and the kernel: the one that makes system calls for frames.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use dpdk::{Burst, Checksum, Eal, Mempool, Port, PortConfig, RxQueue, TxQueue, Vdev};
use otherhalf_engine::{BURST, PortId};
use otherhalf_wire::ethernet::Mac;
use tracing::{info, warn};

use super::{Path, checksum};
use crate::config;
use crate::shared::Shared;

/// Descriptors of each direction of the kernel's interface.
pub const DESCRIPTORS: u16 = 256;
/// Where the kernel's half of virtio is, if the machine has it.
const VHOST_NET: &str = "/dev/vhost-net";
/// How long it sleeps when nothing moves: no more than what a session over a network notices.
const NAP: Duration = Duration::from_micros(100);
/// The same when nothing has moved for [`QUIET`].
const SLEEP: Duration = Duration::from_millis(1);
/// See [`SLEEP`].
const QUIET: Duration = Duration::from_secs(1);
/// Turns that are enough to bring away what the queues can hold, when it ends.
const LAST_TURNS: usize = 2 * super::ROOM / BURST;

/// One end of a path: the kernel's interface.
struct Crossing {
    /// The port whose frames these are.
    of: PortId,
    rx: RxQueue,
    tx: TxQueue,
    /// Keeps the interface; closed when dropped, after the queues.
    _port: Port,
}

/// All interfaces of the kernel, not yet looked after.
#[derive(Default)]
pub struct Ferry {
    crossings: Vec<Crossing>,
}

impl Ferry {
    /// Makes the interface that `wanted` describes, for frames of the port `of`, which is `port`.
    pub fn open(
        &mut self,
        eal: &Eal,
        wanted: &config::Kernel,
        of: PortId,
        port: &Port,
        mempool: &Mempool,
    ) -> Result<()> {
        let config::Kernel { interface, driver, .. } = wanted;
        let mac = Mac(port.mac());
        let device = match driver {
            config::KernelDriver::Tap => format!("net_tap_{interface},iface={interface},mac={mac}"),
            config::KernelDriver::VhostNet => {
                if !std::path::Path::new(VHOST_NET).exists() {
                    bail!(
                        "there is no {VHOST_NET}: load the kernel's module (modprobe vhost_net), or set driver = \"tap\""
                    );
                }
                format!(
                    "net_virtio_user_{interface},path={VHOST_NET},iface={interface},queues=1,queue_size={DESCRIPTORS},mac={mac}"
                )
            }
        };
        let id = eal.add_vdev(&Vdev::from(device))?;
        let port_config = PortConfig {
            rx_descriptors: DESCRIPTORS,
            tx_descriptors: DESCRIPTORS,
            mtu: port.mtu().ok(),
            ..PortConfig::default()
        };
        let mut own = Port::configure(eal, id, &port_config, std::slice::from_ref(mempool))?;
        let (rx, tx) = own.start()?;
        let (Some(rx), Some(tx)) = (rx.into_iter().next(), tx.into_iter().next()) else {
            bail!("it has no queues");
        };
        info!(port = port.name(), interface, driver = own.driver(), %mac, "kernel interface");
        self.crossings.push(Crossing { of, rx, tx, _port: own });
        Ok(())
    }

    /// Begins to carry frames, on a thread of its own, which ends after [`Paths::stop`](super::Paths::stop) and takes the
    /// interfaces with it. No thread without interfaces.
    pub fn start(self, eal: &Eal, shared: Arc<Shared>) -> Result<Option<JoinHandle<()>>> {
        if self.crossings.is_empty() {
            return Ok(None);
        }
        // Known to DPDK: with a cache of its own, it seldom touches the mempool's ring, where workers might wait for it.
        let thread = eal.spawn("kernel-ferry", move || self.run(&shared));
        thread.map(Some).context("no thread for the kernel's interfaces")
    }

    fn run(mut self, shared: &Shared) {
        let mut moved_at = Instant::now();
        while !shared.kernel.stopping() {
            shared.kernel.turns.add(1);
            if self.turn(shared) > 0 {
                moved_at = Instant::now();
            } else {
                thread::sleep(if moved_at.elapsed() < QUIET { NAP } else { SLEEP });
            }
        }
        // The workers have ended. What they left for the kernel still gets there; what it sends goes nowhere.
        for _ in 0..LAST_TURNS {
            if self.turn(shared) == 0 {
                break;
            }
        }
    }

    /// Carries a burst each way over each crossing; returns how many frames moved.
    fn turn(&mut self, shared: &Shared) -> usize {
        let mut moved = 0;
        for crossing in &mut self.crossings {
            if let Some(path) = shared.kernel.path(crossing.of) {
                moved += crossing.deliver(path) + crossing.fetch(path);
            }
        }
        moved
    }
}

impl Crossing {
    /// Brings the kernel what waits for it.
    fn deliver(&mut self, path: &Path) -> usize {
        let mut burst = Burst::<BURST>::new();
        while !burst.is_full() {
            let Some(mut frame) = path.to_kernel.pop() else { break };
            if frame.checksums().transport() == Checksum::Absent {
                checksum::fill_in(frame.data_mut());
            }
            frame.reset_offloads();
            drop(burst.push(frame));
        }
        let count = burst.len();
        let sent = self.tx.send(&mut burst);
        path.stats.delivered.add(sent as u64);
        path.stats.refused.add(burst.len() as u64);
        count
    }

    /// Takes what the kernel sends.
    fn fetch(&mut self, path: &Path) -> usize {
        let mut burst = Burst::<BURST>::new();
        let count = self.rx.receive(&mut burst);
        path.stats.received.add(count as u64);
        for frame in burst.drain() {
            if path.from_kernel.push(frame).is_err() {
                path.stats.dropped.add(1);
            }
        }
        count
    }
}

/// Waits for the thread's end, which is to be soon.
pub fn join(ferry: Option<JoinHandle<()>>) {
    if ferry.is_some_and(|thread| thread.join().is_err()) {
        warn!(
            "the thread of the kernel's interfaces had panicked: their frames were not carried any more"
        );
    }
}

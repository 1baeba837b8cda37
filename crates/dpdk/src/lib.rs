//! A small safe layer over DPDK: EAL, ports, queues, mempools, mbufs, lcores.
//!
//! What is safe here and why:
//!
//! - **One owner for each mbuf.** [`Mbuf`] owns its buffer and frees it on drop. What a
//!   transmit did not take stays in the caller's [`Burst`].
//! - **One thread for each queue.** [`RxQueue`] and [`TxQueue`] can move to another thread,
//!   but cannot be shared or copied. They exist only while their port is started, and keep
//!   it from being stopped or closed.
//! - **Memory outlives everything.** A mempool is never freed, and the EAL's memory stays
//!   mapped until the process ends, so an mbuf needs no reference count; see [`Eal`].
//!
//! ```no_run
//! use dpdk::{Burst, Eal, LcoreId, Mempool, MempoolConfig, Memory, Port, PortConfig, Vdev};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let eal = Eal::builder("example", Memory::NoHuge { megabytes: 64 })
//!     .main_lcore(LcoreId(9), [0])
//!     .worker(LcoreId(0), 0)
//!     .vdev(Vdev::null(0, 64))
//!     .init()?;
//! let pool = Mempool::new(&eal, &MempoolConfig { name: "frames", ..Default::default() })?;
//! let id = eal.port_by_name("net_null0")?;
//! let mut port = Port::configure(&eal, id, &PortConfig::default(), &[pool])?;
//! let (mut rx, mut tx) = port.start()?;
//! let (mut rx, mut tx) = (rx.remove(0), tx.remove(0));
//! let worker = eal.launch(LcoreId(0), move || {
//!     let mut burst = Burst::<32>::new();
//!     rx.receive(&mut burst);
//!     let sent = tx.send(&mut burst);
//!     sent + burst.len()
//! })?;
//! println!("{} frames", worker.join()?);
//! # Ok(())
//! # }
//! ```
#![expect(unsafe_code, reason = "the layer that makes DPDK's functions safe to call")]

mod builder;
mod eal;
mod lcore;
mod clock;
mod memory;
mod mempool;
mod port;
mod hotplug;
mod members;
mod ring;
mod telemetry;
mod queue;
mod burst;
mod mbuf;
mod error;
#[cfg(feature = "yardstick")]
pub mod yardstick;

pub use builder::{EalBuilder, LogLevel, Memory, Vdev};
pub use burst::{Burst, Drain};
pub use clock::{measure_tsc_hz, tsc};
pub use eal::Eal;
pub use error::{EalError, Errno, LcoreError, MbufError, MempoolError, PortError, TelemetryError};
pub use lcore::{LcoreHandle, LcoreId, RegisteredThread, current_lcore};
pub use mbuf::{Checksum, Checksums, Mbuf};
pub use members::Members;
pub use memory::prefetch;
pub use mempool::{Mempool, MempoolConfig};
pub use port::{
    Link, Port, PortConfig, PortId, PortInfo, PortStats, QUEUES_COUNTED, QueueStats, RxOffloads,
};
pub use queue::{RxQueue, TxQueue};
pub use ring::ring_port_name;
pub use telemetry::{Answer, Telemetry};

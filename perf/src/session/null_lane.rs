//! The null server's lane: rings between it and a generator of its own.

use std::sync::mpsc::channel;

use anyhow::Result;
use dpdk::{Eal, LcoreHandle, LcoreId, Mempool, Port};
use otherhalf_wire::ethernet::Mac;

use super::open;
use crate::generator::Parts;
use crate::null::{self, Idle, Master, own_tid};
use crate::profile::Side;
use crate::witness::Witness;

/// What a generator needs to load the null server, which waits for its first order.
pub(crate) struct NullLoad {
    parts: Parts,
    idle: Idle,
    tid: i32,
    workers: Vec<i32>,
}

impl NullLoad {
    /// Has the scheduler prefer server, workers and the calling thread to all others. `None` if that is not allowed:
    /// then there is nothing to measure.
    pub(crate) fn prefer(self) -> Option<(Parts, Master)> {
        Some((self.parts, self.idle.prefer(&self.workers, self.tid)?))
    }
}

/// What has to be closed at the end.
pub(super) struct OpenLane {
    server: LcoreHandle<()>,
    ports: [Port; 2],
}

impl OpenLane {
    /// Makes the rings and starts the server on `lcore`, beside `workers`.
    pub(super) fn open(
        eal: &Eal,
        side: &Side,
        pool: &Mempool,
        lcore: LcoreId,
        hz: u64,
        workers: Vec<i32>,
    ) -> Result<(NullLoad, Self)> {
        let side = Side { queues: 1, ..side.clone() };
        let [there, here] = eal.ring_pair("perfnull", 1, side.descriptors.into())?;
        let (far, mut far_rx, mut far_tx) = open(eal, &side, there, pool)?;
        let (near, rx, tx) = open(eal, &side, here, pool)?;
        let (own, responder) = (Mac(near.mac()), Mac(far.mac()));
        let (far_rx, far_tx) = (far_rx.remove(0), far_tx.remove(0));
        let (idle, servant) = null::pair();
        let (tell, told) = channel();
        let server = eal.launch(lcore, move || {
            let _ = tell.send(own_tid());
            servant.run(far_rx, far_tx);
        })?;
        let tid = told.recv()?;
        let witness = Some(Witness::of_threads(&[tid]));
        let mempool = pool.clone();
        let parts =
            Parts { rx, tx, mempool, own, responder, hz, counters: None, witness, mirror: true };
        let load = NullLoad { parts, idle, tid, workers };
        Ok((load, Self { server, ports: [far, near] }))
    }

    /// Waits for the server, whose master is gone.
    pub(super) fn close(self) -> Result<()> {
        self.server.join()?;
        drop(self.ports);
        Ok(())
    }
}

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

/// What a generator needs to load the null server.
pub(super) struct NullLoad {
    pub(super) parts: Parts,
    pub(super) master: Master,
}

/// A lane whose server waits for its first order.
pub(super) struct NullLane {
    parts: Parts,
    idle: Idle,
    tid: i32,
    open: OpenLane,
}

/// What has to be closed at the end.
pub(super) struct OpenLane {
    server: LcoreHandle<()>,
    ports: [Port; 2],
}

impl NullLane {
    /// Makes the rings and starts the server on `lcore`.
    pub(super) fn open(
        eal: &Eal,
        side: &Side,
        pool: &Mempool,
        lcore: LcoreId,
        hz: u64,
    ) -> Result<Self> {
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
        Ok(Self { parts, idle, tid, open: OpenLane { server, ports: [far, near] } })
    }
    /// Lets it be preferred to `workers` while it serves. No load if that is not allowed.
    pub(super) fn prefer(self, workers: &[i32]) -> (Option<NullLoad>, Option<OpenLane>) {
        let Self { parts, idle, tid, open } = self;
        let load = idle.prefer(workers, tid).map(|master| NullLoad { parts, master });
        (load, Some(open))
    }
}

impl OpenLane {
    /// Waits for the server, whose master is gone.
    pub(super) fn close(self) -> Result<()> {
        self.server.join()?;
        drop(self.ports);
        Ok(())
    }
}

//! The load: the generator in an open loop until it is told to stop, whatever becomes of the responder.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use dpdk::{Eal, LcoreHandle, LcoreId, Port, RxQueue, tsc};
use otherhalf_wire::ethernet::Mac;

use super::board::{Board, Sight};
use crate::generator::{Generator, Parts};
use crate::pace::{Load, Pace};
use crate::profile::Side;
use crate::scenario::Scenario;
use crate::session::{self, CALIBRATION};

/// Between two turns: the load is moderate, and the machine has others.
const IDLE: Duration = Duration::from_micros(200);
/// Transactions that may be under way.
const OUTSTANDING: usize = 1 << 13;
/// Places of the ledger that are looked at in a turn at rest.
const SWEEP: usize = 256;
/// What is due later than that is not made up for.
const LATE_MS: u64 = 20;

/// The load that runs, and what it runs on; the environment goes last.
pub(crate) struct Running {
    handle: LcoreHandle<Vec<RxQueue>>,
    port: Port,
    hz: u64,
    /// DPDK.
    _eal: Eal,
}

/// Starts to load the responder behind `side` with `rate` requests a second, of which, and of whose answers, `twice` come twice.
pub(crate) fn start(
    side: &Side,
    scenario: &Scenario,
    rate: f64,
    twice: f64,
    board: &Arc<Board>,
) -> Result<Running> {
    let lcore = LcoreId(0);
    let builder = session::builder(side, LcoreId(1)).worker(lcore, side.cpu);
    let eal = builder.vdev(side.device.as_str()).init().context("DPDK does not start")?;
    let hz = dpdk::measure_tsc_hz(CALIBRATION);
    let mempool = session::mempool(&eal, side, OUTSTANDING, 1)?;
    let name = side.device.split(',').next().unwrap_or_default();
    let (port, rx, tx) = session::open(&eal, side, eal.port_by_name(name)?, &mempool)?;
    let (own, responder) = (Mac(port.mac()), Mac::default());
    let mut parts =
        Parts { rx, tx, mempool, own, responder, hz, counters: None, witness: None, mirror: false };
    session::resolve(&mut parts)?;
    let scenario = scenario.clone();
    let board = Arc::clone(board);
    let handle = eal.launch(lcore, move || {
        let mut generator = Generator::new(parts, &scenario, OUTSTANDING);
        generator.make_unruly(twice, Arc::clone(&board.mute));
        drive(generator, rate, hz, &board)
    })?;
    Ok(Running { handle, port, hz, _eal: eal })
}

impl Running {
    /// Whether it ended, which it does when the board says stop.
    pub(crate) fn has_ended(&self) -> bool {
        self.handle.is_finished()
    }

    /// Ticks of the time stamp counter in a second, as measured here.
    pub(crate) const fn hz(&self) -> u64 {
        self.hz
    }

    /// Waits for its end.
    pub(crate) fn join(self) -> Result<()> {
        let queues = self.handle.join()?;
        session::discard(queues);
        drop(self.port);
        Ok(())
    }
}

fn drive(mut generator: Generator, rate: f64, hz: u64, board: &Board) -> Vec<RxQueue> {
    let load = Load::Open { rate };
    let late = LATE_MS * hz / 1000;
    let mut pace = Pace::new(tsc(), rate, hz);
    while !board.stopped() {
        let paused = board.paused();
        let now = tsc();
        let skipped = if paused { now } else { now.saturating_sub(late) };
        pace.skip(pace.due_count(skipped));
        generator.turn(load, &mut pace, if paused { 0 } else { u64::MAX });
        if paused {
            // On a machine that has other things to do there are few turns, and somebody waits for the rest.
            generator.give_up(SWEEP, now);
        }
        board.show(&sight(&generator));
        std::thread::sleep(IDLE);
    }
    generator.come_to_rest(load);
    board.show(&sight(&generator));
    generator.into_receive_queues()
}

fn sight(generator: &Generator) -> Sight {
    let (repeated, second_probes) = generator
        .unruly
        .as_ref()
        .map_or(([0, 0], 0), |unruly| (unruly.repeated, unruly.second_probes));
    let (wrong_rtt, at_rest) = (generator.ledger.wrong_rtt, generator.is_quiet());
    Sight { tally: generator.tally, repeated, second_probes, wrong_rtt, at_rest }
}

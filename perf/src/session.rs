//! A run: responder and generator are started, the steps done, all ended again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dpdk::{
    Burst, Eal, LcoreId, Memory, Mempool, MempoolConfig, Port, PortConfig, RxQueue, TxQueue,
    measure_tsc_hz, tsc,
};
use otherhalf_responder::config::Config;
use otherhalf_responder::control::Wishes;
use otherhalf_responder::setup::Responder;
use otherhalf_wire::ethernet::Mac;

use crate::child::Child;
use crate::figures::Figures;
use crate::generator::{Counters, Generator, Parts};
use crate::neighbour::{self, Neighbour};
use crate::pace::Load;
use crate::profile::{Profile, RING_NAME, Side};
use crate::scenario::Scenario;
use crate::step::{Seen, Step};
use crate::tally::Tally;
use crate::window::Sample;

/// How long the time stamp counter is measured. EAL's own figure is rounded to 10 MHz, which is microseconds in a
/// millisecond; the round-trip times to be verified are better.
const CALIBRATION: Duration = Duration::from_millis(100);
/// Mbufs that each lcore keeps at hand.
const MEMPOOL_CACHE: u32 = 256;
/// Frames that are neither under way nor in a queue: kept for the next requests, or in caches.
const SPARE_FRAMES: usize = 8192;
/// How long the responder may take to tell its hardware address, in seconds.
const RESOLVE_S: u64 = 5;

/// A step, or one that depends on those before.
#[derive(Debug, Clone, Copy)]
pub enum Planned {
    /// A step.
    Step(Step),
    /// An open loop at a part or a multiple of the most that closed loops before it reached; the
    /// load of the step does not count.
    OfPeak(f64, Step),
}

impl Planned {
    /// The most transactions under way at once.
    fn outstanding(&self) -> usize {
        match self {
            Self::Step(Step { load: Load::Closed { window }, .. }) => *window,
            // Above what is served, requests pile up until their time-outs; this many at most.
            Self::Step(Step { load: Load::Open { .. }, .. }) | Self::OfPeak(..) => 1 << 14,
        }
    }
}

/// What a run brought.
#[derive(Debug)]
pub struct Outcome {
    /// What was seen in each step.
    pub seen: Vec<Seen>,
    /// What was counted while the network warmed up, and while the table was filled.
    pub before: Tally,
    /// The responder's counters at its end.
    pub counters: Vec<(String, u64)>,
    /// Buffers that nobody gave back; known if both share a process.
    pub mbufs_lost: Option<u32>,
    /// Ticks of the time stamp counter in a second.
    pub hz: u64,
}

/// Does the steps of `plan` as `profile` and `scenario` say. `child`: the responder's process, if it has one.
pub fn run(
    profile: &Profile,
    config: &Config,
    scenario: &Scenario,
    plan: Vec<Planned>,
    child: Option<Child>,
) -> Result<Outcome> {
    match child {
        None => in_one_process(&profile.generator, config, scenario, plan),
        Some(child) => with_child(&profile.generator, scenario, plan, child),
    }
}

fn builder(side: &Side, main: LcoreId) -> dpdk::EalBuilder {
    let megabytes = side.memory_mb;
    let memory =
        if side.huge_pages { Memory::Huge { megabytes } } else { Memory::NoHuge { megabytes } };
    let prefix = format!("otherhalf-perf-{}", std::process::id());
    let cpus = side.main_cpus.clone().unwrap_or_else(|| vec![side.cpu]);
    Eal::builder(prefix, memory).main_lcore(main, cpus)
}

fn mempool(eal: &Eal, side: &Side, plan: &[Planned]) -> Result<Mempool> {
    let outstanding = plan.iter().map(Planned::outstanding).max().unwrap_or(0);
    let frames = 2 * outstanding + 2 * usize::from(side.descriptors) + SPARE_FRAMES;
    let buffers = u32::try_from(frames.next_power_of_two() - 1).context("too many frames")?;
    let config =
        MempoolConfig { name: "perf", buffers, cache: MEMPOOL_CACHE, ..Default::default() };
    Mempool::new(eal, &config)
        .with_context(|| format!("{buffers} frames do not fit into {} MB", side.memory_mb))
}

/// The generator's port, with its queues.
fn open(
    eal: &Eal,
    side: &Side,
    id: dpdk::PortId,
    pool: &Mempool,
) -> Result<(Port, RxQueue, TxQueue)> {
    let config = PortConfig {
        rx_descriptors: side.descriptors,
        tx_descriptors: side.descriptors,
        promiscuous: true,
        all_multicast: true,
        ..Default::default()
    };
    let mut port = Port::configure(eal, id, &config, std::slice::from_ref(pool))?;
    let (mut rx, mut tx) = port.start()?;
    Ok((port, rx.remove(0), tx.remove(0)))
}

/// Asks for the responder's hardware address until it tells it, and notes it.
fn resolve(parts: &mut Parts) -> Result<()> {
    let Parts { rx, tx, mempool, own, hz, .. } = parts;
    let (own, hz) = (*own, *hz);
    let start = tsc();
    let over = || tsc().wrapping_sub(start) > hz * RESOLVE_S;
    let mut asked = None;
    let mut burst = Burst::<32>::new();
    while !over() {
        let mut out = Burst::<32>::new();
        if asked.is_none_or(|asked| tsc().wrapping_sub(asked) > hz / 10) {
            asked = Some(tsc());
            let mut question = mempool.alloc().context("no frame left")?;
            let len = neighbour::question(own, question.room_mut()).context("a short frame")?;
            question.set_len(len)?;
            drop(out.push(question));
        }
        rx.receive(&mut burst);
        for mut frame in burst.drain() {
            match neighbour::read(frame.data()) {
                Some(Neighbour::Responder(mac)) => {
                    parts.responder = mac;
                    return Ok(());
                }
                Some(Neighbour::Asked(question)) => {
                    if let Some(len) = neighbour::answer(own, question, frame.room_mut()) {
                        frame.set_len(len)?;
                        frame.reset_offloads();
                        drop(out.push(frame));
                    }
                }
                None => {}
            }
        }
        while !out.is_empty() && !over() {
            tx.send(&mut out);
        }
    }
    anyhow::bail!(
        "the responder did not tell its hardware address in {RESOLVE_S} s: is its port connected to ours?"
    )
}

/// What the generator's lcore does. Gives its receive queue back, for what may still come.
fn generate(
    mut parts: Parts,
    scenario: &Scenario,
    plan: Vec<Planned>,
) -> (Result<(Vec<Seen>, Tally)>, RxQueue) {
    if let Err(error) = resolve(&mut parts) {
        return (Err(error), parts.rx);
    }
    let hz = parts.hz;
    let outstanding = plan.iter().map(Planned::outstanding).max().unwrap_or(1);
    let mut generator = Generator::new(parts, scenario, outstanding);
    let outcome = steps(&mut generator, scenario, plan, hz);
    (outcome, generator.into_receive_queue())
}

fn steps(
    generator: &mut Generator,
    scenario: &Scenario,
    plan: Vec<Planned>,
    hz: u64,
) -> Result<(Vec<Seen>, Tally)> {
    let mut before = generator.warm_up(std::time::Duration::from_millis(200))?;
    if scenario.standing > 0 {
        before.add(&generator.stand(scenario.standing.into())?);
    }
    let mut seen: Vec<Seen> = Vec::new();
    for planned in plan {
        let step = match planned {
            Planned::Step(step) => step,
            Planned::OfPeak(factor, step) => {
                let peak = seen
                    .iter()
                    .filter(|seen| matches!(seen.step.load, Load::Closed { .. }))
                    .map(|seen| Figures::of(seen, hz).served_per_s())
                    .fold(0.0, f64::max);
                ensure!(peak > 0.0, "no closed loop was served before: there is no peak");
                Step { load: Load::Open { rate: factor * peak }, ..step }
            }
        };
        seen.push(generator.step(step));
    }
    Ok((seen, before))
}

/// The control thread's outside: the generator's end is the responder's.
struct UntilDone<'a, T>(&'a dpdk::LcoreHandle<T>);

impl<T> Wishes for UntilDone<'_, T> {
    fn stop(&self) -> bool {
        self.0.is_finished()
    }

    fn print(&self) -> bool {
        false
    }
}

fn in_one_process(
    side: &Side,
    config: &Config,
    scenario: &Scenario,
    plan: Vec<Planned>,
) -> Result<Outcome> {
    let workers = u32::try_from(config.workers.cpus.len()).context("too many workers")?;
    ensure!(
        workers == 1,
        "a generator with one queue loads one worker: name one CPU in workers.cpus"
    );
    let mut builder = builder(side, LcoreId(workers + 1));
    for (lcore, cpu) in (0..).map(LcoreId).zip(&config.workers.cpus) {
        builder = builder.worker(lcore, *cpu);
    }
    let generator_lcore = LcoreId(workers);
    let eal = builder.worker(generator_lcore, side.cpu).init().context("DPDK does not start")?;
    let hz = measure_tsc_hz(CALIBRATION);
    let [_, id] = eal.ring_pair(RING_NAME, 1, side.descriptors.into())?;
    let pool = mempool(&eal, side, &plan)?;
    let Responder { ports, workers, mut control, mempool, eal } = Responder::on(eal, config)?;
    let (port, rx, tx) = open(&eal, side, id, &pool)?;

    let mut handles = Vec::new();
    for (lcore, worker) in workers {
        handles.push(eal.launch(lcore, move || worker.run())?);
    }
    let shared = Arc::clone(&control.shared);
    let counters: Counters = Box::new(move || {
        let mut sample = Sample::default();
        for worker in &shared.workers {
            sample.received += worker.stats.received.get();
            sample.busy_turns += worker.stats.busy_turns.get();
            sample.busy_ticks += worker.stats.busy_ticks.get();
        }
        sample
    });
    let counters = Some(counters);
    let (own, responder) = (Mac(port.mac()), Mac::default());
    let parts = Parts { rx, tx, mempool: pool.clone(), own, responder, hz, counters };
    let scenario = scenario.clone();
    let generator = eal.launch(generator_lcore, move || generate(parts, &scenario, plan))?;
    control.run(&handles, &UntilDone(&generator));
    let (result, mut rest) = generator.join()?;
    control.shared.stop();
    for handle in handles {
        handle.join()?;
    }
    // What the responder sent after the generator had ended: its questions for neighbours.
    let mut burst = Burst::<32>::new();
    while rest.receive(&mut burst) > 0 {
        burst.clear();
    }
    drop(rest);
    let (seen, before) = result?;
    let counters = counters_of(&control.totals().to_string());
    drop((ports, port));
    let mbufs_lost = Some(pool.in_use() + mempool.in_use());
    Ok(Outcome { seen, before, counters, mbufs_lost, hz })
}

fn with_child(
    side: &Side,
    scenario: &Scenario,
    plan: Vec<Planned>,
    child: Child,
) -> Result<Outcome> {
    let lcore = LcoreId(0);
    let eal = builder(side, LcoreId(1))
        .worker(lcore, side.cpu)
        .vdev(side.device.as_str())
        .init()
        .context("DPDK does not start")?;
    let hz = measure_tsc_hz(CALIBRATION);
    let pool = mempool(&eal, side, &plan)?;
    let name = side.device.split(',').next().unwrap_or_default();
    let (port, rx, tx) = open(&eal, side, eal.port_by_name(name)?, &pool)?;
    let (own, responder) = (Mac(port.mac()), Mac::default());
    let parts = Parts { rx, tx, mempool: pool, own, responder, hz, counters: None };
    let scenario = scenario.clone();
    let generator = eal.launch(lcore, move || generate(parts, &scenario, plan))?;
    let (result, rest) = generator.join()?;
    // Our end first: DPDK complains of a peer that has gone.
    drop((rest, port));
    let printed = child.end();
    let (seen, before) = result?;
    Ok(Outcome { seen, before, counters: counters_of(&printed?), mbufs_lost: None, hz })
}

/// The counters that otherhalfd prints at its end: a name and a number a line.
fn counters_of(text: &str) -> Vec<(String, u64)> {
    text.lines()
        .filter_map(|line| {
            let (name, value) = line.trim().split_once(char::is_whitespace)?;
            Some((name.to_owned(), value.trim().parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_counters_are_read() {
        let text = "received                       12\n  probe_icmp   5\nport net_x received 3\n\nmbufs_in_use 0\n";
        let expected = [("received", 12), ("probe_icmp", 5), ("mbufs_in_use", 0)];
        assert_eq!(counters_of(text), expected.map(|(name, value)| (name.to_owned(), value)));
    }
}

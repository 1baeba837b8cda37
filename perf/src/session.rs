//! A run: responder and generator are started, the steps done, all ended again.

mod null_lane;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use dpdk::{
    Burst, Eal, LcoreId, Memory, Mempool, MempoolConfig, Port, PortConfig, RxQueue, TxQueue, tsc,
};
use otherhalf_responder::config::Config;
use otherhalf_responder::control::Wishes;
use otherhalf_responder::setup::Responder;
use otherhalf_responder::shared::Shared;
use otherhalf_responder::stage::Stage;
use otherhalf_wire::ethernet::Mac;

use crate::child::Child;
use crate::course::Course;
use crate::gauges::Gauges;
use crate::generator::{Counters, Generator, Parts};
use crate::neighbour::{self, Neighbour};
use crate::null::own_tid;
use crate::profile::{ANSWERS_NAME, Profile, RING_NAME, Side};
use crate::scenario::Scenario;
use crate::steering::Steering;
use crate::step::{Against, Seen};
use crate::tally::Tally;
use crate::window::Sample;
use crate::witness::Witness;
use crate::workers::{Worker, workers_of};
pub(crate) use null_lane::NullLoad;
use null_lane::OpenLane;

/// Mbufs that each lcore keeps at hand.
const MEMPOOL_CACHE: u32 = 256;
/// Frames that are neither under way nor in a queue: kept for the next requests, or in caches.
const SPARE_FRAMES: usize = 8192;
/// How long the time stamp counter is measured, as by the responder: what EAL knows of it is rounded to 10 MHz, and a
/// transaction that a stall made long took longer by the one than by the other.
pub(crate) const CALIBRATION: Duration = Duration::from_millis(50);
/// How long the responder may take to tell its hardware address, in seconds.
const RESOLVE_S: u64 = 5;

/// What a run brought.
#[derive(Debug)]
pub struct Outcome {
    /// What was seen in each step.
    pub seen: Vec<Seen>,
    /// What was counted while the network warmed up, and while the table was filled.
    pub before: Tally,
    /// The responder's counters at its end.
    pub counters: Vec<(String, u64)>,
    /// What each of its workers did.
    pub workers: Vec<Worker>,
    /// Buffers that nobody gave back; known if both share a process.
    pub mbufs_lost: Option<u32>,
    /// Ticks of the time stamp counter in a second.
    pub hz: u64,
}

/// Does the steps of `course` as `profile` and `scenario` say. `child`: the responder's process, if it has one.
pub fn run(
    profile: &Profile,
    config: &Config,
    scenario: &Scenario,
    course: Box<dyn Course>,
    child: Option<Child>,
) -> Result<Outcome> {
    let mut scenario = scenario.clone();
    if profile.generator.ports > 1 {
        scenario.steering = Steering::Apart;
    }
    let ended = run_load(profile, config, Steps { scenario, course }, child)?;
    let Ended { done: (seen, before), counters, workers, mbufs_lost, hz } = ended;
    Ok(Outcome { seen, before, counters, workers, mbufs_lost, hz })
}

/// What loads the responder, on the generator's lcore.
pub(crate) trait Loader: Send + 'static {
    /// What comes of it.
    type Done: Send + 'static;

    /// Frames that may be under way at once, besides those in queues.
    fn outstanding(&self) -> usize;

    /// Whether a null server is wanted besides.
    fn needs_null(&self) -> bool;

    /// What reads the responder off meanwhile, if anything.
    fn gauges(&self) -> Option<Arc<Gauges>>;

    /// Loads it by the ports of `parts`. Gives the receive queues back, for what may still come.
    fn load(self, parts: Parts, null: Option<NullLoad>) -> (Result<Self::Done>, Vec<RxQueue>);
}

/// What a loader brought, and what the responder counted.
#[derive(Debug)]
pub(crate) struct Ended<T> {
    pub(crate) done: T,
    pub(crate) counters: Vec<(String, u64)>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) mbufs_lost: Option<u32>,
    pub(crate) hz: u64,
}

/// Has `loader` load the responder as `profile` says.
pub(crate) fn run_load<L: Loader>(
    profile: &Profile,
    config: &Config,
    loader: L,
    child: Option<Child>,
) -> Result<Ended<L::Done>> {
    match child {
        None => in_one_process(&profile.generator, config, loader),
        Some(child) => with_child(&profile.generator, loader, child),
    }
}

/// The steps of a course, by a generator that verifies whole transactions.
struct Steps {
    scenario: Scenario,
    course: Box<dyn Course>,
}

impl Loader for Steps {
    type Done = (Vec<Seen>, Tally);

    fn outstanding(&self) -> usize {
        self.course.outstanding()
    }

    fn needs_null(&self) -> bool {
        self.course.needs_null()
    }

    fn gauges(&self) -> Option<Arc<Gauges>> {
        self.course.gauges()
    }

    fn load(self, parts: Parts, null: Option<NullLoad>) -> (Result<Self::Done>, Vec<RxQueue>) {
        generate(parts, null, &self.scenario, self.course)
    }
}

pub(crate) fn builder(side: &Side, main: LcoreId) -> dpdk::EalBuilder {
    let megabytes = side.memory_mb;
    let memory =
        if side.huge_pages { Memory::Huge { megabytes } } else { Memory::NoHuge { megabytes } };
    let prefix = format!("otherhalf-perf-{}", std::process::id());
    let cpus = side.main_cpus.clone().unwrap_or_else(|| vec![side.cpu]);
    Eal::builder(prefix, memory).main_lcore(main, cpus)
}

/// Frames for so many generators.
pub(crate) fn mempool(
    eal: &Eal,
    side: &Side,
    outstanding: usize,
    generators: usize,
) -> Result<Mempool> {
    let queues = usize::from(side.queues);
    let frames = 2 * outstanding + 2 * queues * usize::from(side.descriptors) + SPARE_FRAMES;
    let frames = generators * frames;
    let buffers = u32::try_from(frames.next_power_of_two() - 1).context("too many frames")?;
    let config =
        MempoolConfig { name: "perf", buffers, cache: MEMPOOL_CACHE, ..Default::default() };
    Mempool::new(eal, &config)
        .with_context(|| format!("{buffers} frames do not fit into {} MB", side.memory_mb))
}

/// The generator's port, with its queues.
pub(crate) fn open(
    eal: &Eal,
    side: &Side,
    id: dpdk::PortId,
    pool: &Mempool,
) -> Result<(Port, Vec<RxQueue>, Vec<TxQueue>)> {
    let config = PortConfig {
        rx_queues: side.queues,
        tx_queues: side.queues,
        rx_descriptors: side.descriptors,
        tx_descriptors: side.descriptors,
        promiscuous: true,
        all_multicast: true,
        ..Default::default()
    };
    let mut port = Port::configure(eal, id, &config, std::slice::from_ref(pool))?;
    let (rx, tx) = port.start()?;
    Ok((port, rx, tx))
}

/// All ports of the generator, with their queues in the same order.
fn open_all(
    eal: &Eal,
    side: &Side,
    ids: &[dpdk::PortId],
    pool: &Mempool,
) -> Result<(Vec<Port>, Vec<RxQueue>, Vec<TxQueue>)> {
    let (mut ports, mut rx, mut tx) = (Vec::new(), Vec::new(), Vec::new());
    for id in ids {
        let (port, receive, transmit) = open(eal, side, *id, pool)?;
        ports.push(port);
        rx.extend(receive);
        tx.extend(transmit);
    }
    Ok((ports, rx, tx))
}

/// Asks for the responder's hardware address until it tells it, and notes it.
pub(crate) fn resolve(parts: &mut Parts) -> Result<()> {
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
        for queue in rx.iter_mut() {
            queue.receive(&mut burst);
        }
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
            tx.first_mut().context("no queue")?.send(&mut out);
        }
    }
    bail!(
        "the responder did not tell its hardware address in {RESOLVE_S} s: is its port connected to ours?"
    )
}

/// What the generator's lcore does. Gives its receive queues back, for what may still come.
fn generate(
    mut parts: Parts,
    null: Option<NullLoad>,
    scenario: &Scenario,
    course: Box<dyn Course>,
) -> (Result<(Vec<Seen>, Tally)>, Vec<RxQueue>) {
    if let Err(error) = resolve(&mut parts) {
        return (Err(error), parts.rx);
    }
    let outstanding = course.outstanding();
    let null = null.and_then(NullLoad::prefer);
    let mut null =
        null.map(|(parts, master)| (Generator::new(parts, scenario, outstanding), master));
    let hz = parts.hz;
    let mut generator = Generator::new(parts, scenario, outstanding);
    let mut course = course;
    let outcome = generator.prepare(scenario).and_then(|before| {
        let mut seen: Vec<Seen> = Vec::new();
        while let Some(step) = course.next(&seen, hz)? {
            seen.push(match (step.against, &mut null) {
                (Against::Responder, _) => generator.step(step),
                (Against::Null(takes), Some((generator, master))) => {
                    let _serving = master.serve(takes);
                    generator.step(step)
                }
                (Against::Null(_), None) => Seen::nothing(step),
            });
        }
        Ok((seen, before))
    });
    let mut rest = generator.into_receive_queues();
    rest.extend(null.into_iter().flat_map(|(generator, _)| generator.into_receive_queues()));
    (outcome, rest)
}

impl Generator {
    /// Warms the network up, and fills the table as far as `scenario` wants it.
    fn prepare(&mut self, scenario: &Scenario) -> Result<Tally> {
        let mut before = self.warm_up(Duration::from_millis(200))?;
        if scenario.standing > 0 {
            before.add(&self.stand(scenario.standing.into())?);
        }
        Ok(before)
    }
}

/// The control thread's outside: the generator's end is the responder's.
pub(crate) struct UntilDone<'a, T>(pub(crate) &'a dpdk::LcoreHandle<T>);

impl<T> Wishes for UntilDone<'_, T> {
    fn stop(&self) -> bool {
        self.0.is_finished()
    }

    fn print(&self) -> bool {
        false
    }
}

fn in_one_process<L: Loader>(side: &Side, config: &Config, loader: L) -> Result<Ended<L::Done>> {
    let workers = u32::try_from(config.workers.cpus.len()).context("too many workers")?;
    ensure!(
        workers == u32::from(side.queues),
        "generator.queues = {}, but workers.cpus names {workers}: each queue is a worker's",
        side.queues
    );
    let [generator_lcore, null_lcore, main] = [0, 1, 2].map(|place| LcoreId(workers + place));
    let mut builder = builder(side, main);
    for (lcore, cpu) in (0..).map(LcoreId).zip(&config.workers.cpus) {
        builder = builder.worker(lcore, *cpu);
    }
    let responder_cpu = config.workers.cpus.first().context("no worker has a CPU")?;
    builder = builder.worker(null_lcore, *responder_cpu);
    let eal = builder.worker(generator_lcore, side.cpu).init().context("DPDK does not start")?;
    let hz = dpdk::measure_tsc_hz(CALIBRATION);
    let mut ids = Vec::new();
    for name in [RING_NAME, ANSWERS_NAME].into_iter().take(side.ports.into()) {
        let [_, id] = eal.ring_pair(name, side.queues, side.descriptors.into())?;
        ids.push(id);
    }
    let pool = mempool(&eal, side, loader.outstanding(), if loader.needs_null() { 2 } else { 1 })?;
    let Responder { workers, mut control, eal, .. } = Responder::on(eal, config)?;
    let (own_ports, rx, tx) = open_all(&eal, side, &ids, &pool)?;
    let own = Mac(own_ports.first().context("no port")?.mac());

    let mut handles = Vec::new();
    let (tell, told) = channel();
    for (lcore, worker) in workers {
        let tell = tell.clone();
        handles.push(eal.launch(lcore, move || {
            let _ = tell.send(own_tid());
            worker.run();
        })?);
    }
    let tids: Vec<i32> = told.iter().take(handles.len()).collect();
    let (null_load, null_lane) = if loader.needs_null() {
        let (load, lane) = OpenLane::open(&eal, side, &pool, null_lcore, hz, tids.clone())?;
        (Some(load), Some(lane))
    } else {
        (None, None)
    };
    let counters = Some(counters_in(Arc::clone(&control.shared)));
    let watching = loader.gauges().map(|gauges| {
        let shared = Arc::clone(&control.shared);
        gauges.watch(std::process::id(), Box::new(move || Some(shared.status.load_full())))
    });
    let witness = Some(Witness::of_threads(&tids));
    let responder = Mac::default();
    let mempool_of_parts = pool.clone();
    let parts = Parts {
        rx,
        tx,
        mempool: mempool_of_parts,
        own,
        responder,
        hz,
        counters,
        witness,
        mirror: false,
    };
    let generator = eal.launch(generator_lcore, move || loader.load(parts, null_load))?;
    control.run(&handles, &UntilDone(&generator));
    let (result, rest) = generator.join()?;
    drop(watching);
    control.shared.stop();
    for handle in handles {
        handle.join()?;
    }
    // What the responder sent after the generator had ended: its questions for neighbours.
    discard(rest);
    if let Some(lane) = null_lane {
        lane.close()?;
    }
    let done = result?;
    let counters = counters_of(&control.totals().to_string());
    let lines: Vec<String> = control.workers().map(|worker| worker.to_string()).collect();
    let workers = workers_of(&lines.join("\n"));
    control.ports.clear();
    drop(own_ports);
    let mbufs_lost = Some(pool.in_use() + control.mempool.in_use());
    Ok(Ended { done, counters, workers, mbufs_lost, hz })
}

/// What the workers of `shared` count.
fn counters_in(shared: Arc<Shared>) -> Counters {
    Box::new(move || {
        let mut sample = Sample::default();
        for worker in &shared.workers {
            sample.received += worker.stats.received.get();
            sample.busy_turns += worker.stats.busy_turns.get();
            sample.busy_ticks += worker.stats.busy_ticks.get();
            for (sum, stage) in sample.stages.iter_mut().zip(Stage::ALL) {
                *sum += worker.stats.ticks(stage);
            }
        }
        sample
    })
}

/// Drops what may still come by `queues`, and them.
pub(crate) fn discard(queues: Vec<RxQueue>) {
    let mut burst = Burst::<32>::new();
    for mut queue in queues {
        while queue.receive(&mut burst) > 0 {
            burst.clear();
        }
    }
}

fn with_child<L: Loader>(side: &Side, loader: L, child: Child) -> Result<Ended<L::Done>> {
    let lcore = LcoreId(0);
    let builder = builder(side, LcoreId(1)).worker(lcore, side.cpu);
    let mut builder = if side.is_pci() {
        builder.pci(side.device.as_str())
    } else {
        builder.vdev(side.device.as_str())
    };
    if let Some(answers) = &side.answers {
        builder = builder.vdev(answers.as_str());
    }
    let eal = builder.init().context("DPDK does not start")?;
    let hz = dpdk::measure_tsc_hz(CALIBRATION);
    let pool = mempool(&eal, side, loader.outstanding(), 1)?;
    let mut ids = Vec::new();
    for device in [Some(&side.device), side.answers.as_ref()].into_iter().flatten() {
        ids.push(eal.port_by_name(device.split(',').next().unwrap_or_default())?);
    }
    let (own_ports, rx, tx) = open_all(&eal, side, &ids, &pool)?;
    let own = Mac(own_ports.first().context("no port")?.mac());
    let responder = Mac::default();
    let witness = Some(Witness::of_workers(child.id()));
    let parts =
        Parts { rx, tx, mempool: pool, own, responder, hz, counters: None, witness, mirror: false };
    let watching = loader.gauges().map(|gauges| {
        let source = Gauges::by_socket(&gauges.socket);
        gauges.watch(child.id(), source)
    });
    let generator = eal.launch(lcore, move || loader.load(parts, None))?;
    let (result, rest) = generator.join()?;
    drop(watching);
    // Our end first: DPDK complains of a peer that has gone.
    drop((rest, own_ports));
    let printed = child.end();
    let done = result?;
    let printed = printed?;
    let (counters, workers) = (counters_of(&printed), workers_of(&printed));
    Ok(Ended { done, counters, workers, mbufs_lost: None, hz })
}

/// The counters that otherhalfd prints at its end: a name and a number a line.
pub(crate) fn counters_of(text: &str) -> Vec<(String, u64)> {
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

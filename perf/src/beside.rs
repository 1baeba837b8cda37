//! Side by side: several peers on the very same kind of port, in interleaved rounds of one run.
//!
//! All peers of a kind of port are started at once, each on a lane of its own, and paused. The generator has
//! all lanes in one process, and in every round lets one peer after the other go on for a slice of a
//! twentieth of a second. So what is compared is measured within a tenth of a second, and starting costs no round.
//!
//! - [`link`] is what connects generator and peer, [`peer`] what answers;
//! - [`frames`] are what is asked, `lane` the loop, lean enough not to be what is measured;
//! - `ring` has ours in the generator's own process;
//! - `rounds` says who comes when, and makes ratios of it; `verdict` what may be said of them.
//!
//! A process has one EAL, so each kind of port is a process: [`run`] starts this very program for each
//! ([`run_link`]), in a folder and a namespace that it removes, whatever becomes of that.

pub mod link;
pub mod peer;
pub mod frames;
mod lane;
mod ring;
mod rounds;
mod verdict;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use dpdk::{Eal, LcoreId, Memory, Mempool, MempoolConfig, Port, PortConfig};
use otherhalf_wire::ethernet::Mac;
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use serde_json::{Value, json};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::beside::frames::Faults;
use crate::beside::lane::{Lane, Slice};
use crate::beside::link::{Link, Namespace};
use crate::beside::peer::{Kind, Peer, Programs};
use crate::beside::rounds::{Entry, Ratio, Sample};
use crate::mood::Mood;

/// Descriptors of a queue, on both ends.
const DESCRIPTORS: u16 = 1024;
/// Frames for all lanes: each port keeps up to four queues' worth of them.
const FRAMES: u32 = 65_535;
const FRAME_CACHE: u32 = 256;
/// Memory of the generator: the frames, and the ports' own.
const MEMORY_MB: u32 = 256;
/// How long a port may take to reach its peer.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a peer may take until its first answer.
const GREETING: Duration = Duration::from_secs(10);
/// Before a slice counts.
const WARM_UP: Duration = Duration::from_millis(5);
/// How often the outer process looks after the inner one.
const LOOK: Duration = Duration::from_millis(20);
/// What a kind of port may take besides the time in which is measured: the starts and ends of all.
const BESIDES: Duration = Duration::from_secs(90);
/// How long an interrupted measurement may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be measured.
#[derive(Debug, Clone)]
pub struct Options {
    /// The kinds of port.
    pub links: Vec<Link>,
    /// The peers; those that are not there are left out, and said to be.
    pub peers: Vec<Kind>,
    /// How long each kind of port is measured.
    pub time: Duration,
    /// The length of a slice.
    pub slice: Duration,
    /// Questions under way.
    pub window: usize,
    /// The generator's CPU and the peers'.
    pub cpus: [usize; 2],
    /// Where `beside.ndjson` is written.
    pub out: Option<PathBuf>,
    /// The programs.
    pub programs: Programs,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All that came back was right.
    Right,
    /// Something was wrong.
    Wrong,
    /// It was interrupted.
    Interrupted,
}

/// A flag that SIGINT and SIGTERM set.
fn interrupted() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
}

/// Measures on each kind of port in turn. `again`: the arguments by which this program does [`run_link`].
pub fn run(options: &Options, again: impl Fn(Link, &Path) -> Vec<String>) -> Result<Ended> {
    let interrupted = interrupted()?;
    for kind in &options.peers {
        if let Some(why) = kind.missing(&options.programs) {
            println!("absent {kind} # {why}");
        }
    }
    if let Some(out) = &options.out {
        std::fs::create_dir_all(out)?;
        std::fs::write(ndjson(out), "")?;
    }
    let mut ended = Ended::Right;
    for link in &options.links {
        if *link == Link::NetRing && !options.peers.contains(&Kind::Ours) {
            println!("absent {link} # only ours is measured over it: --peers ours");
            continue;
        }
        let status = once(*link, options, &interrupted, &again)?;
        if interrupted.load(Ordering::Relaxed) {
            return Ok(Ended::Interrupted);
        }
        match status.code() {
            Some(0) => {}
            Some(code) if code == i32::from(crate::EXIT_WRONG) => ended = Ended::Wrong,
            _ => bail!("the measurement on {link} ended with {status}"),
        }
    }
    Ok(ended)
}

/// Measures on one kind of port, in a process, a folder and perhaps a namespace of its own.
fn once(
    link: Link,
    options: &Options,
    interrupted: &AtomicBool,
    again: impl Fn(Link, &Path) -> Vec<String>,
) -> Result<ExitStatus> {
    let program = std::env::current_exe()?;
    let folder = tempfile::Builder::new().prefix("otherhalf-beside-").tempdir()?;
    let namespace = if link.by_kernel() { Some(Namespace::new()?) } else { None };
    let mut command = match &namespace {
        Some(namespace) => namespace.command(&program),
        None => Command::new(&program),
    };
    // EAL's own folder is in ours, and so goes with it.
    command.args(again(link, folder.path())).env("RUNTIME_DIRECTORY", folder.path());
    look_after(command, interrupted, options.time + BESIDES)
}

/// Runs `command` to its end; asks it to end when we are, and ends it when that, or `limit`, is over.
fn look_after(
    mut command: Command,
    interrupted: &AtomicBool,
    limit: Duration,
) -> Result<ExitStatus> {
    let mut child = command.spawn().context("can't start this program again")?;
    let start = Instant::now();
    let mut told = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if interrupted.load(Ordering::Relaxed) && told.is_none() {
            told = Some(Instant::now());
            // It may have gone meanwhile.
            let _ = kill_process(Pid::from_child(&child), Signal::TERM);
        }
        let ignored = told.is_some_and(|told| told.elapsed() > PATIENCE);
        if ignored || start.elapsed() > limit {
            // Its peers go with it: each is told so by the kernel.
            child.kill()?;
            child.wait()?;
            ensure!(ignored, "the measurement did not end in {} s", limit.as_secs());
        }
        std::thread::sleep(LOOK);
    }
}

fn ndjson(folder: &Path) -> PathBuf {
    folder.join("beside.ndjson")
}

/// Measures on one kind of port, with what has to be left behind in `folder`.
pub fn run_link(options: &Options, link: Link, folder: &Path) -> Result<Ended> {
    let interrupted = interrupted()?;
    let slice = Slice {
        load: Kind::Ours.greeting(),
        window: options.window,
        warm_up: WARM_UP,
        time: options.slice,
        kernel: link.by_kernel(),
    };
    if link == Link::NetRing {
        let mood_before = Mood::measure(options.cpus);
        let samples = ring::measure(options.cpus, slice, options.time, &interrupted)?;
        if interrupted.load(Ordering::Relaxed) {
            return Ok(Ended::Interrupted);
        }
        return tell(options, link, &samples, [mood_before, Mood::measure(options.cpus)]);
    }
    let kinds: Vec<Kind> = Kind::ALL
        .into_iter()
        .filter(|kind| options.peers.contains(kind) && kind.missing(&options.programs).is_none())
        .collect();
    ensure!(!kinds.is_empty(), "none of the peers is there");
    link.make_pairs(kinds.len())?;
    let mood_before = Mood::measure(options.cpus);
    let mut peers = Vec::new();
    for (lane, kind) in kinds.iter().enumerate() {
        peers.push(Peer::start(*kind, &options.programs, link, folder, lane, options.cpus)?);
    }
    // Not before: a memif client tries once.
    for peer in &mut peers {
        peer.await_ready(&interrupted)?;
    }

    let mut builder = Eal::builder("generator", Memory::Huge { megabytes: MEMORY_MB })
        .main_lcore(LcoreId(1), [options.cpus[0]])
        .worker(LcoreId(0), options.cpus[0]);
    let ends: Vec<_> = (0..kinds.len()).map(|lane| link.generator_end(folder, lane)).collect();
    for (device, arguments) in &ends {
        builder = builder.vdev(format!("{device},{arguments}"));
    }
    let eal = builder.init().context("DPDK does not start")?;
    let pool = frames_for(&eal)?;
    let (mut ports, mut lanes) = (Vec::new(), Vec::new());
    for (device, _) in &ends {
        let (port, lane) = open(&eal, device, &pool, link)?;
        ports.push(port);
        lanes.push(lane);
    }
    let plan = Plan {
        round: rounds::round(&kinds),
        kinds,
        slice,
        time: options.time,
        interrupted: Arc::clone(&interrupted),
    };
    let handle = eal.launch(LcoreId(0), move || {
        let samples = plan.measure(&mut lanes, &mut peers);
        // A virtio port is closed by asking the peer, which has to hear it.
        let resumed: Result<()> = peers.iter().try_for_each(Peer::resume);
        (samples.and_then(|samples| resumed.map(|()| samples)), peers)
    })?;
    let (samples, peers) = handle.join()?;
    // Our ends first: DPDK complains of a peer that has gone. But memif takes the memory from under a worker
    // whose peer goes, so there the peers are the first.
    let mut ports = Some(ports);
    if link != Link::Memif {
        ports = None;
    }
    let samples = samples?;
    for peer in peers {
        peer.end()?;
    }
    drop(ports);
    if interrupted.load(Ordering::Relaxed) {
        return Ok(Ended::Interrupted);
    }
    let moods = [mood_before, Mood::measure(options.cpus)];
    tell(options, link, &samples, moods)
}

/// The generator's frames.
fn frames_for(eal: &Eal) -> Result<Mempool> {
    let config = MempoolConfig {
        name: "beside",
        buffers: FRAMES,
        cache: FRAME_CACHE,
        ..MempoolConfig::default()
    };
    Mempool::new(eal, &config).context("the frames do not fit into the memory")
}

fn open(eal: &Eal, device: &str, pool: &Mempool, link: Link) -> Result<(Port, Lane)> {
    let config = PortConfig {
        rx_descriptors: DESCRIPTORS,
        tx_descriptors: DESCRIPTORS,
        promiscuous: true,
        all_multicast: true,
        ..PortConfig::default()
    };
    let id = eal.port_by_name(device)?;
    let mut port = Port::configure(eal, id, &config, std::slice::from_ref(pool))?;
    let own = Mac(port.mac());
    let (mut rx, mut tx) = port.start()?;
    if !link.by_kernel() && !connected(&port)? {
        bail!("{device} did not reach its peer in {} s", CONNECT.as_secs());
    }
    let lane = Lane::new(rx.remove(0), tx.remove(0), pool.clone(), own, eal.tsc_hz());
    Ok((port, lane))
}

/// Waits a while for the port's link.
fn connected(port: &Port) -> Result<bool> {
    let start = Instant::now();
    while !port.link()?.up {
        if start.elapsed() > CONNECT {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(true)
}

/// Who is measured, for how long.
struct Plan {
    kinds: Vec<Kind>,
    round: Vec<Entry>,
    slice: Slice,
    time: Duration,
    interrupted: Arc<AtomicBool>,
}

impl Plan {
    fn measure(&self, lanes: &mut [Lane], peers: &mut [Peer]) -> Result<Vec<Sample>> {
        for (lane, peer) in lanes.iter_mut().zip(peers.iter_mut()) {
            if self.interrupted.load(Ordering::Relaxed) {
                return Ok(Vec::new());
            }
            if !lane.greet(peer.kind.greeting(), peer.kind.is_a_station(), GREETING) {
                peer.check()?;
                bail!("{} did not answer in {} s:\n{}", peer.kind, GREETING.as_secs(), peer.log());
            }
            peer.pause()?;
        }
        let start = Instant::now();
        let mut samples = Vec::new();
        for round in 0.. {
            for (place, entry) in self.round.iter().enumerate() {
                if self.interrupted.load(Ordering::Relaxed) {
                    return Ok(samples);
                }
                let Some(at) = self.kinds.iter().position(|kind| *kind == entry.peer) else {
                    continue;
                };
                let (Some(lane), Some(peer)) = (lanes.get_mut(at), peers.get_mut(at)) else {
                    continue;
                };
                peer.check()?;
                peer.resume()?;
                let seen = lane.run(&Slice { load: entry.load, ..self.slice });
                peer.pause()?;
                let (peer, load) = (entry.peer, entry.load.name());
                samples.push(Sample { round, place, peer, load, seen });
            }
            if start.elapsed() >= self.time {
                break;
            }
        }
        Ok(samples)
    }
}

/// Prints ratios, and what they are made of to the report.
fn tell(options: &Options, link: Link, samples: &[Sample], moods: [Mood; 2]) -> Result<Ended> {
    println!("# {link}: the host's mood before: {}; after: {}", moods[0], moods[1]);
    let ratios = rounds::compare(link, samples);
    for ratio in &ratios {
        println!("{}", line(ratio));
    }
    let total = |count: fn(&Sample) -> u64| samples.iter().map(count).sum::<u64>();
    let (answered, wrong, lost) = (
        total(|sample| sample.seen.answered),
        total(|sample| sample.seen.wrong),
        total(|sample| sample.seen.lost),
    );
    let (thorough, late) = (total(|sample| sample.seen.thorough), total(|sample| sample.seen.late));
    for kind in Kind::ALL {
        let (mut slices, mut faults) = (0, Faults::default());
        for sample in samples.iter().filter(|one| one.peer == kind && one.seen.wrong > 0) {
            slices += 1;
            faults.add(&sample.seen.faults);
        }
        if slices > 0 {
            let frames = faults.total();
            println!("# {link}: {kind} sent {frames} wrong frames, in {slices} slices ({faults})");
        }
    }
    println!(
        "# {link}: {answered} exchanges, {thorough} frames verified to the last checksum; {wrong} frames wrong, {lost} lost, {late} of these late"
    );
    if let Some(folder) = &options.out {
        let path = ndjson(folder);
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .with_context(|| format!("can't write {}", path.display()))?;
        let mut lines: Vec<Value> = Vec::new();
        lines.push(json!({"kind": "mood", "link": link, "before": moods[0], "after": moods[1]}));
        for sample in samples {
            lines.push(tagged("slice", link, sample)?);
        }
        for ratio in &ratios {
            lines.push(tagged("ratio", link, ratio)?);
        }
        for line in lines {
            writeln!(file, "{line}")?;
        }
    }
    Ok(if wrong > 0 { Ended::Wrong } else { Ended::Right })
}

fn tagged(kind: &str, link: Link, what: &impl Serialize) -> Result<Value> {
    let mut value = serde_json::to_value(what)?;
    if let Some(object) = value.as_object_mut() {
        object.insert("kind".to_owned(), kind.into());
        object.insert("link".to_owned(), serde_json::to_value(link)?);
    }
    Ok(value)
}

fn line(ratio: &Ratio) -> String {
    let target = ratio.target.map_or_else(|| "-".to_owned(), |target| format!("{target:.2}"));
    let [a, b] = ratio.sides;
    let mega = |per_s: f64| per_s / 1e6;
    format!(
        "ratio {:<28} {:.3} {target} {:<5} # {:.3} / {:.3} M/s, {} rounds, quartiles {:.3} to {:.3}, \
         generator busy {:.2} / {:.2} with {:.0} / {:.0} frames a turn{}",
        ratio.name,
        ratio.value,
        ratio.verdict,
        mega(a.per_s),
        mega(b.per_s),
        ratio.rounds,
        ratio.quartiles[0],
        ratio.quartiles[1],
        a.generator_busy,
        b.generator_busy,
        a.frames_per_turn,
        b.frames_per_turn,
        verdict::note(ratio.limited),
    )
}

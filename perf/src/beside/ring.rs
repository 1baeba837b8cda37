//! Ours in the generator's own process, connected by rings: the least that a port can cost. The worker and the
//! control thread are the program's own; no process is paused, for there is no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dpdk::{Eal, LcoreId, Memory};
use otherhalf_responder::config::Config;
use otherhalf_responder::setup::Responder;

use crate::beside::frames::Load;
use crate::beside::lane::{Lane, Slice};
use crate::beside::link::Link;
use crate::beside::peer::{self, Kind};
use crate::beside::rounds::{self, Entry, Sample};
use crate::beside::{DESCRIPTORS, GREETING, MEMORY_MB, frames_for, open};
use crate::session::UntilDone;

/// Of [`Eal::ring_pair`]; [`Link::peer_end`] and [`Link::generator_end`] have the names of its ends.
const RING_NAME: &str = "beside";
/// Memory of the responder, besides the generator's: as otherhalfd has for itself on other kinds of port.
const RESPONDER_MB: u32 = 192;

/// Measures whole traces, `slice` by slice, for about `time`.
pub(super) fn measure(
    cpus: [usize; 2],
    slice: Slice,
    time: Duration,
    interrupted: &Arc<AtomicBool>,
) -> Result<Vec<Sample>> {
    let [generates, works] = cpus;
    let (of_worker, of_generator, main) = (LcoreId(0), LcoreId(1), LcoreId(2));
    let eal = Eal::builder("beside", Memory::Huge { megabytes: MEMORY_MB + RESPONDER_MB })
        .main_lcore(main, [generates])
        .worker(of_worker, works)
        .worker(of_generator, generates)
        .init()
        .context("DPDK does not start")?;
    eal.ring_pair(RING_NAME, 1, DESCRIPTORS.into())?;
    let config: Config = toml::from_str(&peer::config_of_ours(Link::RING_ENDS[0], cpus, true))?;
    config.check()?;
    let pool = frames_for(&eal)?;
    let Responder { workers, mut control, eal, .. } = Responder::on(eal, &config)?;
    let (port, mut lane) = open(&eal, Link::RING_ENDS[1], &pool, Link::NetRing)?;

    let mut handles = Vec::new();
    for (lcore, worker) in workers {
        handles.push(eal.launch(lcore, move || worker.run())?);
    }
    let interrupted = Arc::clone(interrupted);
    let generator = eal.launch(of_generator, move || {
        let samples = traces(&mut lane, slice, time, &interrupted);
        (samples, lane)
    })?;
    control.run(&handles, &UntilDone(&generator));
    let (samples, lane) = generator.join()?;
    control.shared.stop();
    for handle in handles {
        handle.join()?;
    }
    lane.discard();
    control.ports.clear();
    drop(port);
    let lost = pool.in_use() + control.mempool.in_use();
    ensure!(lost == 0, "{lost} buffers were not given back");
    samples
}

fn traces(
    lane: &mut Lane,
    slice: Slice,
    time: Duration,
    interrupted: &AtomicBool,
) -> Result<Vec<Sample>> {
    let kind = Kind::Ours;
    let answered = lane.greet(kind.greeting(), kind.is_a_station(), GREETING);
    ensure!(answered, "the responder did not answer in {} s", GREETING.as_secs());
    let round: Vec<Entry> =
        rounds::round(&[kind]).into_iter().filter(|entry| entry.load == Load::Traces).collect();
    let mut samples = Vec::new();
    let start = Instant::now();
    for number in 0.. {
        for (place, Entry { peer, load }) in round.iter().enumerate() {
            if interrupted.load(Ordering::Relaxed) {
                return Ok(samples);
            }
            let seen = lane.run(&Slice { load: *load, ..slice });
            samples.push(Sample { round: number, place, peer: *peer, load: load.name(), seen });
        }
        if start.elapsed() >= time {
            break;
        }
    }
    Ok(samples)
}

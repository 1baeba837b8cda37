//! Goodput under overload, by a generator that costs far less than the responder.
//!
//! Whole transactions that are made and followed one by one cost a generator as much as they cost the responder, so that it can't
//! offer four times what is served. This one keeps nothing of what it asked (`lane`): requests lie ready, what the port refuses is
//! offered again as it is, and what comes back is checked by what stands in it and becomes the next frame in its place.
//!
//! - `lane` is the loop, [`Counts`] what it counts;
//! - `course` has it search for the no-drop rate, and then do all loads in turns;
//! - [`curve`] says what goodput is, and makes ratios of it;
//! - [`accounts`] compares the generator's counts with the responder's.

pub mod accounts;
mod course;
pub mod curve;
mod lane;

use std::time::Duration;

use anyhow::{Result, ensure};
use otherhalf_responder::config::Config;
use serde::{Deserialize, Serialize};

use crate::beside::frames::Load;
use crate::child::Child;
use crate::profile::Profile;
use crate::session;
use course::Course;
pub use lane::{Alone, Counts};

/// What the responder's configuration is to say besides: at five million requests a second that nobody answers, half of the table waits.
pub const PENDING: &str = "pending_entries = 2097152\npending_timeout_ms = 200\n";

/// What is measured, and how thoroughly.
#[derive(Debug, Clone)]
pub struct Options {
    /// What is asked, one after the other: [`Load::Requests`], [`Load::Traces`].
    pub loads: Vec<Load>,
    /// How often each multiple of the no-drop rate is offered, all of them in turns.
    pub rounds: usize,
    /// How long, each time.
    pub slice: Duration,
    /// The no-drop rate, if it is known: then it is not searched for.
    pub known: Option<f64>,
}

/// A rate that was tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Requests a second.
    pub rate: f64,
    /// How many were served.
    pub served_per_s: f64,
    /// Whether nothing was lost in one of its tries.
    pub passed: bool,
    /// Tries of which enough counted.
    pub tries: usize,
    /// Windows that counted in the last of them.
    pub settled: usize,
    /// Frames that found a full port in these.
    pub lost: u64,
    /// Frames of all of it that were taken, and of which nothing came.
    pub missing: u64,
}

/// What was seen while a load was offered.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// Requests a second that were to be offered.
    pub wanted_per_s: f64,
    /// That were.
    pub offered_per_s: f64,
    /// That were served: the last frame of it came, and was right.
    pub served_per_s: f64,
    /// The share of windows that counted.
    pub counted: f64,
    /// Frames received in a turn of the generator in which there were any.
    pub frames_per_turn: f64,
    /// The share of time of its turns in which frames came, or were taken.
    pub generator_busy: f64,
    /// The share of time of the responder's turns that brought frames, where it can be known.
    pub responder_busy: Option<f64>,
    /// Frames that it received in such a turn, likewise: of a queue that is never short as many as it takes at once.
    pub responder_frames_per_turn: Option<f64>,
    /// Its ticks for a frame received, likewise.
    pub ticks_per_frame: Option<f64>,
}

/// What was seen of a kind of load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// What was asked: `requests`, `traces`.
    pub load: String,
    /// The rates that were tried.
    pub trials: Vec<Trial>,
    /// The most that was served when far more was offered, requests a second.
    pub peak: f64,
    /// What the loads are multiples of: the highest rate that passed, or the peak.
    pub no_drop: f64,
    /// Whether it is a no-drop rate, and not the peak, which is higher.
    pub found: bool,
    /// By round, and in it by [factor](curve::FACTORS). None: too little of it counted.
    pub rounds: Vec<Vec<Option<Slice>>>,
}

/// What a run brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// By kind of load.
    pub measured: Vec<Measured>,
    /// What the generator offers to who only frees it; none, where that can't be measured.
    pub alone: Option<Alone>,
    /// All that the generator counted.
    pub counts: Counts,
    /// Which checks its wrong frames failed.
    pub faults: String,
    /// All that the responder counted.
    pub counters: Vec<(String, u64)>,
    /// Buffers that nobody gave back; known if both share a process.
    pub mbufs_lost: Option<u32>,
}

/// Measures as `profile` says. `child`: the responder's process, if it has one.
pub fn run(
    options: &Options,
    profile: &Profile,
    config: &Config,
    child: Option<Child>,
) -> Result<Outcome> {
    // It answers at once, so its answers find the room that the responder has just made: no network does that, and with one port for
    // both all would find room, however many requests are refused.
    ensure!(
        profile.generator.ports == 2 || !options.loads.contains(&Load::Traces),
        "the profile has one port, where answers that come at once never wait behind requests as those of a network do: name a profile of two ports, ask with --loads requests, or use ratios"
    );
    ensure!(
        profile.generator.queues == 1,
        "generator.queues = {}: this generator asks by one queue, which is one worker's; name another profile",
        profile.generator.queues
    );
    let course = Course { options: options.clone(), null: profile.in_one_process() };
    let ended = session::run_load(profile, config, course, child)?;
    let course::Done { measured, alone, counts, faults } = ended.done;
    Ok(Outcome {
        measured,
        alone,
        counts,
        faults,
        counters: ended.counters,
        mbufs_lost: ended.mbufs_lost,
    })
}

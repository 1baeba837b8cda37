//! A soak: an otherhalfd loaded for long, while things go wrong around it. Every response is verified throughout, and between
//! two events all is looked at with nothing under way.
//!
//! - [`events`] says what is done and when, from a seed; `trouble.rs` does it;
//! - `load.rs` is the generator without end, `board.rs` what it and the rest tell each other;
//! - `subject.rs` is the otherhalfd, `account.rs` says whether its counters add up,
//!   `monitor.rs` whether it tells the same over HTTP;
//! - `watch.rs` watches both, `rest.rs` looks at all with nothing under way, `calm.rs` tells what the machine did from what the
//!   responder did, `record.rs` remembers what was seen.

mod account;
mod board;
mod calm;
pub mod events;
mod load;
mod monitor;
mod record;
mod rest;
mod subject;
mod trouble;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::profile::Profile;
use crate::scenario::Scenario;
use crate::veth;
use board::{Board, Sight};
use events::{Lives, Schedule};
use monitor::Monitor;
use subject::{Files, HOARD, Subject};
use trouble::Setting;
use watch::Watch;

/// The share of requests, and of answers, that the network duplicates.
const TWICE: f64 = 0.02;
/// How long the first process serves before it is first looked at.
const WARM_UP: Duration = Duration::from_secs(2);

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long.
    pub time: Duration,
    /// Requests a second.
    pub rate: f64,
    /// What the events follow from.
    pub seed: u64,
    /// The least and the most calm between two events.
    pub calm: (Duration, Duration),
    /// In how many rounds of events a process ends.
    pub lives: Lives,
    /// otherhalfd.
    pub program: PathBuf,
    /// A small disk of its own for the log.
    pub log: PathBuf,
    /// The library libfaketime.
    pub faketime: PathBuf,
    /// A folder for all else.
    pub folder: PathBuf,
}

/// How it went.
#[derive(Debug)]
pub struct Soaked {
    /// All that was seen, and what was wrong.
    pub summary: String,
    /// Whether all was as it has to be, to the end.
    pub good: bool,
}

/// Soaks the responder of `profile`, which must be one on a veth pair. Ends early, and well, on SIGINT, SIGTERM and SIGHUP.
pub fn run(options: &Options, profile: &Profile, scenario: &Scenario) -> Result<Soaked> {
    let ends = profile.generator.veth.clone().context("a soak needs a profile with a veth pair")?;
    ensure!(
        options.faketime.is_file(),
        "there is no {}: apt-get install libfaketime",
        options.faketime.display()
    );
    ensure!(
        Path::new(HOARD).is_file(),
        "there is no {HOARD}: build otherhalf-perf where it is to run"
    );
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    let good = profile.responder_text(scenario);
    let socket = profile.responder.get("control").and_then(|control| control.get("socket"));
    let socket =
        socket.and_then(|socket| socket.as_str()).context("a soak needs control.socket")?;
    let files = Files {
        program: options.program.clone(),
        config: options.folder.join("otherhalfd.toml"),
        socket: socket.into(),
        log: options.log.join("otherhalfd.log"),
        printed: options.folder.join("printed"),
        clock: options.folder.join("clock"),
        faketime: options.faketime.clone(),
    };
    let mut subject = Subject::new(files);
    subject.configure(&good)?;
    subject.set_clock(0)?;
    veth::enter(&ends)?;
    subject.start().with_context(|| subject.log())?;
    let board = Arc::new(Board::default());
    let load = load::start(&profile.generator, scenario, options.rate, TWICE, &board)?;
    let responder = profile.responder_config(Path::new("the soak's profile"), scenario)?;
    let listen = responder.http.listen.first().context("a soak needs http.listen")?;
    let monitor = Monitor::at(*listen);
    let cpus = [vec![profile.generator.cpu], responder.workers.cpus].concat();
    let mut watch = Watch::new(board, subject, load, options.time, interrupted, (monitor, cpus));
    let setting = Setting { good, ends };
    let done = soak(&mut watch, &setting, Schedule::new(options.seed, options.calm, options.lives));
    Ok(conclude(watch, done))
}

fn soak(watch: &mut Watch, setting: &Setting, schedule: Schedule) -> Result<()> {
    watch.recover()?;
    watch.pass(WARM_UP)?;
    watch.look()?;
    for event in schedule {
        watch.calm(event.calm)?;
        if watch.is_over() {
            break;
        }
        let name = event.kind.name();
        setting.make(&event, watch).context(name)?;
        if watch.is_interrupted() {
            break;
        }
        let recovered = watch.recover().context(name)?;
        watch.record.note(event.kind, recovered);
        watch.look().context(name)?;
    }
    watch.board.pause(true);
    watch.end()
}

/// Ends all, whatever came of it.
fn conclude(watch: Watch, done: Result<()>) -> Soaked {
    let interrupted = watch.is_interrupted();
    let Watch { board, subject, load, mut record, .. } = watch;
    if let Err(error) = done {
        record.complain(format!("{error:#}"));
        eprintln!("the end of its log:\n{}", last_lines(&subject.log(), 40));
    }
    drop(subject);
    board.stop();
    if let Err(error) = load.join() {
        record.complain(format!("the load: {error:#}"));
    }
    let sight: Sight = board.sight();
    if interrupted {
        record.complain("it was interrupted".to_owned());
    }
    record.conclude(&sight);
    Soaked { summary: record.summary(&sight), good: record.is_good() }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

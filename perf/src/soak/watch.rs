//! Watches load and responder: while nothing is done, after something was done, and with nothing under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::account;
use super::board::{Board, Sight};
use super::calm::Absences;
use super::load::Running;
use super::monitor::Monitor;
use super::record::Record;
use super::rest::First;
use super::subject::Subject;

/// How often is looked.
const TICK: Duration = Duration::from_millis(100);
/// How long the responder may take to serve again when what was done to it is over.
const RECOVERY: Duration = Duration::from_secs(15);
/// The part of requests that must be served in a tick for it to serve again.
const SERVES: f64 = 0.8;
/// How often a line says how it is.
const PROGRESS: Duration = Duration::from_secs(30);

/// Load, responder and what was seen of them.
pub(super) struct Watch {
    pub(super) board: Arc<Board>,
    pub(super) subject: Subject,
    pub(super) load: Running,
    pub(super) record: Record,
    /// Where the responder tells of itself.
    pub(super) monitor: Monitor,
    /// What was seen when this process was first looked at.
    pub(super) first: Option<First>,
    absences: Absences,
    last: Sight,
    began: Instant,
    /// When this process was started.
    pub(super) born: Instant,
    told: Instant,
    end: Instant,
    interrupted: Arc<AtomicBool>,
    silence: Duration,
}

impl Watch {
    pub(super) fn new(
        board: Arc<Board>,
        subject: Subject,
        load: Running,
        time: Duration,
        interrupted: Arc<AtomicBool>,
        (monitor, cpus): (Monitor, Vec<usize>),
    ) -> Self {
        let now = Instant::now();
        let mut absences = Absences::of(cpus);
        absences.follow(subject.id());
        Self {
            board,
            monitor,
            absences,
            subject,
            load,
            record: Record::default(),
            first: None,
            last: Sight::default(),
            began: now,
            born: now,
            told: now,
            end: now + time,
            interrupted,
            silence: Duration::ZERO,
        }
    }

    /// Whether it is time to end.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.end || self.is_interrupted()
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// A tick: says how many requests were asked and served in it. Something wrong is the end at once, while the log still shows why.
    pub(super) fn tick(&mut self) -> Result<[u64; 2]> {
        Ok(self.tick_of(false)?.0)
    }

    /// The same; whether nothing is being done. Says besides whether it was the responder's own, not the machine's.
    fn tick_of(&mut self, calm: bool) -> Result<([u64; 2], bool)> {
        let began = Instant::now();
        std::thread::sleep(TICK);
        ensure!(!self.load.has_ended(), "the load ended by itself");
        let sight = self.board.sight();
        let grown = [
            sight.tally.asked - self.last.tally.asked,
            sight.tally.served() - self.last.tally.served(),
        ];
        self.last = sight;
        if sight.tally.wrong() > 0 {
            let faults: Vec<_> = sight.tally.faults().collect();
            match sight.wrong_rtt {
                Some([rtt, least, most]) => bail!(
                    "frames were wrong: {faults:?}; a round trip of {rtt} ns, where it was {least} to {most}"
                ),
                None => bail!("frames were wrong: {faults:?}"),
            }
        }
        let (now, away) = (Instant::now(), self.absences.since_last());
        let own = self.record.calm.note(now, now - began, away, calm.then_some(grown));
        if self.told.elapsed() >= PROGRESS {
            self.told = Instant::now();
            println!("{}", self.progress());
        }
        Ok((grown, own))
    }

    fn progress(&self) -> String {
        let (tally, record) = (&self.last.tally, &self.record);
        let [own, machines] = record.calm.shares();
        format!(
            "{:>5} s: {} events, {} responses, 0 wrong; in calm {:.3} % of {} served ({:.0} s without CPU apart); process {} for {:.0} s: {} KiB, grown by {}; {} descriptors, {} buffers",
            self.began.elapsed().as_secs(),
            record.events(),
            tally.responses,
            100.0 * own.part(),
            own.asked,
            machines.time.as_secs_f64(),
            record.ended + record.killed + 1,
            self.born.elapsed().as_secs_f64(),
            record.last.resident_kib,
            record.growth_kib,
            record.last.descriptors,
            record.buffers,
        )
    }

    /// Lets `time` pass, in which something is being done. Returns how many requests were served in the last tick of it.
    pub(super) fn pass(&mut self, time: Duration) -> Result<u64> {
        let start = Instant::now();
        let mut last = 0;
        while start.elapsed() < time && !self.is_interrupted() {
            [_, last] = self.tick()?;
        }
        Ok(last)
    }

    /// Lets `time` pass, in which nothing is done: what is asked now is to be served.
    pub(super) fn calm(&mut self, time: Duration) -> Result<()> {
        // What is under way when it begins is to make up for what is when it ends.
        self.tick()?;
        let start = Instant::now();
        while start.elapsed() < time && !self.is_over() {
            let tick = Instant::now();
            let ([asked, served], own) = self.tick_of(true)?;
            self.subject.check()?;
            let silent = own && served == 0 && asked > 0;
            self.silence = if silent { self.silence + tick.elapsed() } else { Duration::ZERO };
            self.record.longest_silence = self.record.longest_silence.max(self.silence);
        }
        Ok(())
    }

    /// Waits until requests are served again; returns how long that took.
    pub(super) fn recover(&mut self) -> Result<Duration> {
        let start = Instant::now();
        let mut good = 0;
        loop {
            let [asked, served] = self.tick()?;
            self.subject.check()?;
            good = if asked > 0 && served as f64 >= SERVES * asked as f64 { good + 1 } else { 0 };
            if good == 2 {
                // The first of the two was served.
                return Ok(start.elapsed().saturating_sub(2 * TICK));
            }
            ensure!(
                start.elapsed() < RECOVERY,
                "it did not serve again in {RECOVERY:?}: {asked} asked, {served} served"
            );
        }
    }

    /// Starts a process; what it is to be compared with, the next look finds.
    pub(super) fn start(&mut self) -> Result<Duration> {
        self.first = None;
        self.born = Instant::now();
        let took = self.subject.start()?;
        self.absences.follow(self.subject.id());
        Ok(took)
    }

    /// Ends the process, whose counters must add up to the last frame.
    pub(super) fn end(&mut self) -> Result<()> {
        let printed = self.subject.end()?;
        self.record.frames += account::exact(&printed)?;
        self.record.ended += 1;
        self.note_life();
        Ok(())
    }

    /// Kills it.
    pub(super) fn kill(&mut self) -> Result<()> {
        self.subject.kill()?;
        self.record.killed += 1;
        self.note_life();
        Ok(())
    }

    fn note_life(&mut self) {
        self.record.note_life(self.born.elapsed(), self.first.map(|first| first.uses));
    }
}

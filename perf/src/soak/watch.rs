//! Watches load and responder: while nothing is done, after something was done, and with nothing under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::account;
use super::board::{Board, Sight};
use super::load::Running;
use super::record::{GROWTH_KIB, Record};
use super::subject::{Subject, Uses};

/// How often is looked.
const TICK: Duration = Duration::from_millis(100);
/// How long the responder may take to serve again when what was done to it is over.
const RECOVERY: Duration = Duration::from_secs(15);
/// The part of requests that must be served in a tick for it to serve again.
const SERVES: f64 = 0.8;
/// How long things may take to come to rest: longer than frames wait for a neighbour, and probes for an answer.
const REST: Duration = Duration::from_secs(10);
/// How often a line says how it is.
const PROGRESS: Duration = Duration::from_secs(30);

/// Load, responder and what was seen of them.
pub(super) struct Watch {
    pub(super) board: Arc<Board>,
    pub(super) subject: Subject,
    pub(super) load: Running,
    pub(super) record: Record,
    /// What this process used when it was first looked at, and the buffers in use.
    first: Option<(Uses, u64)>,
    last: Sight,
    began: Instant,
    /// When this process was started.
    born: Instant,
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
    ) -> Self {
        let now = Instant::now();
        Self {
            board,
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
    fn tick(&mut self) -> Result<[u64; 2]> {
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
        if self.told.elapsed() >= PROGRESS {
            self.told = Instant::now();
            println!("{}", self.progress());
        }
        Ok(grown)
    }

    fn progress(&self) -> String {
        let (tally, record) = (&self.last.tally, &self.record);
        let [asked, served] = record.calm;
        format!(
            "{:>5} s: {} events, {} responses, 0 wrong, {} lost; in calm {served} of {asked}; at most {} KiB (grown by {}), {} descriptors, {} buffers at rest",
            self.began.elapsed().as_secs(),
            record.events(),
            tally.responses,
            tally.lost(),
            record.most.resident_kib,
            record.growth_kib,
            record.most.descriptors,
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
            let [asked, served] = self.tick()?;
            self.subject.check()?;
            let [all_asked, all_served] = &mut self.record.calm;
            *all_asked += asked;
            *all_served += served;
            let took = tick.elapsed();
            self.record.calm_time += took;
            self.silence =
                if served == 0 && asked > 0 { self.silence + took } else { Duration::ZERO };
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

    /// Has the load pause, and looks at all with nothing under way: counters, buffers, memory, descriptors.
    pub(super) fn look(&mut self) -> Result<()> {
        self.board.pause(true);
        let looked = self.look_at_rest();
        self.board.pause(false);
        looked
    }

    fn look_at_rest(&mut self) -> Result<()> {
        let start = Instant::now();
        while !self.board.sight().at_rest {
            self.tick()?;
            ensure!(start.elapsed() < REST, "the load did not come to rest in {REST:?}");
        }
        let start = Instant::now();
        let mut received = None;
        let status = loop {
            // Two states of the responder apart.
            self.tick()?;
            self.tick()?;
            let status = self.subject.status()?;
            account::about_right(&status)?;
            let buffers = self.first.map_or(u64::MAX, |(_, buffers)| buffers);
            let same = received.replace(status.received) == Some(status.received);
            if same && account::difference(&status) == 0 && status.mempool.in_use <= buffers {
                break status;
            }
            ensure!(
                start.elapsed() < REST,
                "at rest {} frames were received and {} not accounted for, {} buffers in use (at first {buffers})",
                status.received,
                account::difference(&status),
                status.mempool.in_use
            );
        };
        let uses = self.subject.uses()?;
        let (first, _) = *self.first.get_or_insert((uses, status.mempool.in_use));
        let grown = uses.resident_kib.saturating_sub(first.resident_kib);
        let record = &mut self.record;
        record.looks += 1;
        record.growth_kib = record.growth_kib.max(grown);
        record.buffers = record.buffers.max(status.mempool.in_use);
        let most = &mut record.most;
        most.resident_kib = most.resident_kib.max(uses.resident_kib);
        most.huge_kib = most.huge_kib.max(uses.huge_kib);
        most.descriptors = most.descriptors.max(uses.descriptors);
        ensure!(grown <= GROWTH_KIB, "its memory grew: {first:?} at first, {uses:?} now");
        ensure!(
            uses.descriptors <= first.descriptors + 2,
            "its descriptors grew: {first:?} at first, {uses:?} now"
        );
        ensure!(uses.huge_kib == first.huge_kib, "its hugepages: {first:?} at first, {uses:?} now");
        Ok(())
    }

    /// Starts a process; what it is to be compared with, the next look finds.
    pub(super) fn start(&mut self) -> Result<Duration> {
        self.first = None;
        self.born = Instant::now();
        self.subject.start()
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
        self.record.longest_life = self.record.longest_life.max(self.born.elapsed());
    }
}

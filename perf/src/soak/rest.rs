//! Looks at all with nothing under way: counters, buffers, memory, descriptors, and what the responder tells of them.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use otherhalf_control::status::Status;

use super::account::{self, Sent};
use super::record::GROWTH_KIB;
use super::subject::Uses;
use super::watch::Watch;

/// How long things may take to come to rest: longer than frames wait for a neighbour, and probes for an answer.
const REST: Duration = Duration::from_secs(10);
/// By how much, as a part of 2^12, the generator and a responder may have measured the time stamp counter apart. What is off by
/// more makes round trips wrong, and is better told as what it is.
const HZ_LOG2: u32 = 12;

/// What is seen of a process when it is first looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct First {
    pub(super) uses: Uses,
    sent: Sent,
}

impl Watch {
    /// Has the load pause, and looks.
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
        let status = self.settled()?;
        let (ours, its) = (self.load.hz(), status.ticks_per_second);
        ensure!(
            ours.abs_diff(its) <= ours >> HZ_LOG2,
            "it measured {its} ticks a second, and the generator {ours}"
        );
        let sent = Sent::by(&status, &self.board.sight());
        let uses = Uses { buffers: status.mempool.in_use, ..self.subject.uses()? };
        let first = *self.first.get_or_insert(First { uses, sent });
        sent.agree_since(&first.sent)?;
        self.record.note_uses(uses, first.uses);
        let first = first.uses;
        ensure!(
            uses.resident_kib <= first.resident_kib + GROWTH_KIB,
            "its memory grew: {first:?} at first, {uses:?} now"
        );
        ensure!(
            uses.descriptors <= first.descriptors + 2,
            "its descriptors grew: {first:?} at first, {uses:?} now"
        );
        ensure!(uses.huge_kib == first.huge_kib, "its hugepages: {first:?} at first, {uses:?} now");
        Ok(())
    }

    /// Waits until frames received are accounted for, no buffer is in use that was not at first, and it tells the same everywhere.
    fn settled(&mut self) -> Result<Status> {
        let start = Instant::now();
        let mut received = None;
        loop {
            // Two states of the responder apart.
            self.tick()?;
            self.tick()?;
            let status = self.subject.status()?;
            account::about_right(&status)?;
            let buffers = self.first.map_or(u64::MAX, |first| first.uses.buffers);
            let same = received.replace(status.received) == Some(status.received);
            let mut told_otherwise = Vec::new();
            if same && account::difference(&status) == 0 && status.mempool.in_use <= buffers {
                told_otherwise = self.monitor.differences(&status)?;
                if told_otherwise.is_empty() {
                    return Ok(status);
                }
            }
            ensure!(
                start.elapsed() < REST,
                "at rest {} frames were received and {} not accounted for, {} buffers in use (at first {buffers}); told otherwise by HTTP: {told_otherwise:?}",
                status.received,
                account::difference(&status),
                status.mempool.in_use
            );
        }
    }
}

//! An open loop's turn: what is due competes for the port with what is answered.

use dpdk::{Burst, tsc};

use super::{ASK, Generator, READY, RECEIVE, SPARE, STRIDE};
use crate::outbox::{Item, ROOM};
use crate::pace::Pace;
use crate::steering::MAX_QUEUES;

/// Frames that are handed to the port together.
const CHUNK: usize = 32;
/// The same while it is full: few of them will be taken, and what is not was written, or taken up, in vain.
const CHUNK_OVERLOAD: usize = 8;
/// The same where requests have queues without answers: a responder takes one request for each probe, so of [`STRIDE`]
/// frames that came, half made room for one.
const CHUNK_APART: usize = STRIDE / 2;
/// More overdue requests than this, or a full queue in the turn before, mean that the load is above what is served: the
/// generator does not spare its own queue then, but sees to it that the responder's is full.
const OVERLOAD: u64 = 4096;

/// Requests that came due between two looks at the clock, and their way to the port.
struct Due {
    count: u64,
    asked: u64,
    sent: usize,
    full: bool,
    chunk: usize,
}

impl Generator {
    /// Answers and asks what is due, taking turns as on a wire: what the port does not take is lost, answers and
    /// requests alike, for a full queue of the responder asks for neither.
    ///
    /// The clock is looked at every few frames, and what came due since then tries the port at once. As nobody else
    /// sends by it, a port that is full is so for all that is due at that moment: what is due besides is refused
    /// without being written.
    #[inline]
    pub(super) fn open_turn(
        &mut self,
        burst: &mut Burst<RECEIVE>,
        ends: &[usize; MAX_QUEUES],
        pace: &mut Pace,
        requests: u64,
        came: u64,
    ) -> usize {
        let overload = self.was_full || pace.due_count(came) > OVERLOAD;
        let mut left = requests.min(if overload { u64::MAX } else { ASK as u64 });
        let (mut sent, mut full) = (0, false);
        let flood = self.floods.due(came);
        self.flood(flood[0]);
        let received = burst.len();
        let mut frames = burst.drain().enumerate();
        let mut dealt = 0;
        let mut now = came;
        loop {
            let group = (received - dealt).min(STRIDE);
            let count = pace.due_count(now).min(left);
            let chunk = match (full || self.was_full, self.steer.asking() < self.out.queues()) {
                (false, _) => CHUNK,
                (true, false) => CHUNK_OVERLOAD,
                (true, true) => CHUNK_APART,
            };
            let mut due = Due { count, asked: 0, sent: 0, full: false, chunk };
            for (nth, (place, mbuf)) in (1..).zip(frames.by_ref().take(group)) {
                let queue = self.queue_of(place, ends);
                self.take(mbuf, queue, came, now);
                self.ask_due(&mut due, count * nth / group as u64, pace, now);
            }
            dealt += group;
            if dealt == received {
                self.release(now);
                self.ask_due(&mut due, count, pace, now);
            }
            self.end_due(&mut due, pace);
            left = left.saturating_sub(due.asked);
            (sent, full) = (sent + due.sent, full | due.full);
            if dealt == received {
                break;
            }
            now = tsc();
            if self.watch.glance(now) && !self.makes_up {
                pace.skip(pace.due_count(now));
            }
        }
        if flood[1] > 0 {
            self.flood(flood[1]);
            full |= self.flush_or_lose(&mut sent);
        }
        self.was_full = full;
        sent
    }

    /// Asks until `until` of what is due are asked, the port is full, or there is no place for more.
    #[inline]
    fn ask_due(&mut self, due: &mut Due, until: u64, pace: &mut Pace, now: u64) {
        while due.asked < until && !due.full {
            if self.out.room() <= ROOM - due.chunk {
                due.full = self.flush_or_lose(&mut due.sent);
                continue;
            }
            let Some(intended) = pace.due(now) else { return };
            if !self.ask(intended, now) {
                return;
            }
            pace.advance();
            due.asked += 1;
        }
    }

    /// Sends what is collected. What is due besides found the port full, or no place.
    #[inline]
    fn end_due(&mut self, due: &mut Due, pace: &mut Pace) {
        due.full |= self.flush_or_lose(&mut due.sent);
        let more = due.count - due.asked;
        if due.full {
            pace.skip(more);
            due.asked += more;
            self.tally.asked += more;
            self.tally.refused_requests += more;
        } else if more > 0 && !self.makes_up {
            // Not offered; kept, it would be offered in a window in which it is not due.
            pace.skip(more);
        }
    }

    /// Sends what was collected, and counts as lost what the port does not take; whether it is full.
    #[inline]
    fn flush_or_lose(&mut self, sent: &mut usize) -> bool {
        *sent += self.out.flush();
        if self.out.is_empty() {
            return false;
        }
        self.tally.held_up += 1;
        let Self { out, ledger, tally, spare, ready, resets_owed, .. } = self;
        out.give_up(|mbuf, item| {
            match item {
                Item::Request(number) => {
                    ledger.withdraw(number);
                    tally.refused_requests += 1;
                    // It was not sent, so the next one that is due may be the same.
                    if ready.len() < READY {
                        return ready.push((mbuf, number));
                    }
                }
                Item::Answer(position, reset) => {
                    ledger.withdraw(position);
                    tally.answers -= 1;
                    tally.refused_answers += 1;
                    *resets_owed -= u64::from(reset);
                }
                Item::Ping => tally.pings -= 1,
                Item::Junk => tally.junk -= 1,
                Item::Aimed => tally.aimed -= 1,
                Item::Flood => {
                    tally.flood -= 1;
                    tally.refused_flood += 1;
                }
                // Whoever asked asks again; a duplicate is nobody's loss.
                Item::Neighbour | Item::Second => {}
            }
            if spare.len() < SPARE {
                spare.push(mbuf);
            }
        })
    }
}

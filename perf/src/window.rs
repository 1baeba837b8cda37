//! Short windows of time, in which the loop is looked at: with a thread away from its core, or without.

use otherhalf_responder::stage::Stage;

/// A thread that was not seen for longer than this has lost its core, in nanoseconds. A turn of the
/// loop takes a few microseconds at most; the host takes a core for longer.
pub const AWAY_NS: u64 = 30_000;

/// An absence leaves something for at least as many times [`AWAY_NS`]: frames that were on their way.
const AFTERMATH: u64 = 10;

/// What was counted from one end of a window to the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "what disturbed a window, each by itself")]
pub struct Window {
    /// When it began, in ticks from the step's beginning.
    pub began: u64,
    /// How long it was, in ticks.
    pub ticks: u64,
    /// Requests sent.
    pub offered: u64,
    /// Transactions that ended as they should.
    pub served: u64,
    /// Requests and answers sent in it of which nothing came, or that found a full queue.
    pub lost: u64,
    /// Ticks of the generator's turns in which there was something to do.
    pub generator_busy: u64,
    /// What the responder's workers counted, where their counters can be seen.
    pub responder: Sample,
    /// The generator was away.
    pub generator_away: bool,
    /// Nothing came from the responder for longer than [`AWAY_NS`] though it owed something.
    pub responder_away: bool,
    /// An open loop was still making up for a thread's absence: what had piled up was not worked off.
    pub recovering: bool,
    /// An open loop sent requests later than they were due by more than [`AWAY_NS`].
    pub behind: bool,
}

/// The responder's counters, or how they grew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sample {
    /// Frames received.
    pub received: u64,
    /// Turns of the workers' loops in which frames came.
    pub busy_turns: u64,
    /// Ticks of those turns.
    pub busy_ticks: u64,
    /// Ticks of their stages.
    pub stages: [u64; Stage::ALL.len()],
}

impl Sample {
    /// How much was added since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        let mut stages = self.stages;
        for (ticks, before) in stages.iter_mut().zip(before.stages) {
            *ticks = ticks.wrapping_sub(before);
        }
        Self {
            stages,
            received: self.received.wrapping_sub(before.received),
            busy_turns: self.busy_turns.wrapping_sub(before.busy_turns),
            busy_ticks: self.busy_ticks.wrapping_sub(before.busy_ticks),
        }
    }
}

impl Sample {
    /// Adds what `other` counted.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.busy_turns += other.busy_turns;
        self.busy_ticks += other.busy_ticks;
        for (ticks, more) in self.stages.iter_mut().zip(other.stages) {
            *ticks += more;
        }
    }
}

impl Window {
    /// Whether no thread was away.
    #[must_use]
    pub const fn clean(&self) -> bool {
        !self.generator_away && !self.responder_away
    }

    /// Whether it is clean and, in an open loop, nothing of an earlier absence was left in it.
    #[must_use]
    pub const fn settled(&self) -> bool {
        self.clean() && !self.recovering
    }

    /// Adds what `other` counted.
    pub fn add(&mut self, other: &Self) {
        self.ticks += other.ticks;
        self.offered += other.offered;
        self.served += other.served;
        self.lost += other.lost;
        self.generator_busy += other.generator_busy;
        self.responder.add(&other.responder);
        self.generator_away |= other.generator_away;
        self.responder_away |= other.responder_away;
        self.recovering |= other.recovering;
        self.behind |= other.behind;
    }

    /// The sum of `windows`.
    #[must_use]
    pub fn sum<'a>(windows: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut sum = Self::default();
        for window in windows {
            sum.add(window);
        }
        sum
    }
}

/// Notices who is away.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "what disturbed a window, each by itself")]
pub struct Watch {
    limit: u64,
    last_turn: u64,
    last_heard: u64,
    /// The generator was away in this window.
    pub generator_away: bool,
    /// The responder was.
    pub responder_away: bool,
    /// What piled up while one was away is not worked off yet.
    now_recovering: bool,
    last_away: u64,
    /// So it was at some time in this window.
    pub recovering: bool,
    /// Requests were sent late in this window.
    pub behind: bool,
}

impl Watch {
    /// From `now` on; `limit` ticks are too long.
    #[must_use]
    pub const fn new(limit: u64, now: u64) -> Self {
        Self {
            limit,
            last_turn: now,
            last_heard: now,
            generator_away: false,
            responder_away: false,
            now_recovering: false,
            last_away: now,
            recovering: false,
            behind: false,
        }
    }

    /// What is too long, in ticks.
    #[must_use]
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// A turn of the generator's loop begins at `now`. `heard`: a frame came from the responder, or it owes none.
    /// Whether the generator was away until now.
    #[inline]
    pub fn turn(&mut self, heard: bool, now: u64) -> bool {
        let away = now.wrapping_sub(self.last_turn) > self.limit;
        if away {
            self.generator_away = true;
            self.now_recovering = true;
            self.last_away = now;
            // It could not have heard anything meanwhile.
            self.last_heard = now;
        }
        self.last_turn = now;
        if now.wrapping_sub(self.last_heard) > self.limit {
            self.responder_away = true;
            self.now_recovering = true;
            self.last_away = now;
        }
        if heard {
            self.last_heard = now;
        }
        away
    }

    /// An open loop's turn: `behind` says that requests are sent late, `piled_up` that more is under way than a
    /// turn brings.
    #[inline]
    pub fn open_turn(&mut self, behind: bool, piled_up: bool) {
        self.behind |= behind;
        let aftermath = self.last_turn.wrapping_sub(self.last_away) < AFTERMATH * self.limit;
        self.now_recovering &= behind || piled_up || aftermath;
        self.recovering |= self.now_recovering;
    }

    /// A new window begins.
    pub fn next_window(&mut self) {
        self.generator_away = false;
        self.responder_away = false;
        self.recovering = self.now_recovering;
        self.behind = false;
    }

    /// A new step begins, with nothing left of the one before.
    pub fn next_step(&mut self) {
        self.now_recovering = false;
        self.next_window();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_away_is_seen() {
        let mut watch = Watch::new(30, 0);
        for now in (0..200).step_by(10) {
            watch.turn(true, now);
        }
        assert!(!watch.generator_away && !watch.responder_away);
        for now in (200..=220).step_by(10) {
            watch.turn(false, now);
        }
        assert!(!watch.responder_away, "30 is not too long");
        watch.turn(false, 230);
        assert!(watch.responder_away && !watch.generator_away);
        watch.next_window();
        watch.turn(true, 235);
        assert!(watch.turn(true, 300) && watch.generator_away);
        watch.next_window();
        watch.turn(false, 301);
        assert!(!watch.generator_away && !watch.responder_away);
    }

    #[test]
    fn an_absence_lasts_until_what_piled_up_is_worked_off() {
        let mut watch = Watch::new(30, 0);
        let mut turn = |now, behind, piled_up| {
            watch.turn(true, now);
            watch.open_turn(behind, piled_up);
            (watch.recovering, watch.behind)
        };
        assert_eq!(turn(10, false, true), (false, false), "much is under way, nobody was away");
        assert_eq!(turn(50, true, true), (true, true));
        assert_eq!(turn(60, false, false), (true, true), "so it was in this window");
        watch.next_window();
        assert!(watch.recovering && !watch.behind, "what was on its way is not here yet");
        for now in (70..1000).step_by(10) {
            watch.turn(true, now);
            watch.open_turn(false, true);
        }
        watch.next_window();
        assert!(watch.recovering, "it is not worked off");
        watch.turn(true, 1000);
        watch.open_turn(false, false);
        watch.next_window();
        assert!(!watch.recovering);
    }

    #[test]
    fn windows_add_up() {
        let one = Window { ticks: 10, served: 3, ..Window::default() };
        let other = Window { ticks: 5, served: 4, generator_away: true, ..Window::default() };
        let sum = Window::sum(&[one, other]);
        assert_eq!((sum.ticks, sum.served, sum.clean()), (15, 7, false));
    }
}

//! Short windows of time, in which the loop is looked at: with a thread away from its core, or without.

use otherhalf_responder::stage::Stage;

/// A thread that was not seen for longer than this has lost its core, in nanoseconds. A turn of the
/// loop takes a few microseconds at most; the host takes a core for longer.
pub const AWAY_NS: u64 = 30_000;

/// The same for the generator, which looks at the clock every few frames. It is shorter than the timer's interrupt
/// takes: what that costs the generator is none of the responder's latency. A build that is not optimised takes longer
/// for those frames by themselves.
pub const GENERATOR_AWAY_NS: u64 = if cfg!(debug_assertions) { 300_000 } else { 10_000 };

/// An absence leaves something for as many times its length, and that of the shortest: frames that were on their
/// way, and, at 80 % load, what piled up and takes four times as long to be worked off. By the clock, not until the
/// responder has done so: else it would be spared its own delays.
const AFTERMATH: u64 = 10;
/// The same of the generator's, where nothing piled up as it does not make up for what was due.
const AFTERMATH_OF_GENERATOR: u64 = 2;

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
    /// Of the transactions asked for in it, those that ended as they should, whenever that was.
    pub served: u64,
    /// Requests and answers sent in it of which nothing came, or that found a full queue.
    pub lost: u64,
    /// Ticks of the generator's turns in which there was something to do.
    pub generator_busy: u64,
    /// What the responder's workers counted, where their counters can be seen.
    pub responder: Sample,
    /// The generator was away.
    pub generator_away: bool,
    /// A thread of the responder's was ready to run and was not let, as the [witness](crate::witness) says.
    pub responder_away: bool,
    /// An absence was so shortly before that an open loop may still make up for it.
    pub recovering: bool,
    /// An open loop sent requests later than they were due, by more than [`GENERATOR_AWAY_NS`].
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
    /// The responder owed something, and nothing came for too long: it was away, or slow.
    pub silent: bool,
    /// How many times an absence of the generator is felt.
    aftermath: u64,
    /// Until when there may be something left of an absence.
    recovers: u64,
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
            silent: false,
            aftermath: AFTERMATH,
            recovers: now,
            recovering: false,
            behind: false,
        }
    }

    /// What is too long, in ticks.
    #[must_use]
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// The generator looks at the clock, and it is `now`. Whether it was away until then.
    #[inline]
    pub fn glance(&mut self, now: u64) -> bool {
        let absence = now.wrapping_sub(self.last_turn);
        let away = absence > self.limit;
        if away {
            self.generator_away = true;
            self.recover(self.aftermath * absence, now);
            // It could not have heard anything meanwhile.
            self.last_heard = now;
        }
        self.last_turn = now;
        away
    }

    /// A turn of the generator's loop begins at `now`. `heard`: a frame came from the responder, or it owes none.
    /// Whether the generator was away until now.
    #[inline]
    pub fn turn(&mut self, heard: bool, now: u64) -> bool {
        let away = self.glance(now);
        self.silent |= now.wrapping_sub(self.last_heard) > self.limit;
        if heard {
            self.last_heard = now;
        }
        self.recovering |= now < self.recovers;
        away
    }

    /// The responder was away for `absence` ticks until `now`.
    pub fn was_away(&mut self, absence: u64, now: u64) {
        self.recover(AFTERMATH * absence, now);
    }

    fn recover(&mut self, aftermath: u64, now: u64) {
        let least = AFTERMATH * self.limit;
        self.recovers = self.recovers.max(now.saturating_add(aftermath.max(least)));
        self.recovering = true;
    }

    /// A new window begins at `now`.
    pub fn next_window(&mut self, now: u64) {
        self.generator_away = false;
        self.silent = false;
        self.recovering = now < self.recovers;
        self.behind = false;
    }

    /// A new step begins at `now`, with nothing left of the one before; `makes_up`: what was due in an absence of the
    /// generator is sent after it.
    pub fn next_step(&mut self, makes_up: bool, now: u64) {
        self.aftermath = if makes_up { AFTERMATH } else { AFTERMATH_OF_GENERATOR };
        self.recovers = now;
        self.next_window(now);
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
        assert!(!watch.generator_away && !watch.silent);
        for now in (200..=220).step_by(10) {
            watch.turn(false, now);
        }
        assert!(!watch.silent, "30 is not too long");
        watch.turn(false, 230);
        assert!(watch.silent && !watch.generator_away);
        watch.next_window(230);
        watch.turn(true, 235);
        assert!(watch.turn(true, 300) && watch.generator_away);
        watch.next_window(300);
        watch.turn(false, 301);
        assert!(!watch.generator_away && !watch.silent);
        // A turn that takes long is no absence if the clock was looked at meanwhile.
        assert!(!watch.glance(325) && !watch.glance(350) && !watch.turn(true, 375));
    }

    #[test]
    fn a_silent_responder_excuses_nothing() {
        let mut watch = Watch::new(30, 0);
        for now in (0..1000).step_by(10) {
            watch.turn(false, now);
        }
        assert!(watch.silent && !watch.recovering && !watch.generator_away);
    }

    #[test]
    fn an_absence_is_over_after_ten_times_its_length() {
        let mut watch = Watch::new(30, 0);
        let recovering = |watch: &mut Watch, range: std::ops::Range<u64>| {
            watch.next_window(range.start);
            for now in range.step_by(10) {
                watch.turn(true, now);
            }
            watch.recovering
        };
        assert!(!recovering(&mut watch, 0..50));
        // 40 away, until 80: that lasts until 480.
        assert!(recovering(&mut watch, 80..200) && watch.generator_away);
        assert!(recovering(&mut watch, 200..470) && recovering(&mut watch, 470..520));
        assert!(!recovering(&mut watch, 520..610));
        // The witness said so afterwards: it lasts until 1600.
        watch.was_away(100, 600);
        assert!(recovering(&mut watch, 610..1590) && recovering(&mut watch, 1590..1610));
        assert!(!recovering(&mut watch, 1610..1620));
        watch.was_away(100, 1620);
        watch.next_step(true, 1630);
        assert!(!watch.recovering, "another step has nothing to do with it");
    }

    #[test]
    fn what_is_not_made_up_for_is_over_sooner() {
        for (makes_up, until) in [(true, 1100), (false, 400)] {
            let mut watch = Watch::new(30, 0);
            watch.next_step(makes_up, 0);
            // 100 away; ten times the shortest absence at least.
            watch.turn(true, 100);
            watch.next_window(until - 1);
            assert!(watch.recovering);
            watch.next_window(until);
            assert!(!watch.recovering, "{makes_up}");
        }
    }

    #[test]
    fn windows_add_up() {
        let one = Window { ticks: 10, served: 3, ..Window::default() };
        let other = Window { ticks: 5, served: 4, generator_away: true, ..Window::default() };
        let sum = Window::sum(&[one, other]);
        assert_eq!((sum.ticks, sum.served, sum.clean()), (15, 7, false));
    }
}

//! Short windows of time, in which the loop is looked at: with a thread away from its core, or without.

/// A thread that was not seen for longer than this has lost its core, in nanoseconds. A turn of the
/// loop takes a few microseconds at most; the host takes a core for longer.
pub const AWAY_NS: u64 = 30_000;

/// What was counted from one end of a window to the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    /// How long it was, in ticks.
    pub ticks: u64,
    /// Requests sent.
    pub offered: u64,
    /// Transactions that ended as they should.
    pub served: u64,
    /// Requests and answers of which nothing came.
    pub lost: u64,
    /// Ticks of the generator's turns in which there was something to do.
    pub generator_busy: u64,
    /// What the responder's workers counted, where their counters can be seen.
    pub responder: Sample,
    /// The generator was away.
    pub generator_away: bool,
    /// Nothing came from the responder for longer than [`AWAY_NS`] though it owed something.
    pub responder_away: bool,
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
}

impl Sample {
    /// How much was added since `before`.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            received: self.received.wrapping_sub(before.received),
            busy_turns: self.busy_turns.wrapping_sub(before.busy_turns),
            busy_ticks: self.busy_ticks.wrapping_sub(before.busy_ticks),
        }
    }
}

impl Window {
    /// Whether no thread was away.
    #[must_use]
    pub const fn clean(&self) -> bool {
        !self.generator_away && !self.responder_away
    }

    /// Adds what `other` counted.
    pub fn add(&mut self, other: &Self) {
        self.ticks += other.ticks;
        self.offered += other.offered;
        self.served += other.served;
        self.lost += other.lost;
        self.generator_busy += other.generator_busy;
        self.responder.received += other.responder.received;
        self.responder.busy_turns += other.responder.busy_turns;
        self.responder.busy_ticks += other.responder.busy_ticks;
        self.generator_away |= other.generator_away;
        self.responder_away |= other.responder_away;
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
pub struct Watch {
    limit: u64,
    last_turn: u64,
    last_heard: u64,
    /// The generator was away in this window.
    pub generator_away: bool,
    /// The responder was.
    pub responder_away: bool,
}

impl Watch {
    /// From `now` on; `limit` ticks are too long.
    #[must_use]
    pub const fn new(limit: u64, now: u64) -> Self {
        let (generator_away, responder_away) = (false, false);
        Self { limit, last_turn: now, last_heard: now, generator_away, responder_away }
    }

    /// A turn of the generator's loop begins at `now`. `heard`: a frame came from the responder, or it owes none.
    #[inline]
    pub fn turn(&mut self, heard: bool, now: u64) {
        if now.wrapping_sub(self.last_turn) > self.limit {
            self.generator_away = true;
            // It could not have heard anything meanwhile.
            self.last_heard = now;
        }
        self.last_turn = now;
        if now.wrapping_sub(self.last_heard) > self.limit {
            self.responder_away = true;
        }
        if heard {
            self.last_heard = now;
        }
    }

    /// A new window begins.
    pub fn next_window(&mut self) {
        self.generator_away = false;
        self.responder_away = false;
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
        watch.turn(true, 300);
        assert!(watch.generator_away);
        watch.next_window();
        watch.turn(false, 301);
        assert!(!watch.generator_away && !watch.responder_away);
    }

    #[test]
    fn windows_add_up() {
        let one = Window { ticks: 10, served: 3, ..Window::default() };
        let other = Window { ticks: 5, served: 4, generator_away: true, ..Window::default() };
        let sum = Window::sum(&[one, other]);
        assert_eq!((sum.ticks, sum.served, sum.clean()), (15, 7, false));
    }
}

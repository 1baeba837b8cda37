//! What is done to the responder, and when: all of it follows from a seed.

use std::time::Duration;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Another good configuration is taken up.
    Reload,
    /// A configuration with a mistake is refused.
    BadReload,
    /// It goes out of service and comes back.
    Drain,
    /// The link comes and goes, at the other end of the cable and at its own.
    LinkFlap,
    /// Its router answers no question for its hardware address.
    WedgedNeighbour,
    /// The disk that its log is on is full.
    FullDisk,
    /// All its buffers for frames are taken.
    NoBuffers,
    /// Somebody sets the clock.
    ClockStep,
    /// It is told to end, and started anew.
    Restart,
    /// It is killed, and started anew.
    Kill,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Reload,
        Self::BadReload,
        Self::Drain,
        Self::LinkFlap,
        Self::WedgedNeighbour,
        Self::FullDisk,
        Self::NoBuffers,
        Self::ClockStep,
        Self::Restart,
        Self::Kill,
    ];

    /// Its name in what is printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::BadReload => "bad-reload",
            Self::Drain => "drain",
            Self::LinkFlap => "link-flap",
            Self::WedgedNeighbour => "wedged-neighbour",
            Self::FullDisk => "full-disk",
            Self::NoBuffers => "no-buffers",
            Self::ClockStep => "clock-step",
            Self::Restart => "restart",
            Self::Kill => "kill",
        }
    }
}

/// Something that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// How long nothing is done before.
    pub calm: Duration,
    /// What.
    pub kind: Kind,
    /// A number for what else is to be chosen: how long it lasts, how often.
    pub dice: u64,
}

/// In how many rounds a process lives. A leak is seen in one that lives for long, and a start that fails in many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lives {
    /// The first one.
    pub first: u32,
    /// Each one after it, which is then told to end, or killed, in turns. 0: both in each round.
    pub then: u32,
}

/// Events without end, in rounds: in each, all kinds come once, in another order; but the process has its end only in some.
#[derive(Debug, Clone)]
pub struct Schedule {
    state: u64,
    round: Vec<Kind>,
    rounds: u32,
    lives: Lives,
    calm: (Duration, Duration),
}

impl Schedule {
    /// The events of `seed`, with a calm of at least the first of `calm` and at most the second before each.
    #[must_use]
    pub fn new(seed: u64, calm: (Duration, Duration), lives: Lives) -> Self {
        Self { state: seed, round: Vec::new(), rounds: 0, lives, calm }
    }

    /// Whether something of `kind` comes in this round, the first of which is 1.
    fn comes(&self, kind: Kind) -> bool {
        let Lives { first, then } = self.lives;
        let later = self.rounds.saturating_sub(first);
        // How many lives end with this round, if one does.
        let ended = (then > 0 && later.is_multiple_of(then)).then(|| later / then.max(1));
        match kind {
            Kind::Restart | Kind::Kill if later == 0 => false,
            Kind::Restart if then > 0 => ended.is_some_and(|ended| ended % 2 == 1),
            Kind::Kill if then > 0 => ended.is_some_and(|ended| ended % 2 == 0),
            _ => true,
        }
    }

    /// `SplitMix64` (Steele, Lea and Flood, 2014).
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Iterator for Schedule {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.round.is_empty() {
            self.rounds += 1;
            self.round = Kind::ALL.into_iter().filter(|kind| self.comes(*kind)).collect();
            for last in (1..self.round.len()).rev() {
                let other = usize::try_from(self.random() % (last as u64 + 1)).unwrap_or(0);
                self.round.swap(last, other);
            }
        }
        let kind = self.round.pop()?;
        let (least, most) = self.calm;
        let calm = within(self.random(), least, most);
        Some(Event { calm, kind, dice: self.random() })
    }
}

/// A time from `least` to `most` that `dice` chooses.
#[must_use]
pub fn within(dice: u64, least: Duration, most: Duration) -> Duration {
    let span = u64::try_from(most.saturating_sub(least).as_millis()).unwrap_or(u64::MAX);
    least + Duration::from_millis(dice % (span.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3));

    const fn lives(first: u32, then: u32) -> Lives {
        Lives { first, then }
    }

    #[test]
    fn a_seed_says_all_and_another_says_something_else() {
        let first = |seed| Schedule::new(seed, CALM, lives(1, 2)).take(100).collect::<Vec<_>>();
        assert_eq!(first(7), first(7));
        assert_ne!(first(7), first(8));
    }

    #[test]
    fn every_round_has_every_kind_after_a_calm() {
        let events: Vec<Event> =
            Schedule::new(3, CALM, lives(0, 0)).take(9 * Kind::ALL.len()).collect();
        for round in events.chunks(Kind::ALL.len()) {
            let mut kinds: Vec<Kind> = round.iter().map(|event| event.kind).collect();
            kinds.sort_unstable();
            assert_eq!(kinds, Kind::ALL);
            assert!(round.iter().all(|event| (CALM.0..=CALM.1).contains(&event.calm)));
        }
    }

    #[test]
    fn a_process_lives_for_rounds_and_ends_by_turns() {
        let is_end = |kind: &Kind| matches!(kind, Kind::Restart | Kind::Kill);
        let kinds: Vec<Kind> =
            Schedule::new(3, CALM, lives(20, 4)).map(|event| event.kind).take(600).collect();
        let ends: Vec<Kind> = kinds.iter().copied().filter(is_end).collect();
        assert!(ends.len() > 10);
        for (turn, end) in ends.iter().enumerate() {
            assert_eq!(*end, [Kind::Restart, Kind::Kill][turn % 2]);
        }
        // Three whole rounds of the others lie between two ends at least.
        let others = Kind::ALL.len() - 2;
        let lives: Vec<usize> = kinds.split(|kind| is_end(kind)).map(<[Kind]>::len).collect();
        assert!(lives[1..ends.len()].iter().all(|life| *life >= 3 * others), "{lives:?}");
        assert!(lives[0] >= 20 * others, "the first one lives for long: {lives:?}");
    }
}

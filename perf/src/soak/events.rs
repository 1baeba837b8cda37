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
    /// Somebody sets the clock.
    ClockStep,
    /// It is told to end, and started anew.
    Restart,
    /// It is killed, and started anew.
    Kill,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Reload,
        Self::BadReload,
        Self::Drain,
        Self::LinkFlap,
        Self::WedgedNeighbour,
        Self::FullDisk,
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

/// Events without end, in rounds: in each, all kinds come once, in another order.
#[derive(Debug, Clone)]
pub struct Schedule {
    state: u64,
    round: Vec<Kind>,
    calm: (Duration, Duration),
}

impl Schedule {
    /// The events of `seed`, with a calm of at least the first of `calm` and at most the second before each.
    #[must_use]
    pub fn new(seed: u64, calm: (Duration, Duration)) -> Self {
        Self { state: seed, round: Vec::new(), calm }
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
            self.round = Kind::ALL.to_vec();
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

    #[test]
    fn a_seed_says_all_and_another_says_something_else() {
        let first = |seed| Schedule::new(seed, CALM).take(100).collect::<Vec<_>>();
        assert_eq!(first(7), first(7));
        assert_ne!(first(7), first(8));
    }

    #[test]
    fn every_round_has_every_kind_after_a_calm() {
        let events: Vec<Event> = Schedule::new(3, CALM).take(9 * Kind::ALL.len()).collect();
        for round in events.chunks(Kind::ALL.len()) {
            let mut kinds: Vec<Kind> = round.iter().map(|event| event.kind).collect();
            kinds.sort_unstable();
            assert_eq!(kinds, Kind::ALL);
            assert!(round.iter().all(|event| (CALM.0..=CALM.1).contains(&event.calm)));
        }
    }
}

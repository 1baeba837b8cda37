//! Chance that repeats itself.

use std::hash::{Hash, Hasher};

use siphasher::sip::SipHasher24;

/// Numbers that look random and are the same for the same seed.
#[derive(Debug, Clone)]
pub(crate) struct Dice {
    seed: u64,
    thrown: u64,
}

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed, thrown: 0 }
    }

    /// Always the same for the same `what`: what a balancer makes of a flow.
    pub(crate) fn hash(&self, what: impl Hash) -> u64 {
        let mut hasher = SipHasher24::new_with_keys(self.seed, 1);
        what.hash(&mut hasher);
        hasher.finish()
    }

    /// Another each time.
    pub(crate) fn throw(&mut self) -> u64 {
        self.thrown += 1;
        let mut hasher = SipHasher24::new_with_keys(self.seed, 2);
        self.thrown.hash(&mut hasher);
        hasher.finish()
    }

    /// 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub(crate) fn part(&mut self) -> f64 {
        (self.throw() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Whether what has this `chance` happens.
    pub(crate) fn happens(&mut self, chance: f64) -> bool {
        chance > 0.0 && self.part() < chance
    }
}

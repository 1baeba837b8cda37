//! The rate of requests (crate `otherhalf-policy`): whoever asks for more than his share of probes, or is made to look so by others, gets
//! no more than it.
//!
//! It is taken when the way is known and nothing is left to decide but whether the table has a place: what is dropped for anything else
//! costs nobody anything, and a frame that waits for a neighbour is charged once. Refusals are charged as probes are, for they go to the same address.

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;

use otherhalf_pending::{Prefetch, Table};
use otherhalf_policy::Limiter;
use otherhalf_policy::limiter::{Key, Limited, Moment};

use crate::budget::Bucket;
use crate::outcome::Outcome;
use crate::policy::{Policy, RateLimit};
use crate::time::Clock;
use crate::work::Address;

/// What a hash of something else than a probe's name begins with, above the bits of a [name](crate::request::name).
const TAG: u64 = 1 << 48;

/// The limiter, and what one worker has to go with it.
#[derive(Debug)]
pub(crate) struct Rate {
    counted: Option<Counted>,
    /// What is let through beyond limits.
    leak: Bucket,
    /// Chooses what that is.
    random: Cell<u64>,
}

/// What requests are counted in, and by what.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) key: Key,
}

/// What a burst is limited by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits<'a> {
    rate: &'a Rate,
    pub(crate) counted: &'a Counted,
    pub(crate) limit: &'a RateLimit,
    pub(crate) moment: Moment,
    clock: &'a Clock,
    now: u64,
}

/// Why a request is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Passed {
    /// No limit is reached.
    Within,
    /// One is, but some are let through.
    Leaked,
    /// One is, but limits are only tried out.
    Spared,
}

impl Rate {
    /// No limits.
    pub(crate) const fn unlimited() -> Self {
        Self { counted: None, leak: Bucket::full(), random: Cell::new(1) }
    }

    /// Those that `limiter` counts, by keyed bits of `table`, the same for all workers that share it.
    pub(crate) fn by<P: Prefetch>(limiter: Arc<Limiter>, table: &Table<P>) -> Self {
        let [one, other, random] = [0, 1, 2].map(|kind| table.hash(&[], TAG | kind).cookie());
        let counted = Counted { limiter, key: Key::new([one, other]) };
        Self { counted: Some(counted), leak: Bucket::full(), random: Cell::new(random | 1) }
    }

    /// What there is to count in, if `policy` has limits.
    #[inline]
    pub(crate) fn counted(&self, policy: &Policy) -> Option<&Counted> {
        self.counted.as_ref().filter(|_| policy.rate.is_some())
    }

    /// What a burst at `now` is limited by, if `policy` has limits.
    #[inline]
    pub(crate) fn limits<'a>(
        &'a self,
        policy: &'a Policy,
        clock: &'a Clock,
        now: u64,
    ) -> Option<Limits<'a>> {
        let (Some(counted), Some(limit)) = (&self.counted, &policy.rate) else { return None };
        let moment = Moment::at_ns(clock.ns(now));
        Some(Limits { rate: self, counted, limit, moment, clock, now })
    }
}

impl Limits<'_> {
    /// Takes what a packet to `target` costs, whose line of the limiter is that of `bits`; `syn`: it is a TCP probe.
    #[inline(always)]
    pub(crate) fn take<A: Address>(&self, target: A, bits: u64, syn: bool) -> Result<(), Outcome> {
        match self.pass(target, bits, syn) {
            Ok(Passed::Within) => Ok(()),
            Ok(passed) => {
                self.tell(passed);
                Ok(())
            }
            Err(outcome) => Err(outcome),
        }
    }

    /// The same, without a count of what it passed.
    ///
    /// Called, not inlined: it would crowd the registers of the loop that calls it.
    #[inline(never)]
    fn pass<A: Address>(&self, target: A, bits: u64, syn: bool) -> Result<Passed, Outcome> {
        match target.take(self, bits, syn) {
            Ok(()) => Ok(Passed::Within),
            Err(reached) => self.beyond(reached, syn),
        }
    }

    /// The same for one packet that all of `payers` pay for, of either family, each with whether it gets a TCP probe; off the way of
    /// probes. However many are beyond a limit, it counts as one.
    #[cold]
    pub(crate) fn take_of_all<const PAYERS: usize>(
        &self,
        payers: [(IpAddr, bool); PAYERS],
    ) -> Result<(), Outcome> {
        let key = &self.counted.key;
        let mut all = Passed::Within;
        for (receiver, syn) in payers {
            let passed = match receiver {
                IpAddr::V4(v4) => self.pass(v4, v4.line_bits(key), syn),
                IpAddr::V6(v6) => self.pass(v6, v6.line_bits(key), syn),
            };
            all = all.max(passed?);
        }
        self.tell(all);
        Ok(())
    }

    /// Counts a request that is served, as what it `passed`.
    #[cold]
    fn tell(&self, passed: Passed) {
        let tally = self.counted.limiter.tally();
        match passed {
            Passed::Within => {}
            Passed::Leaked => tally.leak(),
            Passed::Spared => tally.spare(),
        }
    }

    /// What becomes of a request beyond a limit.
    #[cold]
    fn beyond(&self, reached: Limited, syn: bool) -> Result<Passed, Outcome> {
        let Self { rate, limit, clock, now, .. } = *self;
        if limit.dry_run {
            return Ok(Passed::Spared);
        }
        // TCP probes never leak: a network has to be safe from them, and its hosts can be traced by others.
        let leaks = !syn && rate.one_in(limit.leak);
        if leaks && rate.leak.take_of(limit.leak_per_second, clock.hz(), now) {
            return Ok(Passed::Leaked);
        }
        Err(match reached {
            Limited::Address => Outcome::DropRateAddress,
            Limited::Prefix => Outcome::DropRatePrefix,
            Limited::Syn => Outcome::DropRateSyn,
        })
    }
}

impl Rate {
    /// True once in `n` times, and nobody can tell when (xorshift, Marsaglia 2003, from keyed bits); never for 0.
    fn one_in(&self, n: u32) -> bool {
        let mut bits = self.random.get();
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        self.random.set(bits);
        (bits >> 32).checked_rem(n.into()) == Some(0)
    }
}

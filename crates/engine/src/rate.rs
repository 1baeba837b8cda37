//! The rate of requests (crate `otherhalf-policy`): whoever asks for more than his share of probes, or is made to look so by others, gets
//! no more than it.
//!
//! It is taken when all else is decided and the way is known: what is not answered costs nobody anything, and a frame that waits for a
//! neighbour is charged once. Refusals are charged as probes are, for they go to the same address.

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;

use otherhalf_pending::{Prefetch, Table};
use otherhalf_policy::Limiter;
use otherhalf_policy::limiter::{Limited, Moment};

use crate::budget::Bucket;
use crate::outcome::Outcome;
use crate::policy::RateLimit;
use crate::time::Clock;
use crate::work::Address;

/// What a hash of something else than a probe's name begins with, above the bits of a [name](crate::request::name).
const TAG: u64 = 1 << 48;

/// The limiter, and what one worker has to go with it.
#[derive(Debug)]
pub(crate) struct Rate {
    limiter: Option<Arc<Limiter>>,
    /// What is let through beyond limits.
    leak: Bucket,
    /// Chooses what that is.
    random: Cell<u64>,
}

impl Rate {
    /// No limits.
    pub(crate) const fn unlimited() -> Self {
        Self { limiter: None, leak: Bucket::full(), random: Cell::new(1) }
    }

    /// Those that `limiter` counts. `secret` are keyed bits.
    pub(crate) fn by(limiter: Arc<Limiter>, secret: u64) -> Self {
        Self { limiter: Some(limiter), leak: Bucket::full(), random: Cell::new(secret | 1) }
    }

    pub(crate) fn limiter(&self) -> Option<&Limiter> {
        self.limiter.as_deref()
    }

    /// Takes what a packet to `target` costs at `now`, whose line of the limiter is that of `bits`; `syn`: it is a TCP probe.
    #[inline]
    pub(crate) fn take<A: Address, P: Prefetch>(
        &self,
        limit: Option<&RateLimit>,
        table: &Table<P>,
        clock: &Clock,
        now: u64,
        (target, bits, syn): (A, u64, bool),
    ) -> Result<(), Outcome> {
        let (Some(limiter), Some(limit)) = (&self.limiter, limit) else { return Ok(()) };
        let charge = target.charge(table, bits, syn);
        match limiter.take(&limit.rates, &charge, Moment::at_ns(clock.ns(now))) {
            Ok(()) => Ok(()),
            Err(reached) => self.beyond(limiter, limit, (reached, syn), clock, now),
        }
    }

    /// The same for a `receiver` of either family, off the way of probes.
    #[cold]
    pub(crate) fn take_for<P: Prefetch>(
        &self,
        limit: Option<&RateLimit>,
        table: &Table<P>,
        clock: &Clock,
        now: u64,
        receiver: IpAddr,
    ) -> Result<(), Outcome> {
        match receiver {
            IpAddr::V4(v4) => self.take(limit, table, clock, now, (v4, v4.line_bits(table), false)),
            IpAddr::V6(v6) => self.take(limit, table, clock, now, (v6, v6.line_bits(table), false)),
        }
    }

    /// What becomes of a request beyond a limit.
    #[cold]
    fn beyond(
        &self,
        limiter: &Limiter,
        limit: &RateLimit,
        (reached, syn): (Limited, bool),
        clock: &Clock,
        now: u64,
    ) -> Result<(), Outcome> {
        if limit.dry_run {
            limiter.tally().spare();
            return Ok(());
        }
        // TCP probes never leak: a network has to be safe from them, and its hosts can be traced by others.
        let leaks = !syn && self.one_in(limit.leak);
        if leaks && self.leak.take_of(limit.leak_per_second, clock.hz(), now) {
            limiter.tally().leak();
            return Ok(());
        }
        Err(match reached {
            Limited::Address => Outcome::DropRateAddress,
            Limited::Prefix => Outcome::DropRatePrefix,
            Limited::Syn => Outcome::DropRateSyn,
        })
    }

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

/// 64 keyed bits of a prefix of IPv4 or IPv6, whose bits are `words`.
#[inline(always)]
pub(crate) fn keyed<const N: usize, P: Prefetch>(
    table: &Table<P>,
    words: [u64; N],
    kind: u64,
) -> u64 {
    table.hash(&words, TAG | kind).cookie()
}

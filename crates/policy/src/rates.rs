//! Limits in probes a second, and the same as a [`Limiter`](crate::Limiter) goes by.

use std::time::Duration;

use crate::limiter::units;

/// Probes a second that are sent to addresses of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// To one address.
    pub address: u32,
    /// To the addresses of one prefix of each length, longest first: a /24 (IPv4); a /64 and a /48 (IPv6).
    pub narrow: [u32; 2],
    /// To those of a /16 (IPv4), a /32 (IPv6).
    pub wide: u32,
    /// TCP probes to those of a /24 (IPv4), a /48 (IPv6).
    pub syn: u32,
}

/// What can't be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unkept {
    /// Not one probe fits.
    #[error("{rate} probes a second are less than one in {burst:?}: nothing would ever be sent")]
    Never {
        /// The rate.
        rate: u32,
        /// The time over which it is kept.
        burst: Duration,
    },
    /// Longer than cells can tell.
    #[error("{0:?} is longer than {LONGEST_BURST:?}")]
    Burst(Duration),
}

/// The longest [burst](Rates::new): a fraction of the time after which cells begin anew.
pub const LONGEST_BURST: Duration = Duration::from_mins(1);

/// Limits as times between probes, in units of cells' time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// How far ahead of time a bucket can be spent: what is sent at once is the rate times this.
    pub(crate) window: u32,
    v4: Intervals,
    v6: Intervals,
}

/// The times between probes for one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Intervals {
    /// For the address, then for the prefixes of a line. IPv4 has one of them less.
    pub(crate) narrow: [u32; 3],
    pub(crate) wide: u32,
    pub(crate) syn: u32,
}

impl Rates {
    /// Rates that are kept over any time longer than `burst`: as many as fit into it may come at once, after as long a silence.
    pub fn new(burst: Duration, v4: &Limits, v6: &Limits) -> Result<Self, Unkept> {
        if burst > LONGEST_BURST {
            return Err(Unkept::Burst(burst));
        }
        let window = u64::try_from(burst.as_nanos()).map_or(u64::MAX, units);
        let window = u32::try_from(window).map_err(|_| Unkept::Burst(burst))?;
        let interval = |rate: u32| {
            let ns = 1_000_000_000_u64.checked_div(rate.into()).unwrap_or(u64::MAX);
            let interval = u32::try_from(units(ns)).ok();
            interval.filter(|one| *one <= window).ok_or(Unkept::Never { rate, burst })
        };
        let intervals = |limits: &Limits| {
            let [narrow, wider] = limits.narrow;
            Ok(Intervals {
                narrow: [interval(limits.address)?, interval(narrow)?, interval(wider)?],
                wide: interval(limits.wide)?,
                syn: interval(limits.syn)?,
            })
        };
        Ok(Self { window, v4: intervals(v4)?, v6: intervals(v6)? })
    }

    #[inline]
    pub(crate) const fn intervals(&self, v6: bool) -> &Intervals {
        if v6 { &self.v6 } else { &self.v4 }
    }
}

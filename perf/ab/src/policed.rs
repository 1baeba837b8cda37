//! All policy of a public responder at once, to be compared with none.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use otherhalf_engine::Policy;
use otherhalf_engine::access::{Access, DENY};
use otherhalf_engine::policy::{Bogons, RateLimit};
use otherhalf_policy::limiter::{Limiter, Moment};
use otherhalf_policy::{Limits, Rates};

use crate::pages::Pages;
use crate::traffic::{CLIENTS_V4, CLIENTS_V6, NEVER_V4};

/// What the lists of prefixes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lists {
    /// 100 000 of each family that are denied, and 10 000 that are never probed, spread over what no client is in.
    Away,
    /// A tenth of that.
    Small,
    /// 262 144 prefixes of each family that are denied: one in each /24 or /48 that scattered clients are in, beside them. So each
    /// request is looked up in the tree.
    Near,
}

/// Lines of the limiter: the default of `rate.lines`.
const LINES: usize = 1 << 16;
/// As many as the limiter can tell apart: what is timed is the way of requests that are served.
const UNREACHED: u32 = 1_000_000_000;

/// Rates, two lists of prefixes, the check of sources, and what they count in from `now` on. No request of the harness is turned away by
/// them.
pub(crate) fn policy(
    lists: Lists,
    pages: Pages<'_>,
    now: Moment,
) -> anyhow::Result<(Policy, Arc<Limiter>)> {
    let access = match lists {
        Lists::Away => Access::new(away(100_000), away(10_000)),
        Lists::Small => Access::new(away(10_000), away(1000)),
        Lists::Near => Access::new(near(), away(10_000)),
    };
    let limits =
        Limits { address: UNREACHED, narrow: [UNREACHED; 2], wide: UNREACHED, syn: UNREACHED };
    let rates = Rates::new(Duration::from_secs(2), &limits, &limits)?;
    let leak_per_second = 500;
    let policy = Policy {
        rate: Some(RateLimit { rates, leak: 50, leak_per_second, dry_run: false }),
        access: Some(Arc::new(access)),
        bogons: Bogons::Public,
        ..off()
    };
    let memory = pages.zeroed(Limiter::memory_for(LINES))?;
    Ok((policy, Arc::new(Limiter::new_in(memory, now))))
}

/// No policy: everybody may ask for all.
pub(crate) fn off() -> Policy {
    Policy { bogons: Bogons::Allow, ..Policy::default() }
}

/// `n` prefixes of each family outside of what the harness's clients have, spread evenly.
fn away(n: u32) -> impl Iterator<Item = (IpNet, u8)> {
    // Odd, so that all are different.
    let spread = |place: u32| place.wrapping_mul(0x9e37_79b1);
    let v4 = (0..n).map(move |place| {
        let address = Ipv4Addr::from_bits(0x8000_0000 | spread(place) >> 1);
        IpNet::V4(Ipv4Net::new_assert(address, 24))
    });
    let v6 = (0..n).map(move |place| {
        let bits = 0x2a00_u128 << 112 | u128::from(spread(place)) << 80;
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from_bits(bits), 48))
    });
    v4.chain(v6).map(|prefix| (prefix, DENY))
}

/// A /28 of each /24 and a /60 of each /48 of scattered clients, of whom none is in it.
fn near() -> impl Iterator<Item = (IpNet, u8)> {
    let v4 = (0..1_u32 << 18).map(|net| {
        let bits = CLIENTS_V4 | net << 8 | NEVER_V4;
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from_bits(bits), 28))
    });
    let v6 = (0..1_u64 << 18).map(|net| {
        let bits = u128::from(CLIENTS_V6 + net) << 80 | 0x8000 << 64;
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from_bits(bits), 60))
    });
    v4.chain(v6).map(|prefix| (prefix, DENY))
}

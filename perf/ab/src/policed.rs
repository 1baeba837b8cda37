//! All policy of a public responder at once, to be compared with none.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use otherhalf_engine::Policy;
use otherhalf_engine::access::{ALLOW, Access, DENY};
use otherhalf_engine::policy::{Bogons, RateLimit};
use otherhalf_policy::{Limiter, Limits, Prefixes, Rates};

/// Prefixes that are denied, of each family; and a tenth as many that are never probed.
const DENIED: u32 = 100_000;
/// Lines of the limiter: the default of `rate.lines`.
const LINES: usize = 1 << 16;
/// As many as the limiter can tell apart: what is timed is the way of requests that are served.
const UNREACHED: u32 = 1_000_000_000;

/// Rates, two lists of prefixes, the check of sources, and what they count in. No request of the harness is turned away by them.
pub(crate) fn policy() -> anyhow::Result<(Policy, Arc<Limiter>)> {
    let access =
        Access { requests: Arc::new(prefixes(DENIED)), opt_out: Arc::new(prefixes(DENIED / 10)) };
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
    Ok((policy, Arc::new(Limiter::new(LINES))))
}

/// No policy: everybody may ask for all.
pub(crate) fn off() -> Policy {
    Policy { bogons: Bogons::Allow, ..Policy::default() }
}

/// `n` prefixes of each family outside of what the harness's clients have, spread evenly.
fn prefixes(n: u32) -> Prefixes {
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
    Prefixes::new(ALLOW, v4.chain(v6).map(|prefix| (prefix, DENY)))
}

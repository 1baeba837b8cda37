//! Who may ask, and who is never probed.

use std::net::IpAddr;

use ipnet::IpNet;
use otherhalf_policy::Prefixes;

use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::work::Address;

/// Whose requests are taken, and whom no probe is sent to. Two lists, for they are the wishes of others: the one is the operator's, the
/// other that of whoever has the address. Looked up as one, for every request asks both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// What each list says: [`DENY`] of the first, [`OPTED_OUT`] of the second.
    both: Prefixes,
}

/// The value of an address that nothing is against.
pub const ALLOW: u8 = 0;
/// The value of an address that something is against. Above [`ALLOW`], so that of two lists with the same prefix it decides.
pub const DENY: u8 = 1;
/// The bit of an address that is never probed, where both lists are one.
const OPTED_OUT: u8 = DENY << 1;

impl Access {
    /// Of `requests`, with [`DENY`] for those whose requests are dropped, and `opt_out`, with [`DENY`] for those that are never probed,
    /// whoever asks. All others have [`ALLOW`].
    #[must_use]
    pub fn new(
        requests: impl IntoIterator<Item = (IpNet, u8)>,
        opt_out: impl IntoIterator<Item = (IpNet, u8)>,
    ) -> Self {
        let join = |request, target| {
            let denied = if request == ALLOW { ALLOW } else { DENY };
            let opted_out = if target == ALLOW { ALLOW } else { OPTED_OUT };
            denied | opted_out
        };
        Self { both: Prefixes::joined(requests, opt_out, join) }
    }

    /// Whether requests of `address` are dropped.
    #[must_use]
    pub fn denies(&self, address: IpAddr) -> bool {
        self.both.get(address) & DENY != 0
    }

    /// Whether `address` is never probed: it, or the IPv4 address that it stands for.
    #[must_use]
    pub fn spares(&self, address: IpAddr) -> bool {
        let embedded = match address {
            IpAddr::V4(v4) => self.spares_embedded(v4),
            IpAddr::V6(v6) => self.spares_embedded(v6),
        };
        self.both.get(address) & OPTED_OUT != 0 || embedded
    }

    /// Whether the IPv4 address that `address` stands for, if it does, is never probed.
    #[cold]
    fn spares_embedded<A: Address>(&self, address: A) -> bool {
        address.embedded_v4().is_some_and(|v4| self.both.v4(v4) & OPTED_OUT != 0)
    }

    /// Bytes that it takes besides itself.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.both.bytes()
    }
}

/// Whether a request of `requester` is taken, and a probe may go back to it.
#[inline(always)]
pub(crate) fn request<A: Address>(policy: &Policy, requester: A) -> Result<(), Outcome> {
    let Some(access) = policy.access.as_deref() else { return Ok(()) };
    match requester.known(&access.both) {
        ALLOW if requester.may_embed_v4() && access.spares_embedded(requester) => {
            Err(Outcome::DropOptedOut)
        }
        ALLOW => Ok(()),
        OPTED_OUT => Err(Outcome::DropOptedOut),
        _ => Err(Outcome::DropDenied),
    }
}

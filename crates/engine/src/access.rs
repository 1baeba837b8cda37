//! Who may ask, and who is never probed.

use std::sync::Arc;

use otherhalf_policy::Prefixes;

use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::work::Address;

/// Whose requests are taken, and whom no probe is sent to. Each is asked apart, for they are the wishes of others: the one is the
/// operator's, the other that of whoever has the address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// [`DENY`] for those whose requests are dropped, [`ALLOW`] for all others.
    pub requests: Arc<Prefixes>,
    /// [`DENY`] for those that are never probed, whoever asks.
    pub opt_out: Arc<Prefixes>,
}

/// The value of an address that nothing is against.
pub const ALLOW: u8 = 0;
/// The value of an address that something is against. Above [`ALLOW`], so that of two lists with the same prefix it decides.
pub const DENY: u8 = 1;

/// Whether a request of `requester` is taken, and a probe may go back to it.
#[inline(always)]
pub(crate) fn request<A: Address>(policy: &Policy, requester: A) -> Result<(), Outcome> {
    let Some(access) = policy.access.as_deref() else { return Ok(()) };
    if requester.known(&access.requests) != ALLOW {
        return Err(Outcome::DropDenied);
    }
    target(policy, requester)
}

/// Whether a probe may be sent to `address`, whoever asks.
#[inline(always)]
pub(crate) fn target<A: Address>(policy: &Policy, address: A) -> Result<(), Outcome> {
    match policy.access.as_deref() {
        Some(access) if address.known(&access.opt_out) != ALLOW => Err(Outcome::DropOptedOut),
        _ => Ok(()),
    }
}

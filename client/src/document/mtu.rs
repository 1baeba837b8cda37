//! The longest packets that a path takes.

use std::collections::BTreeSet;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Hop;
use crate::mtu;

/// The longest packets that a path takes, in octets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PathMtu {
    /// What came to the end; null if nothing did.
    pub octets: Option<u16>,
    /// What the first link takes.
    pub first_link: u32,
    /// Routers whose next link takes less, nearest first.
    pub limits: Vec<Limit>,
    /// Longer packets got lost without a word.
    pub black_hole: bool,
    /// Probes that were sent to find that out.
    pub sent: u64,
}

/// A router whose next link takes less than the links before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limit {
    /// The router's.
    pub address: IpAddr,
    /// Its hop; null if it is not on the path that was traced.
    pub ttl: Option<u8>,
    /// What its next link takes, in octets; null if it does not say.
    pub octets: Option<u32>,
}

impl PathMtu {
    /// What was `found` on the path of `hops`, whose first link takes `first_link` octets.
    #[must_use]
    pub fn new(found: &mtu::PathMtu, hops: &[Hop], first_link: u32) -> Self {
        let ttl =
            |address| hops.iter().find(|hop| hop.addresses().contains(&address)).map(|hop| hop.ttl);
        let limit = |limit: &mtu::Limit| Limit {
            address: limit.router,
            ttl: ttl(limit.router),
            octets: limit.mtu,
        };
        Self {
            octets: found.mtu,
            first_link,
            limits: found.limits.iter().map(limit).collect(),
            black_hole: found.black_hole,
            sent: found.sent,
        }
    }

    /// A router that said something else of its next link each of three times or more: what it says is not to be believed.
    #[must_use]
    pub fn contradicts_itself(&self) -> Option<IpAddr> {
        let said = |address| self.limits.iter().filter(move |limit| limit.address == address);
        let differ = |address: &IpAddr| {
            said(*address).map(|limit| limit.octets).collect::<BTreeSet<_>>().len() > 2
        };
        self.limits.iter().map(|limit| limit.address).find(differ)
    }

    /// The longest packets that come to the hop of `ttl`, as far as routers say.
    #[must_use]
    pub fn at(&self, ttl: u8) -> u32 {
        self.limits
            .iter()
            .filter(|limit| limit.ttl.is_some_and(|at| at < ttl))
            .filter_map(|limit| limit.octets)
            .fold(self.first_link, u32::min)
    }
}

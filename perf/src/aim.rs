//! Requests whose probes all need the same two buckets of the pending table: what somebody could send who knew its
//! secret. Nobody outside does; here it is configured, so that the worst case can be looked at.

use std::net::IpAddr;

use otherhalf_engine::probe_hash;
use otherhalf_pending::{Settings, Table};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;

use crate::addresses::{self, MAX_CLIENTS};
use crate::plan::Transaction;

/// Who asks: the upper half of all clients, so that no transaction of a [plan](crate::plan) is one of these.
pub const FIRST_CLIENT: u32 = MAX_CLIENTS / 2;
/// Keys looked at until it is given up: half a minute. One in half the square of the buckets has the right pair.
const EFFORT: u64 = 1 << 30;
const FLOW: u16 = 33_434;

/// Why there are no such requests.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The table can't be made.
    #[error(transparent)]
    Table(#[from] otherhalf_pending::Error),
    /// Too few keys share two buckets.
    #[error(
        "only {found} of {wanted} keys for two buckets were found among {EFFORT}: name fewer aimed_keys or pending_entries"
    )]
    Few {
        /// Keys found.
        found: usize,
        /// Keys wanted.
        wanted: usize,
    },
}

/// Finds `wanted` requests for a responder whose table has so many `entries` and that `secret`.
pub fn aim(entries: usize, secret: [u64; 2], wanted: usize) -> Result<Vec<Transaction>, Error> {
    let table = Table::new(Settings { entries, timeout_ticks: 1, secret })?;
    let mut target = None;
    let clients = FIRST_CLIENT..MAX_CLIENTS;
    // 0 is no name of a UDP probe.
    let keys = clients.flat_map(|client| (1..=u16::MAX).map(move |name| (client, name)));
    let effort = usize::try_from(EFFORT).unwrap_or(usize::MAX);
    let aimed = keys.take(effort).filter(|(client, name)| {
        let pair = pair(&table, *client, *name);
        pair == *target.get_or_insert(pair)
    });
    let aimed: Vec<_> = aimed.take(wanted).map(|(client, name)| request(client, name)).collect();
    let found = aimed.len();
    if found < wanted { Err(Error::Few { found, wanted }) } else { Ok(aimed) }
}

/// The two buckets of a probe, in whichever order.
fn pair(table: &Table, client: u32, identifier: u16) -> Option<[usize; 2]> {
    let ends = [addresses::responder(Family::V4), addresses::client(Family::V4, client)];
    let mut pair = table.buckets_of(probe_hash(table, ends, Protocol::Udp, FLOW, identifier)?);
    pair.sort_unstable();
    Some(pair)
}

fn request(client: u32, identifier: u16) -> Transaction {
    let family = Family::V4;
    Transaction {
        family,
        client,
        identifier,
        protocol: Protocol::Udp,
        ttl: 1,
        flow: FLOW,
        reached: false,
        hop: addresses::hop(family, 0),
    }
}

/// Whether a probe to `target` is one that was asked for by such a request.
#[must_use]
#[inline]
pub fn is_aimed(target: IpAddr) -> bool {
    addresses::client_index(target).is_some_and(|client| client >= FIRST_CLIENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aimed_keys_fill_two_buckets_of_a_table_that_is_nearly_empty() {
        let (entries, secret) = (512, [3, 4]);
        let aimed = aim(entries, secret, 24).unwrap();
        let table = Table::new(Settings { entries, timeout_ticks: 1000, secret }).unwrap();
        let outcomes = aimed.iter().map(|one| {
            let target = addresses::client(one.family, one.client);
            assert!(is_aimed(target));
            let ends = [addresses::responder(one.family), target];
            let hash = probe_hash(&table, ends, one.protocol, one.flow, one.identifier).unwrap();
            table.insert(hash, one.identifier, 0)
        });
        let new = outcomes.filter(|outcome| *outcome == otherhalf_pending::Insert::New).count();
        // Two buckets of four slots; all others of 256 buckets are free.
        assert_eq!((new, table.buckets()), (8, 256));
        assert!(!is_aimed(addresses::client(Family::V4, FIRST_CLIENT - 1)));
    }

    #[test]
    fn too_much_effort_is_not_spent() {
        assert!(matches!(aim(0, [3, 4], 1), Err(Error::Table(_))));
    }
}

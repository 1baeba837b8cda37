//! The lock-free table of probes that wait for their answer.
//!
//! It is the one thing that all workers share: a request and the ICMP error that answers its probe come from different
//! addresses, so they often arrive on different queues. Memory is fixed when the table is made. Nothing here locks,
//! allocates, panics or reads a clock after that; `now` is an argument, in ticks of the caller's choice.
//!
//! # Layout
//!
//! ```text
//!                         first bucket            second bucket, looked at only if the first has no match
//!                              │                        │
//!  table  ┌────────┬────────┬──▼─────┬────────┬────────┬▼───────┬────────┐   64 bytes a bucket,
//!         │ bucket │ bucket │ bucket │ bucket │ bucket │ bucket │ bucket │   each one cache line
//!         └────────┴────────┴──┬─────┴────────┴────────┴────────┴────────┘
//!             ┌────────────────┴───────────────────────────────────┐
//!             │   slot 0   │   slot 1   │   slot 2   │   slot 3    │   4 slots of 16 bytes
//!             └─────┬──────────────────────────────────────────────┘
//!       ┌───────────┴──────────────────────────────────────────┐
//!  tag  │ fingerprint 48 │again 1│seated 1│version 12│ state 2 │   what is compared and swapped
//!  data │ send time 48 bits     │ request identifier 16          │
//!       └──────────────────────────────────────────────────────┘
//! ```
//!
//! A key is an array of words and a tail of up to 56 bits, whatever the caller packs into them (addresses; protocol, flow, probe
//! identifier).
//! The table keeps only its hash under a secret: SipHash-1-3, of whose 128 bits the first 64 choose two buckets and the
//! fingerprint, and the other 64 are a [cookie](Hash::cookie) for the probe. So IPv4 and IPv6 entries cost the same.
//!
//! `slot.rs` has the protocol of the two words: bits, writers, orderings, and why a torn read is never believed.
//!
//! `seats.rs` has what a probe needs whose response goes to another than its target: the entry then names a seat, and that the receiver.
//!
//! # What it costs, what it holds
//!
//! A slot is 16 bytes, and there are two slots an entry: **32 bytes an entry** of [`capacity`](Table::capacity), for both
//! families. [`Insert::Full`] is the refusal when all eight slots of a key's two buckets are live; no
//! live entry is ever evicted. How often that happens at a steady number of live entries, with answers in random order
//! (`cargo run --release -p otherhalf-pending --example refusals`, 1 Mi entries):
//!
//! | live entries, of `capacity` | 50 % | 60 % | 70 % | 80 % | 90 % | 100 % |
//! |---|---|---|---|---|---|---|
//! | inserts refused | 0.000 2 % | 0.001 3 % | 0.008 % | 0.04 % | 0.12 % | 0.37 % |
//!
//! With 4/3 slots an entry it would be 12 % at capacity. An entry goes to its first bucket while that has two free slots, then to the emptier
//! one, so a take mostly touches one line: 93 % of the entries of a half full table, and over 70 % of a full one, lie in their first bucket.
//!
//! # False matches
//!
//! Two keys can have the same fingerprint in the same bucket. For one lookup of a key that is not pending, in a table of `E`
//! entries at capacity, that has a probability of about `E / 2^63 + 4 / 2^48`:
//! 1.3e-13 at 1 Mi entries, 1.8e-12 at 16 Mi. At a million stray answers a second that is one false match in three months,
//! or in six days. (The first term: the bits above the fingerprint choose the bucket, so together all 64 bits count. The
//! second: one key's first bucket is the other's second one.)
//!
//! It is harmless. A false take consumes a pending entry, whose own answer then counts as a late one: to its requester it is a
//! lost packet, which traceroute expects. It cannot be aimed, since hash and cookie are keyed, and what the answer
//! quotes must show the cookie of its own key. A false match in an insert is a [conflict](Insert::Conflict), for which
//! the caller takes another probe identifier.
//!
//! # Time
//!
//! Entries expire lazily: an expired slot is free to be claimed, and a take does not return it. Times are kept
//! to 48 bits and compared modulo 2^48, so that the wrap itself does no harm. A slot or a seat that nobody touched for a whole turn (30 hours at 2.6 GHz)
//! would look young again; a full [`sweep`](Table::sweep) at least every 2^48 ticks less twice the time-out rules that out.
//! An entry from up to one time-out in the future, by the reader's clock, is live and of age 0: workers read the clock once a burst.

#![forbid(unsafe_code)]
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::panic
)]
#![allow(
    clippy::inline_always,
    reason = "called, the hash costs an eighth more: its result goes by memory"
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test stops by panicking"
    )
)]

mod error;
mod siphash;
mod ticks;
mod slot;
mod seats;
mod survey;
mod table;
mod sweep;
mod waiting;
mod sync;

pub use error::Error;
pub use seats::{Receiver, Seat};
pub use sweep::{Occupancy, Sweep};
pub use table::{
    Bucket, Entry, Hash, Insert, Lines, Loads, MAX_ENTRIES, Prefetch, Settings, Table, Whose,
};
pub use ticks::MAX_TIMEOUT_TICKS;

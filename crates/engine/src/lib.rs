//! The packet's way through a reverse traceroute responder, as pure functions on bursts of frames.
//!
//! ```text
//! frame ─> classify ─┬─> request ──> pending.insert ──> probe ───┐
//!                    ├─> answer ───> pending.take ────> respond ─┤
//!                    ├─> neighbour, ping ─────────────> reply ───┼─> verdict
//!                    ├─> of no use to us: to the kernel ────────┤
//!                    └─> everything else: dropped, named, counted┘
//! ```
//!
//! One frame in, at most one frame out, in the same buffer. The engine is told the time, reads no
//! clock, does no I/O, takes no lock and allocates nothing after [`Engine::new`]; it knows no
//! driver. It decides and tells a [`Verdict`] for each frame, by a callback with the frame's place; whoever owns the
//! buffers acts on it.
//! Every frame ends in exactly one [`Outcome`].
//!
//! The modules stand in the order in which a frame passes them:
//! [`frame`] and [`network`] are what is given, [`burst`] leads through the rest.
#![forbid(unsafe_code)]
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
#![allow(
    clippy::inline_always,
    reason = "left to the compiler, parsed packets are copied from call to call, see docs/performance.md"
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
)]

pub mod frame;
pub mod network;
pub mod policy;
pub mod burst;
mod work;
mod classify;
mod request;
pub mod access;
mod rate;
mod budget;
mod bogon;
mod extension;
pub mod indirect;
mod place;
mod answer;
pub mod neighbour;
mod ping;
mod closed;
pub mod kernel;
mod way;
mod emit;
pub mod outcome;
pub mod histogram;
pub mod time;

pub use access::Access;
pub use bogon::embedded_v4;
pub use burst::{BURST, Engine, Fate, Verdict, View};
pub use emit::{Reset, ResetFrame, SOLICITATION_LEN, solicit};
pub use frame::{Frame, Vouched};
pub use histogram::{Counter, Histogram, RoundTrips, ServiceTimes};
pub use indirect::Indirect;
pub use neighbour::{Claim, Neighbours, Notice};
pub use network::{Interface, InterfaceId, Network, NextHop, PortId, StaticRoute};
pub use outcome::{Counters, Outcome};
pub use place::probe_hash;
pub use policy::{Bogons, LeastRequest, Policy};
pub use time::Clock;

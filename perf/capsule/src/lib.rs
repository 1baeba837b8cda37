//! otherhalf's engine, driven by the capsule framework's runtime: what it costs to build on
//! capsule, and a second opinion on what the engine writes.
//!
//! ```text
//! PortQueue ── receive ──> Answers ── next ──> Send ── transmit ──> PortQueue
//!  (capsule)              (a Batch: the engine)  (capsule)          (capsule)
//! ```
//!
//! [`Answers`] is one of capsule's batches: it takes a burst from a queue, hands it to the engine, and yields what
//! capsule is to send and to free. The rest is capsule's. Replies go back to where the frame came
//! from (`Reply::Hairpin`), so no neighbour's address is ever needed.

pub mod config;
pub mod octets;
pub mod tally;
pub mod answers;

pub use answers::{Answers, Shared};
pub use config::Config;
pub use tally::Tally;

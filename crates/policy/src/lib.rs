//! Who may ask how much: what a responder goes by where anybody can send it anything.
//!
//! [`limiter`] counts, in fixed memory, what addresses and prefixes cause to be sent. [`prefixes`] says what is known of an address by the
//! longest prefix that holds it; [`list`] reads such prefixes from files.
//!
//! Nothing here allocates, locks, panics or reads a clock when it is asked; all of it is made beforehand.
#![forbid(unsafe_code)]
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
#![allow(clippy::inline_always, reason = "left to the compiler, what chooses cells is called")]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
)]

pub mod prefixes;
pub mod list;
pub mod rates;
pub mod limiter;
mod sync;

pub use limiter::Limiter;
pub use prefixes::Prefixes;
pub use rates::{Limits, Rates};

//! What a running `otherhalfd` says of itself, and how it is told what to do: for the daemon and for all that talk to it.
//!
//! No DPDK in here, so that tools build without it.
#![forbid(unsafe_code)]

pub mod status;

pub use status::{State, Status};

//! What a running `otherhalfd` says of itself, and how it is told what to do: for the daemon and for all that talk to it.
//!
//! - [`status`]: every figure that the daemon shows;
//! - [`message`]: questions and answers on its control socket, one JSON document a line;
//! - [`capture`]: what they say of a capture;
//! - [`client`]: asks them;
//! - [`argument`]: what both programs read of their command lines;
//! - [`pcapng`]: packets as a file that Wireshark and others read.
//!
//! No DPDK in here, so that tools build without it.
#![forbid(unsafe_code)]

pub mod argument;
pub mod capture;
pub mod client;
pub mod message;
pub mod pcapng;
pub mod status;

pub use client::Client;
pub use message::{Command, Reply};
pub use status::{State, Status};

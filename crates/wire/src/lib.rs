//! The packets of reverse traceroute, from Ethernet up to the request and the response.
//!
//! Responder, client and load generator share this crate: each format can be read and written.
//! No allocation, no unsafe, no `std`.
//!
//! # A checked packet is a proof
//!
//! A fixed header is a plain struct ([`zerocopy`]) laid over the bytes, so a field that can be
//! named can be read: no accessor fails and none can panic. What can fail is `parse`, once, and
//! it says why with a small [`Malformed`]. Lengths come from the headers, never from the frame;
//! what lies behind them (Ethernet padding) is not part of the packet.
//!
//! The modules stand in the order in which a packet shows them.
#![no_std]
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
    allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)
)]

#[cfg(test)]
extern crate std;

pub mod checksum;
pub mod ethernet;
pub mod arp;
pub mod ipv4;
pub mod ipv6;
pub mod ip;
pub mod icmp;
pub mod ndp;
pub mod udp;
pub mod tcp;
pub mod quote;
pub mod probe;
pub mod extension;
pub mod multipart;
pub mod trace;

/// Why bytes are not the packet that they were taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Malformed {
    /// Fewer bytes than the header, or than a length field says.
    #[error("truncated")]
    Truncated,
    /// A version field that is not this protocol's.
    #[error("wrong version")]
    Version,
    /// A length field that contradicts the header that it stands in.
    #[error("impossible length")]
    Length,
    /// A checksum that does not verify.
    #[error("wrong checksum")]
    Checksum,
    /// A fragment: its upper layers can't be trusted (RFC 1858, RFC 7112).
    #[error("fragment")]
    Fragment,
    /// More IPv6 extension headers than [`ipv6::MAX_EXTENSION_HEADERS`], or one that hides what follows.
    #[error("extension headers")]
    ExtensionHeaders,
    /// A field whose value the format does not allow.
    #[error("invalid field")]
    Field,
}

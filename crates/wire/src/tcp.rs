//! TCP (RFC 9293): what a SYN and its answers need.

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The control bits.
pub mod flag {
    /// Nothing more will be sent.
    pub const FIN: u8 = 0x01;
    /// Open a connection.
    pub const SYN: u8 = 0x02;
    /// Refuse or end a connection at once.
    pub const RST: u8 = 0x04;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 0x10;
}

/// The first 8 octets of the header: what a router quotes at least.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Start {
    /// Source port.
    pub src_port: U16,
    /// Destination port.
    pub dst_port: U16,
    /// Sequence number of the first octet, or of the SYN.
    pub sequence: U32,
}

/// The header without options.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct Header {
    /// Source port.
    pub src_port: U16,
    /// Destination port.
    pub dst_port: U16,
    /// Sequence number of the first octet, or of the SYN.
    pub sequence: U32,
    /// The next sequence number expected.
    pub acknowledgement: U32,
    /// Octets of the header in units of 4 (upper 4 bits).
    pub data_offset: u8,
    /// See [`flag`].
    pub flags: u8,
    /// Octets that the sender takes.
    pub window: U16,
    /// Over pseudo header, header and payload.
    pub checksum: U16,
    /// Of no use here.
    pub urgent: U16,
}

/// Octets of the header without options.
pub const HEADER_LEN: usize = size_of::<Header>();

/// A data offset that says: no options.
pub const NO_OPTIONS: u8 = 5 << 4;

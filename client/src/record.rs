//! The packets of a trace, kept as they were sent and received.

use std::time::SystemTime;

/// Packets in the order in which they were sent and read, see [`RawNetwork::record`](crate::RawNetwork::record).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recording {
    packets: Vec<Packet>,
}

/// A packet, from its IP header on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// When it was sent or read.
    pub at: SystemTime,
    /// Its octets. IPv6's raw sockets deliver no IP header: that of a received packet is made of what the system tells of it.
    pub octets: Vec<u8>,
}

impl Recording {
    /// Adds a packet.
    pub fn add(&mut self, at: SystemTime, octets: &[u8]) {
        self.packets.push(Packet { at, octets: octets.to_vec() });
    }

    /// What was recorded.
    #[must_use]
    pub fn packets(&self) -> &[Packet] {
        &self.packets
    }
}

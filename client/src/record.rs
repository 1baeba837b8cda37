//! The packets of a trace, kept as they were sent and received.

use std::net::IpAddr;
use std::time::SystemTime;

use otherhalf_wire::ip::{Family, Fields};

/// Packets in the order in which they were sent and read, see [`RawNetwork::record`](crate::RawNetwork::record).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recording {
    packets: Vec<Packet>,
    /// Octets of all packets, with what each takes besides.
    size: usize,
    left_out: u64,
}

/// Octets of packets that are kept, at most, with what each takes besides: no trace has so many, but whoever floods us with answers has.
pub const MOST: usize = 64 << 20;

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
        self.keep(at, octets.to_vec());
    }

    /// Keeps a packet, or counts it if there are [too many](MOST).
    fn keep(&mut self, at: SystemTime, octets: Vec<u8>) {
        let size = self.size.saturating_add(octets.len()).saturating_add(size_of::<Packet>());
        if size > MOST {
            self.left_out = self.left_out.saturating_add(1);
            return;
        }
        self.size = size;
        self.packets.push(Packet { at, octets });
    }

    /// Adds a packet of which the system delivered only the `payload` of `protocol`, without the IP header: one is made of what it
    /// told. A hop limit that it did not tell is 0, which no packet comes with.
    pub fn add_payload(
        &mut self,
        at: SystemTime,
        [src, dst]: [IpAddr; 2],
        protocol: u8,
        hop_limit: Option<u8>,
        payload: &[u8],
    ) {
        let fields = Fields {
            src,
            dst,
            ttl: hop_limit.unwrap_or(0),
            traffic_class: 0,
            flow_label: 0,
            identification: None,
            protocol,
        };
        let mut octets = vec![0; Family::of(src).header_len().saturating_add(payload.len())];
        if let Some(room) = fields.emit(payload.len(), &mut octets) {
            room.copy_from_slice(payload);
            self.keep(at, octets);
        }
    }

    /// Packets that were not kept, for there were [too many](MOST).
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// What was recorded.
    #[must_use]
    pub fn packets(&self) -> &[Packet] {
        &self.packets
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use otherhalf_wire::ip;

    use super::*;

    #[test]
    fn a_flood_is_kept_up_to_a_limit() {
        let mut recording = Recording::default();
        let packet = vec![0; 1 << 20];
        for _ in 0..70 {
            recording.add(UNIX_EPOCH, &packet);
        }
        assert_eq!((recording.packets().len(), recording.left_out()), (63, 7));
        // Empty ones take room as well.
        let before = recording.packets().len();
        for _ in 0..MOST / size_of::<Packet>() {
            recording.add(UNIX_EPOCH, &[]);
        }
        assert!(recording.packets().len() - before < MOST / size_of::<Packet>());
    }

    #[test]
    fn a_payload_gets_the_header_that_is_known() {
        let ends: [IpAddr; 2] = ["2001:db8::1", "2001:db8::2"].map(|end| end.parse().unwrap());
        let mut recording = Recording::default();
        recording.add_payload(UNIX_EPOCH, ends, 58, Some(61), b"message");
        recording.add_payload(UNIX_EPOCH, ends, 58, None, b"message");
        let headers: Vec<_> = recording
            .packets()
            .iter()
            .map(|packet| ip::Packet::parse_v6(&packet.octets).unwrap())
            .map(|packet| (packet.src, packet.dst, packet.protocol, packet.ttl, packet.payload))
            .collect();
        let header = |ttl| (ends[0], ends[1], 58, ttl, &b"message"[..]);
        assert_eq!(headers, [header(61), header(0)]);
    }
}

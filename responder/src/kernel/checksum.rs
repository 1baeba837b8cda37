//! Checksums that a neighbouring memory's device has left out: the kernel gets no word of that with the frame.

use otherhalf_wire::ethernet::{self, ethertype};
use otherhalf_wire::ip::{Packet, protocol};

/// Where the checksum is in the header of TCP, and in that of UDP.
const TCP: usize = 16;
const UDP: usize = 6;

/// Fills in the checksum of TCP or UDP in `frame`. Whatever else it is stays as it is.
pub(super) fn fill_in(frame: &mut [u8]) {
    let Some((place, sum)) = missing(frame) else { return };
    if let Some(field) = frame.get_mut(place..place + 2) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

/// Where the checksum is in `frame`, and what it must be.
fn missing(frame: &[u8]) -> Option<(usize, u16)> {
    let link = ethernet::Frame::parse(frame).ok()?;
    let packet = match link.ethertype {
        ethertype::IPV4 => Packet::parse_v4(link.payload),
        ethertype::IPV6 => Packet::parse_v6(link.payload),
        _ => return None,
    };
    let packet = packet.ok()?;
    let at = match packet.protocol {
        protocol::TCP => TCP,
        protocol::UDP => UDP,
        _ => return None,
    };
    let (before, after) = (packet.payload.get(..at)?, packet.payload.get(at + 2..)?);
    let sum = packet.pseudo_header().bytes(before).bytes(after).checksum();
    // RFC 768: a sum of 0 is written as all ones, for 0 says that there is none.
    let sum = if packet.protocol == protocol::UDP && sum == 0 { 0xffff } else { sum };
    let start = frame.len() - link.payload.len() + packet.header_len;
    Some((start + at, sum))
}

#[cfg(test)]
mod tests {
    use otherhalf_wire::ethernet::{Link, Mac};
    use otherhalf_wire::ip::{Family, Fields};

    use super::*;

    fn frame(family: Family, protocol: u8, payload: &[u8]) -> Vec<u8> {
        let [src, dst]: [std::net::IpAddr; 2] = match family {
            Family::V4 => ["192.0.2.1", "192.0.2.2"],
            Family::V6 => ["2001:db8::1", "2001:db8::2"],
        }
        .map(|text| text.parse().unwrap());
        let fields = Fields {
            src,
            dst,
            ttl: 1,
            traffic_class: 0,
            flow_label: 0,
            identification: None,
            protocol,
        };
        let ethertype = if family == Family::V4 { ethertype::IPV4 } else { ethertype::IPV6 };
        let link = Link { dst: Mac([2; 6]), src: Mac([4; 6]), vlan: None, ethertype };
        let mut frame = vec![0; link.len() + family.header_len() + payload.len()];
        let rest = link.emit(&mut frame).unwrap();
        fields.emit(payload.len(), rest).unwrap().copy_from_slice(payload);
        // Padding of a short frame is no part of the packet.
        frame.extend_from_slice(&[0xff; 7]);
        frame
    }

    fn verifies(frame: &[u8]) -> bool {
        let payload = ethernet::Frame::parse(frame).unwrap().payload;
        let packet = Packet::parse_v4(payload).or_else(|_| Packet::parse_v6(payload));
        packet.unwrap().upper_layer_sum().verifies()
    }

    #[test]
    fn what_was_left_out_is_filled_in() {
        for family in [Family::V4, Family::V6] {
            for (protocol, len) in [(protocol::TCP, 20), (protocol::TCP, 33), (protocol::UDP, 8)] {
                let mut frame = frame(family, protocol, &vec![0xab; len]);
                assert!(!verifies(&frame));
                fill_in(&mut frame);
                assert!(verifies(&frame), "{family} {protocol} {len}");
            }
        }
    }

    #[test]
    fn what_has_none_stays_as_it_is() {
        let others = [
            frame(Family::V4, 89, &[0xab; 24]),
            frame(Family::V4, protocol::TCP, &[0xab; 17]),
            vec![0xab; 60],
        ];
        for frame in others {
            let mut after = frame.clone();
            fill_in(&mut after);
            assert_eq!(after, frame);
        }
    }
}

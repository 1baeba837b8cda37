//! Writes requests: a frame made beforehand, patched, its checksums from sums of what does not change.

use std::net::IpAddr;

use otherhalf_wire::checksum::Sum;
use otherhalf_wire::ethernet::{Link, Mac, ethertype};
use otherhalf_wire::ip::{Family, Fields, pseudo_header};
use otherhalf_wire::trace::{REQUEST_LEN, Request};

use crate::addresses;
use crate::plan::Transaction;

/// The least Ethernet frame without its checksum: requests over IPv4 are padded to it.
const V4_LEN: usize = 60;
const V6_LEN: usize = 14 + 40 + REQUEST_LEN;

/// Where the fields of a request lie in its frame, for an IP header of `H` octets.
mod field {
    pub(super) const IP: usize = 14;
    pub(super) const V4_CHECKSUM: usize = IP + 10;
    pub(super) const V4_SRC: usize = IP + 12;
    pub(super) const V6_SRC: usize = IP + 8;
    pub(super) const V4_ICMP: usize = IP + 20;
    pub(super) const V6_ICMP: usize = IP + 40;
    /// Within the ICMP message.
    pub(super) const CHECKSUM: usize = 2;
    pub(super) const IDENTIFIER: usize = 4;
    pub(super) const TTL: usize = 8;
    pub(super) const PROTOCOL: usize = 9;
    pub(super) const FLOW: usize = 10;
}

/// Requests from clients behind one station to a responder.
#[derive(Debug, Clone)]
pub struct Requests {
    v4: [u8; V4_LEN],
    v6: [u8; V6_LEN],
    /// Of the IPv4 header, without source and checksum.
    v4_header: Sum,
    /// Of the ICMP message with its pseudo header, without source, identifier, TTL, protocol, flow, checksum.
    v4_message: Sum,
    v6_message: Sum,
}

impl Requests {
    /// Requests from `own` to `responder`.
    #[must_use]
    pub fn new(own: Mac, responder: Mac) -> Self {
        let (mut v4, mut v6) = ([0; V4_LEN], [0; V6_LEN]);
        template(Family::V4, own, responder, &mut v4);
        template(Family::V6, own, responder, &mut v6);
        let mut header = [0; 20];
        header.copy_from_slice(&v4[field::IP..field::V4_ICMP]);
        header[10..16].fill(0);
        let message = |message: &[u8]| Sum::ZERO.bytes(&[message[0], message[1]]);
        let length = u16::try_from(REQUEST_LEN).unwrap_or(u16::MAX);
        // A source of zeros adds nothing.
        let pseudo = pseudo_header(
            IpAddr::from([0; 16]),
            addresses::RESPONDER_V6.into(),
            Family::V6.icmp(),
            length,
        );
        let [high, low] = pseudo.fold().to_be_bytes();
        Self {
            v4_header: Sum::ZERO.bytes(&header),
            v4_message: message(&v4[field::V4_ICMP..]),
            v6_message: message(&v6[field::V6_ICMP..]).bytes(&[high, low]),
            v4,
            v6,
        }
    }

    /// Writes the request of `wanted` to the front of `room`; returns the frame's length, `None` if it does not fit.
    #[must_use]
    #[inline]
    pub fn write(&self, wanted: &Transaction, room: &mut [u8]) -> Option<usize> {
        let client = addresses::client(wanted.family, wanted.client);
        let protocol = wanted.protocol.number(wanted.family);
        let variable = Sum::ZERO
            .word(wanted.identifier)
            .word(u16::from_be_bytes([wanted.ttl, protocol]))
            .word(wanted.flow);
        match client {
            IpAddr::V4(client) => {
                let frame = room.first_chunk_mut::<V4_LEN>()?;
                *frame = self.v4;
                let octets = client.octets();
                frame[field::V4_SRC..field::V4_SRC + 4].copy_from_slice(&octets);
                let header = self.v4_header.bytes(&octets).checksum();
                frame[field::V4_CHECKSUM..field::V4_CHECKSUM + 2]
                    .copy_from_slice(&header.to_be_bytes());
                let sum = self.v4_message.word(variable.fold()).checksum();
                message(wanted, protocol, sum, frame[field::V4_ICMP..].first_chunk_mut()?);
                Some(V4_LEN)
            }
            IpAddr::V6(client) => {
                let frame = room.first_chunk_mut::<V6_LEN>()?;
                *frame = self.v6;
                let octets = client.octets();
                frame[field::V6_SRC..field::V6_SRC + 16].copy_from_slice(&octets);
                let sum = self.v6_message.bytes(&octets).word(variable.fold()).checksum();
                message(wanted, protocol, sum, frame[field::V6_ICMP..].first_chunk_mut()?);
                Some(V6_LEN)
            }
        }
    }
}

#[inline]
fn message(wanted: &Transaction, protocol: u8, checksum: u16, out: &mut [u8; REQUEST_LEN]) {
    out[field::CHECKSUM..field::CHECKSUM + 2].copy_from_slice(&checksum.to_be_bytes());
    out[field::IDENTIFIER..field::IDENTIFIER + 2].copy_from_slice(&wanted.identifier.to_be_bytes());
    out[field::TTL] = wanted.ttl;
    out[field::PROTOCOL] = protocol;
    out[field::FLOW..field::FLOW + 2].copy_from_slice(&wanted.flow.to_be_bytes());
}

/// A request of client 0, its variable fields zero.
fn template(family: Family, own: Mac, responder: Mac, frame: &mut [u8]) {
    let ethertype = match family {
        Family::V4 => ethertype::IPV4,
        Family::V6 => ethertype::IPV6,
    };
    let (src, dst) = (addresses::client(family, 0), addresses::responder(family));
    let fields = Fields {
        src,
        dst,
        ttl: 64,
        traffic_class: 0,
        flow_label: 0,
        identification: None,
        protocol: family.icmp(),
    };
    let request = Request { identifier: 0, sequence: 0, ttl: 0, protocol: 0, flow: 0 };
    Link { dst: responder, src: own, vlan: None, ethertype }
        .emit(frame)
        .and_then(|rest| fields.emit(REQUEST_LEN, rest))
        .and_then(|rest| request.emit(src, dst, &[], rest))
        .expect("the frame is large enough");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::scenario::Scenario;
    use otherhalf_wire::icmp;
    use otherhalf_wire::ip::Packet;
    use std::path::Path;

    #[test]
    fn a_patched_request_is_what_wire_would_have_written() {
        let (own, responder) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        let requests = Requests::new(own, responder);
        for family in ["v4", "v6"] {
            let text = format!("about = \"x\"\nfamily = \"{family}\"\nflows = [1, 65534]");
            let plan = Plan::new(&Scenario::parse(Path::new("x"), &text).unwrap());
            for number in (70_000..400_000_000u64).step_by(12_347) {
                let Some(wanted) = plan.transaction(number) else { continue };
                let mut room = [0xaa; 128];
                let len = requests.write(&wanted, &mut room).unwrap();
                let (link, payload) = Link::parse(&room[..len]).unwrap();
                assert_eq!((link.src, link.dst), (own, responder));
                let packet = match wanted.family {
                    Family::V4 => Packet::parse_v4(payload),
                    Family::V6 => Packet::parse_v6(payload),
                }
                .unwrap();
                assert_eq!(packet.src, addresses::client(wanted.family, wanted.client));
                assert_eq!(packet.dst, addresses::responder(wanted.family));
                assert!(packet.upper_layer_sum().verifies(), "{wanted:?}");
                let message = icmp::Message::parse(wanted.family, packet.payload).unwrap();
                let (request, rest) = Request::parse(&message).unwrap();
                assert!(rest.is_empty());
                assert_eq!(
                    (request.identifier, request.ttl, request.flow),
                    (wanted.identifier, wanted.ttl, wanted.flow)
                );
                assert_eq!(request.probe_protocol(wanted.family), Some(wanted.protocol));
            }
        }
    }
}

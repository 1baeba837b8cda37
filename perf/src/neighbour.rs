//! The generator as the responder's neighbour: it tells its own hardware address, and asks the responder's.

use std::net::{IpAddr, Ipv6Addr};

use otherhalf_engine::{SOLICITATION_LEN, solicit};
use otherhalf_wire::arp::{Arp, Operation};
use otherhalf_wire::ethernet::{Link, Mac, ethertype};
use otherhalf_wire::ip::{Fields, Packet, protocol};
use otherhalf_wire::ndp::{self, Message};

use crate::addresses::{RESPONDER_V4, ROUTER_V4, ROUTER_V6};

/// What a neighbour's frame wants or tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neighbour {
    /// Somebody asks for the router's address.
    Asked(Question),
    /// The responder told its address.
    Responder(Mac),
}

/// Somebody's question for the router's hardware address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    asker: IpAddr,
    asker_mac: Mac,
}

/// Reads a frame; `None` if it is no neighbour's that concerns us.
#[must_use]
pub fn read(frame: &[u8]) -> Option<Neighbour> {
    let (link, payload) = Link::parse(frame).ok()?;
    match link.ethertype {
        ethertype::ARP => {
            let arp = Arp::parse(payload).ok()?;
            match arp.operation {
                Operation::Request if arp.target == ROUTER_V4 => Some(Neighbour::Asked(Question {
                    asker: arp.sender.into(),
                    asker_mac: arp.sender_mac,
                })),
                Operation::Reply if arp.sender == RESPONDER_V4 => {
                    Some(Neighbour::Responder(arp.sender_mac))
                }
                _ => None,
            }
        }
        ethertype::IPV6 => {
            let packet = Packet::parse_v6(payload).ok()?;
            if packet.protocol != protocol::ICMPV6 || !packet.upper_layer_sum().verifies() {
                return None;
            }
            match Message::parse(packet.payload).ok()? {
                Message::Solicitation { target: ROUTER_V6, .. } => {
                    Some(Neighbour::Asked(Question { asker: packet.src, asker_mac: link.src }))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// Writes the answer to `question` to the front of `room`; returns its length, `None` if it does not fit.
#[must_use]
pub fn answer(own: Mac, question: Question, room: &mut [u8]) -> Option<usize> {
    let whole = room.len();
    let link = |ethertype| Link { dst: question.asker_mac, src: own, vlan: None, ethertype };
    let (rest, written) = match question.asker {
        IpAddr::V4(asker) => {
            let rest = link(ethertype::ARP).emit(room)?;
            let reply = Arp {
                operation: Operation::Reply,
                sender_mac: own,
                sender: ROUTER_V4,
                target_mac: question.asker_mac,
                target: asker,
            };
            (rest.len(), reply.emit(rest)?)
        }
        IpAddr::V6(asker) => {
            let fields = Fields {
                src: ROUTER_V6,
                dst: asker,
                ttl: ndp::HOP_LIMIT,
                traffic_class: 0,
                flow_label: 0,
                identification: None,
                protocol: protocol::ICMPV6,
            };
            let rest = fields.emit(ndp::LEN, link(ethertype::IPV6).emit(room)?)?;
            let advertisement = Message::Advertisement {
                target: ROUTER_V6,
                target_mac: Some(own),
                solicited: asker != Ipv6Addr::UNSPECIFIED,
                overrides: true,
            };
            (rest.len(), advertisement.emit(ROUTER_V6, asker, rest)?)
        }
    };
    Some(whole - rest + written)
}

/// Writes the question for the responder's hardware address to the front of `room`; returns its length.
#[must_use]
pub fn question(own: Mac, room: &mut [u8]) -> Option<usize> {
    let mut frame = [0; SOLICITATION_LEN];
    let len = solicit(own, None, ROUTER_V4.into(), RESPONDER_V4.into(), None, &mut frame)?;
    room.get_mut(..len)?.copy_from_slice(frame.get(..len)?);
    Some(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addresses::RESPONDER_V6;

    const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const RESPONDER: Mac = Mac([2, 0, 0, 0, 0, 2]);

    #[test]
    fn questions_of_both_families_are_answered() {
        let cases: [(IpAddr, IpAddr); 2] =
            [(RESPONDER_V4.into(), ROUTER_V4.into()), (RESPONDER_V6.into(), ROUTER_V6.into())];
        for (asker, target) in cases {
            let mut asked = [0; SOLICITATION_LEN];
            let len = solicit(RESPONDER, None, asker, target, None, &mut asked).unwrap();
            let Some(Neighbour::Asked(question)) = read(&asked[..len]) else { panic!("{asker}") };
            let mut room = [0; 128];
            let len = answer(OWN, question, &mut room).unwrap();
            let (link, payload) = Link::parse(&room[..len]).unwrap();
            assert_eq!((link.dst, link.src), (RESPONDER, OWN));
            match asker {
                IpAddr::V4(receiver) => {
                    let arp = Arp::parse(payload).unwrap();
                    assert_eq!((arp.sender, arp.sender_mac), (ROUTER_V4, OWN));
                    assert_eq!((arp.target, arp.operation), (receiver, Operation::Reply));
                }
                IpAddr::V6(_) => {
                    let packet = Packet::parse_v6(payload).unwrap();
                    assert!(packet.upper_layer_sum().verifies());
                    assert_eq!((packet.dst, packet.ttl), (asker, 255));
                    let message = Message::parse(packet.payload).unwrap();
                    assert!(matches!(message, Message::Advertisement { solicited: true, .. }));
                }
            }
        }
    }

    #[test]
    fn the_responder_is_asked_and_heard() {
        let mut room = [0; 128];
        let len = question(OWN, &mut room).unwrap();
        let (link, payload) = Link::parse(&room[..len]).unwrap();
        assert_eq!(link.dst, Mac::BROADCAST);
        let asked = Arp::parse(payload).unwrap();
        assert_eq!((asked.target, asked.sender), (RESPONDER_V4, ROUTER_V4));
        let reply = Arp {
            operation: Operation::Reply,
            sender_mac: RESPONDER,
            sender: RESPONDER_V4,
            target_mac: OWN,
            target: ROUTER_V4,
        };
        let link = Link { dst: OWN, src: RESPONDER, vlan: None, ethertype: ethertype::ARP };
        reply.emit(link.emit(&mut room).unwrap()).unwrap();
        assert_eq!(read(&room), Some(Neighbour::Responder(RESPONDER)));
    }
}

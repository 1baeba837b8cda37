//! Neighbours: whose hardware address we know, and the messages by which it is asked and told
//! (ARP, RFC 826; neighbour discovery, RFC 4861).
//!
//! The packet path answers, and tells what it heard; it keeps no state. Who remembers, asks again
//! and forgets is the control thread, which hands back a new [`Neighbours`] whole.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use otherhalf_wire::arp::{Arp, Operation};
use otherhalf_wire::ethernet::Mac;
use otherhalf_wire::icmp::Kind;
use otherhalf_wire::ip::{Family, Packet, protocol};
use otherhalf_wire::ndp::{self, Message};

use crate::classify::Task;
use crate::network::{InterfaceId, Network, NextHop};
use crate::outcome::Outcome;
use crate::work::Address;

/// The neighbours whose hardware addresses are known. Never changes; a new one replaces it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// Sorted: a look-up costs a few comparisons, which no neighbour can make more by choosing its address.
    known: Box<[(NextHop, Mac)]>,
}

impl Neighbours {
    /// The neighbours of `known`.
    #[must_use]
    pub fn new(known: impl IntoIterator<Item = (NextHop, Mac)>) -> Self {
        let mut known: Vec<_> = known.into_iter().collect();
        known.sort_unstable();
        Self { known: known.into_boxed_slice() }
    }

    /// The hardware address of `neighbour`, if it is known.
    #[must_use]
    #[inline]
    pub fn get(&self, neighbour: NextHop) -> Option<Mac> {
        let place = self.known.binary_search_by_key(&neighbour, |(hop, _)| *hop).ok()?;
        self.known.get(place).map(|(_, mac)| *mac)
    }

    /// How many are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

/// What a frame told about a neighbour, or what the packet path wants to know of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The neighbour said that this is its hardware address.
    Heard {
        /// Who.
        neighbour: NextHop,
        /// Its hardware address; none if it answered without telling it, which confirms the known one
        /// (RFC 4861 §4.4 allows that to whoever is asked by unicast).
        mac: Option<Mac>,
        /// On which occasion.
        claim: Claim,
        /// It is to replace an address already known.
        overrides: bool,
    },
    /// A frame waits for this neighbour's hardware address.
    Wanted(NextHop),
}

/// On which occasion a neighbour told its hardware address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It asked for ours.
    Asked,
    /// It answered a question of ours, so packets to it arrive.
    Answered,
    /// It told everybody, unasked.
    Announced,
}

/// An answer to a neighbour's question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// An ARP reply.
    Arp {
        /// The address asked for: ours.
        own: Ipv4Addr,
        /// Who asked.
        asker: Ipv4Addr,
        asker_mac: Mac,
    },
    /// A neighbour advertisement.
    Advertisement {
        /// The address asked for: ours.
        own: Ipv6Addr,
        /// Where the advertisement goes: the asker, or all nodes when it checks for duplicates.
        to: Ipv6Addr,
        solicited: bool,
    },
}

/// Reads an ARP packet.
pub(crate) fn arp(
    network: &Network,
    interface: InterfaceId,
    bytes: &[u8],
) -> Result<Task, Outcome> {
    let Ok(arp) = Arp::parse(bytes) else { return Err(Outcome::DropBadNeighbour) };
    let for_us = network.owns(arp.target.into(), interface);
    let asked = arp.operation == Operation::Request;
    // RFC 5227 §2.1.1: a probe for duplicates has no sender address, and is answered all the same.
    if arp.sender.is_unspecified() {
        return if asked && for_us && arp.sender_mac.is_unicast() {
            Ok(Task::Neighbour(
                Answer::Arp { own: arp.target, asker: arp.sender, asker_mac: arp.sender_mac },
                None,
            ))
        } else {
            Err(Outcome::DropOtherNeighbour)
        };
    }
    if !arp.sender_mac.is_unicast() || network.owns(arp.sender.into(), interface) {
        return Err(Outcome::DropBadNeighbour);
    }
    let notice = Notice::Heard {
        neighbour: NextHop { interface, address: arp.sender.into() },
        mac: Some(arp.sender_mac),
        claim: match (asked, for_us) {
            (true, true) => Claim::Asked,
            (false, true) => Claim::Answered,
            (_, false) => Claim::Announced,
        },
        overrides: true,
    };
    // A host may ask from an address that is not on the link: it gets its answer, we learn nothing.
    let on_link = network.is_on_link(arp.sender.into(), interface);
    match (for_us, asked) {
        (true, true) => Ok(Task::Neighbour(
            Answer::Arp { own: arp.target, asker: arp.sender, asker_mac: arp.sender_mac },
            on_link.then_some(notice),
        )),
        _ if !on_link => Err(Outcome::DropBadNeighbour),
        // A reply to us, or an announcement of the sender's own address (RFC 5227 §2.3).
        (true, false) => Ok(Task::Learned(notice)),
        (false, _) if arp.sender == arp.target => Ok(Task::Learned(notice)),
        (false, _) => Err(Outcome::DropOtherNeighbour),
    }
}

/// Whether `packet` is a neighbour discovery message.
#[inline]
pub(crate) fn is_discovery<A: Address>(packet: &Packet<'_, A>) -> bool {
    A::FAMILY == Family::V6
        && packet.protocol == protocol::ICMPV6
        && packet.payload.first().is_some_and(|kind| {
            let kind = Kind::from_number(Family::V6, *kind);
            matches!(kind, Kind::NeighbourSolicitation | Kind::NeighbourAdvertisement)
        })
}

/// Reads a neighbour discovery message.
pub(crate) fn discovery(
    network: &Network,
    interface: InterfaceId,
    packet: Packet<'_>,
) -> Result<Task, Outcome> {
    if !packet.upper_layer_sum().verifies() {
        return Err(Outcome::DropBadChecksum);
    }
    let bad = Err(Outcome::DropBadNeighbour);
    // Only a neighbour can send with a hop limit of 255 (RFC 4861 §7.1).
    if packet.ttl != ndp::HOP_LIMIT {
        return bad;
    }
    let (IpAddr::V6(src), IpAddr::V6(dst), Ok(message)) =
        (packet.src, packet.dst, Message::parse(packet.payload))
    else {
        return bad;
    };
    match message {
        Message::Solicitation { target, source_mac } => {
            if !network.owns(target.into(), interface) {
                return Err(Outcome::DropOtherNeighbour);
            }
            if dst != target && dst != ndp::solicited_node(target) {
                return bad;
            }
            if src.is_unspecified() {
                // A check for duplicates asks the group and has no address yet (§7.1.1); everybody
                // shall hear that the address is taken (§7.2.4).
                let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
                return if source_mac.is_none() && dst.is_multicast() {
                    Ok(Task::Neighbour(
                        Answer::Advertisement { own: target, to: all_nodes, solicited: false },
                        None,
                    ))
                } else {
                    bad
                };
            }
            if !network.may_be_sent_to(src.into()) {
                return bad;
            }
            let on_link = network.is_on_link(src.into(), interface);
            let notice =
                source_mac.filter(|mac| on_link && mac.is_unicast()).map(|mac| Notice::Heard {
                    neighbour: NextHop { interface, address: src.into() },
                    mac: Some(mac),
                    claim: Claim::Asked,
                    overrides: true,
                });
            Ok(Task::Neighbour(
                Answer::Advertisement { own: target, to: src, solicited: true },
                notice,
            ))
        }
        Message::Advertisement { target, target_mac, solicited, overrides } => {
            if target_mac.map_or(!solicited, |mac| !mac.is_unicast()) {
                return bad;
            }
            if !network.is_on_link(target.into(), interface) || (solicited && dst.is_multicast()) {
                return bad;
            }
            let neighbour = NextHop { interface, address: target.into() };
            let claim = if solicited { Claim::Answered } else { Claim::Announced };
            Ok(Task::Learned(Notice::Heard { neighbour, mac: target_mac, claim, overrides }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_found() {
        let hop = |n: u16, text: &str| NextHop {
            interface: InterfaceId(n),
            address: text.parse().unwrap(),
        };
        let mac = |n| Mac([2, 0, 0, 0, 0, n]);
        let known = Neighbours::new([
            (hop(1, "192.0.2.1"), mac(1)),
            (hop(0, "192.0.2.1"), mac(2)),
            (hop(0, "2001:db8::1"), mac(3)),
        ]);
        assert_eq!(known.get(hop(0, "192.0.2.1")), Some(mac(2)));
        assert_eq!(known.get(hop(1, "192.0.2.1")), Some(mac(1)));
        assert_eq!(known.get(hop(1, "2001:db8::1")), None);
        assert_eq!((known.len(), Neighbours::default().is_empty()), (3, true));
    }
}

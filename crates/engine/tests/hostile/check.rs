//! What must hold for every frame, whatever it was.

use std::net::{IpAddr, Ipv6Addr};

use otherhalf_engine::frame::LEAST_ROOM;
use otherhalf_engine::{Fate, InterfaceId, Network, Notice, Outcome, PortId, Verdict, View};
use otherhalf_wire::arp::{self, Arp, Operation};
use otherhalf_wire::ethernet::{Link, ethertype};
use otherhalf_wire::ndp;

use crate::common::read;

/// The longest frame that carries nothing of the one it answers: a response over IPv6 in a VLAN.
const LONGEST_OWN: usize = 18 + 40 + 36;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// What a verdict must be for an outcome to count under.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Send,
    SendAndReset,
    Hold,
    Kernel,
    Drop,
}

const fn kind_of(outcome: Outcome) -> Kind {
    use Outcome as O;
    match outcome {
        O::ProbeIcmp
        | O::ProbeTcp
        | O::ProbeUdp
        | O::RefusedTtl
        | O::RefusedProtocol
        | O::RefusedFlow
        | O::RefusedExtension
        | O::RefusedIndirect
        | O::RefusedPadding
        | O::ResponseTimeExceeded
        | O::ResponseUnreachable
        | O::ResponseEchoReply
        | O::ResponseReset
        | O::StraySynAckReset
        | O::ClosedUdpUnreachable
        | O::ClosedTcpReset
        | O::PingReply
        | O::NeighbourReply => Kind::Send,
        O::ResponseSynAck => Kind::SendAndReset,
        O::DropNeighbourUnresolved => Kind::Hold,
        O::KernelPassed => Kind::Kernel,
        _ => Kind::Drop,
    }
}

/// `fate` and what the frame became `after` it agree with each other and with what it was `before`.
pub(crate) fn check(view: &View<'_>, fate: &Fate, before: &[u8], after: &[u8]) {
    let kind = match fate.verdict {
        Verdict::Send(_) => Kind::Send,
        Verdict::SendAndReset(..) => Kind::SendAndReset,
        Verdict::Hold => Kind::Hold,
        Verdict::Kernel => Kind::Kernel,
        Verdict::Drop => Kind::Drop,
    };
    // The kernel hears of neighbours what we learn of them.
    let both = kind == Kind::Kernel && fate.outcome == Outcome::NeighbourLearned;
    // The answer to an indirect probe does not wait: its entry is gone.
    let late = kind == Kind::Drop && fate.outcome == Outcome::DropNeighbourUnresolved;
    assert!(both || late || kind == kind_of(fate.outcome), "{fate:?}");
    check_notice(view, fate);
    match fate.verdict {
        Verdict::Drop | Verdict::Hold | Verdict::Kernel => {
            assert_eq!(before, after, "{fate:?}: a frame that is not sent was written to");
        }
        Verdict::Send(port) => check_sent(view, port, fate.outcome, before, after),
        Verdict::SendAndReset(port, reset) => {
            check_sent(view, port, fate.outcome, before, after);
            let mut room = [0; LEAST_ROOM];
            let len = reset.emit(&mut room).unwrap();
            check_sent(view, reset.port(), Outcome::StraySynAckReset, before, &room[..len]);
        }
    }
}

fn check_notice(view: &View<'_>, fate: &Fate) {
    match fate.notice {
        Some(Notice::Wanted(hop)) => {
            assert_eq!(fate.verdict, Verdict::Hold);
            assert_eq!(view.neighbours.get(hop), None, "{hop:?} is known");
            assert!(view.network.may_be_sent_to(hop.address), "{hop:?}");
        }
        Some(Notice::Heard { neighbour, mac, .. }) => {
            let occasions = [Outcome::NeighbourReply, Outcome::NeighbourLearned];
            assert!(occasions.contains(&fate.outcome), "{fate:?}");
            assert!(mac.is_none_or(otherhalf_wire::ethernet::Mac::is_unicast), "{fate:?}");
            assert!(view.network.is_on_link(neighbour.address, neighbour.interface), "{fate:?}");
        }
        None => assert_ne!(fate.outcome, Outcome::NeighbourLearned),
    }
}

fn check_sent(view: &View<'_>, port: PortId, outcome: Outcome, before: &[u8], sent: &[u8]) {
    let (link, payload) = Link::parse(sent).unwrap();
    let (_, interface) = view.network.interface_for(port, link.vlan).unwrap();
    assert_eq!(link.src, interface.mac, "{outcome:?}");
    if link.ethertype == ethertype::ARP {
        let reply = Arp::parse(payload).unwrap();
        assert_eq!((reply.operation, payload.len()), (Operation::Reply, arp::LEN));
        assert!(is_own(view.network, reply.sender.into()) && reply.sender_mac == link.src);
        assert!(link.dst.is_unicast() && reply.target_mac.is_unicast());
        return;
    }
    // Parses whole, with all checksums right, no options, nothing behind it.
    let (_, packet) = read(sent);
    assert!(is_own(view.network, packet.src), "{outcome:?} from {}", packet.src);
    assert!(packet.ttl > 0);
    if outcome == Outcome::NeighbourReply && packet.dst == IpAddr::V6(ALL_NODES) {
        assert_eq!(link.dst, ndp::multicast_mac(ALL_NODES));
    } else {
        assert!(view.network.may_be_sent_to(packet.dst), "{outcome:?} to {}", packet.dst);
        assert!(link.dst.is_unicast(), "{outcome:?} to {}", link.dst);
    }
    let longest = match outcome {
        // An echo is as long as its ping, but for a tag.
        Outcome::PingReply => before.len() + 4,
        // What quotes may be as long as every link takes (RFC 4443 §2.4 (c)).
        Outcome::ClosedUdpUnreachable => 18 + 1280,
        _ => LONGEST_OWN,
    };
    assert!(sent.len() <= longest, "{outcome:?}: {} octets", sent.len());
}

fn is_own(network: &Network, address: IpAddr) -> bool {
    (0u16..).zip(network.interfaces()).any(|(id, _)| network.owns(address, InterfaceId(id)))
}

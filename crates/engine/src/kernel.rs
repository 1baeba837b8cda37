//! The exception path: frames that the engine has no use for and the kernel of its machine has, so that routing daemons and
//! SSH work on the same port.
//!
//! A frame comes here with the name under which it would be dropped, and is looked at anew, out of the way of all others:
//! what the engine serves pays nothing for it. It goes to the kernel as it came. What is passed has a budget, for the
//! kernel's side is slow and shared by all who can reach it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use otherhalf_wire::arp::Arp;
use otherhalf_wire::ethernet::{self, ethertype};
use otherhalf_wire::ip::Packet;
use otherhalf_wire::ndp::Message;
use otherhalf_wire::tcp::flag;
use otherhalf_wire::{ipv4, ipv6, tcp, udp};
use zerocopy::FromBytes;

use crate::budget::Bucket;
use crate::burst::{Fate, Verdict};
use crate::frame::Frame;
use crate::network::{InterfaceId, Network, PortId};
use crate::outcome::Outcome;
use crate::time::Clock;

/// Ports with a budget of their own: as many as DPDK has (`RTE_MAX_ETHPORTS`).
const PORTS: usize = 32;

/// A budget that was not touched for so long, as a part of a second, is whole: a routing daemon's table comes in a burst.
const FULL_AFTER: u64 = 10;

/// What the kernel gets of the frames that come in by a port, all for our hardware address or for groups.
///
/// From the responder's own addresses, those of [`tcp`](Self::tcp) and [`udp`](Self::udp), and whatever the engine has no use for
/// at all: other protocols, other ICMP, errors about packets that are no probes of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exceptions {
    /// Addresses that are the kernel's alone: it gets all that is sent there.
    pub addresses: Vec<IpAddr>,
    /// TCP ports, at either end of a connection. Answers to probes are the engine's even so.
    pub tcp: Vec<u16>,
    /// UDP ports, at either end.
    pub udp: Vec<u16>,
    /// Frames to groups and to all, but for neighbours' questions: OSPF, router advertisements, LLDP.
    pub multicast: bool,
    /// Frames a second and worker, from neighbours as many as from all others. 0: none.
    pub frames_per_second: u64,
}

/// Who sent a frame for the kernel. Each has a budget of its own: a flood from afar does not end a session with a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// A neighbour, by its address. That can be forged only where routers let packets with their own addresses in from outside.
    Neighbour,
    /// Anybody.
    Afar,
}

/// What may still be passed to the kernel. One worker's own.
#[derive(Debug)]
pub(crate) struct Budgets {
    hz: u64,
    /// For each port, of neighbours and of all others.
    buckets: [[Bucket; 2]; PORTS],
}

impl Budgets {
    pub(crate) const fn new(clock: &Clock) -> Self {
        Self { hz: clock.hz(), buckets: [const { [const { Bucket::full() }; 2] }; PORTS] }
    }

    /// The fate of `frame`, for which the engine has no use, as `outcome` says.
    #[cold]
    pub(crate) fn pass(
        &self,
        network: &Network,
        now: u64,
        frame: &Frame<'_>,
        outcome: Outcome,
    ) -> Fate {
        let Some(exceptions) = network.exceptions(frame.port()) else {
            return Fate::dropped(outcome);
        };
        match wanted(network, exceptions, frame, outcome) {
            None => Fate::dropped(outcome),
            Some(sender) if self.take(exceptions, frame.port(), sender, now) => {
                Fate { verdict: Verdict::Kernel, outcome: Outcome::KernelPassed, notice: None }
            }
            Some(_) => Fate::dropped(Outcome::DropKernelBudget),
        }
    }

    /// What to do with a `frame` by which we learned of a neighbour: the kernel asks its own questions, and hears the answers.
    #[cold]
    pub(crate) fn tell(&self, network: &Network, now: u64, frame: &Frame<'_>) -> Verdict {
        match network.exceptions(frame.port()) {
            Some(exceptions) if self.take(exceptions, frame.port(), Sender::Neighbour, now) => {
                Verdict::Kernel
            }
            _ => Verdict::Drop,
        }
    }

    /// Takes one frame out of the budget, if there is one left.
    fn take(&self, exceptions: &Exceptions, port: PortId, sender: Sender, now: u64) -> bool {
        let rate = exceptions.frames_per_second;
        let (Some(ticks_each), Some([neighbours, others])) =
            (self.hz.checked_div(rate), self.buckets.get(usize::from(port.0)))
        else {
            return false;
        };
        let bucket = match sender {
            Sender::Neighbour => neighbours,
            Sender::Afar => others,
        };
        bucket.take(now, ticks_each.max(1), rate.div_ceil(FULL_AFTER))
    }
}

/// Whether the kernel has a use for a segment to an address of ours, which came in by the interface `ingress`.
#[inline]
pub(crate) fn takes_tcp(network: &Network, ingress: InterfaceId, header: &tcp::Header) -> bool {
    network.has_exceptions()
        && at(network, ingress).is_some_and(|port| has_tcp_port(&port.tcp, header))
}

/// The same for a datagram.
#[inline]
pub(crate) fn takes_udp(network: &Network, ingress: InterfaceId, datagram: &[u8]) -> bool {
    network.has_exceptions()
        && at(network, ingress).is_some_and(|port| has_udp_port(&port.udp, datagram))
}

fn at(network: &Network, ingress: InterfaceId) -> Option<&Exceptions> {
    network.exceptions(network.interface(ingress)?.port)
}

/// Whether one of `ports` is at an end of a segment; of one that opens a connection, at our end: whoever opens it chooses his
/// own port, and must not choose the kernel's services by it.
fn has_tcp_port(ports: &[u16], header: &tcp::Header) -> bool {
    let opens = header.flags & (flag::SYN | flag::ACK) == flag::SYN;
    ports.contains(&header.dst_port.get()) || (!opens && ports.contains(&header.src_port.get()))
}

/// Whether one of `ports` is at an end of `segment`.
fn has_udp_port(ports: &[u16], segment: &[u8]) -> bool {
    udp::Header::ref_from_prefix(segment).is_ok_and(|(header, _)| {
        [header.src_port.get(), header.dst_port.get()].iter().any(|port| ports.contains(port))
    })
}

/// Whether the kernel has a use for `frame`, which is dropped as `outcome` if not, and whose it is.
fn wanted(
    network: &Network,
    exceptions: &Exceptions,
    frame: &Frame<'_>,
    outcome: Outcome,
) -> Option<Sender> {
    use Outcome as O;
    let ethernet::Frame { header, vlan, ethertype, payload } =
        ethernet::Frame::parse(frame.octets()).ok()?;
    let (ingress, interface) = network.interface_for(frame.port(), vlan)?;
    let unicast = header.dst == interface.mac;
    if !(unicast || header.dst.is_group()) || !header.src.is_unicast() {
        return None;
    }
    let to_group = !unicast && exceptions.multicast;
    match outcome {
        O::DropUnknownEthertype => to_group.then_some(Sender::Neighbour),
        O::DropOtherNeighbour | O::DropBadNeighbour if ethertype == ethertype::ARP => {
            let target = Arp::parse(payload).ok()?.target;
            exceptions.addresses.contains(&target.into()).then_some(Sender::Neighbour)
        }
        O::DropOtherNeighbour | O::DropBadNeighbour => {
            let packet = Packet::parse_v6(payload).ok()?;
            let asked = match Message::parse(packet.payload).ok()? {
                Message::Solicitation { target, .. } => IpAddr::V6(target),
                Message::Advertisement { .. } => packet.dst,
            };
            exceptions.addresses.contains(&asked).then_some(Sender::Neighbour)
        }
        // Before all else is known of it: what is the kernel's alone is read by the kernel alone, fragments as well.
        O::DropNotOurAddress | O::DropFragment | O::DropExtensionHeaders => {
            let (src, dst) = ends(ethertype, payload)?;
            let all = outcome == O::DropNotOurAddress && to_group;
            let own = unicast && exceptions.addresses.contains(&dst);
            (all || own).then(|| sender(network, ingress, src))
        }
        O::DropOtherTcp
        | O::DropOtherUdp
        | O::DropOtherProtocol
        | O::DropOtherIcmp
        | O::DropNotOurProbe => {
            let packet = match ethertype {
                ethertype::IPV4 => Packet::parse_v4(payload),
                _ => Packet::parse_v6(payload),
            };
            let Packet { src, payload: segment, .. } = packet.ok()?;
            let wanted = match outcome {
                O::DropOtherTcp => tcp::Header::ref_from_prefix(segment)
                    .is_ok_and(|(header, _)| has_tcp_port(&exceptions.tcp, header)),
                O::DropOtherUdp => has_udp_port(&exceptions.udp, segment),
                _ => true,
            };
            wanted.then(|| sender(network, ingress, src))
        }
        _ => None,
    }
}

/// Source and destination of an IP packet that may be wrong otherwise.
fn ends(ethertype: u16, packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    match ethertype {
        ethertype::IPV4 => {
            let (header, _) = ipv4::Header::ref_from_prefix(packet).ok()?;
            Some((Ipv4Addr::from(header.src).into(), Ipv4Addr::from(header.dst).into()))
        }
        ethertype::IPV6 => {
            let (header, _) = ipv6::Header::ref_from_prefix(packet).ok()?;
            Some((Ipv6Addr::from(header.src).into(), Ipv6Addr::from(header.dst).into()))
        }
        _ => None,
    }
}

fn sender(network: &Network, ingress: InterfaceId, src: IpAddr) -> Sender {
    if network.is_on_link(src, ingress) { Sender::Neighbour } else { Sender::Afar }
}

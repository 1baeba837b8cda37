//! The client's end of the exchange: raw sockets in its namespace.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use otherhalf_lab::Lab;
use otherhalf_wire::icmp::{Kind, Message};
use otherhalf_wire::ip::{self, Packet};
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::trace::{self, RESPONSE_TTL, Refusal, Request, Response, Rtt, Verdict};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, SendFlags, SocketFlags, SocketType, bind, ipproto, sendto, socket_with,
};

use super::packet;

/// No answer takes this long, however busy the machine.
const LIMIT: Duration = Duration::from_secs(5);

/// A requester: one address of the client.
pub(crate) struct Client {
    pub(crate) own: IpAddr,
    pub(crate) responder: IpAddr,
    /// Sends and receives ICMP messages.
    icmp: OwnedFd,
    /// Sends whole packets.
    packets: OwnedFd,
    next_identifier: u16,
}

/// What a response says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Hop(IpAddr, Rtt),
    Refused(Refusal),
}

/// A response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    pub(crate) identifier: u16,
    pub(crate) said: Said,
}

impl Client {
    /// Opens the sockets of the node `client` to ask `responder` from its address `own`.
    #[track_caller]
    pub(crate) fn open(lab: &Lab, own: IpAddr, responder: IpAddr) -> Self {
        let (domain, icmp) = match own {
            IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
            IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
        };
        let open = |protocol| {
            socket_with(domain, SocketType::RAW, SocketFlags::CLOEXEC, Some(protocol)).unwrap()
        };
        let (icmp, packets) = lab.within("client", || (open(icmp), open(ipproto::RAW))).unwrap();
        // The client may have more addresses than this one.
        bind(&icmp, &SocketAddr::new(own, 0)).unwrap();
        Self { own, responder, icmp, packets, next_identifier: 1 }
    }

    /// A request with an identifier that was not used before.
    pub(crate) fn request(&mut self, protocol: u8, ttl: u8, flow: u16) -> Request {
        let identifier = self.next_identifier;
        self.next_identifier += 1;
        Request { identifier, sequence: 0, ttl, protocol, flow }
    }

    /// Sends a request by the socket for ICMP.
    #[track_caller]
    pub(crate) fn send(&self, request: Request) {
        let message = packet::request(request, self.own, self.responder);
        self.send_to(&self.icmp, &message);
    }

    /// Sends a request for a probe towards `target`.
    #[track_caller]
    pub(crate) fn send_towards(&self, request: Request, target: IpAddr) {
        let message = packet::request_towards(request, [self.own, self.responder], target);
        self.send_to(&self.icmp, &message);
    }

    /// Sends a packet as it is, except for an IPv4 header's total length and checksum, which the kernel writes.
    #[track_caller]
    pub(crate) fn send_packet(&self, packet: &[u8]) {
        self.send_to(&self.packets, packet);
    }

    fn send_to(&self, socket: &OwnedFd, bytes: &[u8]) {
        let to = SocketAddr::new(self.responder, 0);
        let sent = sendto(socket, bytes, SendFlags::empty(), &to);
        assert_eq!(sent.unwrap(), bytes.len());
    }

    /// The next response from the responder. Pings and what else is ICMP are not looked at.
    #[track_caller]
    pub(crate) fn receive(&self) -> Heard {
        let heard = self.receive_within(LIMIT);
        heard.unwrap_or_else(|| panic!("{} gave no response within {LIMIT:?}", self.responder))
    }

    /// The next response, if it comes within `limit`.
    #[track_caller]
    pub(crate) fn receive_within(&self, limit: Duration) -> Option<Heard> {
        let deadline = Instant::now() + limit;
        // Replies to long pings come here, too.
        let mut room = [0; 1 << 14];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).unwrap();
            let mut readable = [PollFd::new(&self.icmp, PollFlags::IN)];
            if poll(&mut readable, Some(&left)).unwrap() == 0 {
                return None;
            }
            let len = rustix::io::read(&self.icmp, &mut room).unwrap();
            if let Some(heard) = self.read(&room[..len]) {
                return Some(heard);
            }
        }
    }

    /// The response to the request of `identifier`, sent after `start`, which must tell of an answer
    /// by `hop`, with a time that is possible.
    #[track_caller]
    pub(crate) fn receive_hop(&self, identifier: u16, hop: IpAddr, start: Instant, what: &str) {
        let heard = self.receive();
        let wall = start.elapsed();
        assert_eq!(heard.identifier, identifier, "{what}: {heard:?}");
        let Said::Hop(address, rtt) = heard.said else { panic!("{what}: {heard:?}") };
        assert_eq!(address, hop, "{what}");
        let rtt = Duration::from_nanos(rtt.ns().expect("a known time").into());
        assert!(!rtt.is_zero() && rtt < wall, "{what}: {rtt:?} within {wall:?}");
    }

    /// The response in what the socket gave: in IPv4 a packet, in IPv6 a message.
    #[track_caller]
    fn read(&self, bytes: &[u8]) -> Option<Heard> {
        let family = ip::Family::of(self.own);
        let bytes = match family {
            ip::Family::V4 => {
                let packet = Packet::parse_v4(bytes).unwrap();
                let message = Message::parse(family, packet.payload).unwrap();
                if message.kind != Kind::EchoReply || message.header.code != trace::CODE {
                    return None;
                }
                assert!(packet.upper_layer_sum().verifies(), "the response's checksum");
                assert_eq!((packet.src, packet.dst), (self.responder, self.own));
                // Each router took one off.
                assert!((RESPONSE_TTL - 2..=RESPONSE_TTL).contains(&packet.ttl), "{}", packet.ttl);
                packet.payload
            }
            // The kernel has checked it.
            ip::Family::V6 => bytes,
        };
        let message = Message::parse(family, bytes).unwrap();
        if message.kind != Kind::EchoReply || message.header.code != trace::CODE {
            return None;
        }
        assert_eq!(message.header.sequence.get(), 0);
        let response = Response::parse(&message).unwrap();
        let said = match response.verdict {
            Verdict::Hop { address, rtt } => Said::Hop(address, rtt),
            Verdict::Refused { refusal, text } => {
                assert!(text.is_empty());
                Said::Refused(refusal)
            }
        };
        Some(Heard { identifier: response.identifier, said })
    }

    /// The protocol's number in this client's family.
    pub(crate) fn number(&self, protocol: Protocol) -> u8 {
        protocol.number(ip::Family::of(self.own))
    }
}

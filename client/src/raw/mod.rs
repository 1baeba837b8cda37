//! The real network: raw sockets, which need `CAP_NET_RAW` and nothing else.
//!
//! Whole packets go out by one socket of `IPPROTO_RAW`, the IP header ours. What comes in is read from an ICMP
//! socket and, where TCP probes are sent, from a TCP one that is connected to the target, so that the kernel copies
//! nothing else. A SYN+ACK needs no care: the kernel knows no such connection and resets it.
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod error;
mod route;
mod socket;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use otherhalf_wire::ip::{Family, protocol};
use otherhalf_wire::probe::Protocol;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::network::Network;
use crate::packet::{Codec, MAX_LEN};
use crate::query::{Answer, Query};
use crate::record::Recording;
use crate::secret::Secret;
pub use error::Error;
pub use route::Route;
use socket::{Layer, Received, Receiver, Sender};

/// Longer than any ICMP error (RFC 1812 §4.3.2.3, RFC 4443 §2.4).
const RECEIVE_LEN: usize = 2048;

/// So many packets of a socket are looked at before the caller may look at its deadlines and signals: others may
/// send ICMP faster than we read it.
const READS: usize = 64;

/// Raw sockets towards one target.
#[derive(Debug)]
pub struct RawNetwork {
    codec: Codec,
    sender: Sender,
    receivers: Vec<Receiver>,
    buffer: Box<[u8; RECEIVE_LEN]>,
    /// Where packets to send are written.
    outgoing: Box<[u8]>,
    /// Where packets are kept, if they are.
    recording: Option<Recording>,
    /// Octets that the first link takes.
    mtu: u32,
}

impl RawNetwork {
    /// Opens what is needed to send requests, and probes of `protocols`, to `target` (whose port is ignored).
    pub fn open(target: SocketAddr, protocols: &[Protocol]) -> Result<Self, Error> {
        Self::open_by(target, protocols, &Route::default())
    }

    /// The same, by a route that the user chose.
    pub fn open_by(
        target: SocketAddr,
        protocols: &[Protocol],
        route: &Route,
    ) -> Result<Self, Error> {
        let found = route.find(target)?;
        let family = Family::of(target.ip());
        let mut receivers = vec![Receiver::open(family, Layer::Icmp, route)?];
        if protocols.contains(&Protocol::Tcp) {
            let receiver = Receiver::open(family, Layer::Tcp, route)?;
            receiver.connect(target)?;
            receivers.push(receiver);
        }
        Ok(Self {
            codec: Codec { source: found.source, target: target.ip() },
            sender: Sender::open(target, route)?,
            receivers,
            mtu: found.mtu,
            buffer: Box::new([0; RECEIVE_LEN]),
            outgoing: vec![0; MAX_LEN].into(),
            recording: None,
        })
    }

    /// Keeps from now on each packet that is sent, and each that is received and answers a query of ours or looks like it.
    pub fn record(&mut self) {
        self.recording.get_or_insert_default();
    }

    /// What was kept; `None` unless [`record`](Self::record) was called.
    #[must_use]
    pub const fn recording(&self) -> Option<&Recording> {
        self.recording.as_ref()
    }

    /// Our address, as the kernel chooses it for this target.
    #[must_use]
    pub const fn source(&self) -> IpAddr {
        self.codec.source
    }

    /// The longest packet that the first link takes, in octets.
    #[must_use]
    pub const fn mtu(&self) -> u32 {
        self.mtu
    }

    /// A fresh secret for a trace.
    pub fn secret(&self) -> Result<Secret, Error> {
        Ok(Secret::random()?)
    }

    /// The next answer that is there already, among the first [`READS`] packets of each socket.
    fn read(&mut self) -> Result<Read, Error> {
        // Each time another socket first: a flood at one must not starve the other.
        self.receivers.rotate_left(1);
        let mut read = Read::All;
        for receiver in &self.receivers {
            let mut left = READS;
            loop {
                if left == 0 {
                    read = Read::More;
                    break;
                }
                left -= 1;
                let (from, ttl, packet) = match receiver.read(&mut self.buffer[..])? {
                    Received::Packet { from, ttl, packet } => (from, ttl, packet),
                    Received::Skipped => continue,
                    Received::Nothing => break,
                };
                let answer = match (self.codec.family(), receiver.layer) {
                    // Only IPv4's raw sockets deliver the IP header (ipv6(7)).
                    (Family::V4, _) => self.codec.decode_v4(packet),
                    (Family::V6, Layer::Icmp) => self.codec.decode_icmp(from, ttl, packet),
                    (Family::V6, Layer::Tcp) => self.codec.decode_tcp(from, ttl, packet),
                };
                if let Some(answer) = answer {
                    if let Some(recording) = &mut self.recording {
                        keep(recording, self.codec, receiver.layer, (from, ttl), packet);
                    }
                    return Ok(Read::Answer(answer));
                }
            }
        }
        Ok(read)
    }
}

/// Records a `packet` as a receiver of `layer` delivers it: whom it is from, and its TTL if the kernel told it.
fn keep(
    recording: &mut Recording,
    codec: Codec,
    layer: Layer,
    (from, ttl): (IpAddr, Option<u8>),
    packet: &[u8],
) {
    let now = SystemTime::now();
    let protocol = match (codec.family(), layer) {
        (Family::V4, _) => return recording.add(now, packet),
        (Family::V6, Layer::Icmp) => protocol::ICMPV6,
        (Family::V6, Layer::Tcp) => protocol::TCP,
    };
    recording.add_payload(now, [from, codec.source], protocol, ttl, packet);
}

/// What [`RawNetwork::read`] found.
enum Read {
    Answer(Answer),
    /// No answer, and nothing is left.
    All,
    /// No answer yet, and there may be more.
    More,
}

impl Network for RawNetwork {
    type Error = Error;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn send(&mut self, query: &Query) -> Result<(), Error> {
        let packet = &mut self.outgoing[..];
        let Some(packet) = self.codec.encode(query, packet).and_then(|len| packet.get(..len))
        else {
            return Err(Error::TooShort);
        };
        if let Some(recording) = &mut self.recording {
            recording.add(SystemTime::now(), packet);
        }
        match self.sender.send(packet) {
            // The queue of the interface is full: lost like any packet on the way.
            Ok(()) | Err(Errno::NOBUFS | Errno::AGAIN) => Ok(()),
            Err(errno @ (Errno::NETUNREACH | Errno::HOSTUNREACH)) => {
                Err(Error::Route { target: self.codec.target, source: errno.into() })
            }
            Err(Errno::MSGSIZE) => Err(Error::TooLong {
                size: u16::try_from(packet.len()).unwrap_or(u16::MAX),
                mtu: self.mtu,
                target: self.codec.target,
            }),
            Err(errno) => Err(Error::Send { target: self.codec.target, source: errno.into() }),
        }
    }

    fn receive(&mut self, deadline: Instant) -> Result<Option<(Answer, Instant)>, Error> {
        loop {
            match self.read()? {
                Read::Answer(answer) => return Ok(Some((answer, Instant::now()))),
                Read::More => return Ok(None),
                Read::All => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.wait(left)? {
                return Ok(None);
            }
        }
    }
}

impl RawNetwork {
    /// Waits for a packet; `false` for a signal or the end of `time`.
    fn wait(&self, time: Duration) -> Result<bool, Error> {
        let mut fds: Vec<_> =
            self.receivers.iter().map(|receiver| PollFd::new(receiver, PollFlags::IN)).collect();
        let timeout = Timespec::try_from(time).map_err(io::Error::other)?;
        match poll(&mut fds, Some(&timeout)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use otherhalf_wire::trace::Request;

    use super::*;
    use crate::query::Extras;

    /// A network that hears UDP sockets of the loopback interface, which need no permission, and who speaks to each.
    fn over_udp() -> (RawNetwork, [UdpSocket; 2]) {
        let home = (Ipv4Addr::LOCALHOST, 0);
        let target = SocketAddr::from(home);
        let pair = |layer| {
            let [socket, other] = [(); 2].map(|()| UdpSocket::bind(home).unwrap());
            socket.set_nonblocking(true).unwrap();
            other.connect(socket.local_addr().unwrap()).unwrap();
            (Receiver { socket: socket.into(), layer }, other)
        };
        let (icmp, to_icmp) = pair(Layer::Icmp);
        let (tcp, to_tcp) = pair(Layer::Tcp);
        let network = RawNetwork {
            codec: Codec { source: target.ip(), target: target.ip() },
            sender: Sender { socket: UdpSocket::bind(home).unwrap().into(), target },
            receivers: vec![icmp, tcp],
            buffer: Box::new([0; RECEIVE_LEN]),
            outgoing: vec![0; MAX_LEN].into(),
            recording: None,
            mtu: 65536,
        };
        (network, [to_icmp, to_tcp])
    }

    /// The target's mirror image of a request.
    fn mirror(codec: Codec, identifier: u16) -> Vec<u8> {
        let request = Request { identifier, sequence: 0, ttl: 1, protocol: 17, flow: 33434 };
        let mut packet = [0; 64];
        let query = Query::Request { request, extras: Extras::default() };
        let len = codec.encode(&query, &mut packet).unwrap();
        // An echo reply's type is 0 and not 8, so the sum is less and its complement more (RFC 1624).
        packet[20] = 0;
        let (checksum, carry) =
            u16::from_be_bytes([packet[22], packet[23]]).overflowing_add(8 << 8);
        packet[22..24].copy_from_slice(&(checksum + u16::from(carry)).to_be_bytes());
        packet[..len].to_vec()
    }

    #[test]
    fn a_flood_does_not_keep_the_caller_from_its_deadlines() {
        for flooded in [0, 1] {
            let (mut network, to) = over_udp();
            for _ in 0..READS + 10 {
                to[flooded].send(b"none of ours").unwrap();
            }
            let far = Instant::now() + Duration::from_secs(5);
            assert_eq!(network.receive(far).unwrap(), None);
            let mut left = 0;
            let mut buffer = [0; RECEIVE_LEN];
            for receiver in &network.receivers {
                while receiver.read(&mut buffer).unwrap() != Received::Nothing {
                    left += 1;
                }
            }
            assert_eq!(left, 10);
            assert!(Instant::now() < far);
        }
    }

    #[test]
    fn a_flood_of_answers_at_one_socket_does_not_starve_the_other() {
        for flooded in [0, 1] {
            let (mut network, to) = over_udp();
            for _ in 0..10 {
                to[flooded].send(&mirror(network.codec, 1)).unwrap();
            }
            to[1 - flooded].send(&mirror(network.codec, 2)).unwrap();
            let far = Instant::now() + Duration::from_secs(5);
            let mut identifiers = [(); 2].map(|()| match network.receive(far).unwrap() {
                Some((Answer::Mirrored { identifier, .. }, _)) => identifier,
                _ => 0,
            });
            identifiers.sort_unstable();
            assert_eq!(identifiers, [1, 2]);
        }
    }

    #[test]
    fn packets_are_kept_when_asked_for_and_only_ours() {
        let (mut network, to) = over_udp();
        let answer = mirror(network.codec, 1);
        let far = Instant::now() + Duration::from_secs(5);
        to[0].send(&answer).unwrap();
        assert!(network.receive(far).unwrap().is_some());
        assert_eq!(network.recording(), None);
        network.record();
        to[0].send(b"none of ours").unwrap();
        to[0].send(&answer).unwrap();
        assert!(network.receive(far).unwrap().is_some());
        let kept: Vec<_> =
            network.recording().unwrap().packets().iter().map(|packet| &packet.octets).collect();
        assert_eq!(kept, [&answer]);
    }

    #[test]
    fn a_kept_answer_has_the_hop_limit_that_it_came_with() {
        let [source, target] = ["2001:db8::1", "2001:db8::2"].map(|end| end.parse().unwrap());
        let codec = Codec { source, target };
        for layer in [Layer::Icmp, Layer::Tcp] {
            let mut recording = Recording::default();
            keep(&mut recording, codec, layer, (target, Some(61)), b"message");
            let packet = otherhalf_wire::ip::Packet::parse_v6(&recording.packets()[0].octets);
            assert_eq!(packet.unwrap().ttl, 61);
        }
    }
}

//! The real network: raw sockets, which need `CAP_NET_RAW` and nothing else.
//!
//! Whole packets go out by one socket of `IPPROTO_RAW`, the IP header ours. What comes in is read from an ICMP
//! socket and, where TCP probes are sent, from a TCP one that is connected to the target, so that the kernel copies
//! nothing else. A SYN+ACK needs no care: the kernel knows no such connection and resets it.
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod socket;

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
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
use socket::{Layer, Received, Receiver, Sender};

/// Longer than any ICMP error (RFC 1812 §4.3.2.3, RFC 4443 §2.4).
const RECEIVE_LEN: usize = 2048;

/// So many packets of a socket are looked at before the caller may look at its deadlines and signals: others may
/// send ICMP faster than we read it.
const READS: usize = 64;

/// Why raw sockets failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process lacks `CAP_NET_RAW`.
    #[error(
        "no permission for raw sockets. Grant it once with: sudo setcap cap_net_raw+ep $(command -v otherhalf)"
    )]
    Permission,
    /// The system knows no way to the target.
    #[error("this machine has no route to {target}: {source}")]
    Route {
        /// Where to.
        target: IpAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A socket could not be made or read.
    #[error("raw sockets fail: {0}")]
    Socket(#[from] io::Error),
    /// A packet could not be sent.
    #[error("sending to {target} fails: {source}")]
    Send {
        /// Where to.
        target: IpAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system has no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

impl Error {
    /// Whether the process lacks a permission.
    #[must_use]
    pub const fn is_permission(&self) -> bool {
        matches!(self, Self::Permission)
    }
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::PERM | Errno::ACCESS => Self::Permission,
            errno => Self::Socket(errno.into()),
        }
    }
}

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
}

impl RawNetwork {
    /// Opens what is needed to send requests, and probes of `protocols`, to `target` (whose port is ignored).
    pub fn open(target: SocketAddr, protocols: &[Protocol]) -> Result<Self, Error> {
        let source = source_for(target)?;
        let family = Family::of(target.ip());
        let mut receivers = vec![Receiver::open(family, Layer::Icmp)?];
        if protocols.contains(&Protocol::Tcp) {
            let receiver = Receiver::open(family, Layer::Tcp)?;
            receiver.connect(target)?;
            receivers.push(receiver);
        }
        Ok(Self {
            codec: Codec { source, target: target.ip() },
            sender: Sender::open(target)?,
            receivers,
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
                let (from, packet) = match receiver.read(&mut self.buffer[..])? {
                    Received::Packet(from, packet) => (from, packet),
                    Received::Skipped => continue,
                    Received::Nothing => break,
                };
                let answer = match (self.codec.family(), receiver.layer) {
                    // Only IPv4's raw sockets deliver the IP header (ipv6(7)).
                    (Family::V4, _) => self.codec.decode_v4(packet),
                    (Family::V6, Layer::Icmp) => self.codec.decode_icmp(from, None, packet),
                    (Family::V6, Layer::Tcp) => self.codec.decode_tcp(from, None, packet),
                };
                if let Some(answer) = answer {
                    if let Some(recording) = &mut self.recording {
                        keep(recording, self.codec, receiver.layer, from, packet);
                    }
                    return Ok(Read::Answer(answer));
                }
            }
        }
        Ok(read)
    }
}

/// Records a `packet` from `from` as a receiver of `layer` delivers it.
fn keep(recording: &mut Recording, codec: Codec, layer: Layer, from: IpAddr, packet: &[u8]) {
    let now = SystemTime::now();
    let protocol = match (codec.family(), layer) {
        (Family::V4, _) => return recording.add(now, packet),
        (Family::V6, Layer::Icmp) => protocol::ICMPV6,
        (Family::V6, Layer::Tcp) => protocol::TCP,
    };
    recording.add_payload(now, [from, codec.source], protocol, None, packet);
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
            // Nothing fails to fit, and both ends are of one family: see `open`.
            return Ok(());
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

/// The address that the kernel would send from; connecting a UDP socket sends nothing.
fn source_for(target: SocketAddr) -> Result<IpAddr, Error> {
    let any: SocketAddr = match target {
        SocketAddr::V4(_) => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let mut port = target;
    port.set_port(SOME_PORT);
    UdpSocket::bind(any)
        .and_then(|socket| {
            socket.connect(port)?;
            socket.local_addr()
        })
        .map(|local| local.ip())
        .map_err(|source| Error::Route { target: target.ip(), source })
}

/// Any but 0, which some systems refuse.
const SOME_PORT: u16 = 33434;

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]
mod tests {
    use std::net::Ipv4Addr;

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
}

//! The sockets themselves.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use otherhalf_wire::ip::Family;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, connect, ipproto,
    recvfrom, sendto, socket_with, sockopt,
};

/// Room for the answers of some thousand probes, should we be away for a moment.
const RECEIVE_BUFFER: usize = 1 << 20;

fn raw(family: Family, protocol: Protocol) -> Result<OwnedFd, Errno> {
    let family = match family {
        Family::V4 => AddressFamily::INET,
        Family::V6 => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(family, SocketType::RAW, flags, Some(protocol))
}

/// Sends whole packets to one target.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) socket: OwnedFd,
    pub(super) target: SocketAddr,
}

impl Sender {
    pub(super) fn open(mut target: SocketAddr) -> Result<Self, Errno> {
        // IPv6 takes the port for a protocol number (raw6(4)).
        target.set_port(0);
        let socket = raw(Family::of(target.ip()), ipproto::RAW)?;
        Ok(Self { socket, target })
    }

    pub(super) fn send(&self, packet: &[u8]) -> Result<(), Errno> {
        sendto(&self.socket, packet, SendFlags::empty(), &self.target).map(|_| ())
    }
}

/// What a receiver hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    Icmp,
    Tcp,
}

/// Receives what comes for one protocol.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) socket: OwnedFd,
    pub(super) layer: Layer,
}

impl Receiver {
    pub(super) fn open(family: Family, layer: Layer) -> Result<Self, Errno> {
        let protocol = match (layer, family) {
            (Layer::Icmp, Family::V4) => ipproto::ICMP,
            (Layer::Icmp, Family::V6) => ipproto::ICMPV6,
            (Layer::Tcp, _) => ipproto::TCP,
        };
        let socket = raw(family, protocol)?;
        // The kernel may grant less; answers that then get lost are lost like any other.
        let _ = sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER);
        Ok(Self { socket, layer })
    }

    /// Hears `target` alone from now on.
    pub(super) fn connect(&self, mut target: SocketAddr) -> Result<(), Errno> {
        target.set_port(0);
        connect(&self.socket, &target)
    }

    /// What is there already.
    pub(super) fn read<'a>(&self, buffer: &'a mut [u8]) -> Result<Received<'a>, Errno> {
        match recvfrom(&self.socket, &mut *buffer, RecvFlags::empty()) {
            Ok((len, _, from)) => {
                let from = from.and_then(|from| SocketAddr::try_from(from).ok());
                let packet = buffer.get(..len).unwrap_or_default();
                Ok(from.map_or(Received::Skipped, |from| Received::Packet(from.ip(), packet)))
            }
            Err(Errno::AGAIN) => Ok(Received::Nothing),
            // What an ICMP error says about the connected target; the ICMP socket hears the error itself.
            Err(
                Errno::INTR
                | Errno::CONNREFUSED
                | Errno::HOSTUNREACH
                | Errno::NETUNREACH
                | Errno::PROTO
                | Errno::NOPROTOOPT
                | Errno::ACCESS
                | Errno::MSGSIZE,
            ) => Ok(Received::Skipped),
            Err(errno) => Err(errno),
        }
    }
}

/// What one look at a receiver finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received<'a> {
    /// A packet, and who sent it.
    Packet(IpAddr, &'a [u8]),
    /// Nothing of use, but there may be more.
    Skipped,
    /// Nothing is there.
    Nothing,
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

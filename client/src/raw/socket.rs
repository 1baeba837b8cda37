//! The sockets themselves.

use std::ffi::OsString;
use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::sockopt::{BindToDevice, Ipv6RecvHopLimit};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrLike, SockaddrStorage, recvmsg, setsockopt,
};
use otherhalf_wire::ip::Family;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Protocol, SendFlags, SocketFlags, SocketType, bind, connect, ipproto, sendto,
    socket_with, sockopt,
};

use super::Route;

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
    pub(super) fn open(mut target: SocketAddr, route: &Route) -> Result<Self, Errno> {
        // IPv6 takes the port for a protocol number (raw6(4)).
        target.set_port(0);
        let socket = raw(Family::of(target.ip()), ipproto::RAW)?;
        route.choose(&socket)?;
        // What the kernel remembers of the path must not keep probes back that are to find that out (ip(7)).
        match target {
            SocketAddr::V4(_) => {
                sockopt::set_ip_mtu_discover(&socket, sockopt::Ipv4PathMtuDiscovery::PROBE)?;
            }
            SocketAddr::V6(_) => {
                sockopt::set_ipv6_mtu_discover(&socket, sockopt::Ipv6PathMtuDiscovery::PROBE)?;
            }
        }
        if let Some(source) = route.source {
            // The address is in the packet: this is for routes that go by it.
            bind(&socket, &SocketAddr::new(source, 0))?;
        }
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
    pub(super) fn open(family: Family, layer: Layer, route: &Route) -> Result<Self, Errno> {
        let protocol = match (layer, family) {
            (Layer::Icmp, Family::V4) => ipproto::ICMP,
            (Layer::Icmp, Family::V6) => ipproto::ICMPV6,
            (Layer::Tcp, _) => ipproto::TCP,
        };
        let socket = raw(family, protocol)?;
        // The kernel may grant less; answers that then get lost are lost like any other.
        let _ = sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER);
        route.choose(&socket)?;
        if family == Family::V6 {
            // IPv4's has the whole header before it.
            setsockopt(&socket, Ipv6RecvHopLimit, &true).map_err(errno)?;
        }
        Ok(Self { socket, layer })
    }

    /// Hears `target` alone from now on.
    pub(super) fn connect(&self, mut target: SocketAddr) -> Result<(), Errno> {
        target.set_port(0);
        connect(&self.socket, &target)
    }

    /// What is there already.
    pub(super) fn read<'a>(&self, buffer: &'a mut [u8]) -> Result<Received<'a>, Errno> {
        let mut space = nix::cmsg_space!(i32);
        let read = {
            let mut place = [IoSliceMut::new(&mut *buffer)];
            let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::empty());
            recvmsg::<SockaddrStorage>(fd, &mut place, Some(&mut space), flags)
                .map(|message| (message.bytes, message.address.and_then(ip), hop_limit(&message)))
        };
        match read.map_err(errno) {
            Ok((len, from, ttl)) => {
                let packet = buffer.get(..len).unwrap_or_default();
                Ok(from.map_or(Received::Skipped, |from| Received::Packet { from, ttl, packet }))
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

impl Route {
    /// Has `socket` send and hear by the interface alone that was asked for.
    pub(super) fn choose(&self, socket: &impl AsFd) -> Result<(), Errno> {
        let Some(interface) = &self.interface else { return Ok(()) };
        setsockopt(socket, BindToDevice, &OsString::from(interface)).map_err(errno)
    }
}

fn errno(errno: nix::errno::Errno) -> Errno {
    Errno::from_raw_os_error(errno as i32)
}

pub(super) fn ip(address: SockaddrStorage) -> Option<IpAddr> {
    let v4 = || Some(IpAddr::V4(address.as_sockaddr_in()?.ip()));
    let v6 = || Some(IpAddr::V6(address.as_sockaddr_in6()?.ip()));
    v4().or_else(v6)
}

fn hop_limit<S: SockaddrLike>(message: &nix::sys::socket::RecvMsg<'_, '_, S>) -> Option<u8> {
    message.cmsgs().ok()?.find_map(|said| match said {
        ControlMessageOwned::Ipv6HopLimit(limit) => u8::try_from(limit).ok(),
        _ => None,
    })
}

/// What one look at a receiver finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received<'a> {
    /// A packet.
    Packet {
        /// Who sent it.
        from: IpAddr,
        /// The hop limit with which it came; not in IPv4, which has it in the packet.
        ttl: Option<u8>,
        /// The packet, in IPv6 without its header.
        packet: &'a [u8],
    },
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

//! How packets leave this machine.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use otherhalf_wire::ip::Family;
use rustix::io::Errno;
use rustix::net::sockopt;

use super::Error;
use super::socket::ip;

/// Any but 0, which some systems refuse.
const SOME_PORT: u16 = 33434;

/// How packets shall leave this machine, as far as the user has a wish; else the kernel chooses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Route {
    /// From this address of ours.
    pub source: Option<IpAddr>,
    /// By this interface, and answers count only if they come by it.
    pub interface: Option<String>,
}

/// How they will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// From where.
    pub(super) source: IpAddr,
    /// Octets that the first link takes.
    pub(super) mtu: u32,
}

impl Route {
    /// What the kernel would do. Connecting a UDP socket sends nothing.
    pub(super) fn find(&self, target: SocketAddr) -> Result<Found, Error> {
        let to = target.ip();
        let family = Family::of(to);
        let any: IpAddr = match family {
            Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
        };
        let from = self.source.unwrap_or(any);
        if Family::of(from) != family {
            return Err(Error::Families { from, target: to });
        }
        let no_route = |source| Error::Route { target: to, source };
        let socket = UdpSocket::bind((from, 0)).map_err(|source| match source.kind() {
            ErrorKind::AddrNotAvailable => Error::NotOurs(from),
            _ => no_route(source),
        })?;
        self.choose(&socket).map_err(|errno| self.no_interface(errno))?;
        let mut port = target;
        port.set_port(SOME_PORT);
        socket.connect(port).map_err(|source| match source.kind() {
            ErrorKind::PermissionDenied if is_broadcast(&socket, port) => Error::Broadcast(to),
            _ => no_route(source),
        })?;
        let mtu = match family {
            Family::V4 => sockopt::ip_mtu(&socket),
            Family::V6 => sockopt::ipv6_mtu(&socket),
        };
        let source = socket.local_addr().map_err(no_route)?.ip();
        // The kernel says what the path takes as far as it remembers; the link itself may take more.
        let mtu = mtu?;
        let mtu = self.link_mtu(source).map_or(mtu, |link| link.max(mtu));
        Ok(Found { source, mtu })
    }

    /// What the first link takes: that of the interface that was chosen, or the least of those that have the address `source`.
    fn link_mtu(&self, source: IpAddr) -> Option<u32> {
        let has_source = |interface: &InterfaceAddress| {
            interface.address.and_then(ip).is_some_and(|address| address == source)
        };
        let names: Vec<String> = match &self.interface {
            Some(name) => vec![name.clone()],
            None => {
                getifaddrs().ok()?.filter(has_source).map(|found| found.interface_name).collect()
            }
        };
        let mtu = |name: &String| {
            std::fs::read_to_string(format!("/sys/class/net/{name}/mtu")).ok()?.trim().parse().ok()
        };
        names.iter().filter_map(mtu).min()
    }

    fn no_interface(&self, errno: Errno) -> Error {
        match (errno, &self.interface) {
            (Errno::NODEV | Errno::INVAL, Some(name)) => Error::NoInterface(name.clone()),
            (errno, _) => errno.into(),
        }
    }
}

/// Whether `target` can be connected to, but only by those who know that it is a broadcast address.
fn is_broadcast(socket: &UdpSocket, target: SocketAddr) -> bool {
    socket.set_broadcast(true).is_ok() && socket.connect(target).is_ok()
}

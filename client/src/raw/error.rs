//! Why raw sockets fail.

use std::io;
use std::net::IpAddr;

use rustix::io::Errno;

use crate::printable;

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
    /// The target is all hosts of a link.
    #[error("{0} is the broadcast address of a network of ours: a trace goes to one host")]
    Broadcast(IpAddr),
    /// Packets would have to come from an address that this machine does not have.
    #[error("{0} is no address of this machine: ip address shows those that are")]
    NotOurs(IpAddr),
    /// Packets would have to come from an address of the other family.
    #[error("{from} cannot send to {target}: one is an IPv4 address, the other an IPv6 one")]
    Families {
        /// From where.
        from: IpAddr,
        /// Where to.
        target: IpAddr,
    },
    /// There is no such interface.
    #[error("there is no interface {name}: ip link shows those that are", name = printable(.0))]
    NoInterface(String),
    /// A packet is longer than the first link takes.
    #[error("packets of {size} octets are too long: the first link to {target} takes {mtu}")]
    TooLong {
        /// How long.
        size: u16,
        /// What the link takes.
        mtu: u32,
        /// Where to.
        target: IpAddr,
    },
    /// A packet is too short for what is in it.
    #[error("a query does not fit in its packet")]
    TooShort,
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

    /// Whether it is the user who asked for something that cannot be.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::Broadcast(_)
            | Self::NotOurs(_)
            | Self::Families { .. }
            | Self::NoInterface(_)
            | Self::TooLong { .. }
            | Self::TooShort => true,
            Self::Permission
            | Self::Route { .. }
            | Self::Socket(_)
            | Self::Send { .. }
            | Self::Random(_) => false,
        }
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

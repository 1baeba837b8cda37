//! What goes out and what comes back, free of packet formats.

use std::net::IpAddr;

use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::{Identity, Probe};
use otherhalf_wire::trace::{Refusal, Request, Rtt};

use crate::details::Details;
use crate::ttl::Ttl;

/// Something to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    /// A probe of ours towards the target.
    Probe {
        /// How far it goes.
        ttl: Ttl,
        /// What it is.
        probe: Probe,
        /// The packet around it.
        shape: Shape,
        /// Where it goes instead, to another host of the target's network.
        instead: Option<IpAddr>,
    },
    /// The request that the target send a probe.
    Request {
        /// What it asks.
        request: Request,
        /// What goes with it.
        extras: Extras,
    },
}

/// The packet around a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shape {
    /// Octets of the whole packet, headers included; `None`: no more than a probe needs.
    pub size: Option<u16>,
    /// Type of service or traffic class.
    pub traffic_class: u8,
    /// No router may fragment it (in IPv6 none ever does).
    pub dont_fragment: bool,
}

/// What goes with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extras {
    /// Type of service or traffic class of the request's packet.
    pub traffic_class: u8,
    /// Towards whom the probe is to be sent; `None`: towards us (PROTOCOL §5).
    pub indirect: Option<IpAddr>,
    /// Octets that the request is longer than it need be, at least: what a responder demands against amplification.
    pub padding: u16,
}

/// An answer to a query, as far as the packet alone tells: whether we asked is for the asker to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To a probe of ours.
    Probe {
        /// Which one.
        identity: Identity,
        /// Who answered.
        from: IpAddr,
        /// What.
        reply: Reply,
        /// What else it tells.
        details: Details,
    },
    /// To a request, from the target: the probe that it sent was answered.
    Result {
        /// The request's.
        identifier: u16,
        /// Who answered the target's probe.
        from: IpAddr,
        /// How long the target waited for that.
        rtt: Rtt,
    },
    /// To a request, from the target: it sends no probe.
    Refused {
        /// The request's.
        identifier: u16,
        /// Why.
        refusal: Refusal,
        /// In the target's own words, mostly none. Not to be trusted: see [`crate::printable`].
        text: String,
    },
    /// A plain echo reply to a request: the target mirrors what it was sent, so it speaks ping alone.
    Mirrored {
        /// The request's.
        identifier: u16,
        /// The request's last four octets, back again.
        echoed: [u8; 4],
    },
    /// An ICMP error about a request: it did not arrive.
    Undelivered {
        /// The request's.
        identifier: u16,
        /// Who says so.
        from: IpAddr,
        /// What.
        reply: Reply,
    },
}

/// What came back for a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reply {
    /// Its TTL ran out.
    TimeExceeded,
    /// It could not be delivered.
    Unreachable(Unreachable),
    /// It must not be fragmented, and the next link takes no packets of its size (RFC 1191, RFC 8201).
    TooBig {
        /// The largest that the link takes, in octets; old routers do not say (RFC 1191 §5).
        mtu: Option<u32>,
    },
    /// The target itself answered: echo reply, RST or SYN+ACK.
    Direct,
}

/// Why a packet could not be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Unreachable {
    /// Which list the code is from.
    pub family: Family,
    /// The code of the ICMP message.
    pub code: u8,
}

impl Unreachable {
    /// Whether the packet came as far as its destination, which has no use for it.
    #[must_use]
    pub const fn is_at_destination(self) -> bool {
        matches!((self.family, self.code), (Family::V4, 2 | 3) | (Family::V6, 4))
    }

    /// traceroute's annotation: `!N`, `!H`, `!X` and so on; empty for a port unreachable, the usual end of a path.
    #[must_use]
    pub fn annotation(self) -> String {
        let known = match (self.family, self.code) {
            (Family::V4, 3) | (Family::V6, 4) => return String::new(),
            (Family::V4 | Family::V6, 0) => 'N',
            (Family::V4, 1) | (Family::V6, 3) => 'H',
            (Family::V4, 2) => 'P',
            (Family::V4, 4) => 'F',
            (Family::V4, 5) | (Family::V6, 2) => 'S',
            (Family::V4, 6) => 'U',
            (Family::V4, 7) => 'W',
            (Family::V4, 8) => 'I',
            (Family::V4, 9) => 'A',
            (Family::V4, 10) => 'Z',
            (Family::V4, 11) => 'Q',
            (Family::V4, 12) => 'T',
            (Family::V4, 13) | (Family::V6, 1 | 5 | 6) => 'X',
            (Family::V4, 14) => 'V',
            (Family::V4, 15) => 'C',
            (_, other) => return format!("!<{other}>"),
        };
        format!("!{known}")
    }
}

impl std::fmt::Display for Unreachable {
    /// What the code means (RFC 792, RFC 1812 §5.2.7.1, RFC 4443 §3.1).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let meaning = match (self.family, self.code) {
            (Family::V4, 0 | 6) => "network unreachable",
            (Family::V6, 0) => "no route to it",
            (Family::V4, 1 | 7) => "host unreachable",
            (Family::V6, 3) => "address unreachable",
            (Family::V4, 2) => "protocol unreachable",
            (Family::V4, 3) | (Family::V6, 4) => "port unreachable",
            (Family::V4, 4) => "fragmentation needed",
            (Family::V4, 5) => "source route failed",
            (Family::V6, 2) => "beyond the scope of our address",
            (Family::V4, 8) => "our host is isolated",
            (Family::V4, 9 | 10 | 13) | (Family::V6, 1) => "administratively prohibited",
            (Family::V4, 11 | 12) => "unreachable for this type of service",
            (Family::V4, 14 | 15) => "refused for its precedence",
            (Family::V6, 5) => "our address failed the ingress or egress policy",
            (Family::V6, 6) => "the route to it rejects packets",
            (_, code) => return write!(f, "unreachable, code {code}"),
        };
        f.write_str(meaning)
    }
}

impl Reply {
    /// traceroute's annotation: that of [`Unreachable::annotation`], `!F-1400` for a link that takes 1400 octets; mostly empty.
    #[must_use]
    pub fn annotation(self) -> String {
        match self {
            Self::TimeExceeded | Self::Direct => String::new(),
            Self::Unreachable(reason) => reason.annotation(),
            Self::TooBig { mtu: Some(mtu) } => format!("!F-{mtu}"),
            Self::TooBig { mtu: None } => "!F".to_owned(),
        }
    }
}

impl std::fmt::Display for Reply {
    /// What it means.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TimeExceeded => f.write_str("TTL exceeded"),
            Self::Direct => f.write_str("answered"),
            Self::Unreachable(reason) => reason.fmt(f),
            Self::TooBig { mtu: Some(mtu) } => {
                write!(f, "packet too big, the next link takes {mtu} octets")
            }
            Self::TooBig { mtu: None } => f.write_str("packet too big for the next link"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations() {
        let v4: Vec<_> =
            (0..=16).map(|code| Unreachable { family: Family::V4, code }.annotation()).collect();
        assert_eq!(v4.join(" "), "!N !H !P  !F !S !U !W !I !A !Z !Q !T !X !V !C !<16>");
        let v6: Vec<_> =
            (0..=7).map(|code| Unreachable { family: Family::V6, code }.annotation()).collect();
        assert_eq!(v6.join(" "), "!N !X !S !H  !X !X !<7>");
    }
}

//! Frames that reach a responder: requests of a million clients, and routers' answers to its probes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use anyhow::Context;
use otherhalf_engine::frame::LEAST_ROOM;
use otherhalf_engine::probe_hash;
use otherhalf_pending::{Settings, Table};
use otherhalf_wire::checksum::Sum;
use otherhalf_wire::ethernet::{Link, Mac, ethertype};
use otherhalf_wire::icmp::Kind;
use otherhalf_wire::ip::{Family, Fields, pseudo_header};
use otherhalf_wire::probe::{Cookie, Probe, Protocol, SOURCE_PORT};
use otherhalf_wire::trace::Request;

/// Frames of a burst.
pub const BURST: usize = 32;
/// An mbuf's buffer behind its headroom.
const ROOM: usize = 2048;
const _: () = assert!(ROOM >= LEAST_ROOM);
/// Octets of a probe that a router must quote after its IP header (RFC 792).
const QUOTED: usize = 8;
/// The length of a quoted probe of UDP or ICMP, after its IP header.
const PROBE_LEN: usize = Protocol::Udp.probe_len();
/// The TTL that requests ask for.
const TTL: u8 = 5;

/// The responder's hardware address.
pub const OWN_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
/// Its router's.
pub const ROUTER_MAC: Mac = Mac([2, 0, 0, 0, 0, 2]);
/// The responder's addresses.
pub const OWN_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// As [`OWN_V4`].
pub const OWN_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
/// The /6 of IPv4 that clients are in.
pub(crate) const CLIENTS_V4: u32 = 0x1000_0000;
/// What no scattered client has in his address of IPv4.
pub(crate) const NEVER_V4: u32 = 0x10;
/// The first /48 of IPv6 that clients are in, each in a /64 that ends with 0.
pub(crate) const CLIENTS_V6: u64 = 0x2c00_0000_0000;
/// Octets of the headers of an IPv6 frame.
const HEADERS: usize = 14 + 40;

/// The secret of responders' tables: none here, so that runs are alike, and routers' answers can be made up.
pub const SECRET: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];

/// A table that nothing is put into: it knows what keyed bits a probe has.
static ORACLE: LazyLock<Table> = LazyLock::new(|| {
    Table::new(Settings { entries: 64, timeout_ticks: 1, secret: SECRET })
        .expect("64 entries are a table")
});

/// What frames are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Over which protocol of the internet layer.
    pub family: Family,
    /// What the probes are.
    pub protocol: Protocol,
    /// Who asks.
    pub clients: Clients,
}

/// Who asks. The addresses matter to policy alone; to all else, each is as good as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// 2^26 addresses in random order: of IPv4 in a /6, of IPv6 in one /48.
    Many,
    /// 10 000 addresses by turns, in almost as many /24 or /48.
    Few,
    /// 2^25 addresses in random order, in 2^18 /24 or /48.
    Scattered,
}

/// [`Clients::Few`]: as a public responder may have in the few seconds that a cache remembers.
const FEW: u64 = 10_000;

/// Buffers as a driver's memory pool has them, and the lengths of the frames in them.
#[derive(Debug)]
pub struct Rooms {
    rooms: Vec<Room>,
    /// Octets of each frame.
    pub lens: [usize; BURST],
}

#[derive(Debug, Clone)]
#[repr(align(64))]
struct Room {
    octets: [u8; ROOM],
    /// As DPDK spaces its buffers: at a power of two, all frames would want the same few sets of the cache.
    _apart: [u8; 64],
}

impl Default for Rooms {
    fn default() -> Self {
        Self { rooms: vec![Room { octets: [0; ROOM], _apart: [0; 64] }; BURST], lens: [0; BURST] }
    }
}

impl Rooms {
    /// All buffers with the lengths of their frames.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&mut [u8], &mut usize)> {
        self.rooms.iter_mut().map(|room| &mut room.octets[..]).zip(&mut self.lens)
    }

    /// Makes the frames those of `other`.
    pub fn copy_from(&mut self, other: &Self) {
        for ((room, len), frame) in self.iter_mut().zip(other.frames()) {
            *len = frame.len();
            if let Some(place) = room.get_mut(..frame.len()) {
                place.copy_from_slice(frame);
            }
        }
    }

    /// The frames.
    pub fn frames(&self) -> impl Iterator<Item = &[u8]> {
        self.rooms.iter().zip(&self.lens).map(|(room, len)| &room.octets[..*len])
    }
}

impl Traffic {
    /// Of [many](Clients::Many) clients.
    #[must_use]
    pub const fn new(family: Family, protocol: Protocol) -> Self {
        Self { family, protocol, clients: Clients::Many }
    }

    /// Fills `rooms` with requests of the clients `first` and following.
    ///
    /// # Errors
    /// None that the rooms' size allows.
    pub fn requests(self, first: u64, rooms: &mut Rooms) -> anyhow::Result<()> {
        for (client, (room, len)) in (first..).zip(rooms.iter_mut()) {
            *len = self.request(client, room).context("a request does not fit its room")?;
        }
        Ok(())
    }

    /// Fills `rooms` with answers to the probes towards the clients `first` and following.
    ///
    /// # Errors
    /// None that the rooms' size allows.
    pub fn answers(self, first: u64, rooms: &mut Rooms) -> anyhow::Result<()> {
        for (client, (room, len)) in (first..).zip(rooms.iter_mut()) {
            *len = self.answer(client, room).context("an answer does not fit its room")?;
        }
        Ok(())
    }

    pub(crate) fn request(self, client: u64, room: &mut [u8]) -> Option<usize> {
        let (own, requester) = (self.own(), self.client(client));
        let request = Request {
            identifier: identifier(client),
            sequence: 0,
            ttl: TTL,
            protocol: self.protocol.number(self.family),
            flow: self.protocol.default_flow(),
        };
        let mut message = [0; 12];
        request.emit(requester, own, &[], &mut message)?;
        self.framed(requester, &message, room)
    }

    /// The answer of a router to the probe towards `client`.
    pub(crate) fn answer(self, client: u64, room: &mut [u8]) -> Option<usize> {
        let cookie = self.cookie(client)?;
        let (own, target) = (self.own(), self.client(client));
        let probe = Probe {
            protocol: self.protocol,
            source_port: SOURCE_PORT,
            flow: self.protocol.default_flow(),
            identifier: identifier(client),
            cookie,
        };
        let fields = Fields {
            src: own,
            dst: target,
            ttl: 1,
            traffic_class: 0,
            flow_label: 0,
            identification: Some(cookie.identification()),
            protocol: self.protocol.number(self.family),
        };
        let header_len = self.family.header_len();
        let mut message = [0; 8 + 40 + Protocol::Tcp.probe_len()];
        let quote = message.get_mut(8..)?;
        probe.emit(own, target, fields.emit(PROBE_LEN, quote)?)?;
        let message = message.get_mut(..8 + header_len + QUOTED)?;
        message[0] = Kind::TimeExceeded.number(self.family);
        let hop = self.hop(client);
        let number = self.family.icmp();
        let sum = match self.family {
            Family::V4 => Sum::ZERO,
            Family::V6 => pseudo_header(hop, own, number, u16::try_from(message.len()).ok()?),
        };
        let checksum = sum.bytes(message).checksum();
        message.get_mut(2..4)?.copy_from_slice(&checksum.to_be_bytes());
        self.framed(hop, message, room)
    }

    /// The keyed bits of the probe towards `client`, from a responder whose table has [`SECRET`].
    pub(crate) fn cookie(self, client: u64) -> Option<Cookie> {
        let ends = [self.own(), self.client(client)];
        let flow = self.protocol.default_flow();
        let hash = probe_hash(&ORACLE, ends, self.protocol, flow, identifier(client))?;
        Some(Cookie(hash.cookie()))
    }

    /// `message` of ICMP from `src` to the responder, as a frame.
    fn framed(self, src: IpAddr, message: &[u8], room: &mut [u8]) -> Option<usize> {
        let ethertype = match self.family {
            Family::V4 => ethertype::IPV4,
            Family::V6 => ethertype::IPV6,
        };
        let link = Link { dst: OWN_MAC, src: ROUTER_MAC, vlan: None, ethertype };
        let fields = Fields {
            src,
            dst: self.own(),
            ttl: 57,
            traffic_class: 0,
            flow_label: 0x12345,
            identification: Some(1),
            protocol: self.family.icmp(),
        };
        let rest = fields.emit(message.len(), link.emit(room)?)?;
        rest.get_mut(..message.len())?.copy_from_slice(message);
        let len =
            room.len().min(HEADERS.wrapping_sub(40) + self.family.header_len()) + message.len();
        // The least frame of Ethernet, without its checksum.
        Some(len.max(60))
    }

    const fn own(self) -> IpAddr {
        match self.family {
            Family::V4 => IpAddr::V4(OWN_V4),
            Family::V6 => IpAddr::V6(OWN_V6),
        }
    }

    /// A client's address.
    fn client(self, client: u64) -> IpAddr {
        let client = if self.clients == Clients::Few { client % FEW } else { client };
        let spread = client.wrapping_mul(0x9e37_79b1) & 0x03ff_ffff;
        match (self.family, self.clients) {
            (Family::V4, clients) => {
                let never = if clients == Clients::Scattered { NEVER_V4 } else { 0 };
                let spread = u32::try_from(spread).unwrap_or(0) & !never;
                Ipv4Addr::from_bits(CLIENTS_V4 | spread).into()
            }
            (Family::V6, Clients::Many) => {
                // As those of the Internet: a documentation address would be looked at twice by policy.
                Ipv6Addr::from_bits(u128::from(CLIENTS_V6) << 80 | u128::from(spread) << 20 | 9)
                    .into()
            }
            (Family::V6, Clients::Few | Clients::Scattered) => {
                let net = u128::from(CLIENTS_V6) << 80 | u128::from(spread >> 8) << 80;
                Ipv6Addr::from_bits(net | u128::from(spread & 0xff) << 20 | 9).into()
            }
        }
    }

    /// A router on the way to a client.
    fn hop(self, client: u64) -> IpAddr {
        let number = u8::try_from(client & 0x7f).unwrap_or(0) + 1;
        match self.family {
            Family::V4 => Ipv4Addr::new(100, 64, 3, number).into(),
            Family::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0x64, 0, 0, 0, 3, number.into()).into(),
        }
    }
}

/// A client's identifier: never 0, which UDP forbids.
fn identifier(client: u64) -> u16 {
    u16::try_from(client & 0xffff).unwrap_or(0) | 1
}

//! The way of one packet.

use std::net::IpAddr;
use std::time::Duration;

use otherhalf_client::Direction;
use otherhalf_wire::ip::Family;

use crate::dice::Dice;
use crate::topology::{Balance, Topology};

/// The index of a node.
pub(crate) type Place = usize;

/// What balancers look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fields {
    /// The IP protocol.
    pub(crate) protocol: u8,
    /// The field that is the flow.
    pub(crate) flow: u16,
    /// Where from.
    pub(crate) source: IpAddr,
    /// Where to.
    pub(crate) destination: IpAddr,
    /// Whether it is an answer, which filters let pass.
    pub(crate) answer: bool,
}

/// Why a packet went no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// It is where it was sent to.
    Arrived,
    /// Its TTL ran out.
    Expired,
    /// Somebody lets nothing pass.
    Filtered,
    /// A link lost it.
    Lost,
}

/// A packet's way, as far as it came.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    /// The nodes, from the start.
    pub(crate) nodes: Vec<Place>,
    /// How long it took.
    pub(crate) delay: Duration,
    /// Why it ended.
    pub(crate) why: Why,
}

impl Way {
    /// Where it ended.
    pub(crate) fn end(&self) -> Place {
        self.nodes.last().copied().unwrap_or(0)
    }
}

/// A node, with places instead of names.
#[derive(Debug)]
pub(crate) struct Hop {
    /// Next places and weights, by [`Direction`].
    forward: Vec<(Place, u64)>,
    reverse: Vec<(Place, u64)>,
    balance: Balance,
    filters: bool,
    pub(crate) silent: bool,
    pub(crate) address: IpAddr,
    pub(crate) translates_to: Option<IpAddr>,
}

/// All nodes and links.
#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) hops: Vec<Hop>,
    /// From, to: delay and loss of the links that differ.
    links: std::collections::HashMap<(Place, Place), (Duration, f64)>,
    delay: Duration,
    pub(crate) client: Place,
    pub(crate) server: Place,
}

fn ms(ms: f64) -> Duration {
    Duration::from_secs_f64(ms / 1000.0)
}

impl Map {
    /// Of a topology that was checked.
    pub(crate) fn new(topology: &Topology, family: Family) -> Self {
        let place = |name: &str| topology.nodes.keys().position(|node| node == name).unwrap_or(0);
        let hop = |(name, node): (&String, &crate::topology::Node)| {
            let ways = |direction| {
                let ways = topology.ways(name, direction).iter();
                ways.map(|next| (place(&next.to), u64::from(next.weight))).collect()
            };
            let unspecified = match family {
                Family::V4 => std::net::Ipv4Addr::UNSPECIFIED.into(),
                Family::V6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
            };
            Hop {
                forward: ways(Direction::Forward),
                reverse: ways(Direction::Reverse),
                balance: node.balance,
                filters: node.filters,
                silent: node.silent,
                address: topology.address(name, family).unwrap_or(unspecified),
                translates_to: node
                    .translates_to
                    .filter(|_| family == Family::V4)
                    .map(IpAddr::from),
            }
        };
        let mut links = std::collections::HashMap::new();
        let usual = ms(topology.delay_ms);
        for link in &topology.links {
            let [a, b] = link.between.each_ref().map(|name| place(name));
            let that = (link.delay_ms.map_or(usual, ms), link.loss);
            links.insert((a, b), that);
            if !link.one_way {
                links.insert((b, a), that);
            }
        }
        Self {
            hops: topology.nodes.iter().map(hop).collect(),
            links,
            delay: usual,
            client: place(&topology.client),
            server: place(&topology.server),
        }
    }

    pub(crate) fn ways(&self, at: Place, direction: Direction) -> &[(Place, u64)] {
        let Some(hop) = self.hops.get(at) else { return &[] };
        match direction {
            Direction::Forward => &hop.forward,
            Direction::Reverse => &hop.reverse,
        }
    }

    /// The way of a packet in `direction` from `start`, which may pass `ttl - 1` nodes.
    pub(crate) fn walk(
        &self,
        start: Place,
        direction: Direction,
        ttl: u8,
        fields: &Fields,
        dice: &mut Dice,
    ) -> Way {
        let end = match direction {
            Direction::Forward => self.server,
            Direction::Reverse => self.client,
        };
        let mut way = Way { nodes: vec![start], delay: Duration::ZERO, why: Why::Arrived };
        let mut left = ttl;
        let mut at = start;
        while at != end {
            if at != start {
                left -= 1;
                if left == 0 {
                    way.why = Why::Expired;
                    break;
                }
                if !fields.answer && self.hops.get(at).is_some_and(|hop| hop.filters) {
                    way.why = Why::Filtered;
                    break;
                }
            }
            let Some(next) = self.choose(at, direction, fields, dice) else {
                way.why = Why::Lost;
                break;
            };
            let (delay, loss) = self.link(at, next);
            way.delay += delay;
            at = next;
            way.nodes.push(at);
            if dice.happens(loss) {
                way.why = Why::Lost;
                break;
            }
        }
        way
    }

    /// How long an answer from the end of `way` takes to its start, by the routes of the other direction, or the same way back
    /// where there are none; `None` if it gets lost.
    pub(crate) fn back(
        &self,
        way: &Way,
        direction: Direction,
        dice: &mut Dice,
    ) -> Option<Duration> {
        let other = match direction {
            Direction::Forward => Direction::Reverse,
            Direction::Reverse => Direction::Forward,
        };
        let (from, start) = (way.end(), way.nodes.first().copied()?);
        if !self.ways(from, other).is_empty() {
            let address = |place: Place| self.hops.get(place).map(|hop| hop.address);
            let fields = Fields {
                protocol: 1,
                flow: 0,
                source: address(from)?,
                destination: address(start)?,
                answer: true,
            };
            let back = self.walk(from, other, u8::MAX, &fields, dice);
            return (back.why == Why::Arrived).then_some(back.delay);
        }
        let mut delay = Duration::ZERO;
        for pair in way.nodes.windows(2) {
            let [near, far] = pair else { continue };
            let (takes, loss) = self.link(*far, *near);
            delay += takes;
            if dice.happens(loss) {
                return None;
            }
        }
        Some(delay)
    }

    fn link(&self, from: Place, to: Place) -> (Duration, f64) {
        self.links.get(&(from, to)).copied().unwrap_or((self.delay, 0.0))
    }

    fn choose(
        &self,
        at: Place,
        direction: Direction,
        fields: &Fields,
        dice: &mut Dice,
    ) -> Option<Place> {
        let ways = self.ways(at, direction);
        let balance = self.hops.get(at)?.balance;
        let number = match (ways, balance) {
            ([only], _) => return Some(only.0),
            (_, Balance::Flow) => dice.hash((at, fields)),
            (_, Balance::Destination) => dice.hash((at, fields.destination)),
            (_, Balance::Packet) => dice.throw(),
        };
        let all: u64 = ways.iter().map(|(_, weight)| weight).sum();
        let mut left = number.checked_rem(all)?;
        for (next, weight) in ways {
            match left.checked_sub(*weight) {
                Some(rest) => left = rest,
                None => return Some(*next),
            }
        }
        None
    }
}

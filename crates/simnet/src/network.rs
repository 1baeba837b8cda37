//! The client's network over a topology.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use otherhalf_client::query::{Answer, Query, Reply, Unreachable};
use otherhalf_client::{Details, Direction, Network};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::{Identity, Probe, Protocol};
use otherhalf_wire::trace::{Refusal, Request, Rtt};

use crate::bucket::Bucket;
use crate::dice::Dice;
use crate::topology::{Server, Topology, Weather};
use crate::walk::{Fields, Map, Place, Way, Why};

/// More than any trace takes.
const LONGEST: Duration = Duration::from_hours(2);
/// What a router says that filters.
const PROHIBITED: [u8; 2] = [13, 1];
/// Nobody listens at that port.
const PORT: [u8; 2] = [3, 4];

/// Who asked waits for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("two hours of simulated time are over: what runs on this network does not end")]
pub struct Endless;

/// A simulated network.
#[derive(Debug)]
pub struct SimNetwork {
    topology: Topology,
    family: Family,
    map: Map,
    buckets: Vec<Option<Bucket>>,
    dice: Dice,
    start: Instant,
    now: Instant,
    /// By time, then by number.
    under_way: BTreeMap<(Instant, u64), Answer>,
    answers: u64,
    sent: Vec<(Instant, Query)>,
}

impl SimNetwork {
    /// A network of `topology`, which was checked ([`Topology::parse`] does), where chance follows from `seed`.
    #[must_use]
    pub fn new(topology: Topology, family: Family, seed: u64) -> Self {
        let now = Instant::now();
        let buckets = topology
            .nodes
            .values()
            .map(|node| node.rate.map(|rate| Bucket::new(rate, now)))
            .collect();
        Self {
            map: Map::new(&topology, family),
            topology,
            family,
            buckets,
            dice: Dice::new(seed),
            start: now,
            now,
            under_way: BTreeMap::new(),
            answers: 0,
            sent: Vec::new(),
        }
    }

    /// What it is made of.
    #[must_use]
    pub const fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The client's own address.
    #[must_use]
    pub fn source(&self) -> IpAddr {
        self.address(self.map.client)
    }

    /// The server's address.
    #[must_use]
    pub fn target(&self) -> IpAddr {
        self.address(self.map.server)
    }

    /// What was sent, and when.
    #[must_use]
    pub fn sent(&self) -> &[(Instant, Query)] {
        &self.sent
    }

    /// How long it has been running, in its own time.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    fn address(&self, place: Place) -> IpAddr {
        self.map.hops.get(place).map_or(std::net::Ipv4Addr::UNSPECIFIED.into(), |hop| hop.address)
    }

    /// Who the server sees when the end of `way` answers: its address, or that of a translator on the way.
    fn seen(&self, way: &Way) -> IpAddr {
        let outer = |place: &Place| self.map.hops.get(*place).and_then(|hop| hop.translates_to);
        way.nodes.iter().find_map(outer).unwrap_or_else(|| self.address(way.end()))
    }

    /// Who the client is to the server.
    fn client_seen(&self) -> IpAddr {
        let outer = self.map.hops.iter().find_map(|hop| hop.translates_to);
        outer.unwrap_or_else(|| self.source())
    }

    /// Whether the end of `way` says anything about a packet that came there.
    fn speaks(&mut self, way: &Way, at: Instant) -> bool {
        match way.why {
            Why::Arrived => true,
            Why::Lost => false,
            Why::Expired | Why::Filtered => {
                !self.map.hops.get(way.end()).is_some_and(|hop| hop.silent)
                    && self
                        .buckets
                        .get_mut(way.end())
                        .and_then(Option::as_mut)
                        .is_none_or(|bucket| bucket.take(at))
            }
        }
    }

    fn unreachable(&self, [v4, v6]: [u8; 2]) -> Reply {
        let code = match self.family {
            Family::V4 => v4,
            Family::V6 => v6,
        };
        Reply::Unreachable(Unreachable { family: self.family, code })
    }

    /// What the end of `way` says.
    fn reply(&self, way: &Way, protocol: Protocol) -> Reply {
        match (way.why, protocol) {
            (Why::Expired | Why::Lost, _) => Reply::TimeExceeded,
            (Why::Filtered, _) => self.unreachable(PROHIBITED),
            (Why::Arrived, Protocol::Udp) => self.unreachable(PORT),
            (Why::Arrived, Protocol::Tcp | Protocol::Icmp) => Reply::Direct,
        }
    }

    /// A probe in `direction`, sent at a time and perhaps to another destination, and how it is answered: its way and its round-trip time.
    fn throw(
        &mut self,
        direction: Direction,
        ttl: u8,
        protocol: Protocol,
        flow: u16,
        (at, instead): (Instant, Option<IpAddr>),
    ) -> Option<(Way, Duration)> {
        let (start, source, destination) = match direction {
            Direction::Forward => (self.map.client, self.client_seen(), self.target()),
            Direction::Reverse => (self.map.server, self.target(), self.client_seen()),
        };
        let destination = instead.unwrap_or(destination);
        let protocol = protocol.number(self.family);
        let fields = Fields { protocol, flow, source, destination, answer: false };
        let way = self.map.walk(start, direction, ttl, &fields, &mut self.dice);
        if !self.speaks(&way, at + way.delay) {
            return None;
        }
        let back = self.map.back(&way, direction, &mut self.dice)?;
        let rtt = way.delay + back + self.jitter();
        Some((way, rtt))
    }

    fn jitter(&mut self) -> Duration {
        // No two alike to the nanosecond, as in life.
        let jitter = (self.topology.weather.jitter_ms / 1000.0).max(0.000_001);
        Duration::from_secs_f64(self.dice.part() * jitter)
    }

    fn probe(&mut self, ttl: u8, probe: &Probe, instead: Option<IpAddr>) {
        let (protocol, flow) = (probe.protocol, probe.flow);
        let Some((way, rtt)) =
            self.throw(Direction::Forward, ttl, protocol, flow, (self.now, instead))
        else {
            return;
        };
        let responder = &self.topology.responder;
        let deaf = match protocol {
            Protocol::Icmp => !responder.pings,
            Protocol::Udp | Protocol::Tcp => !responder.probes,
        };
        if way.why == Why::Arrived && deaf {
            return;
        }
        let reply = self.reply(&way, protocol);
        let from = self.address(way.end());
        let details = Details::default();
        self.answer(rtt, Answer::Probe { identity: Identity::of(probe), from, reply, details });
    }

    fn request(&mut self, request: Request) {
        let Request { identifier, ttl, protocol, flow, .. } = request;
        let fields = Fields {
            protocol: self.family.icmp(),
            flow,
            source: self.client_seen(),
            destination: self.target(),
            answer: false,
        };
        let (client, forward) = (self.map.client, Direction::Forward);
        let there = self.map.walk(client, forward, 64, &fields, &mut self.dice);
        if there.why != Why::Arrived {
            if self.speaks(&there, self.now + there.delay)
                && let Some(back) = self.map.back(&there, forward, &mut self.dice)
            {
                let reply = self.reply(&there, Protocol::Icmp);
                let from = self.address(there.end());
                self.answer(there.delay + back, Answer::Undelivered { identifier, from, reply });
            }
            return;
        }
        let Some(back) = self.map.back(&there, forward, &mut self.dice) else { return };
        let took = there.delay + back;
        let responder = self.topology.responder.clone();
        let probe = Protocol::from_number(self.family, protocol);
        let refused = |refusal, text| Answer::Refused { identifier, refusal, text };
        let answer = match (responder.server, probe) {
            (Server::Silent, _) => return,
            (Server::Mirrors, _) => {
                let [high, low] = flow.to_be_bytes();
                Answer::Mirrored { identifier, echoed: [ttl, protocol, high, low] }
            }
            (Server::Refuses, _) => {
                refused(Refusal::from_status(responder.status, responder.value), responder.text)
            }
            (Server::Speaks, _) if ttl == 0 => refused(Refusal::Ttl, String::new()),
            (Server::Speaks, None) => refused(Refusal::Protocol, String::new()),
            (Server::Speaks, Some(probe)) => {
                let at = self.now + there.delay;
                let thrown = self.throw(Direction::Reverse, ttl, probe, flow, (at, None));
                let Some((way, rtt)) = thrown else { return };
                let ns = u64::try_from(rtt.as_nanos()).unwrap_or(u64::MAX);
                let from = self.seen(&way);
                let result = Answer::Result { identifier, from, rtt: Rtt::from_ns(ns) };
                return self.answer(took + rtt, result);
            }
        };
        self.answer(took, answer);
    }

    /// Lets `answer` come `after` so long, if the weather lets it.
    fn answer(&mut self, after: Duration, answer: Answer) {
        let Weather { loss, duplicates, duplicate_after_ms, reorder, reorder_by_ms, .. } =
            self.topology.weather;
        if self.dice.happens(loss) {
            return;
        }
        let later = |ms: f64| Duration::from_secs_f64(ms / 1000.0);
        let mut at = self.now + after;
        if self.dice.happens(reorder) {
            at += later(reorder_by_ms);
        }
        if self.dice.happens(duplicates) {
            self.enqueue(at + later(duplicate_after_ms), answer.clone());
        }
        self.enqueue(at, answer);
    }

    fn enqueue(&mut self, at: Instant, answer: Answer) {
        self.answers += 1;
        self.under_way.insert((at, self.answers), answer);
    }
}

impl Network for SimNetwork {
    type Error = Endless;

    fn now(&self) -> Instant {
        self.now
    }

    fn send(&mut self, query: &Query) -> Result<(), Endless> {
        self.sent.push((self.now, *query));
        match query {
            Query::Probe { ttl, probe, instead, .. } => self.probe(ttl.get(), probe, *instead),
            Query::Request { request, .. } => self.request(*request),
        }
        Ok(())
    }

    fn receive(&mut self, deadline: Instant) -> Result<Option<(Answer, Instant)>, Endless> {
        if self.elapsed() > LONGEST {
            return Err(Endless);
        }
        match self.under_way.first_entry() {
            Some(next) if next.key().0 <= deadline => {
                let ((at, _), answer) = next.remove_entry();
                self.now = self.now.max(at);
                Ok(Some((answer, self.now)))
            }
            _ => {
                self.now = self.now.max(deadline);
                Ok(None)
            }
        }
    }
}

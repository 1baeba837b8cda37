//! A network that is not there: two paths, a target, and all that can go wrong with an answer.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use otherhalf_client::query::{Answer, Query, Reply, Unreachable};
use otherhalf_client::{Details, Extras, Network, Quoted, Secret, Shape};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::{Identity, Probe, Protocol};
use otherhalf_wire::trace::{Refusal, Request, Rtt};

/// A router, or a silent one.
#[derive(Debug, Clone)]
pub(crate) struct Router {
    /// `None`: it answers nothing. Several: a balancer that goes by packet.
    pub(crate) addresses: Vec<IpAddr>,
    /// To it and back, from where the probe is sent.
    pub(crate) rtt: Duration,
    /// What it says if it is the last that a probe reaches.
    pub(crate) filters: bool,
}

/// What the target does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Responder {
    Speaks,
    Mirrors,
    Silent,
    Refuses(Refusal, String),
}

/// A link of the forward path that takes less than others.
#[derive(Debug, Clone)]
pub(crate) struct Narrow {
    /// Behind this router of the path, from 0.
    pub(crate) behind: usize,
    pub(crate) mtu: u16,
    /// What the router says about packets that are too long, if it says anything.
    pub(crate) says: Option<Reply>,
}

/// What happens to answers, in percent, and by how much.
#[derive(Debug, Clone, Default)]
pub(crate) struct Weather {
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) duplicate_after: Duration,
    pub(crate) late: u64,
    pub(crate) late_by: Duration,
    /// At most.
    pub(crate) jitter: Duration,
}

pub(crate) struct Simulation {
    pub(crate) source: IpAddr,
    pub(crate) target: IpAddr,
    /// The routers between us and the target.
    pub(crate) forward: Vec<Router>,
    /// The routers between the target and us.
    pub(crate) reverse: Vec<Router>,
    /// To the target and back.
    pub(crate) rtt: Duration,
    pub(crate) responder: Responder,
    /// Octets of padding that the responder demands.
    pub(crate) demands: u16,
    /// The routers between the target and another, if the responder probes towards that; else it refuses.
    pub(crate) elsewhere: Option<(IpAddr, Vec<Router>)>,
    /// Protocols that the responder does not send, by their numbers.
    pub(crate) refuses: Vec<u8>,
    /// Links that do not take long packets.
    pub(crate) narrow: Vec<Narrow>,
    /// What quotes show as our address and port.
    pub(crate) outer: Option<(IpAddr, u16)>,
    /// Pings run into a loop of routers.
    pub(crate) loops: bool,
    pub(crate) pings: bool,
    /// The target takes no probes of ours.
    pub(crate) probes: bool,
    /// What the target sees of us: another address behind a translator.
    pub(crate) translated: Option<IpAddr>,
    pub(crate) weather: Weather,
    /// Requests, by their number from 0, that a router close by answers with an error.
    pub(crate) undelivered: Range<usize>,
    /// Answers that nobody asked for, one each so often.
    pub(crate) noise: Option<Duration>,
    pub(crate) sent: Vec<(Instant, Query)>,
    start: Instant,
    now: Instant,
    noise_at: Instant,
    /// By time, then by number.
    under_way: BTreeMap<(Instant, u64), Answer>,
    dice: Secret,
    thrown: u64,
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A router of the forward (1) or the reverse (2) path.
pub(crate) fn address(family: Family, path: u8, number: u8) -> IpAddr {
    match family {
        Family::V4 => [198, 51, path, number].into(),
        Family::V6 => [0x2001, 0xdb8, 0, 0, 0, 0, path.into(), number.into()].into(),
    }
}

impl Simulation {
    /// `there` and `back` routers a path, each 10 ms from the next.
    pub(crate) fn new(family: Family, there: u8, back: u8) -> Self {
        let path = |path: u8, count: u8| {
            (1..=count)
                .map(|number| Router {
                    addresses: vec![address(family, path, number)],
                    rtt: ms(u64::from(number) * 10),
                    filters: false,
                })
                .collect()
        };
        let start = Instant::now();
        Self {
            source: address(family, 0, 1),
            target: address(family, 0, 2),
            forward: path(1, there),
            reverse: path(2, back),
            rtt: ms(u64::from(there) * 5 + u64::from(back) * 5 + 10),
            responder: Responder::Speaks,
            demands: 0,
            elsewhere: None,
            refuses: Vec::new(),
            narrow: Vec::new(),
            outer: None,
            loops: false,
            pings: true,
            probes: true,
            translated: None,
            weather: Weather::default(),
            undelivered: 0..0,
            noise: None,
            sent: Vec::new(),
            start,
            now: start,
            noise_at: start,
            under_way: BTreeMap::new(),
            dice: Secret::from_bytes([7; 16]),
            thrown: 0,
        }
    }

    pub(crate) fn seed(&mut self, seed: u64) {
        self.dice = Secret::from_bytes([seed.to_be_bytes(), [0; 8]].concat().try_into().unwrap());
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    fn throw(&mut self) -> u64 {
        self.thrown += 1;
        self.dice.cookie(self.thrown).0
    }

    fn happens(&mut self, percent: u64) -> bool {
        self.throw() % 100 < percent
    }

    /// Who answers on `path` at `ttl`; `None`: nobody. Past the path's end, the other end.
    fn answers(&mut self, path: &[Router], ttl: u8) -> Option<(IpAddr, Duration, Option<u8>)> {
        let filter = path.iter().position(|router| router.filters).unwrap_or(usize::MAX);
        let at = usize::from(ttl) - 1;
        let router = path.get(at.min(filter))?;
        let code = (at >= filter).then_some(13);
        let which = usize::try_from(self.throw()).unwrap() % router.addresses.len().max(1);
        Some((*router.addresses.get(which)?, router.rtt, code))
    }

    fn answer(&mut self, after: Duration, answer: Answer) {
        if self.happens(self.weather.lost) {
            return;
        }
        let jitter = self.weather.jitter.as_nanos().max(1);
        let mut at = self.now + after;
        at += Duration::from_nanos(self.throw() % u64::try_from(jitter).unwrap());
        if self.happens(self.weather.late) {
            at += self.weather.late_by;
        }
        if self.happens(self.weather.duplicated) {
            let twice = at + self.weather.duplicate_after;
            self.under_way.insert((twice, self.thrown), answer.clone());
            self.thrown += 1;
        }
        self.under_way.insert((at, self.thrown), answer);
    }

    fn probe(&mut self, ttl: u8, probe: &Probe, shape: Shape) {
        let path = self.forward.clone();
        let family = Family::of(self.target);
        let mut identity = Identity::of(probe);
        let least = family.header_len() + probe.protocol.probe_len();
        let size = shape.size.unwrap_or(least.try_into().unwrap());
        let mut details = Details::default();
        if let Some((source, port)) = self.outer {
            identity.source_port = port;
            identity.identifier ^= 0x1111;
            details.quoted = Some(Quoted {
                source,
                destination: self.target,
                ttl: 1,
                traffic_class: shape.traffic_class,
                length: size,
                identification: Some(probe.cookie.identification()),
            });
        }
        for narrow in self.narrow.clone() {
            if shape.dont_fragment && size > narrow.mtu && usize::from(ttl) > narrow.behind + 1 {
                if let Some(reply) = narrow.says {
                    let router = &path[narrow.behind];
                    let from = router.addresses[0];
                    self.answer(router.rtt, Answer::Probe { identity, from, reply, details });
                }
                return;
            }
        }
        if self.loops {
            let (from, reply) = (address(family, 1, 1), Reply::TimeExceeded);
            return self.answer(ms(60), Answer::Probe { identity, from, reply, details });
        }
        if usize::from(ttl) <= path.len() || path.iter().any(|router| router.filters) {
            if let Some((from, rtt, code)) = self.answers(&path, ttl) {
                let reply = code.map_or(Reply::TimeExceeded, |code| {
                    Reply::Unreachable(Unreachable { family, code })
                });
                self.answer(rtt, Answer::Probe { identity, from, reply, details });
            }
        } else if self.probes && (identity.protocol != Protocol::Icmp || self.pings) {
            let code = if family == Family::V4 { 3 } else { 4 };
            let reply = match identity.protocol {
                Protocol::Udp => Reply::Unreachable(Unreachable { family, code }),
                Protocol::Tcp | Protocol::Icmp => Reply::Direct,
            };
            // The other end translates nothing back, it knows of no translator.
            let from = self.target;
            self.answer(self.rtt, Answer::Probe { identity, from, reply, details });
        }
    }

    fn request(&mut self, request: Request, extras: Extras) {
        let Request { identifier, ttl, protocol, flow, .. } = request;
        if self.loops {
            let (from, reply) = (address(Family::of(self.target), 1, 1), Reply::TimeExceeded);
            return self.answer(ms(60), Answer::Undelivered { identifier, from, reply });
        }
        if self.undelivered.contains(&(self.sent.len() - 1)) {
            let family = Family::of(self.target);
            let code = if family == Family::V4 { 1 } else { 3 };
            let reply = Reply::Unreachable(Unreachable { family, code });
            let from = address(family, 1, 1);
            return self.answer(ms(1), Answer::Undelivered { identifier, from, reply });
        }
        let answer = match self.responder.clone() {
            Responder::Silent => return,
            Responder::Mirrors => {
                let [high, low] = flow.to_be_bytes();
                Answer::Mirrored { identifier, echoed: [ttl, protocol, high, low] }
            }
            Responder::Refuses(refusal, text) => Answer::Refused { identifier, refusal, text },
            Responder::Speaks if ttl == 0 => {
                Answer::Refused { identifier, refusal: Refusal::Ttl, text: String::new() }
            }
            Responder::Speaks if self.refusal(protocol, extras).is_some() => {
                let refusal = self.refusal(protocol, extras).unwrap();
                Answer::Refused { identifier, refusal, text: String::new() }
            }
            Responder::Speaks => {
                let (us, path) = match (&extras.indirect, &self.elsewhere) {
                    (Some(to), Some((other, path))) if to == other => (*other, path.clone()),
                    _ => (self.translated.unwrap_or(self.source), self.reverse.clone()),
                };
                let beyond = usize::from(ttl) > path.len();
                let found = if beyond && !path.iter().any(|router| router.filters) {
                    Some((us, self.rtt, None))
                } else {
                    self.answers(&path, ttl)
                };
                let Some((from, rtt, _)) = found else { return };
                // No two alike to the nanosecond, as in life.
                let rtt = rtt + Duration::from_nanos(self.throw() % 1000);
                let took = Rtt::from_ns(u64::try_from(rtt.as_nanos()).unwrap());
                self.answer(self.rtt + rtt, Answer::Result { identifier, from, rtt: took });
                return;
            }
        };
        self.answer(self.rtt, answer);
    }
}

impl Simulation {
    /// In the order in which responders look (PROTOCOL §4).
    fn refusal(&self, protocol: u8, extras: Extras) -> Option<Refusal> {
        if self.refuses.contains(&protocol) {
            return Some(Refusal::Protocol);
        }
        if extras.indirect.is_some() && self.elsewhere.is_none() {
            return Some(Refusal::Extension(0x0500));
        }
        let missing = self.demands.saturating_sub(extras.padding);
        (missing > 0).then_some(Refusal::Padding(missing))
    }
}

impl Network for Simulation {
    type Error = Infallible;

    fn now(&self) -> Instant {
        self.now
    }

    fn send(&mut self, query: &Query) -> Result<(), Infallible> {
        self.sent.push((self.now, *query));
        match query {
            Query::Probe { ttl, probe, shape, .. } => self.probe(ttl.get(), probe, *shape),
            Query::Request { request, extras } => self.request(*request, *extras),
        }
        Ok(())
    }

    fn receive(&mut self, deadline: Instant) -> Result<Option<(Answer, Instant)>, Infallible> {
        assert!(self.elapsed() < Duration::from_mins(10), "it does not end");
        let next = self.under_way.first_key_value().map(|((at, _), _)| *at);
        if let Some(every) = self.noise
            && next.is_none_or(|at| at > self.noise_at)
            && self.noise_at <= deadline
        {
            self.now = self.now.max(self.noise_at);
            self.noise_at = self.now + every;
            let identifier = u16::try_from(self.throw() % 65536).unwrap();
            let from = address(Family::of(self.target), 99, 99);
            let reply = Reply::TimeExceeded;
            return Ok(Some((Answer::Undelivered { identifier, from, reply }, self.now)));
        }
        if let Some(at) = next.filter(|at| *at <= deadline) {
            self.now = self.now.max(at);
            return Ok(self.under_way.pop_first().map(|(_, answer)| (answer, self.now)));
        }
        self.now = self.now.max(deadline);
        Ok(None)
    }
}

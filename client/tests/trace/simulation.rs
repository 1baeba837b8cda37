//! A network that is not there: two paths, a target, and all that can go wrong with an answer.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use otherhalf_client::query::{Answer, Query, Reply, Unreachable};
use otherhalf_client::{Details, Network, Secret};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::{Identity, Protocol};
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

    fn probe(&mut self, ttl: u8, identity: Identity) {
        let path = self.forward.clone();
        if usize::from(ttl) <= path.len() || path.iter().any(|router| router.filters) {
            if let Some((from, rtt, code)) = self.answers(&path, ttl) {
                let family = Family::of(from);
                let reply = code.map_or(Reply::TimeExceeded, |code| {
                    Reply::Unreachable(Unreachable { family, code })
                });
                let details = Details::default();
                self.answer(rtt, Answer::Probe { identity, from, reply, details });
            }
        } else if self.probes && (identity.protocol != Protocol::Icmp || self.pings) {
            let family = Family::of(self.target);
            let code = if family == Family::V4 { 3 } else { 4 };
            let reply = match identity.protocol {
                Protocol::Udp => Reply::Unreachable(Unreachable { family, code }),
                Protocol::Tcp | Protocol::Icmp => Reply::Direct,
            };
            let (from, details) = (self.target, Details::default());
            self.answer(self.rtt, Answer::Probe { identity, from, reply, details });
        }
    }

    fn request(&mut self, request: Request) {
        let Request { identifier, ttl, protocol, flow, .. } = request;
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
            Responder::Speaks => {
                let path = self.reverse.clone();
                let us = self.translated.unwrap_or(self.source);
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

impl Network for Simulation {
    type Error = Infallible;

    fn now(&self) -> Instant {
        self.now
    }

    fn send(&mut self, query: &Query) -> Result<(), Infallible> {
        self.sent.push((self.now, *query));
        match query {
            Query::Probe { ttl, probe, .. } => self.probe(ttl.get(), Identity::of(probe)),
            Query::Request { request, .. } => self.request(*request),
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

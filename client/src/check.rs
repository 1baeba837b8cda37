//! Does a target speak reverse traceroute, and does it answer ping?

mod features;

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::{Identity, Probe, Protocol, SOURCE_PORT};
use otherhalf_wire::trace::{Refusal, Request};

use crate::network::{Network, TICK};
use crate::options::{Flow, Queries};
use crate::query::{Answer, Extras, Query, Reply, Shape};
use crate::secret::Secret;
use crate::trace::body;
use crate::ttl::Ttl;
pub use features::{Ability, Features, features};

/// From one attempt to the next, unless less is waited for an answer.
const INTERVAL: Duration = Duration::from_secs(1);

/// What was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The round-trip time of a ping; `None` if none was answered.
    pub ping: Option<Duration>,
    /// Who says that pings do not arrive, and what.
    pub ping_error: Option<(IpAddr, Reply)>,
    /// What became of the request.
    pub speaks: Speaks,
    /// What the responder can do, if there is one and it was asked.
    pub features: Option<Features>,
}

/// Whether a target speaks reverse traceroute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Speaks {
    /// It does.
    Yes {
        /// From the request to the response.
        rtt: Duration,
        /// What it said to a request of TTL 0; mostly [`Refusal::Ttl`], as it should. `None`: it sent a probe nonetheless.
        refusal: Option<Refusal>,
        /// In its own words; not to be trusted.
        text: String,
    },
    /// It does not: the request was answered as a ping.
    PingOnly {
        /// From the request to its mirror image.
        rtt: Duration,
    },
    /// The request did not arrive.
    Undelivered {
        /// Who says so.
        from: IpAddr,
        /// What.
        reply: Reply,
    },
    /// The request was not answered.
    Silent,
}

/// How to check.
#[derive(Debug, Clone)]
pub struct Options {
    /// The target.
    pub target: IpAddr,
    /// Attempts, a second apart.
    pub attempts: Queries,
    /// How long the last attempt's answer may take.
    pub wait: Duration,
}

/// An attempt: a ping and a request.
struct Attempt {
    sent: Instant,
    ping: Identity,
    request: Request,
}

/// Asks `target` both questions side by side; ends as soon as both are answered, or when `watch` breaks.
pub fn check<N: Network>(
    network: &mut N,
    options: &Options,
    secret: &Secret,
    mut watch: impl FnMut() -> ControlFlow<()>,
) -> Result<Check, N::Error> {
    let mut found = Check { ping: None, ping_error: None, speaks: Speaks::Silent, features: None };
    let mut attempts: Vec<Attempt> = Vec::new();
    let interval = INTERVAL.min(options.wait);
    loop {
        let now = network.now();
        let due = attempts.last().is_none_or(|last| now >= last.sent + interval);
        if due && attempts.len() < usize::from(options.attempts.get()) {
            attempts.push(ask(network, options, secret, attempts.len())?);
        }
        let Some(last) = attempts.last() else { return Ok(found) };
        let more = attempts.len() < usize::from(options.attempts.get());
        let wake = last.sent + if more { interval } else { options.wait };
        let pinged = found.ping.is_some() || found.ping_error.is_some();
        let known = pinged && found.speaks != Speaks::Silent;
        if known || (!more && now >= wake) || watch().is_break() {
            return Ok(found);
        }
        if let Some((answer, at)) = network.receive(wake.min(now + TICK))? {
            found.learn(&attempts, &answer, at);
        }
    }
}

/// Sends attempt `number`.
fn ask<N: Network>(
    network: &mut N,
    options: &Options,
    secret: &Secret,
    number: usize,
) -> Result<Attempt, N::Error> {
    // At most 10 attempts.
    let number = u16::try_from(number).unwrap_or(u16::MAX);
    let identifier = secret.first_identifier().wrapping_add(number);
    // A probe of ICMP is a ping.
    let probe = Probe {
        protocol: Protocol::Icmp,
        source_port: SOURCE_PORT,
        flow: Flow::default_of(Protocol::Icmp).get(),
        identifier,
        cookie: secret.cookie(number.into()),
    };
    let request = Request {
        identifier,
        sequence: 0,
        // No probe can have it, so none is sent.
        ttl: 0,
        // Any but 0: so a mirror image is told from a response, see `packet`.
        protocol: Protocol::Udp.number(Family::of(options.target)),
        flow: Flow::default_of(Protocol::Udp).get(),
    };
    let sent = network.now();
    network.send(&Query::Probe {
        ttl: Ttl::ORDINARY,
        probe,
        shape: Shape::default(),
        instead: None,
    })?;
    network.send(&Query::Request { request, extras: Extras::default() })?;
    Ok(Attempt { sent, ping: Identity::of(&probe), request })
}

impl Check {
    fn learn(&mut self, attempts: &[Attempt], answer: &Answer, at: Instant) {
        let since = |attempt: &Attempt| at.saturating_duration_since(attempt.sent);
        let asked = |identifier: u16| {
            attempts.iter().find(move |attempt| attempt.request.identifier == identifier)
        };
        let speaks = match answer {
            Answer::Probe { identity, reply: Reply::Direct, .. } => {
                let attempt = attempts.iter().find(|attempt| attempt.ping == *identity);
                self.ping = self.ping.or(attempt.map(since));
                None
            }
            Answer::Probe { identity, from, reply, .. } => {
                let asked = attempts.iter().any(|attempt| attempt.ping == *identity);
                self.ping_error = self.ping_error.or(asked.then_some((*from, *reply)));
                None
            }
            Answer::Result { identifier, .. } => asked(*identifier).map(|a| Speaks::Yes {
                rtt: since(a),
                refusal: None,
                text: String::new(),
            }),
            Answer::Refused { identifier, refusal, text } => asked(*identifier).map(|a| {
                Speaks::Yes { rtt: since(a), refusal: Some(*refusal), text: text.clone() }
            }),
            Answer::Mirrored { identifier, echoed } => asked(*identifier)
                .filter(|a| body(a.request) == *echoed)
                .map(|a| Speaks::PingOnly { rtt: since(a) }),
            Answer::Undelivered { identifier, from, reply } => {
                asked(*identifier).map(|_| Speaks::Undelivered { from: *from, reply: *reply })
            }
        };
        if let Some(speaks) = speaks.filter(|_| self.speaks == Speaks::Silent) {
            self.speaks = speaks;
        }
    }
}

//! Datagrams for closed ports of the addresses of a trace, and what their answers tell.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use otherhalf_wire::probe::{Identity, Probe, Protocol, SOURCE_PORT};

use super::counters;
use crate::network::{Network, TICK};
use crate::options::Flow;
use crate::query::{Answer, Query, Reply, Shape};
use crate::secret::Secret;
use crate::ttl::Ttl;

/// How to ask.
#[derive(Debug, Clone)]
pub struct Options {
    /// Datagrams to each address.
    pub rounds: u16,
    /// From one datagram to the next: the counters of two addresses are compared by turns, so that nothing may come much later.
    pub pause: Duration,
    /// The least time from one datagram to the next to the same address: routers answer few such datagrams in a second.
    pub rest: Duration,
    /// How long the answers to the last ones may take.
    pub wait: Duration,
}

impl Default for Options {
    /// 8 datagrams to each address, 50 a second in all, no more than 2 a second to one.
    fn default() -> Self {
        Self {
            rounds: 8,
            pause: Duration::from_millis(20),
            rest: Duration::from_millis(500),
            wait: Duration::from_secs(1),
        }
    }
}

/// What the answers of one address tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// The other addresses that answered for it, each once.
    pub answered_by: Vec<IpAddr>,
    /// The identifications of its answers' packets, by the time of asking; IPv4 alone.
    pub identifications: Vec<counters::Sample>,
}

/// A datagram that was sent.
struct Asked {
    address: usize,
    identity: Identity,
    sent: Duration,
}

/// Asks the target of each network, by turns; what each tells, in their order. When `watch` breaks, what is known by then.
pub fn sample<N: Network>(
    networks: &mut [N],
    options: &Options,
    secret: &Secret,
    mut watch: impl FnMut() -> ControlFlow<()>,
) -> Result<Vec<Told>, N::Error> {
    let mut told = vec![Told::default(); networks.len()];
    let mut asked: Vec<Asked> = Vec::new();
    let Some(first) = networks.first() else { return Ok(told) };
    let begin = first.now();
    let mut next = begin;
    for round in 0..options.rounds {
        let start_of_round = next;
        for address in 0..networks.len() {
            let Some(network) = networks.get_mut(address) else { continue };
            let number = asked.len();
            let probe = probe(secret, number);
            let sent = network.now().saturating_duration_since(begin);
            network.send(&Query::Probe { ttl: Ttl::ORDINARY, probe, shape: Shape::default() })?;
            asked.push(Asked { address, identity: Identity::of(&probe), sent });
            next += options.pause;
            if listen(networks, address, next, &asked, &mut told, &mut watch)?.is_break() {
                return Ok(told);
            }
        }
        let last = round + 1 == options.rounds;
        let rest = if last { next + options.wait } else { next.max(start_of_round + options.rest) };
        // Each hears for an equal part of the rest, and what came meanwhile waits in its socket.
        let parts = u32::try_from(networks.len()).unwrap_or(u32::MAX);
        let part = rest.saturating_duration_since(next) / parts;
        for address in 0..networks.len() {
            next += part;
            if listen(networks, address, next, &asked, &mut told, &mut watch)?.is_break() {
                return Ok(told);
            }
        }
    }
    // Answers that came to those that heard first.
    for address in 0..networks.len() {
        if listen(networks, address, begin, &asked, &mut told, &mut watch)?.is_break() {
            break;
        }
    }
    Ok(told)
}

/// The `number`th datagram, for a port that nothing listens on.
fn probe(secret: &Secret, number: usize) -> Probe {
    let number = u16::try_from(number).unwrap_or(u16::MAX);
    Probe {
        protocol: Protocol::Udp,
        source_port: SOURCE_PORT,
        flow: Flow::default_of(Protocol::Udp).get(),
        identifier: secret.first_identifier().wrapping_add(number),
        cookie: secret.cookie(number.into()),
    }
}

/// Takes in what comes for `address` until `until`, at least what is there already.
fn listen<N: Network>(
    networks: &mut [N],
    address: usize,
    until: Instant,
    asked: &[Asked],
    told: &mut [Told],
    watch: &mut impl FnMut() -> ControlFlow<()>,
) -> Result<ControlFlow<()>, N::Error> {
    let (Some(network), Some(told)) = (networks.get_mut(address), told.get_mut(address)) else {
        return Ok(ControlFlow::Continue(()));
    };
    loop {
        if watch().is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let now = network.now();
        let Some((answer, _)) = network.receive(until.min(now + TICK))? else {
            if network.now() >= until {
                return Ok(ControlFlow::Continue(()));
            }
            continue;
        };
        told.learn(address, &answer, asked);
    }
}

impl Told {
    fn learn(&mut self, address: usize, answer: &Answer, asked: &[Asked]) {
        let Answer::Probe { identity, from, reply: Reply::Unreachable(reason), details } = answer
        else {
            return;
        };
        let ours = |asked: &&Asked| asked.address == address && asked.identity == *identity;
        // A router before it may say that it cannot be reached: nothing about the address itself.
        let Some(asked) = asked.iter().find(ours).filter(|_| reason.is_at_destination()) else {
            return;
        };
        if !self.answered_by.contains(from) {
            self.answered_by.push(*from);
        }
        if let Some(identification) = details.identification
            && self.identifications.iter().all(|sample| sample.sent != asked.sent)
        {
            self.identifications.push(counters::Sample { sent: asked.sent, identification });
        }
    }
}

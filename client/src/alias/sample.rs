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
            network.send(&Query::Probe {
                ttl: Ttl::ORDINARY,
                probe,
                shape: Shape::default(),
                instead: None,
            })?;
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

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;
    use std::convert::Infallible;

    use otherhalf_wire::ip::Family;

    use super::*;
    use crate::alias::Aliases;
    use crate::details::Details;
    use crate::document::Technique;
    use crate::query::Unreachable;

    /// An interface of a simulated router, 30 ms away.
    struct Interface<'a> {
        address: IpAddr,
        /// The counter of its router's packets, or its own; it goes on by `others` at each packet.
        counter: &'a Cell<u16>,
        others: u16,
        /// The code with which it says that the port is unreachable.
        code: u8,
        /// Each so-manieth datagram is lost; 0 for none.
        loses: usize,
        clock: &'a Cell<Instant>,
        sent: &'a RefCell<Vec<(IpAddr, Instant)>>,
        on_the_way: VecDeque<(Answer, Instant)>,
    }

    impl Network for Interface<'_> {
        type Error = Infallible;

        fn now(&self) -> Instant {
            self.clock.get()
        }

        fn send(&mut self, query: &Query) -> Result<(), Infallible> {
            let Query::Probe { probe, .. } = query else { panic!("nothing else is sent") };
            self.sent.borrow_mut().push((self.address, self.now()));
            if self.sent.borrow().len().checked_rem(self.loses) == Some(0) {
                return Ok(());
            }
            self.counter.set(self.counter.get().wrapping_add(self.others));
            let reason = Unreachable { family: Family::V4, code: self.code };
            let details =
                Details { identification: Some(self.counter.get()), ..Details::default() };
            let answer = Answer::Probe {
                identity: Identity::of(probe),
                from: self.address,
                reply: Reply::Unreachable(reason),
                details,
            };
            self.on_the_way.push_back((answer, self.now() + Duration::from_millis(30)));
            Ok(())
        }

        fn receive(&mut self, deadline: Instant) -> Result<Option<(Answer, Instant)>, Infallible> {
            let due =
                self.on_the_way.front().is_some_and(|(_, at)| *at <= deadline.max(self.now()));
            let answer = due.then(|| self.on_the_way.pop_front()).flatten();
            let until = answer.as_ref().map_or(deadline, |(_, at)| *at);
            self.clock.set(self.now().max(until));
            Ok(answer)
        }
    }

    /// Asks two interfaces of one counter, one with a counter of its own, and a filter before a fourth address.
    fn sampled(
        loses: usize,
        mut watch: impl FnMut() -> ControlFlow<()>,
    ) -> (Aliases, Vec<(IpAddr, Instant)>) {
        let clock = Cell::new(Instant::now());
        let sent = RefCell::default();
        let counters = [65_500, 30_000, 65_500].map(Cell::new);
        let interface = |last: u8, counter, code| Interface {
            address: [192, 0, 2, last].into(),
            counter: &counters[counter],
            others: 9,
            code,
            loses,
            clock: &clock,
            sent: &sent,
            on_the_way: VecDeque::new(),
        };
        let mut networks =
            [interface(1, 0, 3), interface(2, 1, 3), interface(3, 0, 3), interface(4, 2, 13)];
        let addresses = networks.each_ref().map(|network| network.address);
        let secret = Secret::from_bytes([7; 16]);
        let told = sample(&mut networks, &Options::default(), &secret, &mut watch).unwrap();
        let mut aliases = Aliases::default();
        aliases.learn(&addresses, &told);
        (aliases, sent.into_inner())
    }

    #[test]
    fn one_counter_of_two_interfaces_is_found_over_a_network_that_loses() {
        for loses in [0, 9] {
            let (aliases, _) = sampled(loses, || ControlFlow::Continue(()));
            let [router] = &aliases.routers()[..] else { panic!("{:?}", aliases.routers()) };
            assert_eq!(router.addresses, [1, 3].map(|last| IpAddr::from([192, 0, 2, last])));
            assert_eq!(router.evidence[0].technique, Technique::SharedCounter);
        }
    }

    #[test]
    fn no_more_is_sent_than_is_said() {
        let (_, sent) = sampled(0, || ControlFlow::Continue(()));
        let options = Options::default();
        assert_eq!(sent.len(), 4 * usize::from(options.rounds));
        for [(_, before), (_, after)] in sent.array_windows() {
            assert!(*after - *before >= options.pause);
        }
        for [(first, before), _, _, _, (again, after)] in sent.array_windows() {
            assert_eq!(first, again);
            assert!(*after - *before >= options.rest);
        }
    }

    #[test]
    fn an_interruption_ends_it() {
        let left = Cell::new(3);
        let (aliases, sent) = sampled(0, || {
            left.set(left.get() - 1);
            if left.get() > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        assert!(aliases.routers().is_empty() && sent.len() < 4, "{}", sent.len());
    }
}

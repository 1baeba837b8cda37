//! Rounds of traces, in virtual time.

use std::collections::HashSet;
use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU64};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use otherhalf_client::live::{self, Board, Monitor, Side};
use otherhalf_client::query::{Answer, Query};
use otherhalf_client::{Direction, End, Network, Options, Secret, Ttl, analyse, document};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::trace::Refusal;

use super::simulation::{Responder, Router, Simulation, address, ms};

const BOTH: [Direction; 2] = [Direction::Forward, Direction::Reverse];
const SECOND: Duration = Duration::from_secs(1);

/// A monitor and its board.
struct View {
    monitor: Monitor,
    board: Board,
}

impl View {
    fn new(simulation: &Simulation, directions: &[Direction], interval: Duration) -> Self {
        let options: Vec<_> = directions
            .iter()
            .map(|direction| super::options(simulation, *direction, Protocol::Udp))
            .collect();
        let board = Board::new(options.iter().cloned());
        let secret = Secret::from_bytes([1; 16]);
        let options = options.into_iter().map(|options| (options, secret.clone())).collect();
        Self { monitor: Monitor::new(options, interval), board }
    }

    /// Goes on until all directions have `rounds` more rounds, or for `time`, or to the end.
    fn run<N: Network<Error: fmt::Display + fmt::Debug>>(
        &mut self,
        network: &mut N,
        rounds: u64,
        time: Duration,
    ) {
        let Self { monitor, board } = self;
        let (start, target) = (network.now(), rounds + least_rounds(board));
        live::run(network, monitor, |monitor, now| {
            for event in monitor.events() {
                board.update(event, jiff::Timestamp::UNIX_EPOCH + (now - start));
            }
            if least_rounds(board) >= target || now - start >= time {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .unwrap();
    }

    fn rounds(&mut self, simulation: &mut Simulation, rounds: u64) {
        self.run(simulation, rounds, Duration::from_mins(9));
    }

    fn side(&self, direction: Direction) -> &Side {
        self.board.sides().iter().find(|side| side.options().direction == direction).unwrap()
    }
}

fn least_rounds(board: &Board) -> u64 {
    board.sides().iter().map(Side::rounds).min().unwrap()
}

fn ttls(simulation: &Simulation) -> impl Iterator<Item = (Instant, u8)> {
    simulation.sent.iter().map(|(at, query)| (*at, super::ttl_of(query)))
}

/// Who answers at each hop most.
fn path(side: &Side) -> Vec<Option<IpAddr>> {
    side.hops().iter().map(|hop| hop.responders().first().map(|one| one.address)).collect()
}

#[test]
fn both_directions_round_after_round() {
    for family in [Family::V4, Family::V6] {
        let mut simulation = Simulation::new(family, 4, 6);
        let mut view = View::new(&simulation, &BOTH, SECOND);
        view.rounds(&mut simulation, 10);
        assert_eq!(
            path(view.side(Direction::Forward)),
            super::routers(family, 1, 4, simulation.target)
        );
        assert_eq!(
            path(view.side(Direction::Reverse)),
            super::routers(family, 2, 6, simulation.source)
        );
        for side in view.board.sides() {
            assert_eq!((side.end(), side.rounds(), side.changed()), (Some(&End::Reached), 10, 0));
            for hop in side.hops() {
                assert_eq!((hop.sent(), hop.answered(), hop.series().count()), (10, 10, 10));
                let near = hop.series().best().unwrap().as_millis();
                assert!(
                    near == 10 * u128::from(hop.ttl().get()) || near == simulation.rtt.as_millis()
                );
            }
        }
        // Ten rounds begin a second apart, and the last is over at once.
        assert!(
            (9.0..9.5).contains(&simulation.elapsed().as_secs_f64()),
            "{:?}",
            simulation.elapsed()
        );
        // Both see the same rise-free network.
        let [there, back] = view.board.sides() else { panic!("two directions") };
        let finding = analyse::compare(&there.path(), &back.path(), |_, _| false);
        assert!(!matches!(finding, analyse::Finding::SameLink { .. }));
    }
}

#[test]
fn once_the_end_is_known_nothing_is_asked_beyond() {
    let mut simulation = Simulation::new(Family::V4, 4, 4);
    let mut view = View::new(&simulation, &[Direction::Forward], SECOND);
    view.rounds(&mut simulation, 1);
    let first = simulation.sent.len();
    view.rounds(&mut simulation, 20);
    assert_eq!(simulation.sent.len() - first, 20 * 5);
    assert!(ttls(&simulation).skip(first).all(|(_, ttl)| ttl <= 5));
}

#[test]
fn identifiers_are_few_for_the_sake_of_nats() {
    let mut simulation = Simulation::new(Family::V4, 4, 6);
    let mut view = View::new(&simulation, &[Direction::Reverse], SECOND);
    view.rounds(&mut simulation, 60);
    let identifiers: HashSet<_> = simulation
        .sent
        .iter()
        .map(|(_, query)| match query {
            Query::Request { request, .. } => request.identifier,
            Query::Probe { .. } => panic!("a probe in a reverse trace"),
        })
        .collect();
    assert!(identifiers.len() <= 16, "{}", identifiers.len());
}

#[test]
fn loss_is_counted() {
    let mut simulation = Simulation::new(Family::V4, 3, 3);
    simulation.weather.lost = 20;
    let mut view = View::new(&simulation, &BOTH, SECOND);
    view.rounds(&mut simulation, 200);
    for side in view.board.sides() {
        assert_eq!(side.hops().len(), 4);
        for hop in side.hops() {
            assert_eq!(hop.sent(), side.rounds());
            // 200 throws of 20 %: five standard deviations.
            assert!((6.0..34.0).contains(&hop.loss()), "{}", hop.loss());
            let lost = hop.sent() - hop.answered();
            assert!(lost > 0 && hop.recent().count() == live::KEPT);
        }
        assert!(side.changed() == 0 && side.is_reached());
    }
}

#[test]
fn a_late_answer_is_nobody_elses() {
    let mut simulation = Simulation::new(Family::V4, 5, 7);
    simulation.weather.late = 30;
    simulation.weather.late_by = ms(1300);
    simulation.weather.duplicated = 20;
    simulation.weather.duplicate_after = ms(900);
    simulation.weather.jitter = ms(30);
    let mut view = View::new(&simulation, &BOTH, SECOND);
    view.rounds(&mut simulation, 100);
    let ends =
        [(Direction::Forward, 1, simulation.target), (Direction::Reverse, 2, simulation.source)];
    for (direction, which, end) in ends {
        let side = view.side(direction);
        for (hop, number) in side.hops().iter().zip(1u8..) {
            let right = [address(Family::V4, which, number), end];
            assert!(hop.responders().iter().all(|one| right.contains(&one.address)), "{number}");
            assert!(usize::from(number) == side.hops().len() || hop.responders().len() == 1);
        }
    }
}

#[test]
fn a_change_of_the_path_is_noted_once() {
    let mut simulation = Simulation::new(Family::V4, 4, 4);
    let mut view = View::new(&simulation, &BOTH, SECOND);
    view.rounds(&mut simulation, 5);
    let (old, new) = (simulation.reverse[1].addresses[0], address(Family::V4, 9, 9));
    simulation.reverse[1].addresses = vec![new];
    view.rounds(&mut simulation, 20);
    assert_eq!(view.side(Direction::Forward).changed(), 0);
    let back = view.side(Direction::Reverse);
    let changes: Vec<_> = back.changes().collect();
    assert_eq!(changes.len(), 1);
    let change = changes[0];
    assert_eq!((change.ttl, change.before, change.after), (2, Some(old), Some(new)));
    assert!(change.at > jiff::Timestamp::UNIX_EPOCH);
    // Both are in the statistics of the hop.
    let shares: Vec<_> =
        back.hops()[1].responders().iter().map(|one| (one.address, one.answered)).collect();
    assert_eq!(shares, [(new, 20), (old, 5)]);
}

#[test]
fn a_path_that_grows_and_shrinks() {
    let mut simulation = Simulation::new(Family::V4, 4, 4);
    let mut view = View::new(&simulation, &[Direction::Forward], SECOND);
    view.rounds(&mut simulation, 5);
    let more = Router { addresses: vec![address(Family::V4, 9, 9)], rtt: ms(45), filters: false };
    simulation.forward.push(more);
    view.rounds(&mut simulation, 5);
    let there = view.side(Direction::Forward);
    assert_eq!((there.hops().len(), there.is_reached()), (6, true));
    let news: Vec<_> = there.changes().map(|change| (change.ttl, change.after)).collect();
    assert_eq!(news, [(5, Some(address(Family::V4, 9, 9))), (6, Some(simulation.target))]);
    simulation.forward.truncate(2);
    view.rounds(&mut simulation, 5);
    let there = view.side(Direction::Forward);
    assert_eq!((there.hops().len(), there.is_reached()), (3, true));
    let last: Vec<_> = there.changes().skip(2).map(|change| (change.ttl, change.after)).collect();
    assert_eq!(last, [(3, Some(simulation.target)), (4, None), (5, None), (6, None)]);
}

#[test]
fn a_balancer_that_goes_by_packet_is_no_change() {
    let mut simulation = Simulation::new(Family::V4, 4, 4);
    let two = [address(Family::V4, 1, 3), address(Family::V4, 1, 33)];
    simulation.forward[2].addresses = two.to_vec();
    let mut view = View::new(&simulation, &[Direction::Forward], SECOND);
    view.rounds(&mut simulation, 100);
    let there = view.side(Direction::Forward);
    // Once each is seen, and perhaps when chance keeps one away for ten rounds.
    assert!(there.changed() <= 3, "{}", there.changed());
    let hops = there.hops();
    let responders = hops[2].responders();
    assert_eq!(responders.len(), 2);
    assert_eq!(responders.iter().map(|one| one.answered).sum::<u64>(), 100);
    assert!(responders[1].answered > 25, "{}", responders[1].answered);
}

#[test]
fn flows_take_turns() {
    let mut simulation = Simulation::new(Family::V4, 3, 3);
    let mut view = View::new(&simulation, &BOTH, SECOND);
    view.monitor = view.monitor.flows(NonZeroU16::new(3).unwrap());
    view.rounds(&mut simulation, 9);
    for side in view.board.sides() {
        for hop in side.hops() {
            let flows: Vec<_> = hop.responders()[0].flows.iter().map(|flow| flow.get()).collect();
            assert_eq!(flows, [33434, 33435, 33436]);
            assert_eq!(hop.answered(), 9);
        }
    }
}

#[test]
fn it_pauses_goes_on_faster_and_ends() {
    let mut simulation = Simulation::new(Family::V4, 3, 3);
    let mut view = View::new(&simulation, &BOTH, SECOND);
    view.rounds(&mut simulation, 2);
    view.monitor.set_paused(true);
    let sent = simulation.sent.len();
    view.run(&mut simulation, 1, Duration::from_secs(20));
    assert_eq!(simulation.sent.len(), sent, "nothing is sent while it pauses");
    view.monitor.set_paused(false);
    view.monitor.set_interval(ms(200));
    let before = simulation.elapsed();
    view.rounds(&mut simulation, 10);
    assert!(simulation.elapsed() < before + ms(2500), "{:?}", simulation.elapsed());
    view.monitor = view.monitor.cycles(NonZeroU64::new(15));
    view.rounds(&mut simulation, 1000);
    assert_eq!(least_rounds(&view.board), 15);
}

#[test]
fn stopped_in_its_first_round_it_tells_what_it_knows() {
    let mut simulation = Simulation::new(Family::V4, 4, 4);
    // The second router is silent, and the target far.
    simulation.forward[1].addresses.clear();
    simulation.rtt = ms(900);
    let mut view = View::new(&simulation, &[Direction::Forward], SECOND);
    view.run(&mut simulation, 1, ms(200));
    let known = view.side(Direction::Forward).hops();
    assert_eq!(known.iter().filter(|hop| hop.answered() == 1).count(), 3, "while it lasts");
    view.monitor.stop();
    view.rounds(&mut simulation, 1);
    let side = view.side(Direction::Forward);
    assert_eq!((side.rounds(), side.end()), (1, Some(&End::Stopped)));
    assert_eq!(side.hops().iter().map(|hop| hop.answered()).collect::<Vec<_>>(), [1, 0, 1, 1]);
    assert!(side.hops().iter().all(|hop| hop.loss() == 0.0), "what is under way is not lost");
}

#[test]
fn silence_at_the_end_does_not_hold_it_up() {
    let mut simulation = Simulation::new(Family::V4, 3, 3);
    simulation.probes = false;
    let mut view = View::new(&simulation, &[Direction::Forward], SECOND);
    view.rounds(&mut simulation, 1);
    let before = simulation.elapsed();
    view.rounds(&mut simulation, 10);
    assert!(simulation.elapsed() < before + Duration::from_secs(12), "{:?}", simulation.elapsed());
    let there = view.side(Direction::Forward);
    assert_eq!((there.end(), there.hops().len()), (Some(&End::Silent), 3));
}

#[test]
fn a_responder_that_refuses_is_asked_again_and_again() {
    let mut simulation = Simulation::new(Family::V4, 3, 3);
    simulation.responder = Responder::Refuses(Refusal::Ttl, "no".to_owned());
    let mut view = View::new(&simulation, &[Direction::Reverse], SECOND);
    view.rounds(&mut simulation, 30);
    let back = view.side(Direction::Reverse);
    assert!(matches!(back.end(), Some(End::Refused { .. })) && !back.is_answered());
    simulation.responder = Responder::Speaks;
    view.rounds(&mut simulation, 2);
    assert!(view.side(Direction::Reverse).is_reached());
}

#[test]
fn a_reset_forgets_the_figures_only() {
    let mut simulation = Simulation::new(Family::V4, 3, 3);
    let mut view = View::new(&simulation, &BOTH, SECOND);
    view.rounds(&mut simulation, 5);
    view.board.reset();
    let there = view.side(Direction::Forward);
    assert!(there.hops().is_empty());
    // What is forgotten is no verdict either.
    assert!(there.end().is_none() && !there.is_reached() && !there.is_answered());
    view.rounds(&mut simulation, 2);
    let there = view.side(Direction::Forward);
    assert_eq!((there.changed(), there.rounds(), there.hops()[0].sent()), (0, 2, 2));
}

#[test]
fn the_document_of_a_session_is_read_again() {
    let mut simulation = Simulation::new(Family::V4, 3, 3);
    simulation.weather.jitter = ms(5);
    let mut view = View::new(&simulation, &BOTH, SECOND);
    view.rounds(&mut simulation, 120);
    let path = view.side(Direction::Reverse).document();
    let text = serde_json::to_string(&path).unwrap();
    let again: document::Path = serde_json::from_str(&text).unwrap();
    assert_eq!(again, path);
    assert!(path.reached && path.hops.len() == 4 && path.sent >= 480);
    for hop in &path.hops {
        assert_eq!(hop.probes.len(), live::KEPT, "the latest, one by one");
        let statistics = hop.statistics.as_ref().unwrap();
        assert_eq!((statistics.sent, statistics.answered), (120, 120));
        let order = [statistics.best_ms, statistics.p50_ms, statistics.p99_ms, statistics.worst_ms];
        assert!(order.is_sorted(), "{order:?}");
        assert_eq!(hop.responders.len(), 1);
    }
    let sent: Vec<_> = path.hops[0].probes.iter().flatten().map(|probe| probe.sent_ms).collect();
    assert!(sent.is_sorted() && sent[0] < 1000.0 && sent[99] > 98_000.0, "{sent:?}");
}

/// A link that is down for a while.
struct Flapping {
    simulation: Simulation,
    down: (Duration, Duration),
}

#[derive(Debug)]
struct Down;

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the network is down")
    }
}

impl Network for Flapping {
    type Error = Down;

    fn now(&self) -> Instant {
        self.simulation.now()
    }

    fn send(&mut self, query: &Query) -> Result<(), Down> {
        if (self.down.0..self.down.1).contains(&self.simulation.elapsed()) {
            return Err(Down);
        }
        let sent: Result<(), Infallible> = self.simulation.send(query);
        sent.map_err(|never| match never {})
    }

    fn receive(&mut self, deadline: Instant) -> Result<Option<(Answer, Instant)>, Down> {
        self.simulation.receive(deadline).map_err(|never| match never {})
    }
}

#[test]
fn a_link_that_fails_is_waited_for() {
    let simulation = Simulation::new(Family::V4, 3, 3);
    let mut view = View::new(&simulation, &[Direction::Forward], SECOND);
    let down = (Duration::from_secs(5), Duration::from_secs(15));
    let mut network = Flapping { simulation, down };
    view.run(&mut network, 1000, Duration::from_secs(14));
    assert_eq!(view.board.trouble(), Some("the network is down"));
    assert_eq!(view.side(Direction::Forward).hops().len(), 4, "the path is not forgotten");
    view.run(&mut network, 1000, Duration::from_secs(20));
    let there = view.side(Direction::Forward);
    assert!(there.is_reached() && there.hops().len() == 4 && view.board.trouble().is_none());
    let lost = there.hops()[0].sent() - there.hops()[0].answered();
    assert!((1..=10).contains(&lost), "{lost}");
}

#[test]
fn options_with_one_ttl_do() {
    let mut simulation = Simulation::new(Family::V4, 3, 3);
    let options = Options {
        first: Ttl::new(2).unwrap(),
        last: Ttl::new(2).unwrap(),
        ..super::options(&simulation, Direction::Forward, Protocol::Udp)
    };
    let mut view = View::new(&simulation, &[Direction::Forward], SECOND);
    view.monitor = Monitor::new(vec![(options, Secret::from_bytes([1; 16]))], SECOND);
    view.rounds(&mut simulation, 3);
    let there = view.side(Direction::Forward);
    assert_eq!((there.hops().len(), there.end()), (1, Some(&End::LastTtl)));
    assert!(ttls(&simulation).all(|(_, ttl)| ttl == 2));
}

//! Requests beyond the rates of the policy, and what is answered besides requests beyond its budgets.

mod common;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use common::{
    FAMILIES, Responder, SECOND, address, arp_frame, discovery_frame, ends, icmp_packet, request,
    request_packet, routed, router_mac,
};
use otherhalf_engine::policy::{Allowances, RateLimit};
use otherhalf_engine::{Outcome, Verdict};
use otherhalf_policy::{Limiter, Limits, Rates};
use otherhalf_wire::arp::Operation;
use otherhalf_wire::icmp::Kind;
use otherhalf_wire::ip::Family;
use otherhalf_wire::ndp::Message;
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::trace::Request;

const LIMITS: Limits = Limits { address: 20, narrow: [100, 200], wide: 1000, syn: 5 };

/// A responder with limits, and their counter.
fn limited(leak: u32, dry_run: bool) -> (Responder, Arc<Limiter>) {
    let mut ours = Responder::new();
    let limiter = common::limiter();
    ours.engine = common::engine(8192).limited_by(Arc::clone(&limiter));
    let rates = Rates::new(Duration::from_secs(1), &LIMITS, &LIMITS).unwrap();
    ours.policy.rate = Some(RateLimit { rates, leak, leak_per_second: 10, dry_run });
    (ours, limiter)
}

/// Requests of the client for probes by `protocol`, no two the same.
fn requests(family: Family, protocol: Protocol, n: u16) -> Vec<Vec<u8>> {
    let each = |identifier| {
        let wanted = Request { identifier, ..request(family, protocol, 9, 4321) };
        routed(&request_packet(ends(family), wanted))
    };
    (1..=n).map(each).collect()
}

fn outcomes(ours: &mut Responder, frames: &[Vec<u8>]) -> Vec<Outcome> {
    ours.burst(0, frames).iter().map(|done| done.fate.outcome).collect()
}

fn count(outcomes: &[Outcome], wanted: Outcome) -> usize {
    outcomes.iter().filter(|outcome| **outcome == wanted).count()
}

#[test]
fn an_address_gets_its_rate_and_no_more() {
    for family in FAMILIES {
        let (mut ours, _) = limited(0, false);
        let frames = requests(family, Protocol::Udp, 100);
        let first = outcomes(&mut ours, &frames);
        // The one that would end the burst to the nanosecond may be rounded away.
        let sent = count(&first, Outcome::ProbeUdp);
        assert!((19..=20).contains(&sent), "{family:?}: {sent}");
        assert_eq!(count(&first, Outcome::DropRateAddress), 100 - sent);
        ours.now += SECOND / 2;
        // New ones: the probes of the first still wait.
        let more = requests(family, Protocol::Icmp, 100);
        let sent = count(&outcomes(&mut ours, &more), Outcome::ProbeIcmp);
        assert!((9..=10).contains(&sent), "{family:?}: {sent}");
    }
}

#[test]
fn refusals_are_charged() {
    for family in FAMILIES {
        let (mut ours, _) = limited(0, false);
        let wanted = Request { ttl: 0, ..request(family, Protocol::Udp, 9, 4321) };
        let frames = vec![routed(&request_packet(ends(family), wanted)); 50];
        let found = outcomes(&mut ours, &frames);
        let sent = count(&found, Outcome::RefusedTtl);
        assert!((19..=20).contains(&sent), "{family:?}: {sent}");
        assert_eq!(count(&found, Outcome::DropRateAddress), 50 - sent);
    }
}

#[test]
fn tcp_probes_have_a_rate_of_their_own() {
    for family in FAMILIES {
        // However leaky the others are.
        let (mut ours, _) = limited(1, false);
        let found = outcomes(&mut ours, &requests(family, Protocol::Tcp, 10));
        let sent = count(&found, Outcome::ProbeTcp);
        assert!((4..=5).contains(&sent), "{family:?}: {sent}");
        assert_eq!(count(&found, Outcome::DropRateSyn), 10 - sent);
        assert_eq!(outcomes(&mut ours, &requests(family, Protocol::Udp, 1)), [Outcome::ProbeUdp]);
    }
}

/// Whichever limit is reached: a flood in somebody's name is not to become one of SYNs.
#[test]
fn tcp_probes_never_leak() {
    for family in FAMILIES {
        let (mut ours, _) = limited(1, false);
        let leaky = |limit| RateLimit { leak_per_second: 10_000, ..limit };
        ours.policy.rate = ours.policy.rate.map(leaky);
        let found = outcomes(&mut ours, &requests(family, Protocol::Udp, 100));
        assert_eq!(count(&found, Outcome::ProbeUdp), 100, "all beyond the rate leak");
        let found = outcomes(&mut ours, &requests(family, Protocol::Tcp, 5));
        assert_eq!(count(&found, Outcome::DropRateAddress), 5, "{family:?}: {found:?}");
    }
}

#[test]
fn a_tryout_drops_nothing() {
    for family in FAMILIES {
        let (mut ours, limiter) = limited(0, true);
        let found = outcomes(&mut ours, &requests(family, Protocol::Udp, 100));
        assert_eq!(count(&found, Outcome::ProbeUdp), 100);
        let [leaked, spared] = limiter.tally().read();
        assert_eq!(leaked, 0);
        assert!((80..=81).contains(&spared), "{spared}");
    }
}

/// A flood in the name of a client leaves it a part of its answers, and does not pour out on it.
#[test]
fn some_leaks_and_not_much() {
    for family in FAMILIES {
        let (mut ours, limiter) = limited(50, false);
        let mut sent = 0;
        // A thousand requests a second for ten seconds.
        let frames = requests(family, Protocol::Udp, 10_000);
        for frames in frames.chunks(10) {
            ours.now += SECOND / 100;
            sent += count(&outcomes(&mut ours, frames), Outcome::ProbeUdp);
        }
        let leaked = usize::try_from(limiter.tally().read()[0]).unwrap();
        assert!((30..=110).contains(&leaked), "{family:?}: {leaked}");
        let kept = sent - leaked;
        assert!((199..=221).contains(&kept), "{family:?}: the rate itself, {kept}");
    }
}

/// A request that waits for a neighbour is charged when it is served, once.
#[test]
fn what_waits_is_charged_once() {
    for family in FAMILIES {
        let (mut ours, _) = limited(0, false);
        let known = std::mem::take(&mut ours.neighbours);
        let frames = requests(family, Protocol::Udp, 15);
        for _ in 0..10 {
            let held = ours.burst(0, &frames);
            assert!(held.iter().all(|done| done.fate.verdict == Verdict::Hold));
        }
        ours.neighbours = known;
        let found = outcomes(&mut ours, &frames);
        assert_eq!(count(&found, Outcome::ProbeUdp), 15, "{family:?}");
    }
}

/// A reload that changes rates takes them up, and forgets nothing.
#[test]
fn what_is_spent_survives_a_new_policy() {
    let (mut ours, _) = limited(0, false);
    let family = Family::V4;
    let frames = requests(family, Protocol::Udp, 30);
    outcomes(&mut ours, &frames);
    let more = Limits { address: 40, ..LIMITS };
    let rates = Rates::new(Duration::from_secs(1), &more, &LIMITS).unwrap();
    ours.policy.rate = ours.policy.rate.map(|limit| RateLimit { rates, ..limit });
    ours.now += SECOND / 4;
    let found = outcomes(&mut ours, &requests(family, Protocol::Icmp, 100));
    // A quarter of a second at the new rate, and not a whole burst.
    let sent = count(&found, Outcome::ProbeIcmp);
    assert!((9..=10).contains(&sent), "{sent}");
}

#[test]
fn pings_and_questions_of_neighbours_have_budgets() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        ours.policy.allowances = Allowances { closed: 1, pings: 30, neighbours: 1 };
        let ends = ends(family);
        let ping = icmp_packet(ends.client, ends.own, (Kind::EchoRequest, 0, [1, 2]), &[7; 20]);
        let found = outcomes(&mut ours, &vec![routed(&ping); 10]);
        assert_eq!(count(&found, Outcome::PingReply), 3, "a tenth of a second's");
        assert_eq!(count(&found, Outcome::DropPingBudget), 7);
        let question = match ends.own {
            IpAddr::V4(own) => {
                let sender = (router_mac(1), Ipv4Addr::new(192, 0, 2, 1));
                arp_frame(Operation::Request, sender, own)
            }
            IpAddr::V6(own) => {
                let router = address("2001:db8::1");
                let IpAddr::V6(router) = router else { panic!("{router}") };
                let asked = Message::Solicitation { target: own, source_mac: Some(router_mac(1)) };
                discovery_frame(router_mac(1), 255, (router, own), asked)
            }
        };
        let found = outcomes(&mut ours, &vec![question; 3]);
        let expected =
            [Outcome::NeighbourReply, Outcome::DropNeighbourBudget, Outcome::DropNeighbourBudget];
        assert_eq!(found, expected);
        // And requests know of neither.
        assert_eq!(outcomes(&mut ours, &requests(family, Protocol::Udp, 1)), [Outcome::ProbeUdp]);
    }
}

//! Pairs of variants that are worth comparing, and the ratios that they are to reach.

use dpdk::yardstick::FloorVariant;
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;

use crate::path::Kind;
use crate::policed::Lists;
use crate::port;
use crate::traffic::{Clients, Traffic};

/// Entries that are pending while a variant is timed.
pub(crate) const LIVE: u64 = 1 << 20;
/// A table of 64 MiB, as large as the floor's: half of its entries are live.
pub(crate) const ENTRIES: u32 = 1 << 21;

/// What a variant is given to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Requests, each of another client.
    Requests,
    /// Answers to the oldest of a million probes.
    Answers,
    /// Bursts of both by turns, as whole traces are: a request and its answer each. On a port alone.
    Traces,
}

/// A variant, its load and its traffic.
#[derive(Debug, Clone, Copy)]
pub struct Side<Kind> {
    /// The variant.
    pub kind: Kind,
    /// Its load.
    pub load: Load,
    /// Its traffic.
    pub traffic: Traffic,
}

/// The side that is judged, and the one that it is compared with.
#[derive(Debug, Clone, Copy)]
pub enum Pair {
    /// The packet's way alone, on frames in buffers.
    Alone([Side<Kind>; 2]),
    /// Whole turns on a port: receive, the packet's way, send, count.
    Port([Side<port::Kind>; 2]),
}

/// Two sides, and the most that the first may take of the second's time.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Its name: `path` for whole turns, `engine` for the packet's way alone.
    pub name: &'static str,
    /// The two.
    pub pair: Pair,
    /// The greatest ratio that passes.
    pub target: f64,
    /// Whether the first side's cycles are compared with the budget of 10 Gbit/s besides.
    pub budget: bool,
}

const fn side<Kind: Copy>(
    kind: Kind,
    load: Load,
    (family, protocol): (Family, Protocol),
) -> Side<Kind> {
    Side { kind, load, traffic: Traffic::new(family, protocol) }
}

/// A worker under all policy with these lists, and one without any, given this by these clients.
fn policy(
    name: &'static str,
    load: Load,
    family: Family,
    (lists, clients): (Lists, Clients),
) -> Case {
    let side = |kind| {
        let traffic = Traffic { family, protocol: Protocol::Udp, clients };
        Side { kind, load, traffic }
    };
    let pair = Pair::Port([side(port::Kind::Policed(lists)), side(port::Kind::Worker)]);
    Case { name, pair, target: 1.25, budget: false }
}

/// Of the whole path, on a port.
#[must_use]
pub fn path() -> Vec<Case> {
    use Clients::Scattered;
    use Load::{Answers, Requests, Traces};
    use port::Kind::{Floor, Worker, Yardstick};
    const V4: (Family, Protocol) = (Family::V4, Protocol::Udp);
    const V6: (Family, Protocol) = (Family::V6, Protocol::Udp);
    const TCP: (Family, Protocol) = (Family::V4, Protocol::Tcp);
    const ICMP: (Family, Protocol) = (Family::V4, Protocol::Icmp);
    let case = |name, kinds: [port::Kind; 2], load, traffics: [_; 2], target| Case {
        name,
        pair: Pair::Port([side(kinds[0], load, traffics[0]), side(kinds[1], load, traffics[1])]),
        target,
        budget: false,
    };
    // The floor knows echo requests only; it updates keys that are there as we take them.
    let (insert, update) = (Floor(FloorVariant::Insert), Floor(FloorVariant::Update));
    let budget = |case| Case { budget: true, ..case };
    vec![
        case("path/control", [Worker; 2], Requests, [V4; 2], 1.05),
        case("path/control-c", [Yardstick; 2], Requests, [V4; 2], 1.05),
        budget(case("path/requests-v4/floor", [Worker, insert], Requests, [V4; 2], 1.5)),
        budget(case("path/answers-v4/floor", [Worker, update], Answers, [V4; 2], 1.5)),
        case("path/requests-v6/v4", [Worker; 2], Requests, [V6, V4], 1.25),
        case("path/answers-v6/v4", [Worker; 2], Answers, [V6, V4], 1.25),
        // All policy, and none.
        policy("path/policy-traces-v4/off", Traces, Family::V4, (Lists::Away, Clients::Many)),
        policy("path/policy-traces-v6/off", Traces, Family::V6, (Lists::Away, Clients::Many)),
        policy("path/policy-requests-v4/off", Requests, Family::V4, (Lists::Away, Clients::Many)),
        policy("path/policy-requests-v6/off", Requests, Family::V6, (Lists::Away, Clients::Many)),
        policy("path/policy-answers-v4/off", Answers, Family::V4, (Lists::Away, Clients::Many)),
        // As it is on most days, and as it is at worst.
        policy("path/policy-usual-v4/off", Requests, Family::V4, (Lists::Small, Clients::Few)),
        policy("path/policy-usual-v6/off", Requests, Family::V6, (Lists::Small, Clients::Few)),
        policy("path/policy-scattered-v6/off", Requests, Family::V6, (Lists::Away, Scattered)),
        policy("path/policy-worst-v4/off", Requests, Family::V4, (Lists::Near, Scattered)),
        policy("path/policy-worst-v6/off", Requests, Family::V6, (Lists::Near, Scattered)),
        case("path/requests-v4/c", [Worker, Yardstick], Requests, [V4; 2], 1.1),
        case("path/answers-v4/c", [Worker, Yardstick], Answers, [V4; 2], 1.1),
        case("path/requests-v6/c", [Worker, Yardstick], Requests, [V6; 2], 1.1),
        case("path/answers-v6/c", [Worker, Yardstick], Answers, [V6; 2], 1.1),
        case("path/requests-tcp/c", [Worker, Yardstick], Requests, [TCP; 2], 1.1),
        case("path/requests-icmp/c", [Worker, Yardstick], Requests, [ICMP; 2], 1.1),
        case("path/c-requests-v4/floor", [Yardstick, insert], Requests, [V4; 2], 1.5),
        case("path/c-answers-v4/floor", [Yardstick, update], Answers, [V4; 2], 1.5),
    ]
}

/// Of the packet's way alone, for profiling.
#[must_use]
pub fn engine() -> Vec<Case> {
    use Kind::{Engine, Policed, Yardstick};
    use Load::{Answers, Requests};
    const V4: (Family, Protocol) = (Family::V4, Protocol::Udp);
    const V6: (Family, Protocol) = (Family::V6, Protocol::Udp);
    const TCP: (Family, Protocol) = (Family::V4, Protocol::Tcp);
    const ICMP: (Family, Protocol) = (Family::V4, Protocol::Icmp);
    let case = |name, kinds: [Kind; 2], load, traffics: [_; 2], target| Case {
        name,
        pair: Pair::Alone([side(kinds[0], load, traffics[0]), side(kinds[1], load, traffics[1])]),
        target,
        budget: false,
    };
    vec![
        case("engine/control", [Engine; 2], Requests, [V4; 2], 1.05),
        case("engine/control-c", [Yardstick; 2], Requests, [V4; 2], 1.05),
        case(
            "engine/policy-requests-v4/off",
            [Policed(Lists::Away), Engine],
            Requests,
            [V4; 2],
            1.25,
        ),
        case(
            "engine/policy-requests-v6/off",
            [Policed(Lists::Away), Engine],
            Requests,
            [V6; 2],
            1.25,
        ),
        case("engine/requests-v4/c", [Engine, Yardstick], Requests, [V4; 2], 1.1),
        case("engine/answers-v4/c", [Engine, Yardstick], Answers, [V4; 2], 1.1),
        case("engine/requests-v6/c", [Engine, Yardstick], Requests, [V6; 2], 1.1),
        case("engine/answers-v6/c", [Engine, Yardstick], Answers, [V6; 2], 1.1),
        case("engine/requests-v6/v4", [Engine; 2], Requests, [V6, V4], 1.25),
        case("engine/answers-v6/v4", [Engine; 2], Answers, [V6, V4], 1.25),
        case("engine/requests-tcp/c", [Engine, Yardstick], Requests, [TCP; 2], 1.1),
        case("engine/requests-icmp/c", [Engine, Yardstick], Requests, [ICMP; 2], 1.1),
    ]
}

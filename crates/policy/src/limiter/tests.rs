use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use super::*;
use crate::rates::{Limits, Unkept};

const SECOND: u64 = 1_000_000_000;
const V4_LIMITS: Limits = Limits { address: 100, narrow: [400, 400], wide: 6400, syn: 50 };
const V6_LIMITS: Limits = Limits { address: 100, narrow: [200, 800], wide: 12_800, syn: 50 };

fn rates() -> Rates {
    Rates::new(Duration::from_secs(1), &V4_LIMITS, &V6_LIMITS).unwrap()
}

/// A limiter, and a hash under a secret of this run.
struct Ours {
    limiter: Limiter,
    secret: RandomState,
    rates: Rates,
}

impl Ours {
    fn new(lines: usize) -> Self {
        Self::since(lines, START)
    }

    fn since(lines: usize, ns: u64) -> Self {
        Self {
            limiter: Limiter::new(lines, Moment::at_ns(ns)),
            secret: RandomState::new(),
            rates: rates(),
        }
    }

    fn v4(&self, address: u32, ns: u64) -> Result<(), Limited> {
        self.probe_v4(address, ns, false)
    }

    fn probe_v4(&self, address: u32, ns: u64, syn: bool) -> Result<(), Limited> {
        let charge = Charge::v4(address.into(), self.secret.hash_one(address >> 8), syn);
        self.limiter.take(&self.rates, &charge, Moment::at_ns(ns))
    }

    fn v6(&self, address: u128, ns: u64) -> Result<(), Limited> {
        let hashes = [self.secret.hash_one(address >> 80), self.secret.hash_one(address >> 96)];
        let charge = Charge::v6(address.into(), hashes, false);
        self.limiter.take(&self.rates, &charge, Moment::at_ns(ns))
    }
}

const HOST: u32 = 0xc633_6407;
const START: u64 = 77 * SECOND;

#[test]
fn an_address_gets_its_rate_and_a_burst() {
    let ours = Ours::new(1024);
    let taken = |from: u64, to: u64, step: usize| {
        (from..to).step_by(step).filter(|ns| ours.v4(HOST, *ns).is_ok()).count()
    };
    let burst = (0..1000).filter(|_| ours.v4(HOST, START).is_ok()).count();
    assert!((99..=100).contains(&burst), "{burst}");
    assert_eq!(ours.v4(HOST, START), Err(Limited::Address));
    // A thousand a second for ten seconds.
    let steady = taken(START, START + 10 * SECOND, 1_000_000);
    assert!((990..=1000).contains(&steady), "{steady}");
    // All is full again after a window of silence.
    let later = START + 12 * SECOND;
    let burst = (0..1000).filter(|_| ours.v4(HOST, later).is_ok()).count();
    assert!((99..=100).contains(&burst), "{burst}");
}

#[test]
fn prefixes_have_limits_of_their_own() {
    let ours = Ours::new(1 << 16);
    let mut limited = HashMap::new();
    let mut taken = 0;
    for probe in 0..1000 {
        match ours.v4((HOST & !0xff) | (probe % 250), START) {
            Ok(()) => taken += 1,
            Err(limit) => *limited.entry(limit as u8).or_insert(0) += 1,
        }
    }
    // Cells are shared within the line, so some addresses are limited early, never late.
    assert!((200..=400).contains(&taken), "{taken}");
    assert!(limited.contains_key(&(Limited::Prefix as u8)), "{limited:?}");

    // As many of a /16 as it may have, from all of its /24s.
    let of_sixteen = (0..20_000).filter(|n| ours.v4(0xcb00_0000 + n * 257 % 65_536, START).is_ok());
    let taken = of_sixteen.count();
    assert!((6_200..=6_400).contains(&taken), "{taken}");
}

#[test]
fn every_length_of_ipv6_is_limited() {
    let base = 0x2001_0db8_0000_0000_u128 << 64;
    let count = |address: &dyn Fn(u128) -> u128| {
        let ours = Ours::new(1 << 16);
        (0..60_000).filter(|n| ours.v6(address(*n), START).is_ok()).count()
    };
    let within = |what: &str, taken: usize, limit: usize| {
        assert!(taken <= limit && taken > limit / 3, "{what}: {taken} of {limit}");
    };
    within("/128", count(&|_| base), 100);
    within("/64", count(&|n| base | n), 200);
    within("/48", count(&|n| base + (n << 64) + n), 800);
    within("/32", count(&|n| base + (n << 80)), 12_800);
}

#[test]
fn tcp_probes_are_limited_by_their_target_prefix() {
    let ours = Ours::new(1024);
    let syns = (0..1000).filter(|n| ours.probe_v4(HOST ^ (n % 200), START, true).is_ok()).count();
    assert!((49..=50).contains(&syns), "{syns}");
    assert_eq!(ours.probe_v4(HOST ^ 0xc9, START, true), Err(Limited::Syn));
    assert_eq!(ours.probe_v4(HOST ^ 0xc9, START, false), Ok(()), "other probes are sent on");
}

/// A refused token of one bucket must not cost one of another.
#[test]
fn what_is_limited_costs_nothing() {
    let ours = Ours::new(1024);
    while ours.v4(HOST, START).is_ok() {}
    let before: Vec<u32> = cells(&ours.limiter);
    for _ in 0..1000 {
        assert_eq!(ours.v4(HOST, START), Err(Limited::Address));
    }
    assert_eq!(cells(&ours.limiter), before);
}

fn cells(limiter: &Limiter) -> Vec<u32> {
    let cells = limiter.lines.iter().chain(&*limiter.wide).flat_map(|line| &line.0);
    cells.map(|cell| cell.load(Ordering::Relaxed)).collect()
}

/// 200 honest clients, each with a third of its rate, among 3 million requests a second with random sources.
#[test]
fn a_flood_of_random_sources_limits_nobody_honest() {
    let ours = Ours::new(1 << 16);
    let mut random = 1_u64;
    let mut next = || {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (random >> 32) as u32
    };
    let (mut honest, mut served, mut flood) = (0, 0, 0_u32);
    for turn in 0..6_000_000_u64 {
        let now = START + turn * 333;
        flood += u32::from(ours.v4(next(), now).is_ok());
        // 200 times 33 a second.
        if turn % 455 == 0 {
            let client = 0x0a00_0000 + (turn / 455 % 200) as u32 * 0x0001_0301;
            honest += 1;
            served += u32::from(ours.v4(client, now).is_ok());
        }
    }
    assert!(served * 1000 >= honest * 999, "{served} of {honest}");
    assert!(flood > 5_990_000, "a random source has done nothing wrong: {flood}");
}

/// Ten thousand addresses that never stop, and 200 that ask within their rate.
#[test]
fn abusers_limit_few_others() {
    let ours = Ours::new(1 << 16);
    let abuser = |n: u32| n.wrapping_mul(0x9e37_79b1);
    for n in 0..10_000 {
        for _ in 0..110 {
            let _ = ours.v4(abuser(n), START);
        }
    }
    let strangers = (0..10_000).map(|n: u32| n.wrapping_mul(0x85eb_ca77) ^ 0x5555);
    let muted = strangers.filter(|stranger| ours.v4(*stranger, START).is_err()).count();
    // One in seven has an abuser in its line; one pair in 28 is its own. What a line with two abusers does comes on top.
    assert!(muted < 200, "{muted} of 10000");
}

/// Workers read the clock once a burst, so one may be behind what another wrote.
#[test]
fn a_worker_whose_clock_is_behind_finds_no_new_bucket() {
    for behind in [100, 10_000, 1_000_000, SECOND] {
        let ours = Ours::new(1024);
        while ours.v4(HOST, START).is_ok() {}
        let taken = (0..100).filter(|_| ours.v4(HOST, START - behind).is_ok()).count();
        assert_eq!(taken, 0, "{behind} ns behind");
        assert_eq!(ours.v4(HOST, START), Err(Limited::Address), "nor leaves one");
    }
}

/// A reload that shortens the burst does not forgive what was spent.
#[test]
fn a_shorter_window_keeps_what_is_spent() {
    let mut ours = Ours::new(1024);
    while ours.v4(HOST, START).is_ok() {}
    ours.rates = Rates::new(Duration::from_millis(500), &V4_LIMITS, &V6_LIMITS).unwrap();
    let taken = |ns| (0..100).filter(|_| ours.v4(HOST, ns).is_ok()).count();
    assert_eq!(taken(START + SECOND / 4), 0);
    let later = taken(START + 3 * SECOND / 4);
    assert!((24..=25).contains(&later), "of 50, 25 are spent still: {later}");
}

const TURN: u64 = (1 << 32) << UNIT_BITS;

#[test]
fn time_wraps() {
    let ours = Ours::since(16, TURN - SECOND);
    for start in [TURN - SECOND / 2, TURN + SECOND, 2 * TURN + 2 * SECOND, 5 * TURN / 2] {
        let taken = (0..1000).filter(|_| ours.v4(HOST, start).is_ok()).count();
        assert!((99..=100).contains(&taken), "{start}: {taken}");
    }
}

/// Whenever it starts, nothing is spent, in memory of either kind.
#[test]
fn it_begins_full_at_any_moment() {
    for start in (0..=2 * TURN).step_by(usize::try_from(SECOND / 4).unwrap()) {
        let now = Moment::at_ns(start);
        let memory: Vec<Line> = (0..Limiter::memory_for(1)).map(|_| Line::default()).collect();
        let lent =
            if start % TURN < SECOND { Some(Limiter::new_in(memory.leak(), now)) } else { None };
        for limiter in [Some(Limiter::new(1, now)), lent].into_iter().flatten() {
            let ours = Ours { limiter, ..Ours::new(1) };
            let burst = (0..1000).filter(|_| ours.v4(HOST, start).is_ok()).count();
            assert!((99..=100).contains(&burst), "{start}: {burst}");
        }
    }
}

/// Limits that are set again find nothing spent of before, however long there were none.
#[test]
fn a_sweep_without_limits_keeps_old_cells_full_too() {
    let [swept, other] = [Ours::new(64), Ours::new(64)];
    for ours in [&swept, &other] {
        while ours.v4(HOST, START).is_ok() {}
    }
    let mut cursor = Sweep::new();
    for minute in 1..=TURN / SECOND / 60 {
        let now = Moment::at_ns(START + minute * 60 * SECOND);
        swept.limiter.sweep(&mut cursor, swept.limiter.cells(), None, now).unwrap();
    }
    assert_eq!(other.v4(HOST, START + TURN), Err(Limited::Address), "time has come round");
    assert_eq!(swept.v4(HOST, START + TURN), Ok(()));
}

/// What looked spent for its age does not, once a sweep has passed by; what is spent stays so.
#[test]
fn a_sweep_keeps_old_cells_full() {
    let ours = Ours::new(64);
    let mut cursor = Sweep::new();
    let mut pass = |now| {
        let mut turns = 0;
        loop {
            turns += 1;
            let found = ours.limiter.sweep(&mut cursor, 5, Some(&ours.rates), Moment::at_ns(now));
            if let Some(spent) = found {
                return (spent, turns);
            }
        }
    };
    // 64 lines, and 65536 wide cells, 16 at a time.
    assert_eq!(pass(START), (0, (64 + 4096_usize).div_ceil(5)));
    assert_eq!(ours.limiter.cells(), 64 * 16 + 65_536);
    while ours.v4(HOST, START).is_ok() {}
    // Two cells of the address, two of its /24, one of its /16.
    assert_eq!(pass(START).0, 5);
    assert_eq!(ours.v4(HOST, START), Err(Limited::Address));
    assert_eq!(pass(START + 2 * SECOND).0, 0);

    for minute in 1..=30 {
        pass(START + minute * 60 * SECOND);
    }
    // Wherever time stands, addresses that were never seen have all that is theirs.
    for half in 0..2 * TURN / SECOND {
        let now = START + 31 * 60 * SECOND + half * SECOND / 2;
        if half % 60 == 0 {
            assert_eq!(pass(now).0, 0, "what was spent half a second ago is back");
        }
        let other = 0x0a00_0000 + u32::try_from(half).unwrap() * 0x1_0101;
        assert_eq!(ours.v4(other, now), Ok(()));
    }
}

/// A process that was stopped, or whose machine slept, finds nothing spent that was not touched meanwhile, however long that was.
#[test]
fn after_a_pause_nothing_is_spent() {
    let coarse = (0..=2 * TURN).step_by(usize::try_from(10 * SECOND).unwrap());
    let fine = (TURN - 5 * SECOND..TURN).step_by(usize::try_from(SECOND / 8).unwrap());
    for (host, pause) in [HOST, !HOST].into_iter().cycle().zip(coarse.chain(fine)) {
        let ours = Ours::new(1);
        let mut cursor = Sweep::since(START);
        let mut tend = |ns| {
            ours.limiter.tend(&mut cursor, ours.limiter.cells(), Some(&ours.rates), ns).unwrap()
        };
        let stopped = START + 70 * SECOND;
        assert_eq!(tend(stopped), 0);
        while ours.v4(HOST, stopped).is_ok() {}
        assert_eq!(tend(stopped), 5);
        let resumed = stopped + SECOND + pause;
        assert_eq!(tend(resumed), 0, "{pause}");
        let burst = (0..1000).filter(|_| ours.v4(host, resumed).is_ok()).count();
        assert!((99..=100).contains(&burst), "{pause}: {burst}");
    }
}

#[test]
fn rates_that_cannot_be_kept_are_told() {
    let slow = Limits { address: 1, ..V4_LIMITS };
    let half = Duration::from_millis(500);
    assert_eq!(Rates::new(half, &slow, &V6_LIMITS), Err(Unkept::Never { rate: 1, burst: half }));
    let never = Limits { syn: 0, ..V4_LIMITS };
    assert!(Rates::new(half, &V4_LIMITS, &never).is_err());
    let long = Duration::from_secs(61);
    assert_eq!(Rates::new(long, &V4_LIMITS, &V6_LIMITS), Err(Unkept::Burst(long)));
    assert!(Rates::new(LONGEST, &slow, &V6_LIMITS).is_ok());
}

const LONGEST: Duration = crate::rates::LONGEST_BURST;

/// Of lent memory, as much is used as makes a power of 2 of lines.
#[test]
fn lent_memory_is_as_good() {
    let lend = |lines: usize| {
        let memory: Vec<Line> = (0..lines).map(|_| Line::default()).collect();
        Limiter::new_in(memory.leak(), Moment::at_ns(START))
    };
    for (lines, used) in [(Limiter::memory_for(100), 128), (WIDE_LINES + 100, 64)] {
        let ours = Ours { limiter: lend(lines), ..Ours::new(1) };
        assert_eq!(ours.limiter.lines(), used);
        assert_eq!(ours.limiter.octets(), used * 64 + WIDE * 4);
        let taken = (0..1000).filter(|_| ours.v4(HOST, START).is_ok()).count();
        assert!((99..=100).contains(&taken), "{taken}");
    }
    let ours = Ours { limiter: lend(WIDE_LINES), ..Ours::new(1) };
    assert_eq!(ours.limiter.lines(), 0);
    assert!((0..1000).all(|_| ours.v4(HOST, START).is_ok()), "no memory, no limits");
}

#[test]
fn nothing_is_allocated_on_the_way() {
    let ours = Ours::new(1024);
    let counted = allocation_counter::measure(|| {
        for n in 0..1000 {
            let _ = ours.v4(HOST ^ n, START);
            let _ = ours.v6(u128::from(n) << 64, START);
        }
    });
    assert_eq!(counted.count_total, 0);
}

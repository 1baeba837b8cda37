//! Floods, simulated: what an attacker gets, and what is left to the others. Each honest client asks for less than it may have; the
//! rates are the defaults of `otherhalfd`, the time is made up, and every random number comes from a seed.
#![cfg(not(loom))]

use std::time::Duration;

use otherhalf_policy::limiter::{Charge, Key, Limited, Moment, Sweep};
use otherhalf_policy::{Limiter, Limits, Rates};
use proptest::prelude::*;

const V4: Limits = Limits { address: 500, narrow: [2000, 2000], wide: 32_000, syn: 500 };
const V6: Limits = Limits { address: 500, narrow: [1000, 4000], wide: 64_000, syn: 500 };
const BURST: Duration = Duration::from_secs(2);
const SECOND: u64 = 1_000_000_000;
const START: u64 = 100 * SECOND;

/// xorshift64* (Vigna 2016).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn v4(&mut self) -> u32 {
        (self.next() >> 32) as u32
    }

    fn v6(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }
}

struct Responder {
    limiter: Limiter,
    rates: Rates,
    key: Key,
}

impl Responder {
    fn new(lines: usize, secret: u64) -> Self {
        let rates = Rates::new(BURST, &V4, &V6).unwrap();
        Self {
            limiter: Limiter::new(lines, Moment::at_ns(START)),
            rates,
            key: Key::new([secret, !secret]),
        }
    }

    fn take_v4(&self, address: u32, syn: bool, now: u64) -> Result<(), Limited> {
        let address = address.into();
        let charge = Charge::v4(address, self.key.v4(address), syn);
        self.limiter.take(&self.rates, &charge, Moment::at_ns(now))
    }

    fn v4(&self, address: u32, now: u64) -> bool {
        self.take_v4(address, false, now).is_ok()
    }

    fn v6(&self, address: u128, now: u64) -> bool {
        let address = address.into();
        let hashes = [self.key.v6_line(address), self.key.v6_wide(address)];
        let charge = Charge::v6(address, hashes, false);
        self.limiter.take(&self.rates, &charge, Moment::at_ns(now)).is_ok()
    }
}

/// Requests asked for and granted.
#[derive(Debug, Default, Clone, Copy)]
struct Share {
    asked: u64,
    granted: u64,
}

impl Share {
    fn add(&mut self, granted: bool) {
        self.asked += 1;
        self.granted += u64::from(granted);
    }

    fn at_least(self, per_mille: u64) {
        assert!(self.granted * 1000 >= self.asked * per_mille, "{self:?}: {per_mille} per mille");
    }
}

/// The most that a limit grants in `seconds`, and in a burst at their beginning.
fn most(limit: u32, seconds: u64) -> u64 {
    u64::from(limit) * (seconds + BURST.as_secs())
}

/// `pps` requests a second for `seconds`: 99 of 100 from `attacker`, the rest from 500 honest clients anywhere, by turns. What each got.
fn flood(
    ours: &Responder,
    (pps, seconds): (u64, u64),
    mut attacker: impl FnMut(&mut Random, u64) -> bool,
) -> (Share, Share) {
    let mut random = Random(0x0ddb_a115);
    let clients: Vec<u32> = (0..500).map(|_| random.v4()).collect();
    let (mut bad, mut honest) = (Share::default(), Share::default());
    for n in 0..pps * seconds {
        let now = START + n * SECOND / pps;
        if n % 100 == 0 {
            let client = clients[usize::try_from(n / 100).unwrap() % clients.len()];
            honest.add(ours.v4(client, now));
        } else {
            bad.add(attacker(&mut random, now));
        }
    }
    (bad, honest)
}

#[test]
fn one_source_gets_its_rate_and_the_others_all() {
    let ours = Responder::new(1 << 16, 1);
    let (bad, honest) = flood(&ours, (100_000, 5), |_, now| ours.v4(0xc000_0201, now));
    assert!(
        bad.granted <= most(V4.address, 5) && bad.granted >= most(V4.address, 5) - 5,
        "{bad:?}"
    );
    honest.at_least(1000);
}

#[test]
fn a_24_gets_its_rate_and_the_others_all() {
    let ours = Responder::new(1 << 16, 2);
    let (bad, honest) =
        flood(&ours, (100_000, 5), |random, now| ours.v4(0xc633_6400 | random.v4() & 0xff, now));
    // Its addresses share 8 cells, so that all have its rate only together with most others.
    let most = most(V4.narrow[0], 5);
    assert!(bad.granted <= most && bad.granted * 4 >= most * 3, "{bad:?} of {most}");
    honest.at_least(1000);
}

/// TCP probes to a network have a limit of their own, and its hosts are traced by other protocols as before.
#[test]
fn syns_to_a_24_get_their_rate_and_its_hosts_all_else() {
    let ours = Responder::new(1 << 16, 10);
    let (mut within, mut turns) = (Share::default(), 0);
    let (bad, honest) = flood(&ours, (100_000, 5), |random, now| {
        // A hundred times a second, one of the hosts asks for a UDP probe.
        turns += 1;
        if turns % 990 == 0 {
            within.add(ours.v4(0xc633_6409, now));
        }
        ours.take_v4(0xc633_6400 | random.v4() & 0xff, true, now).is_ok()
    });
    assert!(bad.granted <= most(V4.syn, 5) && bad.granted >= most(V4.syn, 5) - 5, "{bad:?}");
    assert!(within.asked > 400, "{within:?}");
    within.at_least(1000);
    honest.at_least(1000);
}

/// He owns a /16, sees which of his requests are answered, and goes on with the addresses that are, for as long as they are.
#[test]
fn who_learns_from_answers_gets_no_more_than_his_prefix() {
    let ours = Responder::new(1 << 16, 3);
    let mut good: Vec<u32> = Vec::new();
    let (bad, honest) = flood(&ours, (200_000, 5), |random, now| {
        let host = good.pop().unwrap_or_else(|| 0xcb00_0000 | random.v4() & 0xffff);
        let granted = ours.v4(host, now);
        if granted {
            good.push(host);
        }
        granted
    });
    let most = most(V4.wide, 5);
    assert!(bad.granted <= most && bad.granted * 2 >= most, "{bad:?} of {most}");
    honest.at_least(995);
}

/// Sources at random, as many a line as at 14.88 million a second with 65 536 lines.
#[test]
fn random_sources_at_line_rate_limit_nobody() {
    let ours = Responder::new(1 << 12, 4);
    let (bad, honest) = flood(&ours, (930_000, 3), |random, now| ours.v4(random.v4(), now));
    bad.at_least(999);
    honest.at_least(999);
}

/// 32 times as much is more than the lines can tell apart: then all are limited alike, by what lines can grant, until there are more lines.
#[test]
fn beyond_that_more_lines_help() {
    let share = |lines| {
        let ours = Responder::new(lines, 5);
        flood(&ours, (930_000, 3), |random, now| ours.v4(random.v4(), now)).1
    };
    let (few, enough) = (share(1 << 7), share(1 << 12));
    assert!(few.granted * 10 < few.asked * 9, "{few:?}");
    enough.at_least(999);
}

/// A thousand machines anywhere, each as fast as it can: none gets more than its own, and few others are near one of them.
#[test]
fn a_botnet_gets_its_rates_and_mutes_few() {
    let ours = Responder::new(1 << 16, 6);
    let mut random = Random(0xb07);
    let bots: Vec<u32> = (0..1000).map(|_| random.v4()).collect();
    let mut shares = vec![Share::default(); bots.len()];
    let (_, honest) = flood(&ours, (1_000_000, 3), |random, now| {
        let bot = usize::try_from(random.next() % 1000).unwrap();
        let granted = ours.v4(bots[bot], now);
        shares[bot].add(granted);
        granted
    });
    for share in shares {
        assert!(share.granted <= most(V4.address, 3), "{share:?}");
    }
    honest.at_least(995);
}

/// When it is over, all have all that is theirs after one burst's time.
#[test]
fn nothing_is_left_of_a_flood() {
    let ours = Responder::new(1 << 8, 7);
    flood(&ours, (500_000, 3), |random, now| ours.v4(random.v4(), now));
    let octets = ours.limiter.octets();
    let later = START + 3 * SECOND + 2 * SECOND + 1000;
    let mut sweep = Sweep::new();
    let cells = ours.limiter.cells();
    assert_eq!(
        ours.limiter.sweep(&mut sweep, cells, Some(&ours.rates), Moment::at_ns(later)),
        Some(0)
    );
    assert_eq!(ours.limiter.octets(), octets);
    let granted = (0..10_000).filter(|_| ours.v4(0xc000_0201, later)).count();
    assert!((999..=1000).contains(&granted), "{granted}");
}

#[test]
fn ipv6_has_no_room_to_hide_in() {
    let net = 0x2001_0db8_0000_0000_u128 << 64;
    let low = |bits: u32, random: &mut Random| random.v6() & ((1 << bits) - 1);
    for (bits, limit) in [(0, V6.address), (64, V6.narrow[0]), (80, V6.narrow[1]), (96, V6.wide)] {
        let ours = Responder::new(1 << 16, 8);
        let mut random = Random(0x6666);
        let mut bad = Share::default();
        for n in 0..300_000 {
            let now = START + n * SECOND / 200_000;
            bad.add(ours.v6(net | low(bits, &mut random), now));
        }
        let most = u64::from(limit) * 7 / 2;
        let least = most.min(300_000) / 3;
        assert!(bad.granted <= most && bad.granted >= least, "/{}: {bad:?}", 128 - bits);
        // And nobody else knows of it.
        assert!(ours.v6(0x2001_0db9_u128 << 96 | 7, START + 3 * SECOND / 2));
    }
}

proptest! {
    /// Whoever else shares its cells, and whichever worker's clock is behind: nobody gets more than its limit.
    #[test]
    fn no_order_of_requests_grants_more_than_the_limits(
        requests in prop::collection::vec((0..40_u8, 0..4_000_000_u64, 0..100_000_u64), 3000..6000),
        secret: u64,
    ) {
        // One line, so that all prefixes collide.
        let ours = Responder::new(1, secret);
        let mut granted = [0_u64; 40];
        let mut now = START;
        for (who, step, behind) in requests {
            now += step / 20;
            // Five of each of eight /24s; the first asks most.
            let who = if step % 3 == 0 { 0 } else { who };
            let address = 0xc633_0000 | u32::from(who / 5) << 8 | u32::from(who % 5);
            granted[usize::from(who)] += u64::from(ours.v4(address, now - behind));
        }
        let elapsed = now - START + 100_000;
        let most = |limit: u32| u64::from(limit) * (elapsed + 2 * SECOND) / SECOND + 1;
        for granted in granted {
            prop_assert!(granted <= most(V4.address));
        }
        for net in granted.chunks(5) {
            prop_assert!(net.iter().sum::<u64>() <= most(V4.narrow[0]));
        }
    }
}

/// What the limit of a prefix keeps back is told as the prefix's.
#[test]
fn it_is_told_whose_limit_it_is() {
    let ours = Responder::new(1 << 10, 9);
    let mut found = Vec::new();
    for n in 0..6000 {
        let address = 0xc633_6400 | (n % 256);
        found.extend(ours.take_v4(address, false, START).err());
    }
    assert!(found.contains(&Limited::Prefix));
}

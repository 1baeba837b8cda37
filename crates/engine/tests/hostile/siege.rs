//! A responder, in one of several settings, and bursts of frames thrown at it, all of whose fates are checked.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::common::{
    self, FAMILIES, SECOND, TIMEOUT, ends, engine, error_packet, interfaces, neighbours, network,
    packet_of, read, request, request_packet, routed,
};
use otherhalf_engine::access::{ALLOW, Access, DENY};
use otherhalf_engine::frame::LEAST_ROOM;
use otherhalf_engine::kernel::Exceptions;
use otherhalf_engine::policy::{Allowances, Bogons, Flows, LeastRequest, RateLimit, Reply};
use otherhalf_engine::{
    Counters, Engine, Fate, Frame, Indirect, Neighbours, Network, Outcome, Policy, PortId, View,
    Vouched,
};
use otherhalf_policy::limiter::{Limiter, Moment};
use otherhalf_policy::{Limits, Rates};
use otherhalf_wire::icmp::Kind;
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;

use crate::generate::Generator;
use crate::random::Random;
use crate::{check, mutate};

const LONGEST_BURST: usize = 64;
/// Few, so that they are all taken at times.
const ENTRIES: usize = 128;

/// One way to set a responder up.
struct Setting {
    network: Network,
    neighbours: Neighbours,
    policy: Policy,
}

static SETTINGS: LazyLock<Vec<Setting>> = LazyLock::new(settings);

fn settings() -> Vec<Setting> {
    let mut interfaces = interfaces();
    // Where the captured packets were captured.
    for prefix in ["10.0.3.2/24", "fd00:3::2/64"] {
        interfaces[0].addresses.push(prefix.parse().unwrap());
    }
    let routes = [
        common::route("10.0.0.0/14", "192.0.2.1"),
        common::route("10.2.0.0/16", "198.51.100.1"),
        common::route("10.3.0.0/16", "203.0.113.1"),
        common::route("fd00::/16", "2001:db8::1"),
        common::route("2001:db8:f1::/48", "2001:db8::1"),
        common::route("2001:db8:f2::/48", "2001:db8:1::1"),
        common::route("2001:db8:f3::/48", "2001:db8:2::1"),
    ];
    let partial = || Network::new(interfaces.clone(), &routes).unwrap();
    let only = |protocol| Some(Flows { allowed: vec![53..=4321], ..Flows::any(protocol) });
    let udp = only(Protocol::Udp);
    let deny = |texts: [&str; 2]| texts.map(|text| (text.parse().unwrap(), DENY));
    let requests = deny(["10.2.0.0/16", "2001:db8:f2::/48"]);
    let opt_out = deny(["10.3.0.0/16", "2001:db8:f3::/48"]);
    let access = Some(Arc::new(Access::new(requests, opt_out)));
    let strict = Policy { udp, tcp: None, closed_ports: false, access, ..Policy::default() };
    let guarded = Policy { bogons: Bogons::Drop, ..Policy::default() };
    let limits = Limits { address: 10, narrow: [20, 20], wide: 50, syn: 1 };
    // Over IPv6, the prefixes' are reached first.
    let by_prefix = Limits { narrow: [5, 5], ..limits };
    let rates = Rates::new(Duration::from_secs(1), &limits, &by_prefix).unwrap();
    let limited = Policy {
        bogons: Bogons::Allow,
        strict_source: true,
        rate: Some(RateLimit { rates, leak: 50, leak_per_second: 10, dry_run: false }),
        allowances: Allowances { closed: 10, pings: 10, neighbours: 10 },
        least_request: LeastRequest::at_most(310),
        ..Policy::default()
    };
    let hairpin = Policy { reply: Reply::Hairpin, ..Policy::default() };
    let draining = Policy { draining: true, ..Policy::default() };
    let allow = ["10.0.0.0/14", "2001:db8::/32"].map(|text| (text.parse().unwrap(), ALLOW));
    let indirect = Some(Arc::new(Indirect::new(allow, true)));
    let detours = Policy { indirect, ..Policy::default() };
    let kernel = Exceptions {
        addresses: common::KERNEL.map(common::address).to_vec(),
        tcp: vec![179, 80],
        udp: vec![53],
        multicast: true,
        frames_per_second: 1000,
    };
    let all = [0, 1].map(|port| {
        let addresses = if port == 0 { kernel.addresses.clone() } else { Vec::new() };
        (PortId(port), Exceptions { addresses, ..kernel.clone() })
    });
    let with_kernel = partial().with_kernel(all.to_vec()).unwrap();
    vec![
        Setting { network: network(), neighbours: neighbours(), policy: Policy::default() },
        Setting { network: partial(), neighbours: neighbours(), policy: strict },
        Setting { network: partial(), neighbours: neighbours(), policy: Policy::default() },
        Setting { network: partial(), neighbours: Neighbours::default(), policy: hairpin },
        Setting { network: with_kernel, neighbours: neighbours(), policy: Policy::default() },
        Setting { network: network(), neighbours: neighbours(), policy: guarded },
        Setting { network: network(), neighbours: neighbours(), policy: limited },
        Setting { network: network(), neighbours: neighbours(), policy: draining },
        Setting { network: partial(), neighbours: neighbours(), policy: detours },
    ]
}

/// A responder under siege.
pub(crate) struct Siege {
    engine: Engine,
    generator: Generator,
    /// The dice.
    pub(crate) random: Random,
    now: u64,
    pub(crate) counters: Counters,
    fates: Vec<Fate>,
}

impl Siege {
    /// The dice are `random`.
    pub(crate) fn new(random: Random) -> Self {
        Self {
            engine: engine(ENTRIES).limited_by(Arc::new(Limiter::new(64, Moment::at_ns(SECOND)))),
            generator: Generator::new(),
            random,
            now: SECOND,
            counters: Counters::default(),
            fates: Vec::with_capacity(LONGEST_BURST),
        }
    }

    /// One burst of up to [`LONGEST_BURST`] frames; returns how many.
    pub(crate) fn burst(&mut self) -> u64 {
        let count = 1 + self.random.below(LONGEST_BURST);
        let frames: Vec<_> = (0..count)
            .map(|_| {
                let (port, mut frame) = self.generator.frame(&mut self.random);
                if self.random.one_in(2) {
                    mutate::mutate(&mut self.random, &mut frame);
                }
                (port, frame)
            })
            .collect();
        // Time stands nearly still until the table is full and budgets are spent, then all grows old.
        let step = if self.random.one_in(256) { 2 * TIMEOUT } else { 1000 };
        self.now += self.random.word() % step;
        let setting = self.random.below(SETTINGS.len());
        self.throw(setting, &frames);
        frames.len() as u64
    }

    /// Throws `frames` at the responder with one setting, and checks all that must hold.
    fn throw(&mut self, setting: usize, frames: &[(u16, Vec<u8>)]) -> Vec<Vec<u8>> {
        let mut rooms: Vec<_> = frames
            .iter()
            .map(|(_, frame)| {
                let spare = self.random.pick(&[0, 1, 4, 200]);
                let mut room = frame.clone();
                room.resize((frame.len() + spare).max(LEAST_ROOM), 0xa5);
                room
            })
            .collect();
        let random = &mut self.random;
        let mut burst: Vec<_> = rooms
            .iter_mut()
            .zip(frames)
            .map(|(room, (port, frame))| {
                // A device may call anything right.
                let vouched = Vouched { ipv4: random.one_in(8), transport: random.one_in(8) };
                Frame::new(room, frame.len(), PortId(*port)).unwrap().vouched(vouched)
            })
            .collect();
        let Setting { network, neighbours, policy } = &SETTINGS[setting];
        let view = View { network, neighbours, policy };
        self.fates.clear();
        self.fates.resize(frames.len(), Fate::dropped(Outcome::DropStopped));
        let (engine, now, fates) = (&self.engine, self.now, &mut self.fates);
        let allocated = allocation_counter::measure(|| {
            engine.process(&view, now, &mut burst, |place, fate| {
                // No frame ends as this in the engine, so nobody had one before.
                assert_eq!(fates[place].outcome, Outcome::DropStopped, "one fate for each frame");
                fates[place] = fate;
            });
        });
        assert_eq!(allocated.count_total, 0, "the packet path allocated");
        assert!(
            fates.iter().all(|fate| fate.outcome != Outcome::DropStopped),
            "no frame forgotten"
        );
        for ((fate, (_, before)), after) in fates.iter().zip(frames).zip(&burst) {
            check::check(&view, fate, before, after.octets());
            self.counters.count(fate.outcome);
            if matches!(fate.outcome, Outcome::ProbeIcmp | Outcome::ProbeTcp | Outcome::ProbeUdp) {
                self.generator.remember(after.octets());
            }
        }
        burst.iter().map(|frame| frame.octets().to_vec()).collect()
    }

    fn throw_one(&mut self, frame: Vec<u8>) -> Vec<u8> {
        self.throw(0, &[(0, frame)]).pop().unwrap()
    }

    /// Asks for a UDP probe; returns it with the identifier that it got, if it was sent.
    fn ask(&mut self, family: Family, identifier: u16) -> Option<(u16, Vec<u8>)> {
        let request = request(family, Protocol::Udp, identifier, 4321);
        let sent = self.throw_one(routed(&request_packet(ends(family), request)));
        let (_, packet) = (self.fates[0].outcome == Outcome::ProbeUdp).then(|| read(&sent))?;
        Some((u16::from_be_bytes([packet.payload[6], packet.payload[7]]), sent))
    }

    /// Takes all identifiers that one request could have: chance alone would not come upon them.
    pub(crate) fn take_all_identifiers(&mut self) {
        for family in FAMILIES {
            let (taken, _) = self.ask(family, 0).unwrap();
            while let Some((other, probe)) = self.ask(family, taken) {
                // The answer frees it for a request of that very name.
                let (hop, quote) = (ends(family).hop, packet_of(&probe));
                self.throw_one(routed(&error_packet(hop, Kind::TimeExceeded, 0, quote)));
                self.ask(family, other).unwrap();
            }
        }
    }
}

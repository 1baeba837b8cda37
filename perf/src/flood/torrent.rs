//! A flood under way: frame after frame, without an allocation.

use std::net::IpAddr;

use arrayvec::ArrayVec;
use otherhalf_engine::probe_hash;
use otherhalf_pending::{Settings, Table};
use otherhalf_wire::ethernet::Mac;
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;

use super::captured;
use super::frames::{Asked, Frames, LINK};
use super::strangers::{NUMBERED, Random, number_of, numbered};
use super::{Flood, Kind};
use crate::addresses;
use crate::plan::{Plan, Transaction};

/// Frames made beforehand, where they need not all differ.
const POOL: usize = 4096;
/// The longest frame that is made; what the buffers do not hold is cut.
const LONGEST: usize = 2014;
/// Strangers among whom an adaptive attacker looks for those that share a place.
const CANDIDATES: u32 = 4096;
/// How often it looks at all of them again: one turn in so many.
const LOOK_AGAIN: u32 = 16;
/// Transactions before the last one that may be under way: whom a forger aims at.
const RECENT: u32 = 64;

/// A flood under way.
#[derive(Debug)]
pub struct Torrent {
    kind: Kind,
    frames: Frames,
    plan: Plan,
    random: Random,
    sources: [IpAddr; 2],
    pool: Vec<Vec<u8>>,
    next: usize,
    /// Candidates that were not heard of since they asked last.
    silent: Vec<bool>,
    candidate: u32,
    turns: u32,
}

impl Torrent {
    /// `flood` between these stations, beside the transactions of `plan`, at a responder whose table has so many `entries`.
    #[must_use]
    pub fn new(flood: &Flood, frames: Frames, plan: Plan, entries: usize) -> Self {
        let mut random = Random::new(flood.kind as u64 + 1);
        let sources = [Family::V4, Family::V6].map(|family| random.address(family));
        let mut torrent = Self {
            kind: flood.kind,
            frames,
            plan,
            random,
            sources,
            pool: Vec::new(),
            next: 0,
            silent: Vec::new(),
            candidate: 0,
            turns: 0,
        };
        torrent.pool = torrent.made(flood, entries);
        if flood.kind == Kind::Adaptive {
            torrent.silent = vec![true; CANDIDATES as usize];
        }
        torrent
    }

    /// The frames that are made beforehand.
    fn made(&mut self, flood: &Flood, entries: usize) -> Vec<Vec<u8>> {
        match self.kind {
            Kind::Replay => {
                let mut frames = flood.captured.clone();
                captured::readdress(&mut frames, self.frames.own, self.frames.responder);
                frames
            }
            Kind::OneBucket => {
                let asked = sharing_a_bucket(entries, POOL / 4);
                let mut room = [0; LONGEST];
                let frames = asked.into_iter().filter_map(|asked| {
                    let len = self.frames.request(asked, 0, &mut room)?;
                    Some(room[..len].to_vec())
                });
                frames.collect()
            }
            Kind::Fragments => self.many(Self::fragment),
            Kind::Sizes => self.many(Self::any_size),
            Kind::Garbage => self.many(Self::garbage),
            Kind::Neighbours => {
                self.many(|torrent, room| torrent.frames.neighbour(&mut torrent.random, room))
            }
            Kind::Pings => self.many(|torrent, room| {
                let from = torrent.stranger();
                torrent.frames.ping(from, torrent.random.word(), 56, room)
            }),
            Kind::ClosedPorts => self.many(|torrent, room| {
                let from = torrent.stranger();
                torrent.frames.closed_port(from, &mut torrent.random, room)
            }),
            Kind::RandomSources
            | Kind::OneSource
            | Kind::Adaptive
            | Kind::Unanswered
            | Kind::ForgedErrors
            | Kind::ForgedEchoes => Vec::new(),
        }
    }

    fn many(
        &mut self,
        mut write: impl FnMut(&mut Self, &mut [u8]) -> Option<usize>,
    ) -> Vec<Vec<u8>> {
        let mut room = [0; LONGEST];
        let frames = (0..POOL).filter_map(|_| {
            let len = write(self, &mut room)?;
            Some(room.get(..len)?.to_vec())
        });
        frames.collect()
    }

    /// Writes the next frame to the front of `room`; returns its length. `asked` is the number of transactions begun so far.
    #[inline]
    pub fn write(&mut self, asked: u64, room: &mut [u8]) -> Option<usize> {
        let Self { frames, random, .. } = self;
        match self.kind {
            Kind::RandomSources => {
                let asked = Asked::any(self.stranger(), &mut self.random);
                self.frames.request(asked, 0, room)
            }
            Kind::OneSource => {
                let place = usize::from(random.word() & 1);
                let from = self.sources[place];
                frames.request(Asked::any(from, random), 0, room)
            }
            Kind::Unanswered => {
                let from = numbered(random.below(NUMBERED)).into();
                frames.request(Asked::any(from, random), 0, room)
            }
            Kind::Adaptive => {
                let from = self.next_candidate();
                // Always the same request of the same stranger, or it would not meet the same place.
                let asked = Asked {
                    from: numbered(from).into(),
                    identifier: 7,
                    protocol: Protocol::Udp,
                    ttl: 1,
                    flow: 33_434,
                };
                self.frames.request(asked, 0, room)
            }
            Kind::ForgedErrors => {
                let wanted = recent(&self.plan, random, asked, |_| true)?;
                frames.forged_error(&wanted, random, room)
            }
            Kind::ForgedEchoes => {
                let icmp = |wanted: &Transaction| wanted.protocol == Protocol::Icmp;
                let wanted = recent(&self.plan, random, asked, icmp)?;
                frames.forged_echo(&wanted, random, room)
            }
            Kind::OneBucket
            | Kind::Fragments
            | Kind::Sizes
            | Kind::Garbage
            | Kind::Neighbours
            | Kind::Pings
            | Kind::ClosedPorts
            | Kind::Replay => {
                self.next = if self.next + 1 < self.pool.len() { self.next + 1 } else { 0 };
                let frame = self.pool.get(self.next)?;
                let len = frame.len().min(room.len());
                room[..len].copy_from_slice(&frame[..len]);
                Some(len)
            }
        }
    }

    /// Takes notice of a packet to `address`, which is nobody's whom we ask for: an attacker sees what comes to its own.
    #[inline]
    pub fn heard(&mut self, address: IpAddr) {
        if let Some(number) = number_of(address)
            && let Some(silent) = self.silent.get_mut(number as usize)
        {
            *silent = false;
        }
    }

    fn stranger(&mut self) -> IpAddr {
        let family = if self.random.word() & 1 == 0 { Family::V4 } else { Family::V6 };
        self.random.address(family)
    }

    /// The next candidate that was not answered the last time; at times any.
    fn next_candidate(&mut self) -> u32 {
        for _ in 0..CANDIDATES {
            self.candidate += 1;
            if self.candidate == CANDIDATES {
                self.candidate = 0;
                self.turns = (self.turns + 1) % LOOK_AGAIN;
            }
            if let Some(silent) = self.silent.get_mut(self.candidate as usize)
                && (*silent || self.turns == 0)
            {
                *silent = true;
                break;
            }
        }
        self.candidate
    }

    /// A fragment of a request: the first, one in the middle, or the last.
    fn fragment(&mut self, room: &mut [u8]) -> Option<usize> {
        const FRAGMENT: u8 = 44;
        let asked = Asked::any(self.stranger(), &mut self.random);
        let flags_and_offset =
            [0x2000u16, 0x2001, 0x0001, 0x1fff][usize::from(self.random.word() & 3)];
        let len = self.frames.request(asked, 64, room)?;
        match Family::of(asked.from) {
            Family::V4 => {
                let header = room.get_mut(LINK..LINK + 20)?;
                header[6..8].copy_from_slice(&flags_and_offset.to_be_bytes());
                header[10..12].fill(0);
                let sum = otherhalf_wire::checksum::Sum::ZERO.bytes(header).checksum();
                header[10..12].copy_from_slice(&sum.to_be_bytes());
            }
            Family::V6 => {
                // The message becomes the header's, whose first octet names what follows (RFC 8200 §4.5).
                let [flags, offset] =
                    [u16::from(flags_and_offset & 0x2000 != 0), flags_and_offset & 0x1fff];
                *room.get_mut(LINK + 6)? = FRAGMENT;
                let header = room.get_mut(LINK + 40..LINK + 48)?;
                header[..2].copy_from_slice(&[58, 0]);
                header[2..4].copy_from_slice(&(offset << 3 | flags).to_be_bytes());
                self.random.fill(&mut header[4..]);
            }
        }
        Some(len)
    }

    /// A request cut anywhere, one with up to 1900 octets more, or a ping of that size.
    fn any_size(&mut self, room: &mut [u8]) -> Option<usize> {
        let asked = Asked::any(self.stranger(), &mut self.random);
        let more = usize::try_from(self.random.below(1900)).ok()?;
        match self.random.below(3) {
            0 => {
                let len = self.frames.request(asked, 0, room)?;
                Some(1 + more % len)
            }
            1 => self.frames.request(asked, more, room),
            _ => self.frames.ping(asked.from, asked.identifier, more, room),
        }
    }

    /// A request of which an octet behind the addresses is wrong, one with a wrong IP header, or nothing but noise.
    fn garbage(&mut self, room: &mut [u8]) -> Option<usize> {
        let asked = Asked::any(self.stranger(), &mut self.random);
        let family = Family::of(asked.from);
        let len = self.frames.request(asked, 0, room)?;
        let message = LINK + family.header_len();
        let bit = 1u8 << self.random.below(8);
        match self.random.below(4) {
            0 | 1 => {
                let at = message + 2 + usize::try_from(self.random.below(10)).ok()?;
                *room.get_mut(at)? ^= bit;
                Some(len)
            }
            2 => {
                *room.get_mut(LINK + usize::try_from(self.random.below(12)).ok()?)? ^= bit;
                Some(len)
            }
            _ => {
                let len = LINK + 20 + usize::try_from(self.random.below(400)).ok()?;
                self.random.fill(room.get_mut(LINK..len)?);
                Some(len)
            }
        }
    }
}

/// A transaction that may be under way.
fn recent(
    plan: &Plan,
    random: &mut Random,
    asked: u64,
    wanted: impl Fn(&Transaction) -> bool,
) -> Option<Transaction> {
    let tries: ArrayVec<u64, 32> = (0..32).map(|_| u64::from(random.below(RECENT))).collect();
    let numbers = tries.into_iter().filter_map(|back| asked.checked_sub(back));
    numbers.filter_map(|number| plan.transaction(number)).find(|one| wanted(one))
}

/// Requests that would share the first of their buckets in a table without a secret (one of zeros), as somebody finds them
/// who has the program and not the key.
fn sharing_a_bucket(entries: usize, wanted: usize) -> Vec<Asked> {
    let settings = Settings { entries, timeout_ticks: 1, secret: [0; 2] };
    let Ok(table) = Table::new(settings) else { return Vec::new() };
    let own = addresses::responder(Family::V4);
    let (protocol, flow, ttl) = (Protocol::Udp, 33_434, 1);
    let candidates =
        (0..NUMBERED).flat_map(|stranger| (1..=u16::MAX).map(move |name| (stranger, name)));
    let bucket = |(stranger, identifier): (u32, u16)| {
        let ends = [own, numbered(stranger).into()];
        probe_hash(&table, ends, protocol, flow, identifier).map(|hash| table.buckets_of(hash)[0])
    };
    let same = candidates.filter(|candidate| bucket(*candidate) == Some(0));
    let asked = same.take(wanted).map(|(stranger, identifier)| Asked {
        from: numbered(stranger).into(),
        identifier,
        protocol,
        ttl,
        flow,
    });
    asked.collect()
}

/// Frames between these stations.
#[must_use]
pub const fn between(own: Mac, responder: Mac) -> Frames {
    Frames { own, responder }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use std::collections::HashSet;
    use std::path::Path;

    fn torrent(kind: &str) -> Torrent {
        let text = format!("about = \"x\"\nkind = \"{kind}\"");
        let flood = Flood::parse(Path::new("x"), &text).unwrap();
        let plan = Plan::new(&Scenario::parse(Path::new("x"), "about = \"x\"").unwrap());
        let frames = between(Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        Torrent::new(&flood, frames, plan, 4096)
    }

    #[test]
    fn frames_of_every_kind_come_without_end_and_differ() {
        for (kind, least) in [
            ("random-sources", 4000),
            ("one-source", 4000),
            ("one-bucket", 1000),
            ("unanswered", 4000),
            ("forged-errors", 4000),
            ("forged-echoes", 2000),
            ("fragments", 4000),
            ("sizes", 3000),
            ("garbage", 4000),
            ("neighbours", 2000),
            ("pings", 4000),
            ("closed-ports", 4000),
        ] {
            let mut torrent = torrent(kind);
            let mut seen = HashSet::new();
            let mut room = [0; 2048];
            for number in 0..5000u64 {
                if let Some(len) = torrent.write(1000 + number, &mut room) {
                    seen.insert(room[..len].to_vec());
                }
            }
            assert!(seen.len() >= least, "{kind}: {}", seen.len());
        }
    }

    #[test]
    fn an_adaptive_attacker_stays_with_whom_it_does_not_hear_of() {
        let mut torrent = torrent("adaptive");
        torrent.turns = 1;
        let mut room = [0; 128];
        let source = |room: &[u8]| {
            let octets: [u8; 4] = room[LINK + 12..LINK + 16].try_into().unwrap();
            IpAddr::from(octets)
        };
        let even = |address| number_of(address).unwrap().is_multiple_of(2);
        for _ in 0..CANDIDATES {
            torrent.write(0, &mut room).unwrap();
            if even(source(&room)) {
                torrent.heard(source(&room));
            }
        }
        for _ in 0..CANDIDATES {
            torrent.write(0, &mut room).unwrap();
            assert!(!even(source(&room)));
        }
    }

    #[test]
    fn who_guesses_the_secret_wrong_hits_no_bucket_more_often() {
        let asked = sharing_a_bucket(4096, 256);
        assert_eq!(asked.len(), 256);
        let buckets = |secret| {
            let table = Table::new(Settings { entries: 4096, timeout_ticks: 1, secret }).unwrap();
            let own = addresses::responder(Family::V4);
            let of = |asked: &Asked| {
                let ends = [own, asked.from];
                let hash = probe_hash(&table, ends, asked.protocol, asked.flow, asked.identifier);
                table.buckets_of(hash.unwrap())[0]
            };
            asked.iter().map(of).collect::<HashSet<_>>().len()
        };
        assert_eq!(buckets([0, 0]), 1);
        assert!(buckets([5, 77]) > 200);
    }
}

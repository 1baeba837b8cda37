//! The neighbours that are remembered, after RFC 4861 §7.3 and RFC 1122 §2.3.2.1.
//!
//! Not on the packet path: the control thread tells it what workers heard and what time it is,
//! and gets back whom to ask. Workers see the result as a new table, whole.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use otherhalf_engine::neighbour::Neighbours;
use otherhalf_engine::{Claim, NextHop, Notice};
use otherhalf_wire::ethernet::Mac;

/// Between two questions (`RETRANS_TIMER`).
const RETRY: Duration = Duration::from_secs(1);
/// How much sooner the next question comes when a frame waits for the answer: 100 ms after the last.
const HURRY: Duration = Duration::from_millis(900);
/// Questions before a neighbour is given up (`MAX_MULTICAST_SOLICIT`, `MAX_UNICAST_SOLICIT`).
const TRIES: u32 = 3;
/// How long an address is believed before it is asked for again (`REACHABLE_TIME`).
const REACHABLE: Duration = Duration::from_secs(30);
/// Strangers asked for in a turn of the control thread, of which there are 500 a second.
const STRANGERS: usize = 2;
/// How soon an address that the neighbour claimed unasked is asked for (`DELAY_FIRST_PROBE_TIME`).
const DELAY: Duration = Duration::from_secs(5);

/// Asks for a neighbour's hardware address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Whom.
    pub neighbour: NextHop,
    /// The address to be confirmed; none: everybody is asked.
    pub known: Option<Mac>,
}

#[derive(Debug)]
struct Entry {
    mac: Option<Mac>,
    /// Questions asked since the last answer.
    asked: u32,
    /// When to ask next.
    due: Instant,
    /// The next question was brought forward.
    hurried: bool,
    /// A router is asked for as long as it takes.
    router: bool,
}

impl Entry {
    /// A frame waits: the next question comes sooner.
    fn hurry(&mut self) {
        if self.mac.is_none() && self.asked > 0 && !self.hurried {
            self.due -= HURRY;
            self.hurried = true;
        }
    }
}

/// The neighbours of all interfaces.
#[derive(Debug)]
pub struct Cache {
    entries: HashMap<NextHop, Entry>,
    room: usize,
    refused: u64,
    changed: bool,
}

impl Cache {
    /// Room for `room` neighbours; `routers` are asked for from now on, and always have room.
    #[must_use]
    pub fn new(room: usize, routers: impl IntoIterator<Item = NextHop>, now: Instant) -> Self {
        let entry =
            |hop| (hop, Entry { mac: None, asked: 0, due: now, hurried: false, router: true });
        Self { entries: routers.into_iter().map(entry).collect(), room, refused: 0, changed: false }
    }

    /// Asks for these routers from now on, and for those before no longer than for any neighbour.
    pub fn set_routers(&mut self, routers: impl IntoIterator<Item = NextHop>, now: Instant) {
        for entry in self.entries.values_mut() {
            entry.router = false;
        }
        for hop in routers {
            let new = Entry { mac: None, asked: 0, due: now, hurried: false, router: true };
            self.entries.entry(hop).or_insert(new).router = true;
        }
    }

    /// Takes in what a worker heard or wants.
    pub fn note(&mut self, notice: Notice, now: Instant) {
        match notice {
            Notice::Wanted(neighbour) => {
                if let Some(entry) = self.entries.get_mut(&neighbour) {
                    entry.hurry();
                } else if self.has_room() {
                    self.entries.insert(
                        neighbour,
                        Entry { mac: None, asked: 0, due: now, hurried: false, router: false },
                    );
                }
            }
            Notice::Heard { neighbour, mac, claim, overrides } => {
                self.hear(neighbour, mac, claim, overrides, now);
            }
        }
    }

    fn hear(
        &mut self,
        neighbour: NextHop,
        mac: Option<Mac>,
        claim: Claim,
        overrides: bool,
        now: Instant,
    ) {
        let until = now + if claim == Claim::Answered { REACHABLE } else { DELAY };
        let Some(entry) = self.entries.get_mut(&neighbour) else {
            // Only who talks to us is learned unasked (RFC 4861 §7.2.5: an advertisement alone makes no entry).
            if claim == Claim::Asked && mac.is_some() && self.make_room() {
                let entry = Entry { mac, asked: 0, due: until, hurried: false, router: false };
                self.entries.insert(neighbour, entry);
                self.changed = true;
            }
            return;
        };
        let told = mac.or(entry.mac);
        if told == entry.mac {
            // Nothing new: an answer confirms what is known, a claim changes nothing.
            if told.is_some() && claim == Claim::Answered {
                (entry.asked, entry.due) = (0, until);
            }
        } else if overrides || entry.mac.is_none() {
            (entry.mac, entry.asked, entry.due) = (told, 0, until);
            self.changed = true;
        }
        // Else another address, and no right to replace the one known (§7.2.5).
    }

    /// Whether there is room for one more; if not, it is counted.
    fn has_room(&mut self) -> bool {
        let room = self.entries.len() < self.room;
        self.refused += u64::from(!room);
        room
    }

    /// Whether there is room for one that talks to us: for its sake, one that never answered goes. Who is only
    /// wanted makes nobody go, for anybody can want many.
    fn make_room(&mut self) -> bool {
        if self.entries.len() >= self.room {
            let mut silent =
                self.entries.iter().filter(|(_, entry)| entry.mac.is_none() && !entry.router);
            if let Some(hop) = silent.next().map(|(hop, _)| *hop) {
                self.entries.remove(&hop);
            }
        }
        self.has_room()
    }

    /// Whom to ask now; neighbours that did not answer are given up.
    ///
    /// Of those that are not known, only a few a call, the others later: one frame from a made-up address
    /// on the link makes one question to all stations (RFC 6583).
    pub fn questions(&mut self, now: Instant) -> Vec<Question> {
        let mut questions = Vec::new();
        let mut changed = false;
        let mut strangers = 0;
        self.entries.retain(|neighbour, entry| {
            if entry.due > now {
                return true;
            }
            if entry.asked >= TRIES {
                changed |= entry.mac.take().is_some();
                if !entry.router {
                    return false;
                }
            }
            if entry.mac.is_none() && !entry.router {
                strangers += 1;
                if strangers > STRANGERS {
                    return true;
                }
            }
            // Counted as far as needed: a router is asked for ever, once it is lost from everybody.
            entry.asked = entry.asked.saturating_add(1).min(TRIES);
            entry.due = now + RETRY;
            entry.hurried = false;
            questions.push(Question { neighbour: *neighbour, known: entry.mac });
            true
        });
        self.changed |= changed;
        questions
    }

    /// The neighbours known, if they changed since the last call.
    pub fn changes(&mut self) -> Option<Neighbours> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        Some(Neighbours::new(
            self.entries.iter().filter_map(|(hop, entry)| Some((*hop, entry.mac?))),
        ))
    }

    /// All of them, with the address that each told, and whether it is a router.
    pub fn all(&self) -> impl Iterator<Item = (NextHop, Option<Mac>, bool)> {
        self.entries.iter().map(|(hop, entry)| (*hop, entry.mac, entry.router))
    }

    /// Routers that do not answer.
    pub fn silent_routers(&self) -> impl Iterator<Item = NextHop> {
        self.entries
            .iter()
            .filter(|(_, entry)| entry.router && entry.mac.is_none())
            .map(|(hop, _)| *hop)
    }

    /// Neighbours that were not learned for lack of room.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use otherhalf_engine::InterfaceId;

    fn hop(n: u8) -> NextHop {
        NextHop { interface: InterfaceId(0), address: std::net::Ipv4Addr::new(192, 0, 2, n).into() }
    }

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const OTHER: Mac = Mac([2, 0, 0, 0, 0, 2]);

    fn heard(n: u8, mac: Mac, claim: Claim, overrides: bool) -> Notice {
        Notice::Heard { neighbour: hop(n), mac: Some(mac), claim, overrides }
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_router_is_asked_for_until_it_answers_and_confirmed_ever_after() {
        let start = Instant::now();
        let mut cache = Cache::new(4, [hop(1)], start);
        for n in 0..10 {
            assert_eq!(
                cache.questions(start + seconds(n)),
                [Question { neighbour: hop(1), known: None }]
            );
            assert!(cache.questions(start + seconds(n)).is_empty(), "once a second");
        }
        assert_eq!(cache.silent_routers().count(), 1);
        let now = start + seconds(10);
        cache.note(heard(1, MAC, Claim::Answered, true), now);
        assert_eq!(cache.changes().unwrap().get(hop(1)), Some(MAC));
        assert_eq!((cache.changes(), cache.silent_routers().count()), (None, 0));
        assert!(cache.questions(now + seconds(29)).is_empty());
        assert_eq!(
            cache.questions(now + seconds(30)),
            [Question { neighbour: hop(1), known: Some(MAC) }]
        );
        cache.note(heard(1, MAC, Claim::Answered, true), now + seconds(30));
        assert!(cache.questions(now + seconds(59)).is_empty());
        assert_eq!(cache.changes(), None, "confirmed, not changed");
    }

    #[test]
    fn who_does_not_answer_is_forgotten_a_router_is_asked_for_again() {
        let start = Instant::now();
        let mut cache = Cache::new(4, [hop(1)], start);
        cache.note(heard(1, MAC, Claim::Answered, true), start);
        cache.note(heard(2, OTHER, Claim::Asked, true), start);
        assert_eq!(cache.changes().unwrap().len(), 2);
        for n in 5..8 {
            assert_eq!(
                cache.questions(start + seconds(n)),
                [Question { neighbour: hop(2), known: Some(OTHER) }]
            );
        }
        assert!(cache.questions(start + seconds(8)).is_empty());
        assert_eq!(cache.changes().unwrap().len(), 1);
        for n in 30..33 {
            assert_eq!(
                cache.questions(start + seconds(n)),
                [Question { neighbour: hop(1), known: Some(MAC) }]
            );
        }
        assert_eq!(
            cache.questions(start + seconds(33)),
            [Question { neighbour: hop(1), known: None }]
        );
        assert!(cache.changes().unwrap().is_empty());
        assert_eq!(cache.silent_routers().collect::<Vec<_>>(), [hop(1)]);
    }

    #[test]
    fn what_is_wanted_is_asked_for_three_times() {
        let start = Instant::now();
        let mut cache = Cache::new(4, [], start);
        cache.note(Notice::Wanted(hop(3)), start);
        cache.note(Notice::Wanted(hop(3)), start);
        for n in 0..3 {
            assert_eq!(cache.questions(start + seconds(n)).len(), 1);
        }
        assert!(cache.questions(start + seconds(3)).is_empty());
        assert!(cache.entries.is_empty());
    }

    #[test]
    fn a_frame_that_waits_hurries_the_question() {
        let start = Instant::now();
        let mut cache = Cache::new(4, [hop(1)], start);
        assert_eq!(cache.questions(start).len(), 1);
        cache.note(Notice::Wanted(hop(1)), start + Duration::from_millis(50));
        cache.note(Notice::Wanted(hop(1)), start + Duration::from_millis(60));
        assert!(cache.questions(start + Duration::from_millis(99)).is_empty());
        assert_eq!(cache.questions(start + Duration::from_millis(100)).len(), 1);
        assert!(cache.questions(start + Duration::from_millis(1099)).is_empty(), "once");
        assert_eq!(cache.questions(start + Duration::from_millis(1100)).len(), 1);
    }

    #[test]
    fn announcements_change_and_do_not_make_neighbours() {
        let start = Instant::now();
        let mut cache = Cache::new(4, [], start);
        cache.note(heard(1, MAC, Claim::Announced, true), start);
        cache.note(heard(1, MAC, Claim::Answered, true), start);
        assert_eq!(cache.changes(), None);
        cache.note(heard(1, MAC, Claim::Asked, true), start);
        assert_eq!(cache.changes().unwrap().get(hop(1)), Some(MAC));
        cache.note(heard(1, OTHER, Claim::Answered, false), start);
        assert_eq!(cache.changes(), None, "it may not replace");
        cache.note(heard(1, OTHER, Claim::Announced, true), start);
        assert_eq!(cache.changes().unwrap().get(hop(1)), Some(OTHER));
    }

    #[test]
    fn an_answer_without_address_confirms_the_known_one() {
        let start = Instant::now();
        let mut cache = Cache::new(4, [hop(1)], start);
        let confirms = Notice::Heard {
            neighbour: hop(1),
            mac: None,
            claim: Claim::Answered,
            overrides: false,
        };
        cache.note(confirms, start);
        assert_eq!(cache.changes(), None, "there is none to confirm");
        cache.note(heard(1, MAC, Claim::Answered, true), start);
        assert_eq!(cache.changes().unwrap().len(), 1);
        // Many times longer than an address is believed without being confirmed.
        for n in 1..=300 {
            let now = start + seconds(n);
            for question in cache.questions(now) {
                assert_eq!(question, Question { neighbour: hop(1), known: Some(MAC) });
                cache.note(confirms, now);
            }
            assert_eq!(cache.changes(), None);
        }
        assert_eq!(cache.silent_routers().count(), 0);
    }

    #[test]
    fn strangers_are_asked_for_a_few_at_a_time() {
        let start = Instant::now();
        let mut cache = Cache::new(1000, [hop(1)], start);
        for n in 2..=200 {
            cache.note(Notice::Wanted(hop(n)), start);
        }
        let mut asked = 0;
        for turn in 0..100 {
            let questions = cache.questions(start + Duration::from_millis(2 * turn));
            let strangers =
                questions.iter().filter(|question| question.neighbour != hop(1)).count();
            assert!(strangers <= STRANGERS);
            asked += strangers;
        }
        assert_eq!(asked, 199, "each in its turn");
    }

    #[test]
    fn memory_is_bounded() {
        let start = Instant::now();
        let mut cache = Cache::new(3, [hop(1)], start);
        cache.note(Notice::Wanted(hop(2)), start);
        for n in 3..=200 {
            cache.note(Notice::Wanted(hop(n)), start);
            assert!(cache.entries.len() <= 3);
        }
        assert_eq!(cache.refused(), 197, "who is wanted makes nobody go");
        cache.note(heard(201, MAC, Claim::Asked, true), start);
        cache.note(heard(202, MAC, Claim::Asked, true), start);
        assert_eq!(
            (cache.refused(), cache.entries.len()),
            (197, 3),
            "who talks to us makes the silent go"
        );
        cache.note(heard(203, MAC, Claim::Asked, true), start);
        assert_eq!((cache.refused(), cache.entries.len()), (198, 3));
        assert!(cache.entries.contains_key(&hop(1)), "the router stays");
    }
}

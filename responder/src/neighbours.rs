//! The neighbours that are remembered, after RFC 4861 §7.3 and RFC 1122 §2.3.2.1.
//!
//! Not on the packet path: the control thread tells it what workers heard and what time it is,
//! and gets back whom to ask. Workers see the result as a new table, whole.
//!
//! Workers do not tell whom they send to, so a neighbour that is known counts as in use: when its address has not been
//! confirmed for the reachable time it is probed (§7.3.3), not left stale until it is needed. A frame then never goes to
//! an address that nobody answered at for longer than that and three questions.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use otherhalf_engine::neighbour::Neighbours;
use otherhalf_engine::{Claim, InterfaceId, NextHop, Notice};
use otherhalf_wire::ethernet::Mac;

/// Between two questions (`RETRANS_TIMER`).
const RETRY: Duration = Duration::from_secs(1);
/// How much sooner the next question comes when a frame waits for the answer: 100 ms after the last.
const HURRY: Duration = Duration::from_millis(900);
/// Questions before a neighbour is given up (`MAX_MULTICAST_SOLICIT`, `MAX_UNICAST_SOLICIT`).
const TRIES: u32 = 3;
/// Questions in a turn of the control thread: no more than a worker sends in that time, for one that is lost counts as asked.
const QUESTIONS: usize = 16;
/// Of these, to strangers. There are 500 turns a second.
const STRANGERS: usize = 2;
/// How soon an address that the neighbour claimed unasked is asked for (`DELAY_FIRST_PROBE_TIME`). For as long, no other
/// neighbour takes its place (as in Linux, `neigh_forced_gc`).
const DELAY: Duration = Duration::from_secs(5);

/// What is known of a neighbour's hardware address: the states of RFC 4861 §7.3.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It is asked for.
    Incomplete,
    /// It answered within the reachable time.
    Reachable,
    /// It told its address unasked: used, and soon asked for.
    Delay,
    /// Its address has not been confirmed for long: used, and asked for.
    Probe,
    /// A router that did not answer. It is still asked for.
    Silent,
}

impl Reach {
    /// Its name for people and programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Incomplete => "incomplete",
            Self::Reachable => "reachable",
            Self::Delay => "delay",
            Self::Probe => "probe",
            Self::Silent => "silent",
        }
    }
}

/// A neighbour as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// Who.
    pub neighbour: NextHop,
    /// Its hardware address, if it told.
    pub mac: Option<Mac>,
    /// Whether a route leads by it.
    pub router: bool,
    /// What is known of its address.
    pub reach: Reach,
}

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
    /// Questions asked since the last answer. Counted to one more than there are tries: then the router is silent.
    asked: u32,
    /// When to ask next.
    due: Instant,
    /// The next question was brought forward.
    hurried: bool,
    /// A router is asked for as long as it takes.
    router: bool,
    /// Its address was confirmed by an answer, and not only claimed.
    answered: bool,
    /// When it last spoke of itself.
    heard: Instant,
}

impl Entry {
    /// One that is to be asked for now.
    const fn unknown(now: Instant, router: bool) -> Self {
        Self { mac: None, asked: 0, due: now, hurried: false, router, answered: false, heard: now }
    }

    /// A frame waits: the next question comes sooner.
    fn hurry(&mut self) {
        if self.mac.is_none() && self.asked > 0 && !self.hurried {
            self.due -= HURRY;
            self.hurried = true;
        }
    }

    /// It said that it is at `mac`, to be believed until `due`.
    fn tell(&mut self, mac: Option<Mac>, answered: bool, due: Instant, now: Instant) {
        (self.mac, self.asked, self.due) = (mac, 0, due);
        (self.answered, self.heard) = (answered, now);
    }

    fn reach(&self) -> Reach {
        match (self.mac, self.asked) {
            (None, asked) if asked > TRIES => Reach::Silent,
            (None, _) => Reach::Incomplete,
            (Some(_), 0) if self.answered => Reach::Reachable,
            (Some(_), 0) => Reach::Delay,
            (Some(_), _) => Reach::Probe,
        }
    }
}

/// The neighbours of all interfaces.
#[derive(Debug)]
pub struct Cache {
    entries: HashMap<NextHop, Entry>,
    room: usize,
    /// How long an answer is believed before the neighbour is asked again (`REACHABLE_TIME`).
    reachable: Duration,
    refused: u64,
    changed: bool,
    /// A router fell silent, or a silent one spoke.
    routers_changed: bool,
}

impl Cache {
    /// Room for `room` neighbours, whose answers are believed for `reachable`; `routers` are asked for from now on, and
    /// always have room.
    #[must_use]
    pub fn new(
        room: usize,
        reachable: Duration,
        routers: impl IntoIterator<Item = NextHop>,
        now: Instant,
    ) -> Self {
        let entry = |hop| (hop, Entry::unknown(now, true));
        let entries = routers.into_iter().map(entry).collect();
        Self { entries, room, reachable, refused: 0, changed: false, routers_changed: false }
    }

    /// Asks for these routers from now on, and for those before no longer than for any neighbour: one that never answered
    /// is forgotten after its questions.
    pub fn set_routers(&mut self, routers: impl IntoIterator<Item = NextHop>, now: Instant) {
        for entry in self.entries.values_mut() {
            entry.router = false;
        }
        for hop in routers {
            self.entries.entry(hop).or_insert(Entry::unknown(now, true)).router = true;
        }
        self.routers_changed = true;
    }

    /// From the next answer of each neighbour on, it is believed for `reachable`.
    pub fn set_reachable(&mut self, reachable: Duration) {
        self.reachable = reachable;
    }

    /// Interfaces of which `back` holds have a link again, which may lead elsewhere than before: their routers are asked at
    /// once, their other neighbours soon.
    pub fn link_is_back(&mut self, back: impl Fn(InterfaceId) -> bool, now: Instant) {
        for (hop, entry) in &mut self.entries {
            if back(hop.interface) {
                let soon = if entry.router || entry.mac.is_none() { now } else { now + DELAY };
                entry.due = entry.due.min(soon);
                if entry.mac.is_some() {
                    // Questions that went to a dead link do not count.
                    (entry.asked, entry.answered) = (0, false);
                }
            }
        }
    }

    /// Takes in what a worker heard or wants.
    pub fn note(&mut self, notice: Notice, now: Instant) {
        match notice {
            Notice::Wanted(neighbour) => {
                if let Some(entry) = self.entries.get_mut(&neighbour) {
                    entry.hurry();
                } else if self.has_room() {
                    self.entries.insert(neighbour, Entry::unknown(now, false));
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
        let answered = claim == Claim::Answered;
        let until = now + if answered { self.reachable } else { DELAY };
        let Some(entry) = self.entries.get_mut(&neighbour) else {
            // Only who talks to us is learned unasked (RFC 4861 §7.2.5: an advertisement alone makes no entry).
            if claim == Claim::Asked && mac.is_some() && self.make_room(now) {
                let mut entry = Entry::unknown(now, false);
                entry.tell(mac, false, until, now);
                self.entries.insert(neighbour, entry);
                self.changed = true;
            }
            return;
        };
        if entry.reach() == Reach::Silent && !answered {
            // That we hear it does not show that it hears us: it is asked soon, and believed when it answers.
            return entry.hurry();
        }
        let told = mac.or(entry.mac);
        if told == entry.mac {
            // Nothing new: an answer confirms what is known, a claim changes nothing.
            if told.is_some() && answered {
                entry.tell(told, true, until, now);
            }
        } else if overrides || entry.mac.is_none() {
            self.routers_changed |= entry.router && entry.mac.is_none();
            entry.tell(told, answered, until, now);
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

    /// Whether there is room for one that talks to us: for its sake, one that never answered goes, or else the stalest of
    /// those that did not confirm their address lately. Routers stay, and so does who answers, or has just come. Who is
    /// only wanted makes nobody go, for anybody can want many.
    fn make_room(&mut self, now: Instant) -> bool {
        if self.entries.len() >= self.room {
            let others = self.entries.iter().filter(|(_, entry)| !entry.router);
            let age = |entry: &Entry| now.saturating_duration_since(entry.heard);
            let may_go = |entry: &Entry| match entry.reach() {
                Reach::Incomplete | Reach::Silent => true,
                Reach::Reachable => false,
                Reach::Delay | Reach::Probe => age(entry) >= DELAY,
            };
            let stalest = others
                .filter(|(_, entry)| may_go(entry))
                .max_by_key(|(_, entry)| (entry.mac.is_none(), age(entry)));
            if let Some(hop) = stalest.map(|(hop, _)| *hop) {
                self.changed |= self.entries.remove(&hop).is_some_and(|entry| entry.mac.is_some());
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
        let (mut changed, mut routers_changed) = (false, false);
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
                routers_changed |= entry.asked == TRIES;
            }
            if questions.len() >= QUESTIONS {
                return true;
            }
            if entry.mac.is_none() && !entry.router {
                strangers += 1;
                if strangers > STRANGERS {
                    return true;
                }
            }
            // Counted as far as needed: a router is asked for ever, once it is lost from everybody.
            entry.asked = entry.asked.saturating_add(1).min(TRIES + 1);
            entry.due = now + RETRY;
            entry.hurried = false;
            questions.push(Question { neighbour: *neighbour, known: entry.mac });
            true
        });
        self.changed |= changed;
        self.routers_changed |= routers_changed;
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

    /// Whether routers fell silent or spoke again since the last call.
    pub fn routers_changed(&mut self) -> bool {
        std::mem::take(&mut self.routers_changed)
    }

    /// Whether `router` has left all questions unanswered. One that has not been asked often enough is not silent.
    #[must_use]
    pub fn is_silent(&self, router: NextHop) -> bool {
        self.entries.get(&router).is_some_and(|entry| entry.reach() == Reach::Silent)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = Remembered> {
        self.entries.iter().map(|(hop, entry)| Remembered {
            neighbour: *hop,
            mac: entry.mac,
            router: entry.router,
            reach: entry.reach(),
        })
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
mod tests;

//! Seats: who gets the response of a probe that was sent to somebody else, and by which identifier.
//!
//! An entry has no room for an address, and hardly any needs it: a response goes to the probe's target, which the answer names. For an
//! indirect probe (PROTOCOL §5) the entry holds the number of a seat instead of the request's identifier, and the seat
//! has both. There are few, in memory of their own, beside the table: entries cost as much as before, and whoever may have others traced
//! can fill the seats and not the table.
//!
//! ```text
//!            63                                     16  15             2  1   0
//!   stamp   | time of the claim, low 48 bits          |                 | state |
//!   words   | the receiver, whatever the caller packs into them (two of them)   |
//!   request |                                         | its identifier (16)     |
//! ```
//!
//! **Whose it is.** Who claims a seat fills it in, and makes it live; then it is that of the one entry whose data has its number and its time, and
//! of whoever takes that entry, which one core does. Who has the entry leaves the seat by an exchange of the very stamp, so a seat that was
//! given to another meanwhile is never believed. An entry that expires leaves nothing: its seat has the same time, and is free to be
//! claimed when the entry is dead.
//!
//! **Orderings.** As of a slot (`slot.rs`): words are stored with Release between the claim and the live stamp, and
//! loaded with Acquire before the exchange that leaves the seat. So who sees words of a later claim finds its stamp there as well, and the exchange fails.

use crate::slot::Data;
use crate::sync::{AtomicU64, Ordering};
use crate::ticks::{Lifetime, OTHER_BITS};

/// How many there are: probes for others that wait at a time, of all workers together.
#[cfg(not(loom))]
pub(crate) const SEATS: u16 = 4096;
/// Loom tries all interleavings.
#[cfg(loom)]
pub(crate) const SEATS: u16 = 2;

/// Seats that a claim looks at: the one that is next in turn, and those behind it. A turn comes to a seat again after all others, so one that is
/// still taken then is rare unless nearly all are.
const LOOKED_AT: u16 = 64;

const EMPTY: u64 = 0;
const BUSY: u64 = 1;
const LIVE: u64 = 2;
const STATE_MASK: u64 = 0b11;

/// Who gets a response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receiver {
    /// Its address, as the caller packs it.
    pub words: [u64; 2],
    /// The identifier of its request, which the response must carry.
    pub request_id: u16,
}

/// A seat that is taken, as the entry of its probe names it: by number and time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seat(pub(crate) Data);

impl Seat {
    fn stamp(self, state: u64) -> u64 {
        self.0.sent() << OTHER_BITS | state
    }
}

struct Place {
    stamp: AtomicU64,
    words: [AtomicU64; 2],
    request: AtomicU64,
}

/// All seats, and whose turn it is.
pub(crate) struct Seats {
    places: Box<[Place]>,
    next: AtomicU64,
}

impl Seats {
    pub(crate) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        let place = |_| Place { stamp: zero(), words: [zero(), zero()], request: zero() };
        Self { places: (0..SEATS).map(place).collect(), next: zero() }
    }

    /// Gives `receiver` a seat from `now` on, or `None` if all that it looks at are taken.
    pub(crate) fn claim(&self, receiver: Receiver, lifetime: Lifetime, now: u64) -> Option<Seat> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        for step in 0..u64::from(LOOKED_AT.min(SEATS)) {
            let number = u16::try_from(turn.wrapping_add(step).checked_rem(SEATS.into())?).ok()?;
            let place = self.places.get(usize::from(number))?;
            let seen = place.stamp.load(Ordering::Acquire);
            let taken = match seen & STATE_MASK {
                EMPTY => false,
                LIVE => lifetime.age(seen >> OTHER_BITS, now).is_some(),
                _ => true,
            };
            let seat = Seat(Data::new(now, number));
            if taken || !place.exchange(seen, seat.stamp(BUSY)) {
                continue;
            }
            for (word, value) in place.words.iter().zip(receiver.words) {
                word.store(value, Ordering::Release);
            }
            place.request.store(receiver.request_id.into(), Ordering::Release);
            place.stamp.store(seat.stamp(LIVE), Ordering::Release);
            return Some(seat);
        }
        None
    }

    /// Whose `seat` is, if it still is theirs.
    pub(crate) fn look(&self, seat: Seat) -> Option<Receiver> {
        let place = self.places.get(usize::from(seat.0.request_id()))?;
        let receiver = place.receiver();
        (place.stamp.load(Ordering::Acquire) == seat.stamp(LIVE)).then_some(receiver)
    }

    /// Frees `seat`, and tells whose it was. To be called by whoever took its entry, or has claimed it and made none.
    pub(crate) fn leave(&self, seat: Seat) -> Option<Receiver> {
        let place = self.places.get(usize::from(seat.0.request_id()))?;
        let receiver = place.receiver();
        place.exchange(seat.stamp(LIVE), EMPTY).then_some(receiver)
    }

    /// Frees what nobody left for hours, lest it grows so old that it looks young again (`ticks.rs`).
    pub(crate) fn sweep(&self, lifetime: Lifetime, now: u64) {
        for place in &self.places {
            let seen = place.stamp.load(Ordering::Acquire);
            if seen & STATE_MASK == LIVE && lifetime.is_long_over(seen >> OTHER_BITS, now) {
                // If it has changed since, it was left, or is another's.
                place.exchange(seen, EMPTY);
            }
        }
    }
}

impl Place {
    /// What it holds, to be believed only if the stamp is the right one afterwards.
    fn receiver(&self) -> Receiver {
        let words = self.words.each_ref().map(|word| word.load(Ordering::Acquire));
        #[expect(clippy::cast_possible_truncation, reason = "16 bits were stored")]
        let request_id = self.request.load(Ordering::Acquire) as u16;
        Receiver { words, request_id }
    }

    fn exchange(&self, seen: u64, new: u64) -> bool {
        self.stamp.compare_exchange(seen, new, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const LIFETIME: u64 = 100;

    fn receiver(request_id: u16) -> Receiver {
        Receiver { words: [u64::from(request_id), !0], request_id }
    }

    #[test]
    fn each_seat_is_taken_once_and_then_none_is_left() {
        let (seats, life) = (Seats::new(), Lifetime::new(LIFETIME).unwrap());
        let taken: Vec<_> =
            (0..SEATS).map(|id| seats.claim(receiver(id), life, 7).unwrap()).collect();
        assert!(seats.claim(receiver(1), life, 7 + LIFETIME - 1).is_none());
        for (id, seat) in (0..SEATS).zip(&taken) {
            assert_eq!(seats.look(*seat), Some(receiver(id)));
            assert_eq!(seats.leave(*seat), Some(receiver(id)));
            assert_eq!((seats.look(*seat), seats.leave(*seat)), (None, None));
        }
        assert!(seats.claim(receiver(1), life, 8).is_some());
    }

    #[test]
    fn what_expired_is_given_to_another_and_never_believed() {
        let (seats, life) = (Seats::new(), Lifetime::new(LIFETIME).unwrap());
        let old: Vec<_> = (0..SEATS).map(|_| seats.claim(receiver(1), life, 0).unwrap()).collect();
        let new: Vec<_> =
            (0..SEATS).map(|_| seats.claim(receiver(2), life, LIFETIME).unwrap()).collect();
        for seat in old {
            assert_eq!((seats.look(seat), seats.leave(seat)), (None, None));
        }
        for seat in new {
            assert_eq!(seats.leave(seat), Some(receiver(2)));
        }
    }

    /// Times are kept to 48 bits, so one that nobody touches for a whole turn would look young again.
    #[test]
    fn what_was_swept_does_not_come_round() {
        let (seats, life) = (Seats::new(), Lifetime::new(LIFETIME).unwrap());
        let taken: Vec<_> =
            (0..SEATS).map(|_| seats.claim(receiver(1), life, 0).unwrap()).collect();
        seats.sweep(life, LIFETIME);
        assert_eq!(seats.look(taken[0]), Some(receiver(1)), "whoever has its entry may be at it");
        seats.sweep(life, 1 << 47);
        assert_eq!(seats.look(taken[0]), None);
        assert!(seats.claim(receiver(2), life, 1 << 48).is_some());
    }

    #[test]
    fn one_that_was_left_is_found_among_many_that_are_taken() {
        let (seats, life) = (Seats::new(), Lifetime::new(LIFETIME).unwrap());
        let taken: Vec<_> =
            (0..SEATS).map(|id| seats.claim(receiver(id), life, 7).unwrap()).collect();
        let free = taken[usize::from(LOOKED_AT) - 1];
        seats.leave(free).unwrap();
        assert_eq!(seats.claim(receiver(9), life, 9).unwrap().0.request_id(), free.0.request_id());
    }
}

//! One slot: two atomic words, and the only places that write them.
//!
//! ```text
//!          63                                     16  15    14     13        2 1   0
//!   tag   | fingerprint of the key (48)             |again|seated|version (12)| state |
//!   data  | send time in ticks, low 48 bits         | request identifier, or seat (16) |
//! ```
//!
//! | state | meaning | left by |
//! |---|---|---|
//! | empty | free; the fingerprint is 0, the version stays | a claim |
//! | busy | one core is filling it in; the fingerprint is already that of the new key | that core's publication |
//! | live | `data` belongs to the fingerprint | a release (take, or sweep of the expired), or a claim (replacement, or reuse of the expired) |
//!
//! *Again* is set by the claim that replaces a live entry by one of the same request, and cleared by any other. *Seated* says that the
//! data has the number of a [seat](crate::seats) in the place of a request's identifier.
//!
//! **Writers.** `tag`: [`Slot::claim`] and [`Slot::release`] by compare-and-swap from the exact tag seen, on any
//! core; [`Claim::publish`] by a plain store, which only the core whose claim succeeded can reach. `data`:
//! `publish` alone, before that store.
//!
//! **Orderings.**
//! - `publish` stores `data`, then `tag` with Release; every reader loads `tag` with Acquire before `data`. So who
//!   sees a live tag sees its data, or later data, never earlier.
//! - `claim` is a compare-and-swap with Acquire and Release; `data` is stored with Release after it and loaded with
//!   Acquire. So who sees later data than its tag's finds the tag changed when it looks again.
//! - `release` is a compare-and-swap with Release (its own reads of `data` come before it) and Acquire: the next claim reads
//!   from it, so the next `data` cannot reach back to the one who took.
//!
//! **A torn read is never believed.** Tag and data are two loads, so between them the slot can change hands.
//! But whoever acts on the data first exchanges the very tag that was loaded before it, and every change of hands goes through a
//! claim, which moves the version on. The exchange then fails and the data is thrown away. Where nothing is exchanged
//! (a conflict is only reported), the tag is loaded once more and compared.
//!
//! **ABA.** The exchange would be fooled if the slot were claimed a multiple of 4,096 times meanwhile, the last
//! time for the same fingerprint. That takes the same key, put in again and again within the few
//! nanoseconds from a load to an exchange (or a preemption there), and would yield an older send time of that same key: an RTT too long by the
//! length of that pause.

use crate::sync::{AtomicU64, Ordering};
use crate::ticks::{OTHER_BITS, Window};

const STATE_MASK: u64 = 0b11;
const EMPTY: u64 = 0;
const BUSY: u64 = 1;
const LIVE: u64 = 2;

const VERSION_ONE: u64 = 1 << 2;
const VERSION_MASK: u64 = ((1 << 12) - 1) << 2;
const SEATED: u64 = 1 << 14;
const AGAIN: u64 = 1 << 15;

const FINGERPRINT_SHIFT: u32 = 16;
const FINGERPRINT_MASK: u64 = u64::MAX << FINGERPRINT_SHIFT;

/// 48 bits that stand for a key, in the place that they have in a tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    /// The low 48 bits of `hash`.
    #[inline]
    pub(crate) fn new(hash: u64) -> Self {
        Self(hash << FINGERPRINT_SHIFT)
    }
}

/// What a tag says of its slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Empty,
    Busy,
    Live,
}

/// One loaded tag: fingerprint, version, state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tag(u64);

impl Tag {
    #[inline]
    pub(crate) fn state(self) -> State {
        match self.0 & STATE_MASK {
            EMPTY => State::Empty,
            LIVE => State::Live,
            _ => State::Busy,
        }
    }

    /// 1 if the slot cannot be claimed: somebody is filling it in, or it is live and its `data` still counts. 0 if it
    /// can. A number and no condition, for whether a slot is expired is as good as random.
    #[inline]
    pub(crate) fn taken(self, data: Data, window: Window) -> u64 {
        let alive = u64::from(window.holds(data.0));
        ((self.0 / BUSY) | ((self.0 / LIVE) & alive)) & 1
    }

    #[inline]
    pub(crate) fn is_live(self) -> bool {
        self.0 & STATE_MASK == LIVE
    }

    /// Whether it stands for this key; of no meaning when empty.
    #[inline]
    pub(crate) fn is_of(self, fingerprint: Fingerprint) -> bool {
        self.0 & FINGERPRINT_MASK == fingerprint.0
    }

    /// Whether it is live and stands for this key: one comparison.
    #[inline]
    pub(crate) fn is_live_of(self, fingerprint: Fingerprint) -> bool {
        self.0 & (FINGERPRINT_MASK | STATE_MASK) == fingerprint.0 | LIVE
    }

    /// Whether the entry took the place of another one of the same request.
    #[inline]
    pub(crate) fn is_again(self) -> bool {
        self.0 & AGAIN != 0
    }

    /// Whether the data has the number of a seat.
    #[inline]
    pub(crate) fn is_seated(self) -> bool {
        self.0 & SEATED != 0
    }

    #[inline]
    fn claimed_for(self, fingerprint: Fingerprint) -> Self {
        Self(fingerprint.0 | (self.0.wrapping_add(VERSION_ONE) & VERSION_MASK) | BUSY)
    }

    #[inline]
    fn published(self) -> Self {
        Self((self.0 & !STATE_MASK) | LIVE)
    }

    #[inline]
    fn emptied(self) -> Self {
        Self((self.0 & VERSION_MASK) | EMPTY)
    }
}

/// One loaded data word: send time and request identifier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Data(u64);

impl Data {
    /// Of `sent`, the low 48 bits are kept.
    #[inline]
    pub(crate) fn new(sent: u64, request_id: u16) -> Self {
        Self((sent << OTHER_BITS) | u64::from(request_id))
    }

    /// The low 48 bits of the send time.
    #[inline]
    pub(crate) fn sent(self) -> u64 {
        self.0 >> OTHER_BITS
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are what is meant")]
    pub(crate) fn request_id(self) -> u16 {
        self.0 as u16
    }
}

/// Tag and data; the module's text says who writes them, and when.
#[derive(Debug)]
#[cfg_attr(not(loom), derive(zerocopy::FromZeros))]
pub(crate) struct Slot {
    tag: AtomicU64,
    data: AtomicU64,
}

impl Slot {
    pub(crate) fn empty() -> Self {
        Self { tag: AtomicU64::new(EMPTY), data: AtomicU64::new(0) }
    }

    /// The tag as it is now.
    #[inline]
    pub(crate) fn tag(&self) -> Tag {
        Tag(self.tag.load(Ordering::Acquire))
    }

    /// The data as it is now, to be believed only if the tag that was loaded before is still there.
    #[inline]
    pub(crate) fn data(&self) -> Data {
        Data(self.data.load(Ordering::Acquire))
    }

    /// Loads the line into the cache; the value says nothing.
    #[inline]
    pub(crate) fn touch(&self) -> u64 {
        self.tag.load(Ordering::Relaxed)
    }

    /// Takes the slot over for a new key, from whatever `seen` says it holds. `None`: it has changed since.
    #[inline]
    pub(crate) fn claim(&self, seen: Tag, fingerprint: Fingerprint) -> Option<Claim<'_>> {
        let tag = seen.claimed_for(fingerprint);
        self.exchange(seen, tag).then_some(Claim { slot: self, tag })
    }

    /// The same, from a live entry of the same key and request.
    #[inline]
    pub(crate) fn claim_again(&self, seen: Tag, fingerprint: Fingerprint) -> Option<Claim<'_>> {
        let tag = Tag(seen.claimed_for(fingerprint).0 | AGAIN);
        self.exchange(seen, tag).then_some(Claim { slot: self, tag })
    }

    /// The same as [`claim`](Self::claim), for an entry whose data has the number of a seat.
    #[inline]
    pub(crate) fn claim_seated(&self, seen: Tag, fingerprint: Fingerprint) -> Option<Claim<'_>> {
        let tag = Tag(seen.claimed_for(fingerprint).0 | SEATED);
        self.exchange(seen, tag).then_some(Claim { slot: self, tag })
    }

    /// Frees the slot. Of all who have seen the same live tag, one gets `true`.
    #[inline]
    pub(crate) fn release(&self, seen: Tag) -> bool {
        self.exchange(seen, seen.emptied())
    }

    #[inline]
    fn exchange(&self, seen: Tag, new: Tag) -> bool {
        self.tag.compare_exchange(seen.0, new.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

/// A slot that this core alone may fill in.
#[must_use = "a claimed slot stays busy until it is published"]
pub(crate) struct Claim<'a> {
    slot: &'a Slot,
    tag: Tag,
}

impl Claim<'_> {
    /// Fills the slot in and makes it live.
    #[inline]
    pub(crate) fn publish(self, data: Data) {
        self.slot.data.store(data.0, Ordering::Release);
        self.slot.tag.store(self.tag.published().0, Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_parts_apart() {
        let data = Data::new(u64::MAX - 1, 0x1234);
        assert_eq!((data.sent(), data.request_id()), ((1 << 48) - 2, 0x1234));

        let ones = Fingerprint::new(u64::MAX);
        let mut tag = Tag(VERSION_MASK).claimed_for(ones);
        assert_eq!(tag, Tag(FINGERPRINT_MASK | BUSY), "the version wraps within its own bits");
        tag = tag.published();
        assert!(tag.is_live_of(ones) && tag.is_of(ones) && tag.state() == State::Live);
        assert!(!tag.is_live_of(Fingerprint::new(u64::MAX - 1)));
        assert_eq!(tag.emptied(), Tag(0));
    }

    #[test]
    fn a_slot_that_changed_hands_refuses_the_old_tag() {
        let slot = Slot::empty();
        let key = Fingerprint::new(7);
        let free = slot.tag();
        slot.claim(free, key).unwrap().publish(Data::new(1, 1));
        let first = slot.tag();
        assert!(slot.claim(free, key).is_none());
        assert!(slot.release(first));
        assert!(!slot.release(first), "released twice");

        slot.claim(slot.tag(), key).unwrap().publish(Data::new(2, 2));
        assert!(slot.tag().is_live_of(key));
        assert!(!slot.release(first), "the same key again is another entry");

        // That it took another's place is forgotten with the entry, and no part of the version.
        slot.claim_again(slot.tag(), key).unwrap().publish(Data::new(3, 2));
        let again = slot.tag();
        assert!(again.is_again() && again.is_live_of(key) && !again.emptied().is_again());
        slot.claim(again, key).unwrap().publish(Data::new(4, 2));
        assert!(!slot.tag().is_again());

        // So is that it had a seat.
        slot.claim_seated(slot.tag(), key).unwrap().publish(Data::new(5, 2));
        let seated = slot.tag();
        assert!(seated.is_seated() && seated.is_live_of(key) && !seated.is_again());
        assert!(!seated.emptied().is_seated());
        slot.claim(seated, key).unwrap().publish(Data::new(6, 2));
        assert!(!slot.tag().is_seated());
    }
}

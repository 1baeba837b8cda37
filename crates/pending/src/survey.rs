//! What an insert sees of a bucket, and what it does when that is not the common case.

use crate::slot::{Fingerprint, Slot, Tag};
use crate::table::{Bucket, Insert, SLOTS, Whose};
use crate::ticks::Window;

/// What an insert does about a key that seems to be there already, or a first bucket that fills.
#[cold]
pub(crate) fn rare<'a>(
    first: &Survey<'a>,
    secondary: &'a Bucket,
    key: Fingerprint,
    whose: Whose,
    window: Window,
) -> Rare<'a> {
    let second = Survey::new(secondary, key, window);
    match first.twin().or_else(|| second.twin()) {
        None => match first.better(&second).vacant() {
            Some((slot, seen)) => Rare::Claim(Insert::New, slot, seen),
            None => Rare::Refuse(Insert::Full),
        },
        Some((slot, seen)) if seen.is_live() => {
            let same = Whose::Target(slot.data().request_id());
            if whose == same && !seen.is_seated() {
                Rare::Claim(Insert::Replaced, slot, seen)
            } else if slot.tag() == seen {
                Rare::Refuse(Insert::Conflict)
            } else {
                // Nothing will be exchanged here, so a torn read is told by a second look.
                Rare::Changed
            }
        }
        // Another core is putting it in; for which request is not known yet.
        Some(_) => Rare::Refuse(Insert::Conflict),
    }
}

/// What an insert sees of one bucket: a bit for each slot, because whether a slot is expired is as good as random,
/// and a branch on it would be guessed wrong every other time.
pub(crate) struct Survey<'a> {
    bucket: &'a Bucket,
    tags: [Tag; SLOTS],
    /// Slots whose fingerprint is that of the key which is to be inserted.
    twins: u64,
    /// Slots that are empty or expired.
    free: u64,
}

/// All slots of a bucket.
const ALL: u64 = (1 << SLOTS) - 1;

impl<'a> Survey<'a> {
    #[inline]
    pub(crate) fn new(bucket: &'a Bucket, key: Fingerprint, window: Window) -> Self {
        let (mut twins, mut taken) = (0, 0);
        let mut bit = 1;
        let tags = bucket.slots.each_ref().map(|slot| {
            let seen = slot.tag();
            taken |= seen.taken(slot.data(), window).wrapping_mul(bit);
            twins |= u64::from(seen.is_of(key)).wrapping_mul(bit);
            bit = bit.wrapping_mul(2);
            seen
        });
        Self { bucket, tags, twins, free: taken ^ ALL }
    }

    /// The first slot of `set` with the tag that it had.
    #[inline]
    fn first(&self, set: u64) -> Option<(&'a Slot, Tag)> {
        let place = set.trailing_zeros() as usize;
        Some((self.bucket.slots.get(place)?, *self.tags.get(place)?))
    }

    /// A slot to claim.
    #[inline]
    pub(crate) fn vacant(&self) -> Option<(&'a Slot, Tag)> {
        self.first(self.free)
    }

    /// Whether a slot has the key, be it expired or empty.
    #[inline]
    pub(crate) const fn has_twin(&self) -> bool {
        self.twins != 0
    }

    /// A slot that holds the key.
    fn twin(&self) -> Option<(&'a Slot, Tag)> {
        self.first(self.twins & !self.free)
    }

    /// Whether a slot is left when one is claimed.
    #[inline]
    pub(crate) const fn can_spare(&self) -> bool {
        self.free & self.free.wrapping_sub(1) != 0
    }

    /// Where to insert. The primary bucket, so that a take finds the entry in its first line, until that
    /// leaves no slot to spare; then the emptier one, so that no bucket fills while its neighbours are empty.
    fn better<'b>(&'b self, secondary: &'b Self) -> &'b Self {
        let emptier = self.free.count_ones() >= secondary.free.count_ones();
        if self.can_spare() || emptier { self } else { secondary }
    }
}

/// What an insert that is not the common case does.
pub(crate) enum Rare<'a> {
    /// Claims this slot, from the tag that it had.
    Claim(Insert, &'a Slot, Tag),
    /// Nothing.
    Refuse(Insert),
    /// Looks again.
    Changed,
}

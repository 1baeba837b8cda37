//! A fixed-size array of owned mbufs, the unit in which queues receive and send.

use std::fmt;
use std::iter::FusedIterator;
use std::mem::MaybeUninit;

use dpdk_sys as sys;

use crate::mbuf::Mbuf;

/// Up to `N` mbufs, owned, in the order in which they came. Never allocates.
pub struct Burst<const N: usize> {
    /// The first `length` slots are initialised.
    length: usize,
    slots: [MaybeUninit<Mbuf>; N],
}

impl<const N: usize> Burst<N> {
    /// An empty burst.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(N > 0 && N <= u16::MAX as usize, "DPDK counts bursts in 16 bits") }
        Self { length: 0, slots: [const { MaybeUninit::uninit() }; N] }
    }

    /// How many mbufs it holds.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether it holds none.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether it holds `N`.
    #[inline]
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.length == N
    }

    /// `N`.
    #[inline]
    #[must_use]
    pub const fn capacity(&self) -> usize {
        N
    }

    /// Appends an mbuf, or gives it back when the burst is full.
    #[inline]
    pub fn push(&mut self, mbuf: Mbuf) -> Result<(), Mbuf> {
        match self.slots.get_mut(self.length) {
            Some(slot) => {
                slot.write(mbuf);
                self.length += 1;
                Ok(())
            }
            None => Err(mbuf),
        }
    }

    /// Takes the last mbuf.
    #[inline]
    pub fn pop(&mut self) -> Option<Mbuf> {
        let last = self.length.checked_sub(1)?;
        self.length = last;
        // SAFETY: the slot was within the length, hence initialised, and no longer is.
        Some(unsafe { self.slots[last].assume_init_read() })
    }

    /// Takes the mbuf at `index`; the last one takes its place. None when out of range.
    #[inline]
    pub fn swap_remove(&mut self, index: usize) -> Option<Mbuf> {
        if index >= self.length {
            return None;
        }
        let last = self.length - 1;
        self.slots.swap(index, last);
        self.pop()
    }

    /// Moves mbufs from the front of `other` to the end of this one until one is full or
    /// the other empty. Returns how many.
    pub fn append<const M: usize>(&mut self, other: &mut Burst<M>) -> usize {
        let count = other.length.min(N - self.length);
        for (slot, mbuf) in self.slots[self.length..].iter_mut().zip(&other.slots[..count]) {
            // SAFETY: `count` is within the other's length; `forget_front` below makes
            // the other forget what is read here.
            slot.write(unsafe { mbuf.assume_init_read() });
        }
        self.length += count;
        // SAFETY: the first `count` are within the length, and ours now.
        unsafe { other.forget_front(count) };
        count
    }

    /// Takes all mbufs, in order. What the iterator has not yielded when it is dropped is freed.
    pub fn drain(&mut self) -> Drain<'_, N> {
        let end = self.length;
        // From here on the iterator owns them; if it is leaked, so are they.
        self.length = 0;
        Drain { burst: self, next: 0, end }
    }

    /// Takes the mbufs out one after another, and puts back what `sort` returns: those close up, in order.
    ///
    /// `sort` is told the mbuf's place, and the place that it will have if it is put back. If it panics, mbufs are leaked.
    #[inline]
    pub fn sift(&mut self, mut sort: impl FnMut(usize, usize, Mbuf) -> Option<Mbuf>) {
        // From here on they are ours, or `sort`'s.
        let end = std::mem::take(&mut self.length);
        let mut kept = 0;
        for place in 0..end {
            // SAFETY: the slot was within the length, hence initialised, and is read once: what is written below is
            // written to slots that were read before.
            let mbuf = unsafe { self.slots[place].assume_init_read() };
            if let Some(mbuf) = sort(place, kept, mbuf) {
                self.slots[kept].write(mbuf);
                kept += 1;
            }
        }
        self.length = kept;
    }

    /// The mbufs.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[Mbuf] {
        // SAFETY: slots within the length are initialised.
        unsafe { self.slots[..self.length].assume_init_ref() }
    }

    /// The mbufs, to write.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [Mbuf] {
        // SAFETY: slots within the length are initialised.
        unsafe { self.slots[..self.length].assume_init_mut() }
    }

    /// The mbufs in order.
    #[inline]
    pub fn iter(&self) -> std::slice::Iter<'_, Mbuf> {
        self.as_slice().iter()
    }

    /// The mbufs in order, to write.
    #[inline]
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Mbuf> {
        self.as_mut_slice().iter_mut()
    }

    /// Frees all mbufs, in bulk.
    #[inline]
    pub fn clear(&mut self) {
        let count = std::mem::take(&mut self.length);
        free(&mut self.slots[..count]);
    }

    /// Where DPDK finds the mbufs, and how many there are.
    #[inline]
    pub(crate) fn filled(&mut self) -> (*mut *mut sys::rte_mbuf, u16) {
        (self.slots.as_mut_ptr().cast(), count(self.length))
    }

    /// Where DPDK may put more, and how many at most.
    #[inline]
    pub(crate) fn spare(&mut self) -> (*mut *mut sys::rte_mbuf, u16) {
        let spare = &mut self.slots[self.length..];
        (spare.as_mut_ptr().cast(), count(spare.len()))
    }

    /// # Safety
    /// The first `count` spare slots hold mbufs that are the caller's.
    #[inline]
    pub(crate) unsafe fn grow(&mut self, count: usize) {
        self.length += count;
    }

    /// Moves the mbufs behind the first `count` to the front.
    ///
    /// # Safety
    /// `count` is at most the length, and the first `count` mbufs have another owner.
    #[inline]
    pub(crate) unsafe fn forget_front(&mut self, count: usize) {
        let left = self.length - count;
        if left > 0 {
            let slots = self.slots.as_mut_ptr();
            // SAFETY: `count` is within the array.
            let from = unsafe { slots.add(count) };
            // SAFETY: both ranges are within the array; copy allows them to overlap.
            unsafe { std::ptr::copy(from, slots, left) };
        }
        self.length = left;
    }
}

/// `new` has checked that the capacity fits.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "at most N, which `new` bounds by u16::MAX")]
const fn count(slots: usize) -> u16 {
    slots as u16
}

/// Frees initialised slots, which the caller then forgets.
#[inline]
fn free(slots: &mut [MaybeUninit<Mbuf>]) {
    if !slots.is_empty() {
        let mbufs = slots.as_mut_ptr().cast::<*mut sys::rte_mbuf>();
        // SAFETY: an Mbuf is a pointer to an mbuf that we own (repr(transparent)); each
        // is given up here. Mempools are never freed, so theirs are there.
        unsafe { sys::rte_pktmbuf_free_bulk(mbufs, u32::from(count(slots.len()))) };
    }
}

impl<const N: usize> Default for Burst<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Drop for Burst<N> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl<const N: usize> fmt::Debug for Burst<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, const N: usize> IntoIterator for &'a Burst<N> {
    type Item = &'a Mbuf;
    type IntoIter = std::slice::Iter<'a, Mbuf>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, const N: usize> IntoIterator for &'a mut Burst<N> {
    type Item = &'a mut Mbuf;
    type IntoIter = std::slice::IterMut<'a, Mbuf>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

/// The mbufs of a [`Burst`], taken out one after another; see [`Burst::drain`].
pub struct Drain<'a, const N: usize> {
    burst: &'a mut Burst<N>,
    /// Slots from `next` to `end` are initialised, and the iterator's.
    next: usize,
    end: usize,
}

impl<const N: usize> Iterator for Drain<'_, N> {
    type Item = Mbuf;

    #[inline]
    fn next(&mut self) -> Option<Mbuf> {
        if self.next == self.end {
            return None;
        }
        let slot = &self.burst.slots[self.next];
        self.next += 1;
        // SAFETY: the slot was initialised, and `next` has passed it.
        Some(unsafe { slot.assume_init_read() })
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.end - self.next;
        (left, Some(left))
    }
}

impl<const N: usize> ExactSizeIterator for Drain<'_, N> {}
impl<const N: usize> FusedIterator for Drain<'_, N> {}

impl<const N: usize> Drop for Drain<'_, N> {
    fn drop(&mut self) {
        free(&mut self.burst.slots[self.next..self.end]);
    }
}

impl<const N: usize> fmt::Debug for Drain<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("left", &self.len()).finish()
    }
}

//! A timing wheel: what is put in comes out when its time has come. Never allocates once made.

/// No item.
const NONE: u32 = u32::MAX;

/// Items that wait, at most as many as it was made for.
#[derive(Debug)]
pub struct Wheel<T> {
    /// The first item of each slot; a slot is `1 << shift` ticks wide.
    slots: Box<[u32]>,
    nodes: Box<[Node<T>]>,
    free: u32,
    shift: u32,
    /// The slot time up to which all was taken out.
    done: u64,
    waiting: usize,
}

#[derive(Debug)]
struct Node<T> {
    item: Option<T>,
    next: u32,
}

impl<T> Wheel<T> {
    /// A wheel for `capacity` items, none of which waits longer than `longest` ticks. Items come out
    /// up to `longest / 1024` ticks late, and never early. `now` is the time.
    ///
    /// # Panics
    ///
    /// If `capacity` does not fit 32 bits.
    #[must_use]
    pub fn new(capacity: usize, longest: u64, now: u64) -> Self {
        let last = u32::try_from(capacity).expect("a wheel's capacity fits 32 bits");
        let shift = (longest / 1024).max(1).ilog2();
        // Two more: an item waits for the end of its slot, and the first slot is in part over.
        let slots = usize::try_from((longest >> shift) + 2).unwrap_or(usize::MAX);
        let nodes = (0..last).map(|index| Node {
            item: None,
            next: if index + 1 < last { index + 1 } else { NONE },
        });
        Self {
            slots: vec![NONE; slots.next_power_of_two()].into_boxed_slice(),
            nodes: nodes.collect(),
            free: if last > 0 { 0 } else { NONE },
            shift,
            done: now >> shift,
            waiting: 0,
        }
    }

    /// How many items wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// Whether none waits.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Has `item` wait until `due`, or gives it back if there is no room. What is due later than the
    /// wheel's longest time comes out at that.
    #[inline]
    pub fn put(&mut self, item: T, due: u64) -> Result<(), T> {
        let index = self.free;
        let Some(node) = self.nodes.get_mut(index as usize) else { return Err(item) };
        self.free = node.next;
        // Out when the whole slot is over, so never early.
        let last = self.done + self.slots.len() as u64 - 1;
        let slot = ((due >> self.shift) + 1).clamp(self.done + 1, last);
        let head = self.slot(slot);
        let next = std::mem::replace(&mut self.slots[head], index);
        self.nodes[index as usize] = Node { item: Some(item), next };
        self.waiting += 1;
        Ok(())
    }

    /// An item whose time has come at `now`, if there is one.
    #[inline]
    pub fn take(&mut self, now: u64) -> Option<T> {
        let until = now >> self.shift;
        if self.waiting == 0 {
            self.done = self.done.max(until);
            return None;
        }
        loop {
            // Slot `done` was reached before, and may still hold items.
            let slot = self.slot(self.done);
            let index = self.slots[slot];
            if let Some(node) = self.nodes.get_mut(index as usize) {
                self.slots[slot] = std::mem::replace(&mut node.next, self.free);
                self.free = index;
                self.waiting -= 1;
                return node.item.take();
            }
            if self.done >= until {
                return None;
            }
            self.done += 1;
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "masked by the number of slots")]
    fn slot(&self, time: u64) -> usize {
        time as usize & (self.slots.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_comes_early_or_later_than_a_slot_and_nothing_is_lost() {
        let longest = 5000;
        let mut wheel = Wheel::new(500, longest, 1_000_000);
        let slot = 1 << (longest / 1024u64).ilog2();
        let mut state = 1u64;
        let (mut put, mut taken) = (0, 0);
        for now in (1_000_000..1_400_000).step_by(7) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if wheel
                .put(now + (state >> 33) % (longest + 1), now + (state >> 33) % (longest + 1))
                .is_ok()
            {
                put += 1;
            }
            while let Some(due) = wheel.take(now) {
                assert!(due <= now, "{} early", due - now);
                assert!(now - due <= 2 * slot + 7, "{} late", now - due);
                taken += 1;
            }
            assert_eq!(wheel.len(), put - taken);
        }
        while wheel.take(2_000_000).is_some() {
            taken += 1;
        }
        assert_eq!((put, wheel.len()), (taken, 0));
        assert!(put > 50_000, "{put}");
    }

    #[test]
    fn a_full_wheel_gives_back() {
        let mut wheel = Wheel::new(2, 1000, 0);
        assert_eq!((wheel.put('a', 10), wheel.put('b', 5)), (Ok(()), Ok(())));
        assert_eq!(wheel.put('c', 1), Err('c'));
        assert_eq!(wheel.take(4), None);
        assert_eq!(wheel.take(8), Some('b'));
        assert_eq!(wheel.put('c', 20), Ok(()));
        assert_eq!((wheel.take(19), wheel.take(20), wheel.take(21)), (Some('a'), None, Some('c')));
    }

    #[test]
    fn after_a_long_absence_all_comes_out() {
        let mut wheel = Wheel::new(100, 1000, 0);
        for due in 0..100 {
            wheel.put(due, due * 10).unwrap();
        }
        let mut out: Vec<u64> = std::iter::from_fn(|| wheel.take(1_000_000)).collect();
        out.sort_unstable();
        assert_eq!(out, (0..100).collect::<Vec<_>>());
        wheel.put(7, 1_000_500).unwrap();
        assert_eq!((wheel.take(1_000_400), wheel.take(1_000_502)), (None, Some(7)));
    }
}

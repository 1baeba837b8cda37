//! What threads meet by: the processor's atomics, crossbeam's queue and std's lock, or loom's where loom explores the interleavings.

#[cfg(not(loom))]
pub(crate) use crossbeam_queue::ArrayQueue;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
#[cfg(not(loom))]
pub(crate) use std::sync::{Mutex, MutexGuard};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
#[cfg(loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};
#[cfg(loom)]
pub(crate) use queue::ArrayQueue;

/// The queue as loom sees it: what crossbeam promises of its own, by a lock. Whether it keeps the promise is crossbeam's to show.
#[cfg(loom)]
mod queue {
    use std::collections::VecDeque;

    use loom::sync::Mutex;

    #[derive(Debug)]
    pub(crate) struct ArrayQueue<T> {
        items: Mutex<VecDeque<T>>,
        room: usize,
    }

    impl<T> ArrayQueue<T> {
        pub(crate) fn new(room: usize) -> Self {
            Self { items: Mutex::new(VecDeque::new()), room }
        }

        pub(crate) fn push(&self, item: T) -> Result<(), T> {
            let mut items = self.items.lock().unwrap();
            if items.len() >= self.room {
                return Err(item);
            }
            items.push_back(item);
            Ok(())
        }

        pub(crate) fn pop(&self) -> Option<T> {
            self.items.lock().unwrap().pop_front()
        }
    }
}

//! Threads that put into one table and take out of it, each keys of its own.

use std::sync::Arc;

use otherhalf_pending::{Hash, Insert, Lines, Table};
use otherhalf_responder::worker::Prefetching;

use crate::lockstep::Work;
use crate::traffic::BURST;

/// Entries that each thread has pending.
const LIVE: u64 = 1 << 18;

/// One thread's part: a burst of inserts, then a burst of takes of its oldest.
#[derive(Debug)]
pub struct Churn {
    table: Arc<Table<Prefetching>>,
    /// In the key, so that no thread has another's.
    thread: u64,
    /// Entries put in.
    pub next: u64,
    /// Inserts refused, and takes that found nothing.
    pub lost: u64,
}

impl Churn {
    /// The part of `thread`, its entries pending.
    #[must_use]
    pub fn new(table: Arc<Table<Prefetching>>, thread: u64) -> Self {
        let mut churn = Self { table, thread, next: 0, lost: 0 };
        while churn.next < LIVE {
            churn.insert();
        }
        churn
    }

    fn hashes(&self, first: u64, lines: Lines) -> [Hash; BURST] {
        let mut keys = first..;
        std::array::from_fn(|_| {
            let key = self.thread << 48 | keys.next().unwrap_or(0);
            let hash = self.table.hash(&[key], 0);
            self.table.prefetch(hash, lines);
            hash
        })
    }

    fn insert(&mut self) {
        for hash in self.hashes(self.next, Lines::Both) {
            self.lost += u64::from(self.table.insert(hash, 1, 0) != Insert::New);
        }
        self.next += BURST as u64;
    }
}

impl Work for Churn {
    fn burst(&mut self) -> u64 {
        self.insert();
        for hash in self.hashes(self.next - LIVE - BURST as u64, Lines::First) {
            self.lost += u64::from(self.table.take(hash, 0).is_none());
        }
        2 * BURST as u64
    }
}

//! What waits in the pending table, for whoever asks at the control socket.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dpdk::tsc;
use otherhalf_control::message::{MOST_WAITING, Probe, Waiting};
use otherhalf_pending::{Entry, Table, Whose};

use crate::worker::Prefetching;

/// Buckets looked at between two pauses: as many as a turn of the control thread sweeps, so that the workers' caches are put to no other
/// test than they always are.
const PART: usize = 1024;
/// The pause: a turn of the control thread.
const PAUSE: Duration = Duration::from_millis(2);
/// How long a look may take: a table of four million entries is passed by then. A client waits longer.
const DEADLINE: Duration = Duration::from_secs(8);

/// Looks into the pending table, on the thread of whoever asks: neither workers nor the control thread have to do with it.
#[derive(Debug)]
pub struct Look {
    table: Arc<Table<Prefetching>>,
    ticks_per_second: u64,
}

impl Look {
    /// Into `table`, whose times are ticks of the time stamp counter.
    #[must_use]
    pub const fn into(table: Arc<Table<Prefetching>>, ticks_per_second: u64) -> Self {
        Self { table, ticks_per_second }
    }

    /// The first `limit` probes that are found to wait, or as many as are found in a few seconds.
    #[must_use]
    pub fn list(&self, limit: usize) -> Waiting {
        let limit = limit.min(MOST_WAITING);
        let mut found: Vec<Entry> = Vec::new();
        let (began, buckets) = (Instant::now(), self.table.buckets());
        let mut next = 0;
        while next < buckets && found.len() < limit && began.elapsed() < DEADLINE {
            if next > 0 {
                std::thread::sleep(PAUSE);
            }
            found.extend(self.table.waiting(next..next + PART, tsc()));
            next += PART;
        }
        let whole = next >= buckets && found.len() <= limit;
        found.truncate(limit);
        found.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.age_ticks));
        Waiting { probes: found.into_iter().filter_map(|entry| self.shown(entry)).collect(), whole }
    }

    /// An entry for people; none, if it was an indirect one that has been answered meanwhile.
    fn shown(&self, Entry { whose, age_ticks, .. }: Entry) -> Option<Probe> {
        let request_id = match whose {
            Whose::Target(request_id) => request_id,
            Whose::Seat(seat) => self.table.receiver(seat)?.request_id,
        };
        let left = self.table.timeout_ticks().saturating_sub(age_ticks);
        let (age_us, left_us) = (self.microseconds(age_ticks), self.microseconds(left));
        Some(Probe { request_id, age_us, left_us })
    }

    fn microseconds(&self, ticks: u64) -> u64 {
        let product = u128::from(ticks) * 1_000_000;
        u64::try_from(product / u128::from(self.ticks_per_second.max(1))).unwrap_or(u64::MAX)
    }
}

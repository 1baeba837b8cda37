//! How often a table refuses inserts, at a steady number of live entries with answers in random order.
//! The figures in the crate's text come from here.
//!
//! `cargo run --release -p otherhalf-pending --example refusals [ENTRIES]`

use otherhalf_pending::{Insert, Settings, Table};

/// `SplitMix64` (Steele, Lea, Flood 2014): the same numbers in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, range: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 16) as usize % range
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let entries = std::env::args().nth(1).map_or(Ok(1 << 20), |text| text.parse())?;
    println!("{entries} entries; steady state over {} inserts", 3 * entries);
    println!("live     refused");
    for percent in [50, 60, 70, 80, 90, 100] {
        let table = Table::new(Settings { entries, timeout_ticks: 1, secret: [11, 12] })?;
        let mut random = Random(percent as u64);
        let live = entries * percent / 100;
        let mut pending = Vec::with_capacity(live);
        let (mut key, mut tried, mut refused) = (0_u64, 0_u64, 0_u64);
        for turn in 0..live + 3 * entries {
            let steady = u64::from(turn >= live);
            if steady == 1 {
                let answered = pending.swap_remove(random.below(pending.len()));
                table.take(table.hash(&[answered], 0), 0).ok_or("a pending key is gone")?;
            }
            loop {
                key += 1;
                tried += steady;
                match table.insert(table.hash(&[key], 0), 1, 0) {
                    Insert::Full => refused += steady,
                    _ => break,
                }
            }
            pending.push(key);
        }
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let share = refused as f64 / tried as f64;
        println!("{percent:>3} %   {:.6} %", 100.0 * share);
    }
    Ok(())
}

//! How full the table gets before it refuses: the figures of the crate's text, as bounds.
#![cfg(not(loom))]

use otherhalf_pending::{Insert, Settings, Table};

const ENTRIES: usize = 1 << 16;

/// Keeps `live` entries pending while answers come in random order; the share of inserts refused.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn refused(live: usize) -> f64 {
    let table =
        Table::new(Settings { entries: ENTRIES, timeout_ticks: 1, secret: [11, 12] }).unwrap();
    // SplitMix64 (Steele, Lea, Flood 2014), so that each run is the same.
    let mut state = 0_u64;
    let mut random = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut pending = Vec::new();
    let (mut key, mut tried, mut refused) = (0_u64, 0_usize, 0_usize);
    for turn in 0..live + 3 * ENTRIES {
        let steady = turn >= live;
        if steady {
            let at = usize::try_from(random() % pending.len() as u64).unwrap();
            assert!(table.take(table.hash(&[pending.swap_remove(at)], 0), 0).is_some());
        }
        loop {
            key += 1;
            tried += usize::from(steady);
            match table.insert(table.hash(&[key], 0), 1, 0) {
                Insert::New => break,
                Insert::Full => refused += usize::from(steady),
                other => panic!("{other:?} for a new key"),
            }
        }
        pending.push(key);
    }
    refused as f64 / tried as f64
}

#[test]
fn nearly_nothing_is_refused_up_to_the_capacity() {
    // Measured: 0, 0.000_4, 0.003_8.
    assert!(refused(ENTRIES / 2) < 0.000_1);
    assert!(refused(ENTRIES / 5 * 4) < 0.001);
    assert!(refused(ENTRIES) < 0.006);
}

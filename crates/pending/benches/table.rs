//! The table alone, in bursts as the engine uses it: half full, a million entries live.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use otherhalf_pending::{Hash, Lines, Settings, Table};

const BURST: u64 = 32;
const LIVE: u64 = 1 << 20;

/// A table of twice as many entries as are live, each of them used before.
fn table() -> Table {
    let settings = Settings { entries: 1 << 21, timeout_ticks: LIVE, secret: [1, 2] };
    let Ok(table) = Table::new(settings) else { panic!("no memory for the table") };
    for key in 0..2 * LIVE {
        let _ = table.insert(table.hash(&[key, 0], 0), 1, key);
    }
    table
}

fn hashes(table: &Table, first: u64) -> Vec<(Hash, Lines)> {
    (first..first + BURST).map(|key| (table.hash(&[key, 0], 0), Lines::Both)).collect()
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pending");
    group.throughput(Throughput::Elements(BURST));
    let shared = table();
    group.bench_function("hash", |bencher| {
        let mut key = 0;
        bencher.iter(|| {
            key += BURST;
            hashes(black_box(&shared), key)
        });
    });
    // A tick is a key, so that the number of live entries stays the same.
    let mut next = 2 * LIVE;
    group.bench_function("insert", |bencher| {
        bencher.iter_batched(
            || {
                next += BURST;
                (next, hashes(&shared, next))
            },
            |(now, burst)| {
                shared.fetch(burst.iter().copied());
                for (hash, _) in &burst {
                    let _ = black_box(shared.insert(*hash, 1, now));
                }
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("insert and take the oldest", |bencher| {
        bencher.iter_batched(
            || {
                next += BURST;
                (next, hashes(&shared, next), hashes(&shared, next - LIVE / 2))
            },
            |(now, new, old)| {
                shared.fetch(new.iter().copied());
                shared.fetch(old.iter().copied());
                for ((new, _), (old, _)) in new.iter().zip(&old) {
                    let _ = black_box(shared.insert(*new, 1, now));
                    black_box(shared.take(*old, now));
                }
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(table_benches, benches);
criterion_main!(table_benches);

//! What a mempool's cache for each lcore should hold: ticks a buffer, taken and given back in bursts of 32 by one
//! lcore, for pools that differ in that alone and take turns. Needs no rights.
//!
//! `cargo run --release -p dpdk --example mempool_cache`
#![expect(clippy::cast_precision_loss, reason = "ticks of a turn and their frames are small")]

use std::hint::black_box;

use dpdk::{Burst, Eal, LcoreId, Memory, Mempool, MempoolConfig, tsc};

const BURST: usize = 32;
const BUFFERS: u32 = 16_383;
const CACHES: [u32; 5] = [64, 128, 255, 256, 512];
/// Bursts that are taken before as many are given back: one is run to completion, more are what a device holds on to
/// and gives back at once.
const SWINGS: [usize; 5] = [1, 4, 8, 12, 24];
const MOST: usize = 24;
const ROUNDS: usize = 3000;
/// Bursts of one pool's turn.
const TURN: usize = 240;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let eal = Eal::builder("otherhalf-mempool-cache", Memory::NoHuge { megabytes: 128 })
        .main_lcore(LcoreId(1), [0])
        .worker(LcoreId(0), 1)
        .init()?;
    let names = CACHES.map(|cache| format!("cache{cache}"));
    let mut pools = Vec::new();
    for (cache, name) in CACHES.into_iter().zip(&names) {
        let config = MempoolConfig { name, buffers: BUFFERS, cache, data_room: 256, socket: None };
        pools.push(Mempool::new(&eal, &config)?);
    }
    let measured = eal.launch(LcoreId(0), move || SWINGS.map(|swing| measure(&pools, swing)))?;
    println!(
        "ticks a buffer\ncache  {}",
        SWINGS.map(|swing| format!("{:>8}", swing * BURST)).join("")
    );
    let measured = measured.join()?;
    for (row, cache) in CACHES.iter().enumerate() {
        let row: Vec<String> =
            measured.iter().map(|column| format!("{:8.2}", column[row])).collect();
        println!("{cache:<7}{}", row.concat());
    }
    Ok(())
}

/// The medians of all pools.
fn measure(pools: &[Mempool], swing: usize) -> Vec<f64> {
    let mut times: Vec<Vec<u64>> = pools.iter().map(|_| Vec::with_capacity(ROUNDS)).collect();
    let mut held: [Burst<BURST>; MOST] = std::array::from_fn(|_| Burst::new());
    for _ in 0..ROUNDS {
        for (pool, times) in pools.iter().zip(&mut times) {
            let began = tsc();
            for _ in 0..TURN / swing {
                for burst in &mut held[..swing] {
                    black_box(pool.alloc_bulk(burst, BURST));
                }
                for burst in &mut held[..swing] {
                    black_box(&mut *burst).clear();
                }
            }
            times.push(tsc().wrapping_sub(began));
        }
    }
    let frames = (TURN / swing * swing * BURST) as f64;
    times
        .iter_mut()
        .map(|times| {
            times.sort_unstable();
            times[times.len() / 2] as f64 / frames
        })
        .collect()
}

//! Ten million hostile frames: random ones, and real ones that something was done to.
//!
//! No panic, no allocation, every frame counted once, every verdict consistent, and every outcome
//! that the engine has reached, which proves that the frames get deep. Made for a release build.

#[path = "../common/mod.rs"]
mod common;
mod check;
mod generate;
mod mutate;
mod random;
mod siege;

use otherhalf_engine::Outcome;
use random::Random;
use siege::Siege;

const FRAMES: u64 = 10_000_000;

/// What only a responder with queues can come to.
const BEYOND_THE_ENGINE: [Outcome; 4] = [
    Outcome::DropHoldFull,
    Outcome::DropKernelFull,
    Outcome::DropTransmitFull,
    Outcome::DropStopped,
];

#[test]
fn ten_million_hostile_frames() {
    let mut siege = Siege::new(Random::new(0x0de1_f1ed_0000_0001));
    siege.take_all_identifiers();
    let mut thrown = siege.counters.total();
    while thrown < FRAMES {
        thrown += siege.burst();
    }
    assert_eq!(siege.counters.total(), thrown, "each frame is counted once");
    for (outcome, count) in siege.counters.iter() {
        println!("{count:>9} {}", outcome.name());
    }
    for (outcome, count) in siege.counters.iter() {
        let reached = !BEYOND_THE_ENGINE.contains(&outcome);
        assert_eq!(count > 0, reached, "{}", outcome.name());
    }
}

#[test]
fn an_allocation_would_be_noticed() {
    let allocated = allocation_counter::measure(|| drop(std::hint::black_box(Box::new(1))));
    assert_eq!(allocated.count_total, 1);
}

//! The packet's way: bursts of frames that the fuzzer chooses, at one responder, so that each meets what those before it left behind.

use crate::random::Random;
use crate::siege::Siege;

/// Bursts an input, at most: it has octets for few.
const BURSTS: usize = 64;

/// Checks the fate of each frame as the engine's hostile test does.
///
/// # Panics
///
/// If a check fails.
pub fn run(octets: &[u8]) {
    let mut siege = Siege::new(Random::new(octets));
    if siege.random.one_in(64) {
        siege.take_all_identifiers();
    }
    let mut thrown = siege.counters.total();
    for _ in 0..BURSTS {
        if siege.random.is_exhausted() {
            break;
        }
        thrown += siege.burst();
    }
    assert_eq!(siege.counters.total(), thrown, "each frame is counted once");
}

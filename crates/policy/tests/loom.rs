//! The interleavings of the limiter's races, explored by loom:
//! `RUSTFLAGS="--cfg loom" cargo test -p otherhalf-policy --release --test loom`.
//!
//! A limiter of one line, and buckets of one token: what is lost in a race shows at once. Three preemptions at most.
//!
//! What loom cannot show: that a sweep undoes no charge. It lets a compare-and-swap that has read a cell come after a store to the cell
//! which it did not see, though nothing may come between its two halves. `sweep.rs` argues that, and `stress.rs` sweeps while threads charge.
#![cfg(loom)]

use std::time::Duration;

use loom::sync::Arc;
use loom::thread;
use otherhalf_policy::limiter::{Charge, Limited, Moment, Sweep};
use otherhalf_policy::{Limiter, Limits, Rates};

const FEW: Limits = Limits { address: 1, narrow: [4, 4], wide: 16, syn: 1 };
const NOW: Moment = Moment::at_ns(120_000_000_000);
const HOST: u32 = 0xc633_6407;
/// Another one of the /24, which shares a cell with the first (as `neighbours_share_a_cell` shows).
const NEIGHBOUR: u32 = 0xc633_6400;
/// Stands for keyed bits of the /24.
const HASH: u64 = 0x0123_4567_89ab_cdef;

fn rates() -> Rates {
    Rates::new(Duration::from_secs(1), &FEW, &FEW).unwrap()
}

/// A limiter whose cells are old at [`NOW`].
fn limiter() -> Limiter {
    Limiter::new(1, Moment::at_ns(0))
}

fn take(limiter: &Limiter, address: u32, syn: bool) -> Result<(), Limited> {
    limiter.take(&rates(), &Charge::v4(address.into(), HASH, syn), NOW)
}

/// Runs `left` beside `right`, each once in the spawned thread, then `check` with what they returned.
fn race<T: 'static>(
    left: fn(&Limiter) -> T,
    right: fn(&Limiter) -> T,
    check: fn(&Limiter, [T; 2]),
) {
    for (spawned, here) in [(left, right), (right, left)] {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(move || {
            let limiter = Arc::new(limiter());
            let other = thread::spawn({
                let limiter = limiter.clone();
                move || spawned(&limiter)
            });
            let found = here(&limiter);
            check(&limiter, [found, other.join().unwrap()]);
        });
    }
}

#[test]
fn of_one_token_each_worker_gets_one_at_most() {
    race(
        |limiter| take(limiter, HOST, false),
        |limiter| take(limiter, HOST, false),
        |limiter, found| {
            assert!(found.contains(&Ok(())), "{found:?}");
            assert_eq!(take(limiter, HOST, false), Err(Limited::Address));
        },
    );
}

#[test]
fn nor_more_of_probes_by_tcp() {
    race(
        |limiter| take(limiter, HOST, true),
        |limiter| take(limiter, NEIGHBOUR, true),
        |limiter, found| {
            assert!(found.contains(&Ok(())), "{found:?}");
            for address in [HOST, NEIGHBOUR] {
                assert!(take(limiter, address, true).is_err());
            }
        },
    );
}

/// A charge of one bucket never undoes that of another with which it shares a cell.
#[test]
fn neighbours_do_not_pay_each_others_debts() {
    race(
        |limiter| take(limiter, HOST, false),
        |limiter| take(limiter, NEIGHBOUR, false),
        |limiter, found| {
            assert_eq!(found, [Ok(()); 2]);
            for address in [HOST, NEIGHBOUR] {
                assert_eq!(take(limiter, address, false), Err(Limited::Address));
            }
        },
    );
}

/// So that the races above are ones: two addresses spend less than four cells.
#[test]
fn neighbours_share_a_cell() {
    loom::model(|| {
        let limiter = limiter();
        assert_eq!(take(&limiter, HOST, false), Ok(()));
        let spent = limiter.sweep(&mut Sweep::new(), 2, Some(&rates()), NOW).unwrap();
        assert_eq!(take(&limiter, NEIGHBOUR, false), Ok(()));
        let both = limiter.sweep(&mut Sweep::new(), 2, Some(&rates()), NOW).unwrap();
        assert_eq!(both - spent, 1);
    });
}

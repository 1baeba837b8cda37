//! Whatever is done with mbufs, dropping them gives their buffers back, once.

mod common;

use dpdk::{Burst, Eal, LcoreId, Mbuf, MbufError, Mempool, MempoolConfig, MempoolError};

const BUFFERS: u32 = 63;

#[test]
fn dropping_frees_and_nothing_else_does() {
    let eal = common::eal("own", 64).init().expect("EAL starts");
    let config = MempoolConfig { name: "own", buffers: BUFFERS, cache: 8, ..Default::default() };
    let pool = Mempool::new(&eal, &config).expect("a mempool");

    mbufs(&pool);
    bursts(&pool);
    other_threads(&eal, &pool);
    refused_mempools(&eal, &config);

    // The mbuf outlives the mempool's handle and the EAL's.
    let mut mbuf = pool.alloc().expect("the pool is full");
    drop(pool);
    drop(eal);
    mbuf.write(b"still there").expect("it fits");
    assert_eq!(mbuf.data(), b"still there");
    drop(mbuf);
}

fn mbufs(pool: &Mempool) {
    let mut mbuf = pool.alloc().expect("the pool is full");
    assert_eq!((pool.in_use(), pool.available()), (1, BUFFERS - 1));
    assert!(mbuf.is_empty() && mbuf.is_contiguous());
    // The default data room, less the headroom.
    assert_eq!(mbuf.room(), 2048);
    assert_eq!(mbuf.room_mut().len(), 2048);

    mbuf.write(&[1, 2, 3]).expect("it fits");
    assert_eq!((mbuf.len(), mbuf.data()), (3, &[1, 2, 3][..]));
    mbuf.room_mut()[3..6].copy_from_slice(&[4, 5, 6]);
    mbuf.set_len(6).expect("it fits");
    assert_eq!(mbuf.data(), [1, 2, 3, 4, 5, 6]);
    mbuf.data_mut()[0] = 9;
    mbuf.set_len(1).expect("it fits");
    assert_eq!(mbuf.data(), [9]);
    mbuf.set_len(2048).expect("it fits exactly");
    assert_eq!(mbuf.set_len(2049), Err(MbufError::TooLong));
    assert_eq!(mbuf.set_len(1 << 16), Err(MbufError::TooLong));
    assert_eq!(mbuf.write(&[0; 2049]), Err(MbufError::TooLong));
    assert_eq!(mbuf.len(), 2048, "a refusal changes nothing");
    mbuf.reset_offloads();
    drop(mbuf);
    assert_eq!(pool.in_use(), 0);

    let all: Vec<Mbuf> = std::iter::from_fn(|| pool.alloc()).collect();
    assert_eq!((all.len(), pool.available()), (BUFFERS as usize, 0));
    drop(all);
    assert_eq!(pool.in_use(), 0);
}

/// What is put back stays in order; what is not is whoever's took it.
fn sifted(pool: &Mempool, burst: &mut Burst<8>) {
    assert_eq!(pool.alloc_bulk(burst, 6), 6);
    for (mbuf, number) in burst.iter_mut().zip(0..) {
        mbuf.write(&[number]).expect("it fits");
    }
    let (mut seen, mut taken) = (Vec::new(), Vec::new());
    burst.sift(|place, kept, mbuf| {
        seen.push((place, kept, mbuf.data()[0]));
        match mbuf.data()[0] {
            1 => None,
            3 | 4 => {
                taken.push(mbuf);
                None
            }
            _ => Some(mbuf),
        }
    });
    assert_eq!(seen, [(0, 0, 0), (1, 1, 1), (2, 1, 2), (3, 2, 3), (4, 2, 4), (5, 2, 5)]);
    assert_eq!((numbers(burst), pool.in_use()), (vec![0, 2, 5], 5));
    assert_eq!(taken.iter().map(|mbuf| mbuf.data()[0]).collect::<Vec<_>>(), [3, 4]);
    drop(taken);
    burst.sift(|_, _, _| None);
    assert!(burst.is_empty());
    assert_eq!(pool.in_use(), 0);
}

fn bursts(pool: &Mempool) {
    let mut burst = Burst::<8>::new();
    assert_eq!(pool.alloc_bulk(&mut burst, 5), 5);
    assert_eq!(pool.alloc_bulk(&mut burst, 5), 3, "as far as there is room");
    assert!(burst.is_full());
    assert_eq!(pool.alloc_bulk(&mut burst, 1), 0);
    for (mbuf, number) in burst.iter_mut().zip(0..) {
        mbuf.write(&[number]).expect("it fits");
    }
    let refused = burst.push(pool.alloc().expect("the pool has more")).expect_err("full");
    assert_eq!(pool.in_use(), 9);
    drop(refused);
    assert_eq!(pool.in_use(), 8);

    assert_eq!(numbers(&burst), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(burst.pop().expect("not empty").data(), [7]);
    assert_eq!(burst.swap_remove(1).expect("in range").data(), [1]);
    assert!(burst.swap_remove(6).is_none());
    assert_eq!((numbers(&burst), pool.in_use()), (vec![0, 6, 2, 3, 4, 5], 6));

    let mut other = Burst::<4>::new();
    assert_eq!(other.append(&mut burst), 4);
    assert_eq!((numbers(&other), numbers(&burst)), (vec![0, 6, 2, 3], vec![4, 5]));
    assert_eq!(other.append(&mut burst), 0);

    // A drain that is dropped half way frees the rest.
    let mut drain = other.drain();
    let kept = drain.next().expect("not empty");
    assert_eq!((kept.data(), drain.len()), (&[0][..], 3));
    drop(drain);
    assert!(other.is_empty());
    assert_eq!(pool.in_use(), 3, "one kept, two in the burst");
    burst.push(kept).expect("there is room");
    assert_eq!(numbers(&burst), [4, 5, 0]);
    burst.clear();
    assert_eq!(pool.in_use(), 0);

    sifted(pool, &mut burst);

    assert_eq!(pool.alloc_bulk(&mut burst, 3), 3);
    drop(burst);
    assert_eq!(pool.in_use(), 0);

    // All or nothing, and nothing when the pool has less.
    let mut large = Burst::<64>::new();
    assert_eq!(pool.alloc_bulk(&mut large, 64), 0);
    assert_eq!(pool.in_use(), 0);
}

fn numbers<const N: usize>(burst: &Burst<N>) -> Vec<u8> {
    burst.iter().map(|mbuf| mbuf.data()[0]).collect()
}

fn other_threads(eal: &Eal, pool: &Mempool) {
    assert_eq!(dpdk::current_lcore(), Some(LcoreId(9)), "this thread started the EAL");
    assert!(eal.register_thread().is_err(), "it is an lcore already");
    let mbuf = pool.alloc().expect("the pool is full");
    std::thread::scope(|scope| {
        let freed = scope.spawn(move || {
            assert_eq!(dpdk::current_lcore(), None);
            drop(mbuf);
        });
        freed.join().expect("any thread may free");
        let used = scope.spawn(|| {
            let registered = eal.register_thread().expect("there are lcore numbers left");
            assert!(dpdk::current_lcore().is_some());
            assert!(eal.register_thread().is_err(), "once");
            drop(pool.alloc().expect("the pool is full"));
            drop(registered);
            assert_eq!(dpdk::current_lcore(), None);
        });
        used.join().expect("registered threads use mempools");
    });
    assert_eq!(pool.in_use(), 0);
}

fn refused_mempools(eal: &Eal, taken: &MempoolConfig<'_>) {
    use MempoolError as E;
    let error = |config: MempoolConfig<'_>| Mempool::new(eal, &config).expect_err("refused");
    let named = |name| MempoolConfig { name, buffers: 63, cache: 0, ..Default::default() };
    assert!(matches!(error(taken.clone()), E::NameTaken(_)));
    for name in ["", "with\0nul", "a name that is far too long"] {
        assert!(matches!(error(named(name)), E::BadName(_)), "{name:?}");
    }
    let greedy = MempoolConfig { cache: 43, ..named("cache") };
    assert!(matches!(error(greedy), E::CacheTooLarge { cache: 43, buffers: 63 }));
    let huge = MempoolConfig { buffers: 1 << 20, ..named("huge") };
    assert!(matches!(error(huge), E::NoMemory { .. }));
}

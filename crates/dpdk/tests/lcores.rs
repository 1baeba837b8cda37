//! Closures on lcores: values, panics, and queues that move there.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use dpdk::{
    Burst, LcoreError, LcoreId, Mempool, MempoolConfig, Port, PortConfig, Vdev, current_lcore, tsc,
};

const FIRST: LcoreId = LcoreId(0);
const SECOND: LcoreId = LcoreId(1);

#[test]
fn lcores_run_closures() {
    // Both on one CPU, which several lcores may share.
    let eal = common::eal("lcores", 64)
        .worker(FIRST, 0)
        .worker(SECOND, 0)
        .vdev(Vdev::null(0, 64))
        .init()
        .expect("EAL");
    assert_eq!((eal.main_lcore(), eal.workers()), (LcoreId(9), &[FIRST, SECOND][..]));

    let handle = eal.launch(FIRST, || (current_lcore(), "a value".to_owned())).expect("launched");
    assert_eq!(handle.lcore(), FIRST);
    assert_eq!(handle.join().expect("no panic"), (Some(FIRST), "a value".to_owned()));

    // A panic with text, with formatted text, with neither; the lcore survives each.
    let panics: [fn(); 3] = [
        || panic!("plain"),
        || panic!("formatted {}", std::hint::black_box(7)),
        || std::panic::panic_any(7_u8),
    ];
    for (panic, expected) in
        panics.into_iter().zip(["plain", "formatted 7", "a value that is no text"])
    {
        match eal.launch(FIRST, panic).expect("launched").join() {
            Err(LcoreError::Panicked { lcore: FIRST, message }) => assert_eq!(message, expected),
            other => panic!("{other:?}"),
        }
    }

    assert!(matches!(eal.launch(LcoreId(9), || ()), Err(LcoreError::NotAWorker(_))));
    assert!(matches!(eal.launch(LcoreId(5), || ()), Err(LcoreError::NotAWorker(_))));

    // Each waits for the other, so they run at once; meanwhile they are busy.
    let met = Arc::new(AtomicU32::new(0));
    let wait_for_all = |met: Arc<AtomicU32>| {
        move || {
            met.fetch_add(1, Ordering::AcqRel);
            while met.load(Ordering::Acquire) < 3 {
                std::thread::yield_now();
            }
        }
    };
    let first = eal.launch(FIRST, wait_for_all(Arc::clone(&met))).expect("launched");
    let second = eal.launch(SECOND, wait_for_all(Arc::clone(&met))).expect("launched");
    assert!(matches!(eal.launch(FIRST, || ()), Err(LcoreError::Busy(FIRST))));
    assert!(!first.is_finished());
    let start = Instant::now();
    while met.load(Ordering::Acquire) < 2 {
        assert!(start.elapsed() < Duration::from_secs(10), "both lcores run");
        std::thread::yield_now();
    }
    met.fetch_add(1, Ordering::AcqRel);
    first.join().expect("no panic");
    second.join().expect("no panic");

    // Launched again and again, at once after each join.
    for round in 0..1000_u32 {
        let handle = eal.launch(SECOND, move || round).expect("free after join");
        assert_eq!(handle.join().expect("no panic"), round);
    }
    // A handle that is dropped leaves the closure running, which then frees the lcore.
    drop(eal.launch(SECOND, || ()).expect("launched"));
    let start = Instant::now();
    while let Err(error) = eal.launch(SECOND, || ()) {
        assert!(matches!(error, LcoreError::Busy(SECOND)));
        assert!(start.elapsed() < Duration::from_secs(10), "it becomes free");
    }

    queues_move(&eal);

    let (start, ticks) = (Instant::now(), tsc());
    std::thread::sleep(Duration::from_millis(50));
    let (ticks, time) = (tsc() - ticks, start.elapsed());
    #[expect(clippy::cast_precision_loss, reason = "a ratio of a few percent is looked at")]
    let ratio = ticks as f64 / (eal.tsc_hz() as f64 * time.as_secs_f64());
    assert!((0.8..1.2).contains(&ratio), "{ratio} of {} ticks a second", eal.tsc_hz());
}

/// One queue pair for each lcore, and the port closed by the last of them to end.
fn queues_move(eal: &dpdk::Eal) {
    let config = MempoolConfig { name: "lcores", ..Default::default() };
    let pool = Mempool::new(eal, &config).expect("a mempool");
    let id = eal.port_by_name("net_null0").expect("it exists");
    let config = PortConfig { rx_queues: 2, tx_queues: 2, ..Default::default() };
    let mut port =
        Port::configure(eal, id, &config, std::slice::from_ref(&pool)).expect("configured");
    let (rx, tx) = port.start().expect("started");
    drop(port);
    let pairs = rx.into_iter().zip(tx).zip([FIRST, SECOND]);
    let handles = pairs.map(|((mut rx, mut tx), lcore)| {
        let worker = move || {
            let mut burst = Burst::<32>::new();
            let mut sent = 0;
            while sent < 100_000 {
                rx.receive(&mut burst);
                sent += tx.send(&mut burst);
            }
            sent
        };
        eal.launch(lcore, worker).expect("launched")
    });
    for handle in handles.collect::<Vec<_>>() {
        assert!(handle.join().expect("no panic") >= 100_000);
    }
    assert!(eal.ports().is_empty(), "the queues are gone, and the port with them");
    assert_eq!(pool.in_use(), 0);
}

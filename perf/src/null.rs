//! A null server in the responder's place, on the responder's core: it throws frames back as they are, after as long
//! as it is told. What is measured against it is the harness's own, and the host's.
//!
//! It lives beside the responder's worker, which never sleeps: while it serves, the worker is held back; else it waits,
//! and does not run at all. Whoever's turn it is, the scheduler prefers it to all other programs, and the generator too:
//! they are to have the same lot.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use dpdk::{Burst, RxQueue, TxQueue, tsc};
use rustix::process::{Pid, setpriority_process};
use rustix::thread::gettid;

/// Frames that it receives at once: as many as a worker.
const BURST: usize = otherhalf_engine::BURST;
/// The most and the least that the scheduler favours a thread (sched(7)).
const PREFERRED: i32 = -20;
const HELD_BACK: i32 = 19;

/// How long a turn takes at least in which frames come, in ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Takes {
    /// By itself.
    pub turn: u64,
    /// And for each frame.
    pub frame: u64,
}

/// What it is to do next.
#[derive(Debug)]
struct Order {
    takes: Takes,
    /// Whether frames are thrown back, or freed.
    returns: bool,
    until: Arc<AtomicBool>,
}

/// Has the null server serve.
#[derive(Debug)]
pub struct Master {
    orders: Sender<Order>,
    ended: Receiver<()>,
    /// The responder's threads.
    workers: Vec<Pid>,
}

/// The null server's end.
pub struct Servant {
    orders: Receiver<Order>,
    ended: Sender<()>,
}

/// A master that does not know yet whom to prefer to whom.
#[derive(Debug)]
pub struct Idle {
    orders: Sender<Order>,
    ended: Receiver<()>,
}

/// A null server and its master.
#[must_use]
pub fn pair() -> (Idle, Servant) {
    let (orders, ordered) = channel();
    let (ends, ended) = channel();
    (Idle { orders, ended }, Servant { orders: ordered, ended: ends })
}

impl Idle {
    /// Prefers the server's thread `tid`, `workers` and the calling thread to all others. `None` where the scheduler
    /// does not let us, which takes root (`CAP_SYS_NICE`); the server then ends.
    #[must_use]
    pub fn prefer(self, workers: &[i32], tid: i32) -> Option<Master> {
        let pids = |tids: &[i32]| tids.iter().map(|tid| Pid::from_raw(*tid)).collect();
        let all: Option<Vec<Pid>> = pids(&[&[tid, own_tid()], workers].concat());
        for pid in all? {
            setpriority_process(Some(pid), PREFERRED).ok()?;
        }
        Some(Master { orders: self.orders, ended: self.ended, workers: pids(workers)? })
    }
}

/// Serving; ends when it is dropped.
#[derive(Debug)]
pub struct Serving<'a> {
    master: &'a Master,
    until: Arc<AtomicBool>,
}

impl Master {
    /// It was allowed before, so that it is now.
    fn hold_back(&self, niceness: i32) {
        for pid in &self.workers {
            let _ = setpriority_process(Some(*pid), niceness);
        }
    }

    /// From now on it serves, and takes so long.
    #[must_use]
    pub fn serve(&self, takes: Takes) -> Serving<'_> {
        self.order(takes, true)
    }

    /// From now on it takes what comes, and frees it.
    #[must_use]
    pub fn swallow(&self) -> Serving<'_> {
        self.order(Takes::default(), false)
    }

    fn order(&self, takes: Takes, returns: bool) -> Serving<'_> {
        self.hold_back(HELD_BACK);
        let until = Arc::new(AtomicBool::new(false));
        let _ = self.orders.send(Order { takes, returns, until: Arc::clone(&until) });
        Serving { master: self, until }
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.until.store(true, Ordering::Relaxed);
        let _ = self.master.ended.recv();
        self.master.hold_back(PREFERRED);
    }
}

/// The calling thread, as the kernel numbers it.
#[must_use]
pub fn own_tid() -> i32 {
    gettid().as_raw_nonzero().get()
}

impl Servant {
    /// Serves whenever it is told to, until its master is gone.
    pub fn run(self, mut rx: RxQueue, mut tx: TxQueue) {
        while let Ok(order) = self.orders.recv() {
            reflect(&mut rx, &mut tx, &order);
            let _ = self.ended.send(());
        }
        discard(&mut rx);
    }
}

/// Throws back what comes by `rx`, or frees it. What `tx` does not take is dropped.
fn reflect(rx: &mut RxQueue, tx: &mut TxQueue, order: &Order) {
    let mut burst = Burst::<BURST>::new();
    while !order.until.load(Ordering::Relaxed) {
        let began = tsc();
        let received = rx.receive(&mut burst);
        if received > 0 {
            let takes = order.takes.turn + order.takes.frame * received as u64;
            while tsc().wrapping_sub(began) < takes {
                std::hint::spin_loop();
            }
            if order.returns {
                tx.send(&mut burst);
            }
            burst.clear();
        }
    }
    discard(rx);
}

fn discard(rx: &mut RxQueue) {
    let mut burst = Burst::<BURST>::new();
    while rx.receive(&mut burst) > 0 {
        burst.clear();
    }
}

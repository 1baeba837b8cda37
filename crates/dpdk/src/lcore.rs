//! Lcores, the threads that EAL made, and other threads that use mempools.

use std::any::Any;
use std::ffi::{c_int, c_void};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use dpdk_sys as sys;

use crate::eal::{Eal, Shared};
use crate::error::{Errno, LcoreError};

/// The number of an lcore, which is not that of a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LcoreId(pub u32);

impl fmt::Display for LcoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lcore {}", self.0)
    }
}

/// The calling thread's lcore: of EAL's threads, and of registered ones.
#[must_use]
pub fn current_lcore() -> Option<LcoreId> {
    // SAFETY: reads a variable of this thread.
    match unsafe { sys::dsys_lcore_id() } {
        sys::LCORE_ID_ANY => None,
        id => Some(LcoreId(id)),
    }
}

type Job = Box<dyn FnOnce() + Send>;

impl Eal {
    /// Runs `closure` on a worker lcore. It keeps the EAL alive until it returns.
    pub fn launch<F, T>(&self, lcore: LcoreId, closure: F) -> Result<LcoreHandle<T>, LcoreError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if !self.workers().contains(&lcore) {
            return Err(LcoreError::NotAWorker(lcore));
        }
        let mut busy = self.shared().busy();
        if busy.contains(&lcore) {
            return Err(LcoreError::Busy(lcore));
        }
        let (sender, result) = sync_channel(1);
        let finished = Arc::new(AtomicBool::new(false));
        let finishing = Arc::clone(&finished);
        let eal = Arc::clone(self.shared());
        let job: Job = Box::new(move || {
            // What the closure has captured is dropped when it panics, so nobody sees it.
            let outcome = catch_unwind(AssertUnwindSafe(closure));
            eal.busy().remove(&lcore);
            // Before the result, so that after join() this thread holds nothing.
            drop(eal);
            // The handle may be gone; then nobody wants the result.
            let _ = sender.send(outcome);
            finishing.store(true, Ordering::Release);
        });
        hand_over(lcore, job)?;
        busy.insert(lcore);
        Ok(LcoreHandle { lcore, result, finished })
    }

    /// The NUMA node of the CPU that a worker lcore runs on; `None` for an lcore that this EAL has not.
    #[must_use]
    pub fn socket_of(&self, lcore: LcoreId) -> Option<u32> {
        // SAFETY: the lcore is one of this EAL, hence within the table that is read.
        self.workers().contains(&lcore).then(|| unsafe { sys::rte_lcore_to_socket_id(lcore.0) })
    }

    /// Starts a thread that is known to DPDK, as by [`register_thread`](Self::register_thread): it runs where the calling
    /// thread may, and keeps the EAL alive. If DPDK has no number left for it, it runs all the same, without a cache.
    ///
    /// # Errors
    /// Those of [`thread::Builder::spawn`].
    pub fn spawn<F, T>(&self, name: &str, closure: F) -> io::Result<thread::JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let eal = self.another();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _known = eal.register_thread();
            closure()
        })
    }

    /// Makes the calling thread known to DPDK while the guard lives, which gives it a
    /// cache in each mempool. Control threads that allocate or free mbufs in number
    /// want that; it is not needed for their correctness.
    pub fn register_thread(&self) -> Result<RegisteredThread, LcoreError> {
        if let Some(lcore) = current_lcore() {
            return Err(LcoreError::Registered(lcore));
        }
        // SAFETY: the EAL is started, and this thread is not known to it.
        if unsafe { sys::rte_thread_register() } != 0 {
            return Err(LcoreError::Refused(Errno::last()));
        }
        Ok(RegisteredThread { _eal: Arc::clone(self.shared()), _this_thread: PhantomData })
    }
}

/// Gives the job to the lcore's thread.
fn hand_over(lcore: LcoreId, job: Job) -> Result<(), LcoreError> {
    // One pointer for C.
    let job = Box::into_raw(Box::new(job));
    let start = Instant::now();
    loop {
        // SAFETY: the lcore is a worker of this EAL, nobody else hands anything to it
        // (the caller has locked), and run_job takes the job over.
        let status = unsafe { sys::rte_eal_remote_launch(Some(run_job), job.cast(), lcore.0) };
        if status == 0 {
            return Ok(());
        }
        // The last closure has returned, but its thread may not have said so yet.
        if status == -libc::EBUSY && start.elapsed() < Duration::from_secs(1) {
            thread::yield_now();
            continue;
        }
        // SAFETY: the lcore has refused the job, so it is still ours.
        drop(unsafe { Box::from_raw(job) });
        return Err(LcoreError::Launch { lcore, errno: Errno(-status) });
    }
}

/// Runs on the lcore.
extern "C" fn run_job(job: *mut c_void) -> c_int {
    // SAFETY: `launch` made it of a Box<Job>, for this one call.
    let job = unsafe { Box::from_raw(job.cast::<Job>()) };
    // Only the drop of what nobody wanted can panic here; it must not reach C.
    let _ = catch_unwind(AssertUnwindSafe(job));
    0
}

/// A closure that runs on an lcore. Dropping the handle leaves it running.
#[derive(Debug)]
pub struct LcoreHandle<T> {
    lcore: LcoreId,
    result: Receiver<thread::Result<T>>,
    /// Set by the lcore when the result has been sent, read by `is_finished`. Release and
    /// acquire, so that who sees it set finds the result.
    finished: Arc<AtomicBool>,
}

impl<T> LcoreHandle<T> {
    /// Where it runs.
    #[must_use]
    pub fn lcore(&self) -> LcoreId {
        self.lcore
    }

    /// Whether the closure has returned, so that [`join`](Self::join) will not wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }

    /// Sleeps until the closure has returned, and returns its value.
    ///
    /// # Errors
    /// [`LcoreError::Panicked`] when the closure panicked.
    pub fn join(self) -> Result<T, LcoreError> {
        match self.result.recv() {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(panic)) => Err(self.panicked(panic.as_ref())),
            // The job was dropped without an answer, by a panic outside the closure.
            Err(_) => Err(self.panicked(&"its result was lost")),
        }
    }

    fn panicked(&self, panic: &(dyn Any + Send)) -> LcoreError {
        let message = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a value that is no text".to_owned());
        LcoreError::Panicked { lcore: self.lcore, message }
    }
}

/// A thread that DPDK knows; see [`Eal::register_thread`].
#[derive(Debug)]
pub struct RegisteredThread {
    _eal: Arc<Shared>,
    /// To be dropped where it was made.
    _this_thread: PhantomData<*const ()>,
}

impl Drop for RegisteredThread {
    fn drop(&mut self) {
        // SAFETY: this thread was registered, once, and cannot have been another.
        unsafe { sys::rte_thread_unregister() }
    }
}

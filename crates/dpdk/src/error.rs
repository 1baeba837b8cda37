//! What can go wrong, one variant a cause; the sentences say what to do next.

use std::ffi::CStr;
use std::fmt;

use dpdk_sys as sys;

use crate::lcore::LcoreId;

/// An error number of DPDK: the system's, or one of DPDK's own from 1000 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// `rte_errno`, which belongs to the calling thread.
    pub(crate) fn last() -> Self {
        // SAFETY: reads a variable of this thread.
        Self(unsafe { sys::dsys_errno() })
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: takes any number.
        let text = unsafe { sys::rte_strerror(self.0) };
        // SAFETY: rte_strerror returns a string that lives until this thread calls it again.
        let text = unsafe { CStr::from_ptr(text) };
        write!(f, "{} (errno {})", text.to_string_lossy(), self.0)
    }
}

/// Why a command of telemetry was not added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TelemetryError {
    /// A name that DPDK does not take.
    #[error(
        "{0:?} is no name of a command: take a slash, then letters, digits, '_' and slashes, 55 at most"
    )]
    BadName(String),
    /// The name is taken.
    #[error("the command {0} is there already")]
    Taken(String),
    /// DPDK refuses.
    #[error("DPDK does not take the command {name}: {errno}")]
    Refused {
        /// The command.
        name: String,
        /// Its reason.
        errno: Errno,
    },
}

/// Why the EAL did not start.
#[derive(Debug, thiserror::Error)]
pub enum EalError {
    /// DPDK keeps its state in globals, so a process has one EAL, once.
    #[error(
        "this process has started its EAL already; DPDK allows one a process, start another process"
    )]
    AlreadyStarted,
    /// The file prefix becomes a folder's name.
    #[error("file prefix {0:?} is not usable; take letters, digits, '-', '_' and '.', at most 64")]
    BadFilePrefix(String),
    /// An argument holds a NUL, which C cannot take.
    #[error("argument {0:?} holds a NUL character; remove it")]
    NulInArgument(String),
    /// The argument would end the process.
    #[error("argument {0:?} makes DPDK end the process; remove it")]
    EndsProcess(String),
    /// The lcore's number is too high for this DPDK.
    #[error("{lcore} does not exist; lcores are numbered from 0 to {}", sys::RTE_MAX_LCORE - 1)]
    LcoreOutOfRange {
        /// The number asked for.
        lcore: LcoreId,
    },
    /// Two lcores have one number.
    #[error("{0} is named twice; give each lcore a number of its own")]
    LcoreTwice(LcoreId),
    /// The main lcore has an empty set of CPUs.
    #[error("{0} has no CPU; name at least one")]
    NoCpu(LcoreId),
    /// The CPU is offline, absent, or not allowed to this process.
    #[error(
        "{lcore} wants CPU {cpu}, on which this process may not run; choose one of {allowed:?}"
    )]
    CpuUnavailable {
        /// The lcore that asked.
        lcore: LcoreId,
        /// The CPU that it asked for.
        cpu: usize,
        /// The CPUs that the process may use.
        allowed: Vec<usize>,
    },
    /// Memory of zero megabytes was asked for.
    #[error("memory of 0 megabytes was asked for; 64 or more is sensible")]
    NoMemory,
    /// Not enough free hugepages.
    #[error(
        "{needed} MB of hugepages are needed and {free} MB are free; reserve more \
         (for 2 MB pages: sysctl vm.nr_hugepages={}) or do without: huge_pages = false",
        needed.div_ceil(2)
    )]
    NoHugepages {
        /// Megabytes asked for.
        needed: u32,
        /// Megabytes in free hugepages of all sizes.
        free: u64,
    },
    /// Not of the form `0000:03:00.0`.
    #[error("{0:?} is no PCI address; write it as lspci -D does, such as 0000:03:00.0")]
    BadPciAddress(String),
    /// The machine has no such device.
    #[error("there is no PCI device {0}; lspci -D lists those that exist")]
    NoSuchPciDevice(String),
    /// No driver goes by the name of one of these virtual devices.
    #[error(
        "DPDK has no driver for one of the devices {0:?}; check their names, and that its \
         drivers are installed (apt-get install librte-meta-net)"
    )]
    NoDriver(Vec<String>),
    /// EAL started, and this PCI device did not become a port.
    #[error(
        "PCI device {0} did not become a port; bind it to vfio-pci (dpdk-devbind.py -b vfio-pci {0}), \
         and see DPDK's own lines above"
    )]
    PciDeviceRefused(String),
    /// EAL started, and this virtual device did not become a port.
    #[error(
        "virtual device {0:?} was refused; DPDK's own lines above say why: wrong arguments, a missing socket or interface, or missing rights (net_tap and af_packet need CAP_NET_ADMIN)"
    )]
    VdevRefused(String),
    /// `rte_eal_init` failed. The process cannot try again.
    #[error(
        "DPDK did not start: {0}; its own lines above say why. The process must be started anew"
    )]
    Init(Errno),
}

/// What can go wrong with a port.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// No port has this name.
    #[error("there is no port {name:?}; the ports are {existing:?}")]
    NoSuchPort {
        /// The name asked for.
        name: String,
        /// The names of all ports.
        existing: Vec<String>,
    },
    /// A virtual device that was asked for while the EAL ran is not to be had.
    #[error("there is no device {device:?} to be had: {errno}")]
    NoVdev {
        /// Its name and arguments.
        device: String,
        /// Why.
        errno: Errno,
    },
    /// Another [`Port`](crate::Port) of this process has it.
    #[error("port {0} is in use by this process; drop its Port and queues first")]
    InUse(String),
    /// No RX or no TX queue was asked for.
    #[error("port {0} needs at least one RX and one TX queue")]
    NoQueue(String),
    /// No mempool was given.
    #[error("port {0} needs a mempool to receive into")]
    NoMempool(String),
    /// The device has fewer queues than asked for.
    #[error(
        "port {port} was asked for {asked} {direction} queues and offers {offered}; use fewer workers"
    )]
    TooFewQueues {
        /// The port's name.
        port: String,
        /// `RX` or `TX`.
        direction: &'static str,
        /// Queues asked for.
        asked: u16,
        /// Queues that the device has.
        offered: u16,
    },
    /// `net_tap` serves a queue's both directions with one file descriptor.
    #[error("port {0} is a tap, which needs as many RX as TX queues")]
    UnequalQueues(String),
    /// The device cannot have this MTU.
    #[error("port {port} cannot have an MTU of {asked}; it takes {smallest} to {largest}")]
    MtuOutOfRange {
        /// The port's name.
        port: String,
        /// The MTU asked for.
        asked: u16,
        /// The least that the device takes.
        smallest: u16,
        /// The most that the device takes.
        largest: u16,
    },
    /// The port is started, and its queues have been handed out.
    #[error("port {0} is started; stop it first")]
    Started(String),
    /// Queues of the port are still held.
    #[error("port {0} still has queues in use; drop them all, then stop it")]
    QueuesHeld(String),
    /// Rings of this size, or this many, are not to be had.
    #[error(
        "no rings of {frames} frames for {name:?}: {errno}; take a power of two, and give the EAL more megabytes"
    )]
    NoRing {
        /// What the ports were to be called.
        name: String,
        /// How many frames a ring was to hold.
        frames: u32,
        /// The library's answer.
        errno: Errno,
    },
    /// The driver refused an operation.
    #[error("port {port}: {operation} failed: {errno}; see DPDK's own lines above")]
    Refused {
        /// The port's name.
        port: String,
        /// What was tried.
        operation: &'static str,
        /// The driver's answer.
        errno: Errno,
    },
}

/// Why there is no mempool.
#[derive(Debug, thiserror::Error)]
pub enum MempoolError {
    /// The name is empty, too long or holds a NUL.
    #[error("mempool name {0:?} is not usable; take 1 to 25 characters without NUL")]
    BadName(String),
    /// Another mempool has this name. Mempools live as long as the process.
    #[error("there is a mempool {0:?} already; give each its own name")]
    NameTaken(String),
    /// More than the library's limit, or so much that the pool would seem empty.
    #[error(
        "a cache of {cache} is too large for {buffers} buffers; take at most {} and two thirds of the buffers",
        sys::RTE_MEMPOOL_CACHE_MAX_SIZE
    )]
    CacheTooLarge {
        /// The cache asked for.
        cache: u32,
        /// The buffers asked for.
        buffers: u32,
    },
    /// The EAL's memory is used up.
    #[error(
        "no memory for {buffers} buffers in mempool {name:?}; give the EAL more megabytes or take fewer buffers"
    )]
    NoMemory {
        /// The mempool's name.
        name: String,
        /// The buffers asked for.
        buffers: u32,
    },
    /// Any other refusal.
    #[error("mempool {name:?} was not created: {errno}")]
    Refused {
        /// The mempool's name.
        name: String,
        /// The library's answer.
        errno: Errno,
    },
}

/// What can go wrong with lcores and threads.
#[derive(Debug, thiserror::Error)]
pub enum LcoreError {
    /// The EAL was built without this worker.
    #[error("{0} is no worker of this EAL; name it with EalBuilder::worker")]
    NotAWorker(LcoreId),
    /// The worker runs something.
    #[error("{0} is busy; join what runs there first")]
    Busy(LcoreId),
    /// The closure panicked; the lcore can be used again.
    #[error("{lcore} panicked: {message}")]
    Panicked {
        /// Where.
        lcore: LcoreId,
        /// The panic's message, if it is text.
        message: String,
    },
    /// This thread is an lcore or registered already.
    #[error("this thread is {0} already; register each thread once")]
    Registered(LcoreId),
    /// The lcore's thread did not take the closure.
    #[error("{lcore} did not start: {errno}")]
    Launch {
        /// Where.
        lcore: LcoreId,
        /// The library's answer.
        errno: Errno,
    },
    /// All lcore numbers are taken.
    #[error("this thread cannot be registered: {0}; use fewer threads")]
    Refused(Errno),
}

/// What an mbuf cannot do. `Copy` and small: it occurs on the packet path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MbufError {
    /// The frame would not fit in the buffer.
    #[error("the frame is longer than the buffer; use mempools with a larger data room")]
    TooLong,
    /// The frame is spread over several buffers.
    #[error("the frame is spread over several buffers; use mempools with a larger data room")]
    NotContiguous,
}

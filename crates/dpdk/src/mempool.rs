//! Pools of packet buffers.

use std::ffi::CString;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use dpdk_sys as sys;

use crate::burst::Burst;
use crate::eal::{Eal, Shared};
use crate::error::{Errno, MempoolError};
use crate::mbuf::Mbuf;
use crate::memory::socket_or_any;

/// What a mempool is made of.
#[derive(Clone, Debug)]
pub struct MempoolConfig<'a> {
    /// Its name, unique in the process, at most 25 characters.
    pub name: &'a str,
    /// Buffers. A power of two less one uses memory best.
    pub buffers: u32,
    /// Buffers that each lcore keeps at hand: at most 512, and two thirds of all.
    pub cache: u32,
    /// Bytes of a buffer, the headroom of `RTE_PKTMBUF_HEADROOM` (128) included.
    pub data_room: u16,
    /// The NUMA node of its memory; None is any.
    pub socket: Option<u32>,
}

impl Default for MempoolConfig<'_> {
    fn default() -> Self {
        const { assert!(sys::RTE_MBUF_DEFAULT_BUF_SIZE <= u16::MAX as u32) }
        Self {
            name: "mbufs",
            buffers: 8191,
            cache: 256,
            #[expect(clippy::cast_possible_truncation, reason = "asserted above")]
            data_room: sys::RTE_MBUF_DEFAULT_BUF_SIZE as u16,
            socket: None,
        }
    }
}

/// A pool of mbufs. Clones are handles of the same pool.
///
/// A mempool is **never freed** before the process ends: mbufs carry no reference to it,
/// and any number of them may be anywhere. So make them at start.
///
/// Any thread may use it; lcores and [registered threads](Eal::register_thread) have a
/// cache of their own, the others share the pool's ring.
#[derive(Clone)]
pub struct Mempool {
    raw: NonNull<sys::rte_mempool>,
    _eal: Arc<Shared>,
}

// SAFETY: the default mempool is multi-producer and multi-consumer, and its caches belong
// to one lcore id, which DPDK gives to one thread at a time.
unsafe impl Send for Mempool {}
// SAFETY: as above.
unsafe impl Sync for Mempool {}

impl Mempool {
    /// Makes a mempool.
    pub fn new(eal: &Eal, config: &MempoolConfig<'_>) -> Result<Self, MempoolError> {
        let &MempoolConfig { name, buffers, cache, data_room, socket } = config;
        let bad_name = || MempoolError::BadName(name.to_owned());
        // DPDK's limit is RTE_MEMPOOL_NAMESIZE, 26 with the NUL.
        if name.is_empty() || name.len() > 25 {
            return Err(bad_name());
        }
        let c_name = CString::new(name).map_err(|_| bad_name())?;
        // DPDK fills a cache to 1.5 times its size before it gives buffers back.
        if cache > sys::RTE_MEMPOOL_CACHE_MAX_SIZE || u64::from(cache) * 3 > u64::from(buffers) * 2
        {
            return Err(MempoolError::CacheTooLarge { cache, buffers });
        }
        let socket = socket_or_any(socket);
        // SAFETY: the EAL is started, the name is a C string that DPDK copies, and the
        // numbers are checked by DPDK.
        let raw = unsafe {
            sys::rte_pktmbuf_pool_create(c_name.as_ptr(), buffers, cache, 0, data_room, socket)
        };
        match NonNull::new(raw) {
            Some(raw) => Ok(Self { raw, _eal: Arc::clone(eal.shared()) }),
            None => Err(match Errno::last() {
                Errno(libc::EEXIST) => MempoolError::NameTaken(name.to_owned()),
                Errno(libc::ENOMEM) => MempoolError::NoMemory { name: name.to_owned(), buffers },
                errno => MempoolError::Refused { name: name.to_owned(), errno },
            }),
        }
    }

    /// Buffers in all.
    #[must_use]
    pub fn size(&self) -> u32 {
        // SAFETY: the mempool exists, and its size never changes.
        unsafe { self.raw.as_ref() }.size
    }

    /// Buffers that are out: with drivers, in rings, or held as mbufs. Walks all lcores'
    /// caches, so it is not for the packet path; exact only while no thread uses the pool.
    #[must_use]
    pub fn in_use(&self) -> u32 {
        // SAFETY: the mempool exists; the count only reads.
        unsafe { sys::rte_mempool_in_use_count(self.raw.as_ptr()) }
    }

    /// Buffers that are not out. As slow and as exact as [`in_use`](Self::in_use).
    #[must_use]
    pub fn available(&self) -> u32 {
        // SAFETY: the mempool exists; the count only reads.
        unsafe { sys::rte_mempool_avail_count(self.raw.as_ptr()) }
    }

    /// An empty mbuf, or None when the pool is empty.
    #[inline]
    #[must_use]
    pub fn alloc(&self) -> Option<Mbuf> {
        // SAFETY: the mempool exists and is one of mbufs.
        let raw = unsafe { sys::dsys_pktmbuf_alloc(self.raw.as_ptr()) };
        // SAFETY: a fresh mbuf is the caller's.
        NonNull::new(raw).map(|raw| unsafe { Mbuf::from_raw(raw) })
    }

    /// Appends `count` empty mbufs to `burst`, as far as it has room. All or nothing:
    /// returns how many, which is 0 when the pool has not that many.
    #[inline]
    pub fn alloc_bulk<const N: usize>(&self, burst: &mut Burst<N>, count: usize) -> usize {
        let (spare, room) = burst.spare();
        let count = count.min(usize::from(room));
        let Ok(wanted @ 1..) = u32::try_from(count) else { return 0 };
        // SAFETY: the mempool exists and is one of mbufs, and `spare` has that much room.
        let status = unsafe { sys::dsys_pktmbuf_alloc_bulk(self.raw.as_ptr(), spare, wanted) };
        if status != 0 {
            return 0;
        }
        // SAFETY: DPDK has written `count` fresh mbufs there.
        unsafe { burst.grow(count) };
        count
    }

    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut sys::rte_mempool {
        self.raw.as_ptr()
    }
}

impl fmt::Debug for Mempool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mempool").field("in_use", &self.in_use()).finish_non_exhaustive()
    }
}

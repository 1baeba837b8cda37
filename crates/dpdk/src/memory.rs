//! The EAL's memory, in huge pages if it has them, for tables that are looked up at random.

use std::ptr::{self, NonNull};

use dpdk_sys as sys;
use zerocopy::FromZeros;

use crate::eal::Eal;

impl Eal {
    /// `count` zeroed values in the EAL's memory, on any NUMA node, for as long as the process lives.
    ///
    /// `None` if the EAL has not that much left in one piece, or none is asked for.
    #[must_use]
    pub fn zeroed<T: FromZeros + Send>(&self, count: usize) -> Option<&'static mut [T]> {
        self.zeroed_on(None, count)
    }

    /// The same on the NUMA node `socket`; `None` is any.
    ///
    /// `None` if the EAL has not that much left there in one piece, or none is asked for.
    #[must_use]
    pub fn zeroed_on<T: FromZeros + Send>(
        &self,
        socket: Option<u32>,
        count: usize,
    ) -> Option<&'static mut [T]> {
        let size = count.checked_mul(size_of::<T>()).filter(|size| *size > 0)?;
        let align = u32::try_from(align_of::<T>().max(sys::RTE_CACHE_LINE_SIZE as usize)).ok()?;
        let socket = socket_or_any(socket);
        // SAFETY: the EAL is started; no type name is needed; any number of a node is allowed.
        let memory = unsafe { sys::rte_zmalloc_socket(ptr::null(), size, align, socket) };
        let memory = NonNull::new(memory.cast::<T>())?;
        // SAFETY: the memory is aligned, zeroed, which is a value of T, of that size, nobody else's,
        // and never freed; the EAL's memory stays mapped until the process ends (see `Eal`).
        Some(unsafe { std::slice::from_raw_parts_mut(memory.as_ptr(), count) })
    }
}

/// As DPDK names a NUMA node.
pub(crate) fn socket_or_any(socket: Option<u32>) -> i32 {
    socket.and_then(|node| i32::try_from(node).ok()).unwrap_or(sys::SOCKET_ID_ANY)
}

/// Asks for the cache line of `place`, without waiting for it.
#[inline]
pub fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has the instruction; it changes no memory and faults on none.
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(ptr::from_ref(place).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

//! The time stamp counter, the clock of the packet path.

use dpdk_sys as sys;

use crate::eal::Eal;

/// The time stamp counter, in ticks of [`Eal::tsc_hz`]. Needs no EAL; not serialising.
#[inline]
#[must_use]
pub fn tsc() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has the instruction, and Linux does not forbid it.
    let ticks = unsafe { core::arch::x86_64::_rdtsc() };
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: reads this architecture's counter.
    let ticks = unsafe { sys::dsys_rdtsc() };
    ticks
}

impl Eal {
    /// Ticks of [`tsc`] a second, as EAL measured it when it started.
    #[must_use]
    pub fn tsc_hz(&self) -> u64 {
        // SAFETY: the EAL is started, which is when the frequency is measured.
        unsafe { sys::rte_get_tsc_hz() }
    }
}

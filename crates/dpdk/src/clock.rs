//! The time stamp counter, the clock of the packet path.

use std::time::{Duration, Instant};

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

/// Ticks of [`tsc`] a second, measured against the system's monotonic clock for the time `over`, which it sleeps.
///
/// Good to a few parts in a million for 50 ms and more, where [`Eal::tsc_hz`] is rounded to 10 MHz.
#[must_use]
pub fn measure_tsc_hz(over: Duration) -> u64 {
    let (began, first) = reading();
    std::thread::sleep(over);
    let (ended, last) = reading();
    let ns = ended.duration_since(began).as_nanos().max(1);
    let hz = u128::from(last.wrapping_sub(first)) * 1_000_000_000 / ns;
    u64::try_from(hz).unwrap_or(u64::MAX)
}

/// Both clocks at the same moment: of some readings, the one that took the least time.
fn reading() -> (Instant, u64) {
    let once = || {
        let before = tsc();
        let now = Instant::now();
        let after = tsc();
        (after.wrapping_sub(before), now, before.wrapping_add(after.wrapping_sub(before) / 2))
    };
    let (_, now, ticks) =
        (0..16).map(|_| once()).min_by_key(|(took, ..)| *took).unwrap_or_else(once);
    (now, ticks)
}

impl Eal {
    /// Ticks of [`tsc`] a second, as EAL measured it when it started: rounded to 10 MHz.
    #[must_use]
    pub fn tsc_hz(&self) -> u64 {
        // SAFETY: the EAL is started, which is when the frequency is measured.
        unsafe { sys::rte_get_tsc_hz() }
    }
}

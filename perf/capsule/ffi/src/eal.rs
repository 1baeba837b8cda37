//! EAL's start and its threads, as DPDK 19.11 had them.

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;

use dpdk_sys::rte_cpuset_t;

/// Starts EAL: with the options' names of today, and without probing PCI devices that nobody named.
///
/// EAL keeps pointers into the line and may write to it, so its copy is leaked, once in a process.
///
/// # Safety
/// `line` is valid for reads of `count` pointers, each to a C string. EAL is started once in a process.
pub unsafe fn rte_eal_init(count: c_int, line: *mut *mut c_char) -> c_int {
    let Ok(count) = usize::try_from(count) else { return -libc::EINVAL };
    let arguments = (0..count).map(|place| {
        // SAFETY: `place` is below `count`.
        let argument = unsafe { line.add(place) };
        // SAFETY: as above.
        let argument = unsafe { *argument };
        // SAFETY: it is a C string, and nobody writes to it meanwhile.
        unsafe { CStr::from_ptr(argument) }
    });
    let mut line: Vec<*mut c_char> =
        renamed(arguments).into_iter().map(CString::into_raw).collect();
    let Ok(count) = c_int::try_from(line.len()) else { return -libc::E2BIG };
    line.push(ptr::null_mut());
    // SAFETY: `line` holds `count` writable C strings and a null, which live for ever; that it is
    // the only call is the caller's promise.
    unsafe { dpdk_sys::rte_eal_init(count, line.leak().as_mut_ptr()) }
}

/// The arguments by their names of today. The old names were removed in 22.11.
fn renamed<'a>(arguments: impl Iterator<Item = &'a CStr>) -> Vec<CString> {
    let mut line: Vec<CString> = arguments
        .map(|argument| match argument.to_bytes() {
            b"--master-lcore" => c"--main-lcore".to_owned(),
            b"--pci-whitelist" => c"--allow".to_owned(),
            b"--pci-blacklist" => c"--block".to_owned(),
            _ => argument.to_owned(),
        })
        .collect();
    let has = |name: &CStr| line.iter().any(|argument| argument.as_c_str() == name);
    // EAL would take hold of whatever NIC the machine has.
    if !has(c"--allow") && !has(c"--no-pci") {
        line.push(c"--no-pci".to_owned());
    }
    line
}

mod foreign {
    use dpdk_sys::rte_cpuset_t;
    use std::ffi::c_int;

    unsafe extern "C" {
        pub(super) fn rte_thread_set_affinity(set: *mut rte_cpuset_t) -> c_int;
    }
}

/// Pins this thread to the CPUs of `set`; gives it an lcore first if it has none.
///
/// It is the first call on each thread that capsule starts. Without an lcore id each access to a
/// mempool would go past the lcore's cache.
///
/// # Safety
/// `set` is valid for reads; EAL is started.
pub unsafe fn rte_thread_set_affinity(set: *mut rte_cpuset_t) -> c_int {
    // SAFETY: reads a variable of this thread.
    if unsafe { dpdk_sys::dsys_lcore_id() } == u32::MAX {
        // SAFETY: EAL is started.
        let status = unsafe { dpdk_sys::rte_thread_register() };
        if status != 0 {
            return status;
        }
    }
    // SAFETY: the caller's promise.
    unsafe { foreign::rte_thread_set_affinity(set) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<CString> {
        line.split(' ').map(|word| CString::new(word).unwrap()).collect()
    }

    #[test]
    fn options_get_their_names_of_today() {
        for (old, new) in [
            ("x --master-lcore 1 -l 1", "x --main-lcore 1 -l 1 --no-pci"),
            ("x --pci-whitelist 0000:00:01.0", "x --allow 0000:00:01.0"),
            ("x --pci-blacklist 0000:00:01.0 --no-pci", "x --block 0000:00:01.0 --no-pci"),
        ] {
            assert_eq!(renamed(words(old).iter().map(CString::as_c_str)), words(new));
        }
    }
}

//! KNI, a way to the kernel that left DPDK in 23.11 and is not in Debian's build of 22.11:
//! capsule names it, so it is here, and says that it is not supported.

use std::ffi::{c_char, c_int, c_uint};
use std::ptr;

use dpdk_sys::{rte_mbuf, rte_mempool};

/// An interface to the kernel: there are none.
#[repr(C)]
#[derive(Debug)]
pub struct rte_kni {
    _opaque: [u8; 0],
}

/// How an interface is to be.
#[repr(C)]
#[derive(Debug, Default, Clone, Copy)]
pub struct rte_kni_conf {
    /// Its name.
    pub name: [c_char; 32],
    /// The core of its kernel thread.
    pub core_id: u32,
    /// Its group.
    pub group_id: u16,
    /// Octets of its mbufs.
    pub mbuf_size: c_uint,
    /// Its hardware address.
    pub mac_addr: [u8; 6],
    /// Its MTU.
    pub mtu: u16,
}

/// What the kernel may ask for.
#[repr(C)]
#[derive(Default, Clone, Copy)]
pub struct rte_kni_ops {
    /// The port.
    pub port_id: u16,
    /// Another MTU.
    pub change_mtu: Option<unsafe extern "C" fn(u16, c_uint) -> c_int>,
    /// Up or down.
    pub config_network_if: Option<unsafe extern "C" fn(u16, u8) -> c_int>,
    /// Another hardware address.
    pub config_mac_address: Option<unsafe extern "C" fn(u16, *mut u8) -> c_int>,
    /// Promiscuous or not.
    pub config_promiscusity: Option<unsafe extern "C" fn(u16, u8) -> c_int>,
}

/// Fails: not supported.
///
/// # Safety
/// None is needed, here as below: nothing is done. capsule calls them as foreign functions.
#[must_use]
pub unsafe fn rte_kni_init(_interfaces: c_uint) -> c_int {
    -libc::ENOTSUP
}

/// Fails: no interface.
///
/// # Safety
/// None is needed.
pub unsafe fn rte_kni_alloc(
    _pool: *mut rte_mempool,
    _conf: *const rte_kni_conf,
    _ops: *mut rte_kni_ops,
) -> *mut rte_kni {
    ptr::null_mut()
}

/// Fails: not supported.
///
/// # Safety
/// None is needed.
pub unsafe fn rte_kni_release(_kni: *mut rte_kni) -> c_int {
    -libc::ENOTSUP
}

/// Fails: not supported.
///
/// # Safety
/// None is needed.
pub unsafe fn rte_kni_handle_request(_kni: *mut rte_kni) -> c_int {
    -libc::ENOTSUP
}

/// Receives nothing.
///
/// # Safety
/// None is needed.
pub unsafe fn rte_kni_rx_burst(
    _kni: *mut rte_kni,
    _mbufs: *mut *mut rte_mbuf,
    _count: c_uint,
) -> c_uint {
    0
}

/// Sends nothing.
///
/// # Safety
/// None is needed.
pub unsafe fn rte_kni_tx_burst(
    _kni: *mut rte_kni,
    _mbufs: *mut *mut rte_mbuf,
    _count: c_uint,
) -> c_uint {
    0
}

/// A name that no interface has.
///
/// # Safety
/// None is needed.
#[must_use]
pub unsafe fn rte_kni_get_name(_kni: *const rte_kni) -> *const c_char {
    c"".as_ptr()
}

/// Does nothing.
///
/// # Safety
/// None is needed.
pub unsafe fn rte_kni_close() {}

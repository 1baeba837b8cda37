//! Virtual devices that are made while the EAL runs, because what they are to be is not known before.

use std::ffi::CString;

use dpdk_sys as sys;

use crate::builder::{LogLevel, Vdev};
use crate::eal::Eal;
use crate::error::{Errno, PortError};
use crate::port::PortId;

impl Eal {
    /// Makes the virtual device, such as `net_tap_a,iface=a`, and returns its port. It goes when its port is closed.
    ///
    /// # Errors
    /// [`PortError::NoVdev`] if there is no such driver, it has made that device already, or it does not take the arguments; its driver has logged why.
    /// [`PortError::NoSuchPort`] if the device is no port.
    pub fn add_vdev(&self, vdev: &Vdev) -> Result<PortId, PortError> {
        let no_vdev = |errno| PortError::NoVdev { device: vdev.as_str().to_owned(), errno };
        let arguments = vdev.as_str().split_once(',').map_or("", |(_, arguments)| arguments);
        let [name, arguments] = [vdev.name(), arguments].map(CString::new);
        let name = name.map_err(|_| no_vdev(Errno(libc::EINVAL)))?;
        let arguments = arguments.map_err(|_| no_vdev(Errno(libc::EINVAL)))?;
        // DPDK would say that all is well, and the port be somebody else's.
        if self.port_by_name(vdev.name()).is_ok() {
            return Err(no_vdev(Errno(libc::EEXIST)));
        }
        // SAFETY: the EAL is started, and DPDK copies all three C strings.
        let status = unsafe {
            sys::rte_eal_hotplug_add(c"vdev".as_ptr(), name.as_ptr(), arguments.as_ptr())
        };
        if status < 0 {
            return Err(no_vdev(Errno(-status)));
        }
        self.port_by_name(vdev.name())
    }

    /// The same for a device that may not be there yet, and is tried again and again: nothing is logged.
    ///
    /// # Errors
    /// Those of [`add_vdev`](Self::add_vdev), which has the reason logged.
    pub fn try_vdev(&self, vdev: &Vdev) -> Result<PortId, PortError> {
        // SAFETY: reads a variable of the library.
        let usual = unsafe { sys::rte_log_get_global_level() };
        let set = |level| {
            // SAFETY: takes any level, which threads that log read whole.
            unsafe { sys::rte_log_set_global_level(level) };
        };
        set(u32::from(LogLevel::Error.number()) - 1);
        let added = self.add_vdev(vdev);
        set(usual);
        added
    }
}

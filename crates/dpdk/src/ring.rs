//! Two ports of one process, connected by rings: what one sends, the other receives.

use std::ffi::CString;

use dpdk_sys as sys;

use crate::eal::Eal;
use crate::error::{Errno, PortError};
use crate::port::PortId;

/// What the driver puts before a name.
const PREFIX: &str = "net_ring_";

impl Eal {
    /// Makes two ports, named `net_ring_NAMEa` and `net_ring_NAMEb`, each with `queues` queue
    /// pairs. What one sends on a queue, the other receives on the queue of that number, in the
    /// same mbufs. A ring holds `frames - 1` frames; `frames` is a power of two. Hardware
    /// addresses are locally administered, ending in `0a` and `0b`.
    ///
    /// Each direction of a queue has one sender and one receiver, as [`TxQueue`](crate::TxQueue)
    /// and [`RxQueue`](crate::RxQueue) guarantee. The rings are never freed, like mempools.
    ///
    /// # Errors
    /// [`PortError::NoRing`] if the size is no power of two, there is no memory, or the name is
    /// taken; [`PortError::NoQueue`] without queues.
    pub fn ring_pair(
        &self,
        name: &str,
        queues: u16,
        frames: u32,
    ) -> Result<[PortId; 2], PortError> {
        if queues == 0 {
            return Err(PortError::NoQueue(name.to_owned()));
        }
        let no_ring = |errno| PortError::NoRing { name: name.to_owned(), frames, errno };
        let mut rings = [Vec::new(), Vec::new()];
        for (direction, rings) in ["ab", "ba"].into_iter().zip(&mut rings) {
            for queue in 0..queues {
                let ring = CString::new(format!("{name}{direction}{queue}"))
                    .map_err(|_| no_ring(Errno(libc::EINVAL)))?;
                // SAFETY: the EAL is started, the name is a C string that DPDK copies, and the
                // numbers are checked by DPDK.
                let ring = unsafe {
                    sys::rte_ring_create(
                        ring.as_ptr(),
                        frames,
                        sys::SOCKET_ID_ANY,
                        sys::RING_F_SP_ENQ | sys::RING_F_SC_DEQ,
                    )
                };
                if ring.is_null() {
                    return Err(no_ring(Errno::last()));
                }
                rings.push(ring);
            }
        }
        let [ab, ba] = rings;
        let a = port(&format!("{name}a"), &ba, &ab, 0x0a).map_err(no_ring)?;
        let b = port(&format!("{name}b"), &ab, &ba, 0x0b).map_err(no_ring)?;
        Ok([a, b])
    }
}

/// The name of the port that [`Eal::ring_pair`] makes of `name` and the side, `a` or `b`.
#[must_use]
pub fn ring_port_name(name: &str, side: char) -> String {
    format!("{PREFIX}{name}{side}")
}

/// A port that receives from `rx` and sends to `tx`, as many of each.
fn port(
    name: &str,
    rx: &[*mut sys::rte_ring],
    tx: &[*mut sys::rte_ring],
    number: u8,
) -> Result<PortId, Errno> {
    let name = CString::new(name).map_err(|_| Errno(libc::EINVAL))?;
    let queues = |rings: &[_]| u32::try_from(rings.len()).map_err(|_| Errno(libc::EINVAL));
    let (rx_count, tx_count) = (queues(rx)?, queues(tx)?);
    // SAFETY: both arrays hold that many rings, which are never freed; DPDK copies the arrays
    // and the name. No node is 0: the driver's own memory has to be somewhere.
    let id = unsafe {
        sys::rte_eth_from_rings(name.as_ptr(), rx.as_ptr(), rx_count, tx.as_ptr(), tx_count, 0)
    };
    let id = u16::try_from(id).map_err(|_| Errno::last())?;
    // The driver leaves the address zero, which is no station's.
    let mut mac = sys::rte_ether_addr { addr_bytes: [0x02, 0, 0, 0, 0, number] };
    // SAFETY: the port exists, and the address is read during the call.
    let status = unsafe { sys::rte_eth_dev_mac_addr_add(id, &raw mut mac, 0) };
    if status < 0 { Err(Errno(-status)) } else { Ok(PortId::from_raw(id)) }
}

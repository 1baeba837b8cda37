//! The octets of an `Mbuf`: the one thing that capsule's public API gives by raw pointer only.

use capsule::Mbuf;

/// All that the buffer holds, to be read and written.
#[expect(unsafe_code, reason = "capsule gives octets by raw pointer only")]
#[must_use]
pub fn octets_mut(mbuf: &mut Mbuf) -> &mut [u8] {
    let len = mbuf.data_len();
    // It refuses an empty buffer.
    let Ok(mut octets) = mbuf.read_data_slice::<u8>(0, len) else { return &mut [] };
    // SAFETY: the pointer is to the `data_len` octets that the mbuf holds, all in one piece of memory, which
    // DPDK's mempool initialised. They live and stay where they are as long as the mbuf, which the result
    // borrows for itself: nothing else reads, writes, moves or frees them.
    unsafe { octets.as_mut() }
}

//! An owned packet buffer.

use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

use dpdk_sys as sys;

use crate::error::MbufError;
use crate::port::PortId;

/// A field of `rte_mbuf`: where the header puts it, and its type. The tests of dpdk-sys
/// compare both with the header.
#[derive(Clone, Copy)]
struct Field<T>(usize, PhantomData<T>);

impl<T> Field<T> {
    const fn at(offset: usize) -> Self {
        Self(offset, PhantomData)
    }
}

const BUF_ADDR: Field<*mut u8> = Field::at(sys::DSYS_MBUF_BUF_ADDR);
const DATA_OFF: Field<u16> = Field::at(sys::DSYS_MBUF_DATA_OFF);
const NB_SEGS: Field<u16> = Field::at(sys::DSYS_MBUF_NB_SEGS);
const PORT: Field<u16> = Field::at(sys::DSYS_MBUF_PORT);
const OL_FLAGS: Field<u64> = Field::at(sys::DSYS_MBUF_OL_FLAGS);
const PKT_LEN: Field<u32> = Field::at(sys::DSYS_MBUF_PKT_LEN);
const DATA_LEN: Field<u16> = Field::at(sys::DSYS_MBUF_DATA_LEN);
const BUF_LEN: Field<u16> = Field::at(sys::DSYS_MBUF_BUF_LEN);

/// What the device that received a frame found a checksum to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// It did not look.
    Unknown,
    /// Right.
    Good,
    /// Wrong.
    Bad,
    /// Not filled in, and the frame intact all the same: it came from a memory nearby.
    Absent,
}

impl Checksum {
    /// Whether the device stands for what the checksum covers.
    #[inline]
    #[must_use]
    pub const fn is_vouched(self) -> bool {
        matches!(self, Self::Good | Self::Absent)
    }

    /// The flags by which it is told.
    const fn flags(self, good: u64, bad: u64) -> u64 {
        match self {
            Self::Unknown => 0,
            Self::Good => good,
            Self::Bad => bad,
            Self::Absent => good | bad,
        }
    }

    #[inline]
    const fn of(flags: u64, good: u64, bad: u64) -> Self {
        match (flags & good != 0, flags & bad != 0) {
            (false, false) => Self::Unknown,
            (true, false) => Self::Good,
            (false, true) => Self::Bad,
            (true, true) => Self::Absent,
        }
    }
}

/// What the device found of a frame's checksums.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Checksums {
    /// As they stand in the mbuf, those of the two checksums alone.
    flags: u64,
}

impl Checksums {
    const IPV4: (u64, u64) = (sys::DSYS_MBUF_F_IP_CKSUM_GOOD, sys::DSYS_MBUF_F_IP_CKSUM_BAD);
    const TRANSPORT: (u64, u64) = (sys::DSYS_MBUF_F_L4_CKSUM_GOOD, sys::DSYS_MBUF_F_L4_CKSUM_BAD);
    const ALL: u64 = Self::IPV4.0 | Self::IPV4.1 | Self::TRANSPORT.0 | Self::TRANSPORT.1;

    /// As a device tells them that found the IPv4 header's to be `ipv4`, and that of TCP or UDP `transport`.
    #[must_use]
    pub const fn new(ipv4: Checksum, transport: Checksum) -> Self {
        let ipv4 = ipv4.flags(Self::IPV4.0, Self::IPV4.1);
        Self { flags: ipv4 | transport.flags(Self::TRANSPORT.0, Self::TRANSPORT.1) }
    }

    #[inline]
    const fn of(flags: u64) -> Self {
        // Of a packet in a tunnel these are the inner sums; an outer one that is wrong is ours to find.
        let outer_bad = flags & sys::DSYS_MBUF_F_OUTER_BAD != 0;
        Self { flags: if outer_bad { 0 } else { flags & Self::ALL } }
    }

    /// That of the IPv4 header.
    #[inline]
    #[must_use]
    pub const fn ipv4(self) -> Checksum {
        Checksum::of(self.flags, Self::IPV4.0, Self::IPV4.1)
    }

    /// That of TCP or UDP. Devices look at no ICMP.
    #[inline]
    #[must_use]
    pub const fn transport(self) -> Checksum {
        Checksum::of(self.flags, Self::TRANSPORT.0, Self::TRANSPORT.1)
    }

    /// Whether the device looked at neither.
    #[inline]
    #[must_use]
    pub const fn are_unknown(self) -> bool {
        self.flags == 0
    }
}

impl fmt::Debug for Checksums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checksums")
            .field("ipv4", &self.ipv4())
            .field("transport", &self.transport())
            .finish()
    }
}

/// A packet in a buffer of a mempool, owned: dropping it gives the buffer back.
///
/// It holds no reference to its mempool: mempools are never freed, and the EAL's memory
/// stays mapped (see [`Eal`](crate::Eal)). So an mbuf may outlive all handles.
///
/// A mempool's buffers are initialised memory: the kernel hands them out zeroed, and from
/// then on only packets are written there. What lies behind a frame's end is thus defined,
/// but it is whatever an earlier packet left.
#[repr(transparent)]
pub struct Mbuf(NonNull<sys::rte_mbuf>);

// SAFETY: an mbuf has one owner, and mempools accept it back on any thread.
unsafe impl Send for Mbuf {}
// SAFETY: `&Mbuf` only reads.
unsafe impl Sync for Mbuf {}

impl Mbuf {
    /// # Safety
    /// `raw` is an mbuf from a mempool or a driver, with a reference count of 1, and the
    /// caller owns it.
    #[inline]
    pub(crate) unsafe fn from_raw(raw: NonNull<sys::rte_mbuf>) -> Self {
        Self(raw)
    }

    #[inline]
    fn get<T: Copy>(&self, field: Field<T>) -> T {
        // SAFETY: the constants above name fields within the struct.
        let field = unsafe { self.0.byte_add(field.0).cast::<T>() };
        // SAFETY: the field is a T and aligned; we own the mbuf, so nobody writes it meanwhile.
        unsafe { field.read() }
    }

    #[inline]
    fn set<T: Copy>(&mut self, field: Field<T>, value: T) {
        // SAFETY: the constants above name fields within the struct.
        let field = unsafe { self.0.byte_add(field.0).cast::<T>() };
        // SAFETY: the field is a T and aligned; we own the mbuf, so nobody reads it meanwhile.
        unsafe { field.write(value) }
    }

    /// Where the frame starts, in the first buffer.
    #[inline]
    fn start(&self) -> *mut u8 {
        let buffer = self.get(BUF_ADDR);
        let offset = self.get(DATA_OFF);
        // SAFETY: drivers and mempools keep the offset within the buffer.
        unsafe { buffer.add(usize::from(offset)) }
    }

    /// Bytes from the frame's start to the end of the first buffer.
    #[inline]
    #[must_use]
    pub fn room(&self) -> usize {
        let length = self.get(BUF_LEN);
        let offset = self.get(DATA_OFF);
        usize::from(length.saturating_sub(offset))
    }

    /// Whether the whole frame is in the first buffer. If not, [`data`](Self::data) is
    /// only its beginning.
    #[inline]
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        self.get(NB_SEGS) == 1
    }

    /// Length of the frame in bytes, over all its buffers.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.get(PKT_LEN) as usize
    }

    /// Whether the frame is of length 0.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the frame in the first buffer.
    #[inline]
    fn first_len(&self) -> usize {
        usize::from(self.get(DATA_LEN))
    }

    /// The frame, as far as it is in the first buffer.
    #[inline]
    #[must_use]
    pub fn data(&self) -> &[u8] {
        // SAFETY: the first `first_len` bytes from the start are in the buffer, which is
        // initialised (see the type) and ours while `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.start(), self.first_len()) }
    }

    /// As [`data`](Self::data), to write.
    #[inline]
    pub fn data_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `data`; `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start(), self.first_len()) }
    }

    /// The first buffer from the frame's start to the buffer's end: the frame, and behind
    /// it, room to grow. Afterwards [`set_len`](Self::set_len) says how long the frame is.
    #[inline]
    pub fn room_mut(&mut self) -> &mut [u8] {
        // SAFETY: `room` bytes from the start on are in the buffer, which is initialised
        // (see the type) and ours while `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start(), self.room()) }
    }

    /// Sets the frame's length in bytes. Bytes gained hold what the buffer held.
    #[inline]
    pub fn set_len(&mut self, length: usize) -> Result<(), MbufError> {
        if !self.is_contiguous() {
            return Err(MbufError::NotContiguous);
        }
        // What fits in the room fits in 16 bits, since a buffer's length does.
        let Ok(short) = u16::try_from(length) else { return Err(MbufError::TooLong) };
        if length > self.room() {
            return Err(MbufError::TooLong);
        }
        self.set(DATA_LEN, short);
        self.set(PKT_LEN, u32::from(short));
        Ok(())
    }

    /// Makes `frame` the frame.
    #[inline]
    pub fn write(&mut self, frame: &[u8]) -> Result<(), MbufError> {
        self.set_len(frame.len())?;
        self.data_mut().copy_from_slice(frame);
        Ok(())
    }

    /// What the receiving device found of the checksums, as far as it looks: see
    /// [`Port::rx_offloads`](crate::Port::rx_offloads). All unknown for an mbuf from a mempool.
    #[inline]
    #[must_use]
    pub fn checksums(&self) -> Checksums {
        Checksums::of(self.get(OL_FLAGS))
    }

    /// Forgets what the receiving driver noted and what a sending one might be asked for:
    /// call it before sending a received mbuf. The two flags that say whose memory the
    /// buffer is stay, or it could not be freed.
    #[inline]
    pub fn reset_offloads(&mut self) {
        let flags = self.get(OL_FLAGS);
        let ownership = sys::DSYS_MBUF_F_INDIRECT | sys::DSYS_MBUF_F_EXTERNAL;
        self.set(OL_FLAGS, flags & ownership);
    }

    /// The port that received the frame. Means nothing for an mbuf from a mempool.
    #[inline]
    #[must_use]
    pub fn port(&self) -> PortId {
        PortId::from_raw(self.get(PORT))
    }
}

impl Drop for Mbuf {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: we own the mbuf, and its mempool is still mapped, since all are, always.
        unsafe { sys::dsys_pktmbuf_free(self.0.as_ptr()) }
    }
}

impl fmt::Debug for Mbuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mbuf")
            .field("len", &self.len())
            .field("contiguous", &self.is_contiguous())
            .field("port", &self.port())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_flags_tell_four_things() {
        let (good, bad) = (sys::DSYS_MBUF_F_L4_CKSUM_GOOD, sys::DSYS_MBUF_F_L4_CKSUM_BAD);
        let of = |flags| Checksum::of(flags, good, bad);
        let others = !(good | bad);
        assert_eq!(
            [of(others), of(good), of(bad)],
            [Checksum::Unknown, Checksum::Good, Checksum::Bad]
        );
        assert_eq!(of(good | bad), Checksum::Absent);
        let vouched = [others, good, bad, good | bad].map(|flags| of(flags).is_vouched());
        assert_eq!(vouched, [false, true, false, true]);
    }

    #[test]
    fn each_checksum_has_flags_of_its_own() {
        let ip = sys::DSYS_MBUF_F_IP_CKSUM_GOOD;
        let found = Checksums::of(ip | sys::DSYS_MBUF_F_L4_CKSUM_BAD);
        assert_eq!((found.ipv4(), found.transport()), (Checksum::Good, Checksum::Bad));
        assert!(!found.are_unknown());
        let all = [Checksum::Unknown, Checksum::Good, Checksum::Bad, Checksum::Absent];
        for (ipv4, transport) in all.iter().flat_map(|ipv4| all.map(|other| (*ipv4, other))) {
            let found = Checksums::new(ipv4, transport);
            assert_eq!((found.ipv4(), found.transport()), (ipv4, transport));
        }
        for flags in [0, !Checksums::ALL, ip | sys::DSYS_MBUF_F_OUTER_BAD] {
            let found = Checksums::of(flags);
            assert!(found.are_unknown(), "{flags:#x}");
            assert_eq!((found.ipv4(), found.transport()), (Checksum::Unknown, Checksum::Unknown));
        }
    }
}

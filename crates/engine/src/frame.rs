//! A received frame and the buffer that it lies in.

use crate::network::PortId;

/// The least buffer: enough for the longest frame that the engine makes of a shorter one.
///
/// That is a response over IPv6 in a VLAN: 18 + 40 + 36 octets, rounded up to a cache line.
pub const LEAST_ROOM: usize = 128;

/// What the receiving device has verified of a frame, so that the engine need not.
///
/// It only ever says *right*. What a device found wrong it does not vouch for: then the engine looks for itself, and
/// drops the frame by the same name whether a device looked or not. Some drivers call right whatever they found no fault
/// with; so the engine believes them of a transport right behind a plain IP header only, which every device looks at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Vouched {
    /// The checksum of the IPv4 header.
    pub ipv4: bool,
    /// The checksum of TCP or UDP. It may not be filled in then, where the frame came from a memory nearby, and
    /// may not be built upon. ICMP is never meant: no device looks at it.
    pub transport: bool,
}

/// A frame at the front of the buffer that its answer will be written to.
#[derive(Debug)]
pub struct Frame<'a> {
    room: &'a mut [u8],
    /// Ticks since it was received.
    waited: u64,
    len: u32,
    port: PortId,
    vouched: Vouched,
}

/// A burst of them is written and read for each frame: two to a cache line.
const _: () = assert!(size_of::<Frame<'_>>() <= 32);

impl<'a> Frame<'a> {
    /// The frame of `len` octets that came in by `port` and lies at the front of `room`.
    ///
    /// `None` if `room` is shorter than `len` or than [`LEAST_ROOM`]. What lies behind `len` is
    /// never read as part of the frame.
    #[must_use]
    #[inline]
    pub fn new(room: &'a mut [u8], len: usize, port: PortId) -> Option<Self> {
        let fits = room.len() >= len && room.len() >= LEAST_ROOM;
        let len = u32::try_from(len).ok()?;
        fits.then_some(Self { room, waited: 0, len, port, vouched: Vouched::default() })
    }

    /// In the place of a frame that no answer can be written over: it is dropped, as
    /// [`Outcome::DropBuffer`](crate::Outcome::DropBuffer). It has no octets, and its length means nothing.
    #[must_use]
    #[cold]
    pub fn unfit(port: PortId) -> Self {
        Self { room: &mut [], waited: 0, len: u32::MAX, port, vouched: Vouched::default() }
    }

    /// What was received; `None` of what is [unfit](Self::unfit).
    #[inline(always)]
    pub(crate) fn arrived(&self) -> Option<&[u8]> {
        self.room.get(..self.len as usize)
    }

    /// The same frame, for which its device vouches as told.
    #[must_use]
    #[inline]
    pub const fn vouched(self, vouched: Vouched) -> Self {
        Self { vouched, ..self }
    }

    /// What need not be verified of it.
    #[must_use]
    #[inline]
    pub const fn vouched_for(&self) -> Vouched {
        self.vouched
    }

    /// The same frame, which has waited for so many `ticks` since it was received.
    #[must_use]
    #[inline]
    pub const fn having_waited(self, ticks: u64) -> Self {
        Self { waited: ticks, ..self }
    }

    /// When it was received, if it is looked at `now`.
    #[inline]
    pub(crate) const fn received(&self, now: u64) -> u64 {
        now.wrapping_sub(self.waited)
    }

    /// The frame's octets: what was received, or what the engine made of it.
    #[must_use]
    #[inline]
    pub fn octets(&self) -> &[u8] {
        self.arrived().unwrap_or_default()
    }

    /// How many octets they are.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The port that it came in by.
    #[must_use]
    #[inline]
    pub const fn port(&self) -> PortId {
        self.port
    }

    /// The whole buffer, to write an answer to.
    #[inline]
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.room
    }

    /// The front of the buffer, as long as every buffer is.
    #[inline]
    pub(crate) fn least_room(&mut self) -> Option<&mut [u8]> {
        Some(self.room.first_chunk_mut::<LEAST_ROOM>()?)
    }

    /// The frame is now the first `len` octets of the buffer.
    #[inline]
    pub(crate) fn set_len(&mut self, len: usize) {
        // What lies in a buffer fits.
        self.len = u32::try_from(len.min(self.room.len())).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_needs_its_room() {
        let mut room = [0; LEAST_ROOM];
        assert!(Frame::new(&mut room, LEAST_ROOM, PortId(0)).is_some());
        assert!(Frame::new(&mut room, LEAST_ROOM + 1, PortId(0)).is_none());
        assert!(Frame::new(&mut room[1..], 0, PortId(0)).is_none());
    }

    #[test]
    fn what_is_unfit_has_no_octets() {
        let unfit = Frame::unfit(PortId(3));
        assert!(unfit.arrived().is_none());
        assert_eq!((unfit.octets(), unfit.port()), (&[][..], PortId(3)));
    }

    #[test]
    fn nobody_vouches_unasked() {
        let mut room = [0; LEAST_ROOM];
        let frame = Frame::new(&mut room, 60, PortId(0)).unwrap();
        assert_eq!(frame.vouched_for(), Vouched { ipv4: false, transport: false });
        let vouched = Vouched { ipv4: true, transport: false };
        assert_eq!(frame.vouched(vouched).having_waited(7).vouched_for(), vouched);
    }
}

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
    len: usize,
    port: PortId,
    received: Option<u64>,
    vouched: Vouched,
}

impl<'a> Frame<'a> {
    /// The frame of `len` octets that came in by `port` and lies at the front of `room`.
    ///
    /// `None` if `room` is shorter than `len` or than [`LEAST_ROOM`]. What lies behind `len` is
    /// never read as part of the frame.
    #[must_use]
    pub fn new(room: &'a mut [u8], len: usize, port: PortId) -> Option<Self> {
        (room.len() >= len && room.len() >= LEAST_ROOM).then_some(Self {
            room,
            len,
            port,
            received: None,
            vouched: Vouched::default(),
        })
    }

    /// The same frame, for which its device vouches as told.
    #[must_use]
    #[inline]
    pub fn vouched(self, vouched: Vouched) -> Self {
        Self { vouched, ..self }
    }

    /// What need not be verified of it.
    #[must_use]
    #[inline]
    pub const fn vouched_for(&self) -> Vouched {
        self.vouched
    }

    /// The same frame, which was received at the time `ticks` and had to wait since.
    #[must_use]
    pub fn received_at(self, ticks: u64) -> Self {
        Self { received: Some(ticks), ..self }
    }

    /// When it was received, if it is looked at `now`.
    #[inline]
    pub(crate) fn received(&self, now: u64) -> u64 {
        self.received.unwrap_or(now)
    }

    /// The frame's octets: what was received, or what the engine made of it.
    #[must_use]
    #[inline]
    pub fn octets(&self) -> &[u8] {
        self.room.get(..self.len).unwrap_or_default()
    }

    /// How many octets they are.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> usize {
        self.len
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
        self.len = len.min(self.room.len());
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
    fn nobody_vouches_unasked() {
        let mut room = [0; LEAST_ROOM];
        let frame = Frame::new(&mut room, 60, PortId(0)).unwrap();
        assert_eq!(frame.vouched_for(), Vouched { ipv4: false, transport: false });
        let vouched = Vouched { ipv4: true, transport: false };
        assert_eq!(frame.vouched(vouched).received_at(7).vouched_for(), vouched);
    }
}

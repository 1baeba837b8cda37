//! The C that the engine is measured against (`perf/yardstick`), behind the feature `yardstick`. It is
//! called from here because it receives and sends by queues that this crate lends; see ADR 0008.

use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

use dpdk_sys as sys;
use zerocopy::FromZeros;

use crate::queue::{RxQueue, TxQueue};

/// A line of the memory that a table is made of.
#[derive(Debug, FromZeros)]
#[repr(align(64))]
pub struct Line([u64; 8]);

/// A frame at the front of its buffer, lent to C.
#[repr(transparent)]
pub struct Piece<'a> {
    raw: sys::yardstick_frame,
    lent: PhantomData<&'a mut [u8]>,
}

impl<'a> Piece<'a> {
    /// The first `len` octets of `room`; `None` if it has not that many.
    #[inline]
    #[must_use]
    pub fn new(room: &'a mut [u8], len: usize) -> Option<Self> {
        if len > room.len() {
            return None;
        }
        let raw = sys::yardstick_frame {
            data: room.as_mut_ptr(),
            len: u32::try_from(len).ok()?,
            room: u32::try_from(room.len()).ok()?,
        };
        Some(Self { raw, lent: PhantomData })
    }

    /// Its length; 0 if it was dropped.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.raw.len as usize
    }

    /// Whether it was dropped.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Piece<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Piece").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// What a responder of the yardstick is to be.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Entries of the pending table.
    pub entries: u32,
    /// How long they live.
    pub timeout_ticks: u64,
    /// The key of the table's hash.
    pub secret: [u64; 2],
    /// Ticks a second.
    pub hz: u64,
    /// Its hardware address.
    pub own_mac: [u8; 6],
    /// Its router's.
    pub router_mac: [u8; 6],
    /// Its addresses, with the length of the on-link prefix.
    pub own_v4: ([u8; 4], u8),
    /// As `own_v4`.
    pub own_v6: ([u8; 16], u8),
}

/// What the yardstick counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Counter {
    /// Probes written, and sent if there is a port.
    Probes = sys::YARDSTICK_PROBES,
    /// Responses, likewise.
    Responses = sys::YARDSTICK_RESPONSES,
    /// Answers to nothing pending.
    Unmatched = sys::YARDSTICK_UNMATCHED,
    /// Requests that the table had no room for.
    Full = sys::YARDSTICK_FULL,
    /// All else.
    Other = sys::YARDSTICK_OTHER,
    /// Answered, but not taken by the port.
    TransmitFull = sys::YARDSTICK_TRANSMIT_FULL,
    /// Frames received from a port.
    Received = sys::YARDSTICK_RECEIVED,
    /// Turns in which some were.
    BusyTurns = sys::YARDSTICK_BUSY_TURNS,
    /// Ticks that those took.
    BusyTicks = sys::YARDSTICK_BUSY_TICKS,
}

/// A responder in C that does the very same work as the engine.
#[derive(Debug)]
pub struct Yardstick(NonNull<sys::yardstick>);

// SAFETY: it has one owner, and C keeps nothing that belongs to a thread.
unsafe impl Send for Yardstick {}

impl Yardstick {
    /// The lines of a table of `entries`.
    #[must_use]
    pub fn lines_for(entries: u32) -> usize {
        // SAFETY: computes only.
        let lines = unsafe { sys::yardstick_lines(u64::from(entries)) };
        usize::try_from(lines).unwrap_or(usize::MAX)
    }

    /// A responder with its table in `memory`, which is zeroed. `None` if that has less than
    /// [`lines_for`](Self::lines_for) its entries, if there are no ticks a second or no such
    /// prefixes, or if the system has no memory for the rest.
    #[must_use]
    pub fn new(settings: &Settings, memory: &'static mut [Line]) -> Option<Self> {
        let memory = zeroed(memory, Self::lines_for(settings.entries))?;
        let prefixes = (1..=32).contains(&settings.own_v4.1) && settings.own_v6.1 <= 128;
        if settings.hz == 0 || !prefixes {
            return None;
        }
        let raw = sys::yardstick_settings {
            entries: settings.entries.into(),
            timeout_ticks: settings.timeout_ticks,
            secret: settings.secret,
            hz: settings.hz,
            own_mac: settings.own_mac,
            router_mac: settings.router_mac,
            own_v4: settings.own_v4.0,
            own_v6: settings.own_v6.0,
            prefix_v4: settings.own_v4.1,
            prefix_v6: settings.own_v6.1,
        };
        // SAFETY: C copies the settings during the call, which are within its limits; the memory is zeroed, has the lines that it asks
        // for, and is its own for ever.
        let made = unsafe { sys::yardstick_new(&raw const raw, memory.as_mut_ptr().cast()) };
        NonNull::new(made).map(Self)
    }

    /// Leads frames through, at the time `now`.
    #[inline]
    pub fn process(&mut self, now: u64, frames: &mut [Piece<'_>]) {
        let count = u32::try_from(frames.len()).unwrap_or(u32::MAX);
        let frames = frames.as_mut_ptr().cast::<sys::yardstick_frame>();
        // SAFETY: it is alive and borrowed mutably, and so are the frames' buffers, of which C reads `len`
        // octets and writes no more than `room`; a `Piece` is a `yardstick_frame` (transparent).
        unsafe { sys::yardstick_process(self.0.as_ptr(), now, frames, count) };
    }

    /// A turn of a worker: receives up to 32 frames, leads them through, sends. Returns how many it received.
    ///
    /// # Panics
    /// If the two are not the queues of one number of one port.
    #[inline]
    pub fn turn(&mut self, rx: &mut RxQueue, tx: &mut TxQueue) -> usize {
        let (port, queue) = shared_number(rx, tx);
        // SAFETY: it is alive and borrowed mutably; the queues keep their port started, and are borrowed
        // mutably, so nobody else uses them.
        usize::from(unsafe { sys::yardstick_turn(self.0.as_ptr(), port, queue) })
    }

    /// A counter's value.
    #[must_use]
    pub fn count(&self, counter: Counter) -> u64 {
        // SAFETY: it is alive, and the counter is one of C's.
        unsafe { sys::yardstick_count(self.0.as_ptr(), counter as u32) }
    }
}

impl Drop for Yardstick {
    fn drop(&mut self) {
        // SAFETY: made by `yardstick_new`, freed once.
        unsafe { sys::yardstick_free(self.0.as_ptr()) };
    }
}

/// What the floor does with its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum FloorVariant {
    /// Nothing.
    Swap = sys::FLOOR_SWAP,
    /// Updates a key that is there.
    Update = sys::FLOOR_UPDATE,
    /// Inserts a key.
    Insert = sys::FLOOR_INSERT,
}

/// A responder in C that does far less: what packet processing with a table costs at least.
#[derive(Debug)]
pub struct Floor(NonNull<sys::floor>);

// SAFETY: it has one owner, and C keeps nothing that belongs to a thread.
unsafe impl Send for Floor {}

impl Floor {
    /// The lines of its table.
    #[must_use]
    pub fn lines() -> usize {
        // SAFETY: computes only.
        usize::try_from(unsafe { sys::floor_lines() }).unwrap_or(usize::MAX)
    }

    /// A floor with its table in `memory`, which is zeroed. `None` if that has less than
    /// [`lines`](Self::lines), or the system has no memory for the rest.
    #[must_use]
    pub fn new(memory: &'static mut [Line]) -> Option<Self> {
        let memory = zeroed(memory, Self::lines())?;
        // SAFETY: the memory is zeroed, has the lines that C asks for, and is its own for ever.
        NonNull::new(unsafe { sys::floor_new(memory.as_mut_ptr().cast()) }).map(Self)
    }

    /// A turn, as [`Yardstick::turn`].
    ///
    /// # Panics
    /// If the two are not the queues of one number of one port.
    #[inline]
    pub fn turn(&mut self, rx: &mut RxQueue, tx: &mut TxQueue, variant: FloorVariant) -> usize {
        let (port, queue) = shared_number(rx, tx);
        // SAFETY: as in `Yardstick::turn`.
        usize::from(unsafe { sys::floor_turn(self.0.as_ptr(), port, queue, variant as u32) })
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        // SAFETY: made by `floor_new`, freed once.
        unsafe { sys::floor_free(self.0.as_ptr()) };
    }
}

/// The first `lines` of `memory`, zeroed; `None` if it has less.
fn zeroed(memory: &'static mut [Line], lines: usize) -> Option<&'static mut [Line]> {
    let memory = memory.get_mut(..lines)?;
    memory.zero();
    Some(memory)
}

/// C is told one queue number for both ways.
#[inline]
fn shared_number(rx: &RxQueue, tx: &TxQueue) -> (u16, u16) {
    assert!(
        rx.port() == tx.port() && rx.index() == tx.index(),
        "the queues of one number of one port are needed"
    );
    (rx.port().get(), rx.index())
}

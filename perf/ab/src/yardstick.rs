//! The C side: `perf/yardstick`.
#![expect(unsafe_code, reason = "C is what the engine is measured against")]

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr::NonNull;

use anyhow::Context;
use otherhalf_pending::{Bucket, Prefetch};

use crate::traffic::{BURST, OWN_MAC, OWN_V4, OWN_V6, ROUTER_MAC, Rooms};

/// Must be `struct yardstick_frame`.
#[repr(C)]
struct RawFrame<'a> {
    data: *mut u8,
    len: u32,
    room: u32,
    lent: PhantomData<&'a mut [u8]>,
}

/// Must be `struct yardstick_settings`.
#[repr(C)]
struct RawSettings {
    entries: u64,
    timeout_ticks: u64,
    secret: [u64; 2],
    hz: u64,
    own_mac: [u8; 6],
    router_mac: [u8; 6],
    own_v4: [u8; 4],
    own_v6: [u8; 16],
    prefix_v4: u8,
    prefix_v6: u8,
}

#[repr(C)]
struct RawYardstick {
    opaque: [u8; 0],
}

#[repr(C)]
struct RawFloor {
    opaque: [u8; 0],
}

unsafe extern "C" {
    fn yardstick_new(settings: *const RawSettings) -> *mut RawYardstick;
    fn yardstick_free(yardstick: *mut RawYardstick);
    fn yardstick_process(
        yardstick: *mut RawYardstick,
        now: u64,
        frames: *mut RawFrame<'_>,
        count: u32,
    );
    fn yardstick_count(yardstick: *const RawYardstick, counter: u32) -> u64;
    fn yardstick_memory(size: u64) -> *mut c_void;
    fn yardstick_ticks() -> u64;
    fn floor_new() -> *mut RawFloor;
    fn floor_free(floor: *mut RawFloor);
    fn floor_process(
        floor: *mut RawFloor,
        now: u64,
        frames: *mut RawFrame<'_>,
        count: u32,
        variant: u32,
    );
}

/// The processor's time stamp counter.
pub(crate) fn ticks() -> u64 {
    // SAFETY: reads a register; no preconditions.
    unsafe { yardstick_ticks() }
}

/// Memory as the yardstick's table has it, for a table of the engine.
pub(crate) fn buckets(buckets: usize) -> anyhow::Result<&'static mut [Bucket]> {
    let size = buckets.checked_mul(size_of::<Bucket>()).context("too many buckets")?;
    // SAFETY: no preconditions.
    let memory = unsafe { yardstick_memory(u64::try_from(size)?) };
    let memory = NonNull::new(memory).context("no memory for the engine's table")?.cast();
    // SAFETY: a huge page's boundary is aligned for anything; the memory is nobody else's, never freed, and
    // all zeros, which is a value of `Bucket` (it is `FromZeros`).
    Ok(unsafe { std::slice::from_raw_parts_mut(memory.as_ptr(), buckets) })
}

/// The processor's prefetch, which the yardstick has as well.
#[derive(Debug)]
pub(crate) enum Prefetching {}

impl Prefetch for Prefetching {
    #[inline]
    fn prefetch(bucket: &Bucket) {
        // SAFETY: every x86-64 processor has it, and it has no effect on memory.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(bucket).cast()) };
    }
}

/// What the table of a variant is to be.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Entries of the table.
    pub entries: u32,
    /// How long they live.
    pub timeout_ticks: u64,
    /// The key of its hash.
    pub secret: [u64; 2],
    /// Ticks a second.
    pub hz: u64,
}

/// The yardstick's responder.
#[derive(Debug)]
pub(crate) struct Yardstick(NonNull<RawYardstick>);

impl Yardstick {
    pub(crate) fn new(settings: &Settings) -> anyhow::Result<Self> {
        let raw = RawSettings {
            entries: settings.entries.into(),
            timeout_ticks: settings.timeout_ticks,
            secret: settings.secret,
            hz: settings.hz,
            own_mac: OWN_MAC.0,
            router_mac: ROUTER_MAC.0,
            own_v4: OWN_V4.octets(),
            own_v6: OWN_V6.octets(),
            prefix_v4: 24,
            prefix_v6: 64,
        };
        // SAFETY: the settings outlive the call, which copies them.
        let made = unsafe { yardstick_new(&raw const raw) };
        NonNull::new(made).map(Self).context("no memory for the yardstick's table")
    }

    pub(crate) fn process(&mut self, now: u64, rooms: &mut Rooms) {
        let mut frames = lend(rooms);
        // SAFETY: the yardstick is alive and borrowed mutably, and so are the frames' rooms, of which C writes
        // no more than `room` octets.
        unsafe { yardstick_process(self.0.as_ptr(), now, frames.as_mut_ptr(), count(&frames)) };
        give_back(&frames.map(|frame| frame.len), rooms);
    }

    /// Probes and responses that were written.
    pub(crate) fn answered(&self) -> u64 {
        // SAFETY: the yardstick is alive; YARDSTICK_PROBES is 0.
        let probes = unsafe { yardstick_count(self.0.as_ptr(), 0) };
        // SAFETY: as above; YARDSTICK_RESPONSES is 1.
        probes + unsafe { yardstick_count(self.0.as_ptr(), 1) }
    }
}

impl Drop for Yardstick {
    fn drop(&mut self) {
        // SAFETY: made by `yardstick_new`, freed once.
        unsafe { yardstick_free(self.0.as_ptr()) };
    }
}

/// What the floor does with its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum FloorVariant {
    /// Nothing.
    Swap,
    /// Updates a key that is there.
    Update,
    /// Inserts a key.
    Insert,
}

/// The floor's responder.
#[derive(Debug)]
pub(crate) struct Floor(NonNull<RawFloor>, FloorVariant);

impl Floor {
    pub(crate) fn new(variant: FloorVariant) -> anyhow::Result<Self> {
        // SAFETY: no preconditions.
        let made = unsafe { floor_new() };
        NonNull::new(made).map(|raw| Self(raw, variant)).context("no memory for the floor's table")
    }

    pub(crate) fn process(&mut self, now: u64, rooms: &mut Rooms) {
        self.process_as(self.1, now, rooms);
    }

    /// Puts the keys of `rooms` in, whatever the variant does.
    pub(crate) fn insert(&mut self, now: u64, rooms: &mut Rooms) {
        self.process_as(FloorVariant::Insert, now, rooms);
    }

    fn process_as(&mut self, variant: FloorVariant, now: u64, rooms: &mut Rooms) {
        let mut frames = lend(rooms);
        // SAFETY: the floor is alive and borrowed mutably, and so are the frames' rooms, of which C
        // writes the headers that it has checked to be there.
        unsafe {
            floor_process(
                self.0.as_ptr(),
                now,
                frames.as_mut_ptr(),
                count(&frames),
                variant as u32,
            );
        };
        give_back(&frames.map(|frame| frame.len), rooms);
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        // SAFETY: made by `floor_new`, freed once.
        unsafe { floor_free(self.0.as_ptr()) };
    }
}

#[inline]
fn lend(rooms: &mut Rooms) -> [RawFrame<'_>; BURST] {
    let mut lent = rooms.iter_mut();
    std::array::from_fn(|_| match lent.next() {
        Some((room, len)) => RawFrame {
            data: room.as_mut_ptr(),
            len: u32::try_from(*len).unwrap_or(0),
            room: u32::try_from(room.len()).unwrap_or(0),
            lent: PhantomData,
        },
        None => RawFrame { data: std::ptr::null_mut(), len: 0, room: 0, lent: PhantomData },
    })
}

#[inline]
fn give_back(lens: &[u32; BURST], rooms: &mut Rooms) {
    for (to, from) in rooms.lens.iter_mut().zip(lens) {
        *to = *from as usize;
    }
}

fn count(frames: &[RawFrame<'_>]) -> u32 {
    u32::try_from(frames.len()).unwrap_or(0)
}

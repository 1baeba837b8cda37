//! The packet path: bursts in, bursts out.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;

use dpdk_sys as sys;

use crate::burst::Burst;
use crate::port::{Device, PortId};

/// A receive queue of a started port, polled by whoever owns it.
///
/// It can move to another thread, and cannot be shared. While it exists, its port can
/// neither be stopped nor closed.
#[derive(Debug)]
pub struct RxQueue {
    port: PortId,
    index: u16,
    /// Keeps the port open and started.
    _device: Arc<Device>,
    _one_thread: PhantomData<Cell<()>>,
}

impl RxQueue {
    pub(crate) fn new(device: Arc<Device>, index: u16) -> Self {
        Self { port: device.id(), index, _device: device, _one_thread: PhantomData }
    }

    /// Appends what has arrived to `burst`, as far as it has room; returns how many.
    /// Never waits.
    #[inline]
    pub fn receive<const N: usize>(&mut self, burst: &mut Burst<N>) -> usize {
        let (spare, room) = burst.spare();
        if room == 0 {
            return 0;
        }
        // SAFETY: the port is started and this queue one of its own, as queues are made
        // by Port::start alone; `_device` keeps it so; `&mut self` and the lack of Clone
        // make us the only poller; `spare` has room for that many.
        let count = unsafe { sys::rx_burst(self.port.get(), self.index, spare, room) };
        // SAFETY: the driver has written that many mbufs, which are ours.
        unsafe { burst.grow(usize::from(count)) };
        usize::from(count)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> PortId {
        self.port
    }

    /// Its number within the port, from 0.
    #[must_use]
    pub fn index(&self) -> u16 {
        self.index
    }
}

/// A transmit queue of a started port; owned as an [`RxQueue`] is.
#[derive(Debug)]
pub struct TxQueue {
    port: PortId,
    index: u16,
    /// Keeps the port open and started.
    _device: Arc<Device>,
    _one_thread: PhantomData<Cell<()>>,
}

impl TxQueue {
    pub(crate) fn new(device: Arc<Device>, index: u16) -> Self {
        Self { port: device.id(), index, _device: device, _one_thread: PhantomData }
    }

    /// Hands the mbufs of `burst` to the driver, from the first on; returns how many it
    /// took. **The others stay in `burst`**, in order: send them again, or drop them.
    #[inline]
    pub fn send<const N: usize>(&mut self, burst: &mut Burst<N>) -> usize {
        let (mbufs, length) = burst.filled();
        if length == 0 {
            return 0;
        }
        // SAFETY: as in RxQueue::receive; `mbufs` are `length` mbufs that we own.
        let count = unsafe { sys::tx_burst(self.port.get(), self.index, mbufs, length) };
        // SAFETY: the driver took that many, from the first on.
        unsafe { burst.forget_front(usize::from(count)) };
        usize::from(count)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> PortId {
        self.port
    }

    /// Its number within the port, from 0.
    #[must_use]
    pub fn index(&self) -> u16 {
        self.index
    }
}

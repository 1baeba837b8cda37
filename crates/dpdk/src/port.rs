//! Ports: configuration, start, stop, statistics.

use std::cell::Cell;
use std::ffi::{CStr, c_char};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use dpdk_sys as sys;

use crate::eal::{Eal, Shared, all_ports};
use crate::error::{Errno, PortError};
use crate::mempool::Mempool;
use crate::queue::{RxQueue, TxQueue};

/// The number of a port. EAL gives them, in no order to rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(u16);

impl PortId {
    #[inline]
    pub(crate) const fn from_raw(id: u16) -> Self {
        Self(id)
    }

    /// The number.
    #[inline]
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// None when there is no such port.
    pub(crate) fn name(self) -> Option<String> {
        let mut name: [c_char; sys::RTE_ETH_NAME_MAX_LEN as usize] = [0; _];
        // SAFETY: the function writes at most that many bytes, a NUL at the end.
        let status = unsafe { sys::rte_eth_dev_get_name_by_port(self.0, name.as_mut_ptr()) };
        if status != 0 {
            return None;
        }
        // SAFETY: as above.
        let name = unsafe { CStr::from_ptr(name.as_ptr()) };
        Some(name.to_string_lossy().into_owned())
    }
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a port is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortInfo {
    /// Its device's name, such as `net_tap0` or `0000:03:00.0`.
    pub name: String,
    /// Its driver's name, such as `net_tap`.
    pub driver: String,
    /// Its MAC address.
    pub mac: [u8; 6],
    /// The NUMA node that it is attached to; None for virtual ports and single-node machines.
    pub socket: Option<u32>,
    /// RX queues that it can have.
    pub max_rx_queues: u16,
    /// TX queues that it can have.
    pub max_tx_queues: u16,
    /// The smallest and the largest MTU that it can have.
    pub mtu_range: (u16, u16),
    /// The kinds of packet that it can spread over its queues by hash (`RTE_ETH_RSS_*`).
    pub rss_offloads: u64,
    /// The checksums that it can verify.
    pub rx_offloads: RxOffloads,
}

/// The checksums that a device can verify as frames are received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RxOffloads {
    /// That of the IPv4 header.
    pub ipv4: bool,
    /// UDP's.
    pub udp: bool,
    /// TCP's.
    pub tcp: bool,
}

impl RxOffloads {
    /// Of an offload mask those that we use.
    const fn from_mask(mask: u64) -> Self {
        Self {
            ipv4: mask & sys::DSYS_RX_IPV4_CKSUM != 0,
            udp: mask & sys::DSYS_RX_UDP_CKSUM != 0,
            tcp: mask & sys::DSYS_RX_TCP_CKSUM != 0,
        }
    }

    const fn mask(self) -> u64 {
        let mut mask = 0;
        if self.ipv4 {
            mask |= sys::DSYS_RX_IPV4_CKSUM;
        }
        if self.udp {
            mask |= sys::DSYS_RX_UDP_CKSUM;
        }
        if self.tcp {
            mask |= sys::DSYS_RX_TCP_CKSUM;
        }
        mask
    }
}

impl fmt::Display for RxOffloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [(self.ipv4, "IPv4"), (self.udp, "UDP"), (self.tcp, "TCP")];
        let used: Vec<&str> = all.iter().filter(|(used, _)| *used).map(|(_, name)| *name).collect();
        f.write_str(if used.is_empty() { "none" } else { "" })?;
        f.write_str(&used.join(" "))
    }
}

impl PortInfo {
    pub(crate) fn read(id: PortId) -> Result<Self, PortError> {
        let name = id.name().ok_or_else(|| PortError::NoSuchPort {
            name: id.to_string(),
            existing: all_ports().filter_map(PortId::name).collect(),
        })?;
        let mut info = sys::rte_eth_dev_info::default();
        // SAFETY: writes to a struct of that type; the port's number is checked there.
        let status = unsafe { sys::rte_eth_dev_info_get(id.0, &raw mut info) };
        check(&name, "reading what it is", status)?;
        let mut mac = sys::rte_ether_addr::default();
        // SAFETY: as above.
        let status = unsafe { sys::rte_eth_macaddr_get(id.0, &raw mut mac) };
        check(&name, "reading its MAC address", status)?;
        let driver = if info.driver_name.is_null() {
            String::new()
        } else {
            // SAFETY: drivers' names are constant strings.
            unsafe { CStr::from_ptr(info.driver_name) }.to_string_lossy().into_owned()
        };
        // SAFETY: takes any number.
        let socket = unsafe { sys::rte_eth_dev_socket_id(id.0) };
        Ok(Self {
            name,
            driver,
            mac: mac.addr_bytes,
            socket: u32::try_from(socket).ok(),
            max_rx_queues: info.max_rx_queues,
            max_tx_queues: info.max_tx_queues,
            mtu_range: (info.min_mtu, info.max_mtu),
            rss_offloads: info.flow_type_rss_offloads,
            rx_offloads: RxOffloads::from_mask(info.rx_offload_capa),
        })
    }
}

/// What a port shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// RX queues, at least 1. With more than 1, frames are spread by a hash of their IP
    /// addresses if the device can (RSS); if not, as the device likes.
    pub rx_queues: u16,
    /// TX queues, at least 1. `net_tap` demands as many as RX queues.
    pub tx_queues: u16,
    /// Descriptors of each RX queue, adjusted to what the device takes.
    pub rx_descriptors: u16,
    /// Descriptors of each TX queue, adjusted to what the device takes.
    pub tx_descriptors: u16,
    /// The largest IP packet, in bytes. None: what the device has. More than 1500 takes mempools of that room, on
    /// `net_af_packet` also `framesz` and `blocksz` among the device's arguments.
    pub mtu: Option<u16>,
    /// Receive all multicast frames. Neighbour discovery needs it on devices that filter.
    pub all_multicast: bool,
    /// Receive all frames, whoever they are for.
    pub promiscuous: bool,
    /// Have the device verify the checksums that it can; then
    /// [`Mbuf::checksums`](crate::Mbuf::checksums) tells.
    pub verify_checksums: bool,
}

impl Default for PortConfig {
    fn default() -> Self {
        Self {
            rx_queues: 1,
            tx_queues: 1,
            rx_descriptors: 1024,
            tx_descriptors: 1024,
            mtu: None,
            all_multicast: false,
            promiscuous: false,
            verify_checksums: false,
        }
    }
}

/// The state of a port's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Whether there is one.
    pub up: bool,
    /// Its speed in Mbit/s, if known.
    pub speed_mbps: Option<u32>,
}

/// A port's counters since it was started, with DPDK's names. What a driver does not
/// count is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Frames received.
    pub ipackets: u64,
    /// Frames sent.
    pub opackets: u64,
    /// Bytes received.
    pub ibytes: u64,
    /// Bytes sent.
    pub obytes: u64,
    /// Frames dropped by the device because the RX queues were full.
    pub imissed: u64,
    /// Frames received wrongly.
    pub ierrors: u64,
    /// Frames that could not be sent.
    pub oerrors: u64,
    /// Times that no buffer was left to receive into.
    pub rx_nombuf: u64,
    /// The first queues, those of a number in both directions together.
    pub queues: [QueueStats; QUEUES_COUNTED],
}

/// Queues that DPDK counts by themselves (`RTE_ETHDEV_QUEUE_STAT_CNTRS`).
pub const QUEUES_COUNTED: usize = 16;

/// A queue's counters since its port was started, with DPDK's names without the `q_`. Of a driver that does not count by
/// queue, 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Frames received.
    pub ipackets: u64,
    /// Frames sent.
    pub opackets: u64,
    /// Bytes received.
    pub ibytes: u64,
    /// Bytes sent.
    pub obytes: u64,
    /// Frames that the receive queue dropped.
    pub errors: u64,
}

/// What Ethernet carries without jumbo frames.
const STANDARD_MTU: u16 = 1500;

/// A configured port. Dropping it, and all its queues, stops and closes it for good: the
/// process cannot use it again.
///
/// It can move to another thread, and cannot be shared: drivers want one control thread.
#[derive(Debug)]
pub struct Port {
    device: Arc<Device>,
    info: PortInfo,
    config: PortConfig,
    started: bool,
    _one_thread: PhantomData<Cell<()>>,
}

/// What keeps a port open: held by the [`Port`] and by each of its queues.
#[derive(Debug)]
pub(crate) struct Device {
    id: PortId,
    /// The driver allocates from them as long as the port is open.
    _mempools: Vec<Mempool>,
    _eal: Arc<Shared>,
}

impl Device {
    #[inline]
    pub(crate) fn id(&self) -> PortId {
        self.id
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // A failure leaves the port as it is, and nobody to tell.
        // SAFETY: no queue is left, so nobody polls.
        unsafe { sys::rte_eth_dev_stop(self.id.0) };
        // SAFETY: as above.
        unsafe { sys::rte_eth_dev_close(self.id.0) };
    }
}

impl Port {
    /// Configures a port. RX queue `n` receives into mempool `n`, counted around: one
    /// mempool is for all queues.
    ///
    /// # Errors
    /// After [`PortError::Refused`] the port is closed, as after a drop.
    pub fn configure(
        eal: &Eal,
        id: PortId,
        config: &PortConfig,
        mempools: &[Mempool],
    ) -> Result<Self, PortError> {
        let info = PortInfo::read(id)?;
        check_config(&info, config, mempools)?;
        if !eal.shared().claim(id) {
            return Err(PortError::InUse(info.name));
        }
        // From here on, an error closes the port as its drop does.
        let port = Self {
            device: Arc::new(Device {
                id,
                _mempools: mempools.to_vec(),
                _eal: Arc::clone(eal.shared()),
            }),
            info,
            config: config.clone(),
            started: false,
            _one_thread: PhantomData,
        };
        port.set_up(mempools)?;
        Ok(port)
    }

    fn set_up(&self, mempools: &[Mempool]) -> Result<(), PortError> {
        let (id, config) = (self.id().0, &self.config);
        let conf = self.device_conf();
        // SAFETY: the port is ours, and stopped; conf is read during the call.
        let status = unsafe {
            sys::rte_eth_dev_configure(id, config.rx_queues, config.tx_queues, &raw const conf)
        };
        self.check("configuring it", status)?;

        if let Some(mtu) = self.device_mtu() {
            // SAFETY: the port is ours, and stopped.
            let status = unsafe { sys::rte_eth_dev_set_mtu(id, mtu) };
            // A driver without this operation has taken the MTU with the configuration.
            if status != -libc::ENOTSUP {
                self.check("setting its MTU", status)?;
            }
        }

        let (mut rx, mut tx) = (config.rx_descriptors, config.tx_descriptors);
        // SAFETY: writes two numbers of that type.
        let status = unsafe { sys::rte_eth_dev_adjust_nb_rx_tx_desc(id, &raw mut rx, &raw mut tx) };
        self.check("adjusting its descriptors", status)?;

        // SAFETY: takes any number. No node is -1, SOCKET_ID_ANY once it is unsigned.
        let socket = unsafe { sys::rte_eth_dev_socket_id(id) }.cast_unsigned();
        for (queue, mempool) in (0..config.rx_queues).zip(mempools.iter().cycle()) {
            // SAFETY: the port is configured with that many queues; no conf means the
            // driver's own; the mempool is never freed.
            let status = unsafe {
                sys::rte_eth_rx_queue_setup(
                    id,
                    queue,
                    rx,
                    socket,
                    std::ptr::null(),
                    mempool.as_ptr(),
                )
            };
            self.check("setting up an RX queue", status)?;
        }
        for queue in 0..config.tx_queues {
            // SAFETY: as above.
            let status =
                unsafe { sys::rte_eth_tx_queue_setup(id, queue, tx, socket, std::ptr::null()) };
            self.check("setting up a TX queue", status)?;
        }
        Ok(())
    }

    /// The MTU that the device is told of. Some drivers say that a standard frame is their longest, and take what their own
    /// arguments and the buffers have room for: such an MTU would be refused, and is theirs without being told.
    fn device_mtu(&self) -> Option<u16> {
        let by_arguments = ["net_af_packet", "net_memif"].contains(&self.info.driver.as_str());
        self.config.mtu.filter(|mtu| !by_arguments || *mtu <= STANDARD_MTU)
    }

    fn device_conf(&self) -> sys::rte_eth_conf {
        let mut conf = sys::rte_eth_conf::default();
        if let Some(mtu) = self.device_mtu() {
            conf.rxmode.mtu = u32::from(mtu);
        }
        conf.rxmode.offloads = self.rx_offloads().mask();
        // A bond notices by interrupts of its members alone that one lost its link, if they can tell that way.
        if self.info.driver == "net_bonding" {
            conf.intr_conf.set_lsc(1);
        }
        let hashable = self.info.rss_offloads & sys::DSYS_RSS_IP;
        if self.config.rx_queues > 1 && hashable != 0 {
            conf.rxmode.mq_mode = sys::RTE_ETH_MQ_RX_RSS;
            conf.rx_adv_conf.rss_conf.rss_hf = hashable;
        }
        conf
    }

    /// Starts the port and hands out its queues.
    pub fn start(&mut self) -> Result<(Vec<RxQueue>, Vec<TxQueue>), PortError> {
        if self.started {
            return Err(PortError::Started(self.info.name.clone()));
        }
        let id = self.id().0;
        // SAFETY: the port is configured and stopped, and no queue exists.
        let status = unsafe { sys::rte_eth_dev_start(id) };
        self.check("starting it", status)?;
        self.started = true;
        // A bonding port has none before its members are configured.
        self.info.mac = PortInfo::read(self.id())?.mac;
        // A driver without these operations filters nothing: net_ring, net_null, net_pcap.
        if self.config.promiscuous {
            // SAFETY: the port is ours.
            let status = unsafe { sys::rte_eth_promiscuous_enable(id) };
            self.check_supported("receiving all frames", status)?;
        }
        if self.config.all_multicast {
            // SAFETY: the port is ours.
            let status = unsafe { sys::rte_eth_allmulticast_enable(id) };
            self.check_supported("receiving all multicast frames", status)?;
        }
        let rx = (0..self.config.rx_queues).map(|n| RxQueue::new(Arc::clone(&self.device), n));
        let tx = (0..self.config.tx_queues).map(|n| TxQueue::new(Arc::clone(&self.device), n));
        Ok((rx.collect(), tx.collect()))
    }

    /// Stops the port, after all its queues were dropped. It can be started again, with
    /// new queues. Does nothing to a stopped port.
    pub fn stop(&mut self) -> Result<(), PortError> {
        if Arc::get_mut(&mut self.device).is_none() {
            return Err(PortError::QueuesHeld(self.info.name.clone()));
        }
        // SAFETY: no queue is left, so nobody polls.
        let status = unsafe { sys::rte_eth_dev_stop(self.id().0) };
        self.check("stopping it", status)?;
        self.started = false;
        Ok(())
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> PortId {
        self.device.id
    }

    /// What it is.
    #[must_use]
    pub fn info(&self) -> &PortInfo {
        &self.info
    }

    /// Its name, such as `net_tap0`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// Its driver's name, such as `net_tap`.
    #[must_use]
    pub fn driver(&self) -> &str {
        &self.info.driver
    }

    /// Its MAC address, as it was when the port was started; before that, when it was configured.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        self.info.mac
    }

    /// The NUMA node that it is attached to, if any.
    #[must_use]
    pub fn socket(&self) -> Option<u32> {
        self.info.socket
    }

    /// The checksums that it verifies as frames are received.
    #[must_use]
    pub fn rx_offloads(&self) -> RxOffloads {
        if self.config.verify_checksums { self.info.rx_offloads } else { RxOffloads::default() }
    }

    /// What it was configured to be.
    #[must_use]
    pub fn config(&self) -> &PortConfig {
        &self.config
    }

    /// Its MTU.
    pub fn mtu(&self) -> Result<u16, PortError> {
        let mut mtu = 0;
        // SAFETY: writes a number of that type.
        let status = unsafe { sys::rte_eth_dev_get_mtu(self.id().0, &raw mut mtu) };
        self.check("reading its MTU", status)?;
        Ok(mtu)
    }

    /// The state of its link now.
    pub fn link(&self) -> Result<Link, PortError> {
        let (mut up, mut speed) = (false, 0);
        // SAFETY: writes two values of those types.
        let status = unsafe { sys::dsys_eth_link(self.id().0, &raw mut up, &raw mut speed) };
        self.check("reading its link", status)?;
        let known = up && speed != 0 && speed != sys::RTE_ETH_SPEED_NUM_UNKNOWN;
        Ok(Link { up, speed_mbps: known.then_some(speed) })
    }

    /// Its counters now.
    pub fn stats(&self) -> Result<PortStats, PortError> {
        let mut counters = sys::rte_eth_stats::default();
        // SAFETY: writes to a struct of that type.
        let status = unsafe { sys::rte_eth_stats_get(self.id().0, &raw mut counters) };
        self.check("reading its counters", status)?;
        Ok(PortStats {
            ipackets: counters.ipackets,
            opackets: counters.opackets,
            ibytes: counters.ibytes,
            obytes: counters.obytes,
            imissed: counters.imissed,
            ierrors: counters.ierrors,
            oerrors: counters.oerrors,
            rx_nombuf: counters.rx_nombuf,
            queues: std::array::from_fn(|queue| QueueStats {
                ipackets: counters.q_ipackets[queue],
                opackets: counters.q_opackets[queue],
                ibytes: counters.q_ibytes[queue],
                obytes: counters.q_obytes[queue],
                errors: counters.q_errors[queue],
            }),
        })
    }

    fn check(&self, operation: &'static str, status: i32) -> Result<(), PortError> {
        check(&self.info.name, operation, status)
    }

    fn check_supported(&self, operation: &'static str, status: i32) -> Result<(), PortError> {
        if status == -libc::ENOTSUP { Ok(()) } else { self.check(operation, status) }
    }
}

/// What the device would refuse with no more than "invalid argument".
fn check_config(
    info: &PortInfo,
    config: &PortConfig,
    mempools: &[Mempool],
) -> Result<(), PortError> {
    let port = || info.name.clone();
    if config.rx_queues == 0 || config.tx_queues == 0 {
        return Err(PortError::NoQueue(port()));
    }
    if mempools.is_empty() {
        return Err(PortError::NoMempool(port()));
    }
    let directions = [
        ("RX", config.rx_queues, info.max_rx_queues),
        ("TX", config.tx_queues, info.max_tx_queues),
    ];
    for (direction, asked, offered) in directions {
        if asked > offered {
            return Err(PortError::TooFewQueues { port: port(), direction, asked, offered });
        }
    }
    if info.driver == "net_tap" && config.rx_queues != config.tx_queues {
        return Err(PortError::UnequalQueues(port()));
    }
    let (smallest, largest) = info.mtu_range;
    match config.mtu {
        Some(asked) if !(smallest..=largest).contains(&asked) => {
            Err(PortError::MtuOutOfRange { port: port(), asked, smallest, largest })
        }
        _ => Ok(()),
    }
}

/// A negative status is an errno.
fn check(port: &str, operation: &'static str, status: i32) -> Result<(), PortError> {
    if status >= 0 {
        return Ok(());
    }
    Err(PortError::Refused { port: port.to_owned(), operation, errno: Errno(-status) })
}

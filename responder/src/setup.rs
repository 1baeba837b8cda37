//! The start, in stages: each can fail with a sentence, and nothing is left behind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use dpdk::{Eal, LcoreId, Memory, Mempool, MempoolConfig, MempoolError, Port, PortConfig, tsc};
use otherhalf_engine::neighbour::Neighbours;
use otherhalf_engine::{BURST, Clock, Engine, PortId};
use otherhalf_pending::{Settings, Table};
use otherhalf_policy::limiter::{Limiter, Moment};
use otherhalf_wire::ethernet::{self, Mac};
use tracing::{info, warn};

use crate::config::{self, Config};
use crate::control::Control;
use crate::heartbeat::Heartbeats;
use crate::held;
use crate::kernel::ferry::{self, Ferry};
use crate::kernel::{self, Paths};
use crate::late;
use crate::links::Link;
use crate::lists::Lists;
use crate::neighbours::Cache;
use crate::nodes::Nodes;
use crate::queues::{Queues, Sharing};
use crate::relay;
use crate::shared::{Shared, Snapshot};
use crate::worker::{Prefetching, Worker};

/// Mbufs that each lcore keeps at hand.
const MEMPOOL_CACHE: u32 = 256;
/// The headroom of an mbuf (`RTE_PKTMBUF_HEADROOM`).
const HEADROOM: u16 = 128;
/// The room for a frame where no larger MTU is asked for.
const DATA_ROOM: u16 = 2048;
/// How long a frame may wait for a neighbour: a question, and one repetition of it.
pub(crate) const HOLD_MS: u64 = 2000;
/// How long the time stamp counter is measured at the start, for round-trip times that are right to a few parts in a million.
const CALIBRATION: Duration = Duration::from_millis(50);
/// How long frames are still taken in after the order to stop: a full queue is empty long before.
const DRAIN_MS: u64 = 100;

/// A responder that is ready to run.
pub struct Responder {
    /// The workers, not yet launched.
    pub workers: Vec<(LcoreId, Worker)>,
    /// The control thread's part.
    pub control: Control,
    /// The kernel's interfaces, with a thread that is not yet started.
    pub ferry: Ferry,
    /// DPDK; the last to go.
    pub eal: Eal,
}

impl Responder {
    /// Starts DPDK, waits for the ports that may come late, opens all ports and makes the workers of `config`.
    pub fn start(config: &Config) -> Result<Self> {
        let lists = Lists::load(config)?;
        let eal = start_eal(config)?;
        late::wait_for_ports(&eal, config, || false)?;
        Self::with(eal, config, lists)
    }

    /// The same; none if `told_to_end` while it waited.
    pub fn start_unless(config: &Config, told_to_end: impl Fn() -> bool) -> Result<Option<Self>> {
        let lists = Lists::load(config)?;
        let eal = start_eal(config)?;
        if !late::wait_for_ports(&eal, config, told_to_end)? {
            return Ok(None);
        }
        Self::with(eal, config, lists).map(Some)
    }

    /// The same on an environment that runs already: for a process that does more than respond. The
    /// workers get its first lcores; of `config.eal`, nothing is looked at. All ports must be there.
    pub fn on(eal: Eal, config: &Config) -> Result<Self> {
        Self::with(eal, config, Lists::load(config)?)
    }

    fn with(eal: Eal, config: &Config, lists: Lists) -> Result<Self> {
        let started = Instant::now();
        let nodes = Nodes::of(&eal, config)?;
        for warning in nodes.warnings(config) {
            warn!("{warning}");
        }
        let mempool = make_mempool(&eal, config, nodes.of_frames())?;
        let mut ports = Vec::new();
        let mut sharing = Sharing::new(config.workers.cpus.len());
        let mut ferry = Ferry::default();
        for (id, wanted) in (0u16..).map(PortId).zip(&config.port) {
            let (port, queues) = open_port(&eal, config, wanted, &mempool)
                .with_context(|| format!("port {:?}", wanted.device_name()))?;
            sharing.add(id, port.name(), queues);
            if let Some(kernel) = &wanted.kernel {
                ferry
                    .open(&eal, kernel, id, &port, &mempool)
                    .with_context(|| format!("the kernel's interface {:?}", kernel.interface))?;
            }
            ports.push(port);
        }
        let macs: Vec<Mac> = ports.iter().map(|port| Mac(port.mac())).collect();
        let network = config.network(&macs)?;
        for (interface, name) in network.interfaces().iter().zip(config.interface_names()) {
            let addresses: Vec<String> =
                interface.addresses.iter().map(ToString::to_string).collect();
            info!(interface = name, mac = %interface.mac, addresses = addresses.join(" "), "interface");
        }

        let clock = Clock::new(dpdk::measure_tsc_hz(CALIBRATION))
            .context("this machine's time stamp counter is too slow to measure with")?;
        let table = Arc::new(make_table(&eal, config, &clock, nodes.of_table())?);
        let neighbours = Cache::new(
            config.neighbours.entries,
            config.neighbours.reachable(),
            network.routers(),
            Instant::now(),
        );
        let policy = lists.policy(config)?;
        let snapshot = Snapshot { network, neighbours: Neighbours::default(), policy };
        let kernel = Paths::new(config.port.iter().map(|port| port.kernel.is_some()));
        let shared = Arc::new(
            Shared::new(snapshot, config.workers.cpus.len())
                .started_at(started)
                .with_kernel(kernel)
                .with_relays(sharing.relays())
                .with_limiter(make_limiter(&eal, config, &clock, nodes.of_table())),
        );
        let idle_sleep = Some(Duration::from_micros(config.workers.idle_sleep_us))
            .filter(|time| !time.is_zero());
        let workers = sharing.into_queues().enumerate().zip(eal.workers()).map(
            |((index, (rx, tx)), lcore)| {
                let round_trips = Arc::clone(&shared.workers[index].stats.round_trips);
                let engine = Engine::new(Arc::clone(&table), clock)
                    .counting_in(round_trips)
                    .limited_by(Arc::clone(&shared.limiter));
                let worker = Worker {
                    index,
                    engine,
                    shared: Arc::clone(&shared),
                    clock,
                    rx,
                    tx,
                    mempool: mempool.clone(),
                    idle_sleep,
                    hold_ticks: clock.ticks_in_ms(HOLD_MS),
                    drain_ticks: clock.ticks_in_ms(DRAIN_MS),
                };
                (*lcore, worker)
            },
        );
        let workers = workers.collect();
        let control = Control {
            shared,
            table,
            neighbours,
            interfaces: config.interface_names(),
            questions_dropped: 0,
            reloads: 0,
            links: ports.iter().map(Link::of).collect(),
            ports,
            members: eal.members(),
            mempool,
            dpdk: eal.version(),
            ticks_per_second: clock.hz(),
            heartbeats: Heartbeats::new(0, started),
            drain: None,
            expired: 0,
            oldest_pending: 0,
            config: config.clone(),
            lists,
            reading: None,
            asks: None,
            file: None,
            logs: None,
            macs,
            replaced: Vec::new(),
        };
        Ok(Self { workers, control, ferry, eal })
    }
}

fn start_eal(config: &Config) -> Result<Eal> {
    let megabytes = config.eal.memory_mb;
    let memory = if config.eal.huge_pages {
        Memory::Huge { megabytes }
    } else {
        Memory::NoHuge { megabytes }
    };
    let mut builder = Eal::builder(&config.eal.file_prefix, memory).telemetry(config.eal.telemetry);
    // Workers are numbered from 0; the control thread gets the number behind them.
    let lcores = (0..).map(LcoreId);
    for (lcore, cpu) in lcores.zip(&config.workers.cpus) {
        builder = builder.worker(lcore, *cpu);
    }
    let workers = u32::try_from(config.workers.cpus.len()).context("too many workers")?;
    builder = builder.main_lcore(LcoreId(workers), config.eal.control_cpus.iter().copied());
    for port in config.port.iter().filter(|port| port.wait_s == 0) {
        builder = if port.is_pci() {
            builder.pci(&port.device)
        } else {
            builder.vdev(port.device.as_str())
        };
    }
    for argument in &config.eal.extra {
        builder = builder.extra_argument(argument);
    }
    let eal = builder.init().context("DPDK's environment does not start")?;
    info!(
        version = eal.version(),
        memory_mb = megabytes,
        huge_pages = config.eal.huge_pages,
        file_prefix = config.eal.file_prefix,
        workers = ?config.workers.cpus,
        "DPDK"
    );
    Ok(eal)
}

/// The longest frame that a buffer has room for, in octets: one that is longer comes in several.
pub(crate) fn frame_room(config: &Config) -> usize {
    let mtu = config.port.iter().filter_map(|port| port.mtu).max().unwrap_or(0);
    let longest = usize::from(mtu) + ethernet::Link::MAX_LEN;
    // net_af_packet wants room for a frame of its ring (framesz), which has a header besides.
    usize::from(DATA_ROOM).max(longest.next_multiple_of(1024))
}

/// One mempool for all: each frame that a descriptor, a worker or a waiting place may hold, twice what caches may keep.
fn make_mempool(eal: &Eal, config: &Config, node: Option<u32>) -> Result<Mempool> {
    let workers = u32::try_from(config.workers.cpus.len()).context("too many workers")?;
    let descriptors: u32 = config
        .port
        .iter()
        .map(|port| workers * (u32::from(port.rx_descriptors) + u32::from(port.tx_descriptors)))
        .sum();
    // An interface of the kernel: its descriptors, both queues, and its thread's cache.
    let of_kernel =
        2 * (u32::from(ferry::DESCRIPTORS) + u32::try_from(kernel::ROOM)?) + 2 * MEMPOOL_CACHE;
    let kernels = u32::try_from(config.port.iter().filter(|port| port.kernel.is_some()).count())?;
    let per_worker = u32::try_from(held::ROOM + 2 * BURST)? + 2 * MEMPOOL_CACHE;
    // What workers hand each other, where a port has too few queues.
    let relayed = if workers > 1 { u32::try_from(relay::ROOM * config.port.len())? } else { 0 };
    // DPDK's own advice: a power of two less one uses memory best.
    let buffers = (descriptors + (workers + 1) * per_worker + kernels * of_kernel + relayed)
        .next_power_of_two()
        - 1;
    let room = u16::try_from(frame_room(config)).context("the MTU is too large")?;
    let data_room = room.checked_add(HEADROOM).context("the MTU is too large")?;
    let on = |socket| {
        let cache = MEMPOOL_CACHE;
        Mempool::new(eal, &MempoolConfig { name: "frames", buffers, cache, data_room, socket })
    };
    let mempool = match (on(node), node) {
        (Err(MempoolError::NoMemory { .. }), Some(near)) => {
            warn!(
                "NUMA node {near}, where frames are used, has no room for them: they are on another, which is slower; reserve hugepages on each node"
            );
            on(None)
        }
        (made, _) => made,
    };
    let mempool = mempool.with_context(|| {
        format!(
            "{buffers} frames of {data_room} bytes do not fit into eal.memory_mb = {}",
            config.eal.memory_mb
        )
    })?;
    info!(frames = buffers, bytes = u64::from(buffers) * u64::from(data_room), node, "mempool");
    Ok(mempool)
}

fn open_port(
    eal: &Eal,
    config: &Config,
    wanted: &config::Port,
    mempool: &Mempool,
) -> Result<(Port, Queues)> {
    let id = eal.port_by_name(wanted.device_name())?;
    let workers = u16::try_from(config.workers.cpus.len()).context("too many workers")?;
    let offered = eal.port_info(id)?;
    let queues = workers.min(offered.max_rx_queues).min(offered.max_tx_queues).max(1);
    let port_config = PortConfig {
        rx_queues: queues,
        tx_queues: queues,
        rx_descriptors: wanted.rx_descriptors,
        tx_descriptors: wanted.tx_descriptors,
        mtu: wanted.mtu,
        // Solicitations for our addresses come to multicast groups.
        all_multicast: true,
        promiscuous: wanted.promiscuous,
        verify_checksums: wanted.checksum_offload,
    };
    let mut port = Port::configure(eal, id, &port_config, std::slice::from_ref(mempool))?;
    let queues = port.start()?;
    if !Mac(port.mac()).is_unicast() {
        bail!("its hardware address {} is no station's", Mac(port.mac()));
    }
    if port.driver() == "net_tap" {
        info!(
            "net_tap's lines about rt-signals, multiq, flow rules and a secondary process are its usual ones"
        );
    }
    info!(
        port = port.name(),
        driver = port.driver(),
        mac = %Mac(port.mac()),
        queues = queues.0.len(),
        verifies = %port.rx_offloads(),
        link = port.link().is_ok_and(|link| link.up),
        "port"
    );
    Ok((port, queues))
}

fn make_table(
    eal: &Eal,
    config: &Config,
    clock: &Clock,
    node: Option<u32>,
) -> Result<Table<Prefetching>> {
    let secret = match config.pending.secret {
        Some(secret) => secret.0,
        None => [random()?, random()?],
    };
    let settings = Settings {
        entries: config.pending.entries,
        timeout_ticks: clock.ticks_in_ms(config.pending.timeout_ms),
        secret,
    };
    // Random look-ups in ordinary pages miss the address translation besides the cache.
    let buckets = Table::buckets_for(settings.entries)?;
    let memory = eal.zeroed_on(node, buckets).or_else(|| {
        let elsewhere = eal.zeroed(buckets)?;
        warn!("the workers' NUMA node has no room for the pending table: it is on another, which is slower");
        Some(elsewhere)
    });
    let table = if let Some(memory) = memory {
        Table::new_in(memory, settings)
    } else {
        warn!(
            "the pending table does not fit into eal.memory_mb = {}: it is in ordinary memory, which is slower",
            config.eal.memory_mb
        );
        Table::with_prefetch(settings)
    };
    let table = table.context("the pending table")?;
    info!(
        entries = table.capacity(),
        bytes = table.bytes(),
        node,
        timeout_ms = config.pending.timeout_ms,
        secret = if config.pending.secret.is_some() { "configured" } else { "random" },
        "pending table"
    );
    Ok(table)
}

/// What rates are counted in: in the EAL's memory as the table, if there is room.
fn make_limiter(eal: &Eal, config: &Config, clock: &Clock, node: Option<u32>) -> Limiter {
    let (lines, now) = (config.rate.lines, Moment::at_ns(clock.ns(tsc())));
    let count = Limiter::memory_for(lines);
    if let Some(memory) = eal.zeroed_on(node, count).or_else(|| eal.zeroed(count)) {
        return Limiter::new_in(memory, now);
    }
    warn!(
        "the counters of rates do not fit into eal.memory_mb = {}: they are in ordinary memory, which is slower",
        config.eal.memory_mb
    );
    Limiter::new(lines, now)
}

fn random() -> Result<u64> {
    getrandom::u64().context("the system gives no random numbers")
}

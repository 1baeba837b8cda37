//! The configuration file: TOML, every key known, every value checked before anything starts, and every mistake told.
//!
//! To add a key:
//!
//! 1. here, a field with its default in the section's struct (a new section: a struct, and a field of [`Config`]); secrets are not serialised, and
//!    `reload.rs` compares them by themselves;
//! 2. in `responder/otherhalfd.toml`, the key with what it is, its values and when a change is taken up; its form stands in [`keys`]. What a
//!    reload does with the key, its hints, the reference page and the manual page follow from there;
//! 3. what a value must be besides its type: a line in `check.rs`, and if need be a [`Problem`] with a hint;
//! 4. a case in `responder/tests/config/`, and `otherhalfd generate reference > docs/configuration.md`.
//!
//! A test finds a field that the file lacks, and a default that is another there.

pub mod keys;
mod values;
mod requests;
mod lists;
mod document;
mod read;
mod check;
mod load;
mod rate;
mod error;
mod mistake;
pub(crate) mod file;
pub mod machine;
pub mod print;
pub mod pages;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use otherhalf_wire::ethernet::VlanId;
use serde::{Deserialize, Serialize};

use crate::drain;

pub use error::{Error, Invalid, Problem};
pub use lists::{Access, Indirect, OptOut};
pub use load::Checked;
pub use mistake::Mistake;
pub use rate::{Rate, RateV4, RateV6};
pub use values::{FlowRange, Level, Mode, Secret};
use values::{addresses, vlan, vlan_number};

pub use requests::{BogonSources, Requests};

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// DPDK's environment.
    #[serde(default)]
    pub eal: Eal,
    /// The threads that move packets.
    #[serde(default)]
    pub workers: Workers,
    /// The ports, with their interfaces.
    #[serde(default)]
    pub port: Vec<Port>,
    /// Routes; the prefixes of the interfaces are there by themselves.
    #[serde(default)]
    pub route: Vec<Route>,
    /// The table of probes that wait for an answer.
    #[serde(default)]
    pub pending: Pending,
    /// What is answered besides requests, and the way that all replies take.
    #[serde(default)]
    pub reply: ReplyPath,
    /// Which requests are answered.
    #[serde(default)]
    pub requests: Requests,
    /// The probes that may be asked for.
    #[serde(default)]
    pub probe: Probes,
    /// Whose requests are taken.
    #[serde(default)]
    pub access: Access,
    /// Who is never probed.
    #[serde(default)]
    pub opt_out: OptOut,
    /// Who may have others traced, and whom.
    #[serde(default)]
    pub indirect: Indirect,
    /// How many probes requests may cause, and how much is answered besides.
    #[serde(default)]
    pub rate: Rate,
    /// The neighbours that are remembered.
    #[serde(default)]
    pub neighbours: Neighbours,
    /// Going out of service.
    #[serde(default)]
    pub drain: Drain,
    /// The socket by which the responder is told what to do.
    #[serde(default)]
    pub control: Control,
    /// The HTTP endpoint, for monitoring.
    #[serde(default)]
    pub http: Http,
    /// The log.
    #[serde(default)]
    pub log: Log,
}

/// DPDK's environment abstraction layer.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Eal {
    /// Hugepages; needed for hardware ports, not for virtual ones.
    pub huge_pages: bool,
    /// Memory reserved at start, in MB.
    pub memory_mb: u32,
    /// Names this instance among those on the machine.
    pub file_prefix: String,
    /// CPUs of the control thread.
    pub control_cpus: Vec<usize>,
    /// DPDK's own telemetry socket.
    pub telemetry: bool,
    /// Arguments handed to EAL as they are.
    pub extra: Vec<String>,
}

impl Default for Eal {
    fn default() -> Self {
        Self {
            huge_pages: true,
            memory_mb: 512,
            file_prefix: "otherhalf".into(),
            control_cpus: vec![0],
            telemetry: false,
            extra: Vec::new(),
        }
    }
}

/// The threads that move packets.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Workers {
    /// The CPU of each worker. Each polls a queue of its own on every port that has so many.
    pub cpus: Vec<usize>,
    /// How long a worker sleeps when there is nothing to do, in microseconds. 0: never, it polls,
    /// for the least delay and a core that is always busy.
    pub idle_sleep_us: u64,
}

impl Default for Workers {
    fn default() -> Self {
        Self { cpus: vec![1], idle_sleep_us: 0 }
    }
}

/// A port.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// A PCI address, or a virtual device with its driver's arguments.
    #[serde(default)]
    pub device: String,
    /// How long the start waits for the device, in seconds; 0: it must be there.
    #[serde(default)]
    pub wait_s: u64,
    /// Receive descriptors of each queue.
    #[serde(default = "descriptors")]
    pub rx_descriptors: u16,
    /// Transmit descriptors of each queue.
    #[serde(default = "descriptors")]
    pub tx_descriptors: u16,
    /// The largest IP packet, in bytes; none: what the device has.
    pub mtu: Option<u16>,
    /// Receive frames for other stations too (they are dropped and counted).
    #[serde(default)]
    pub promiscuous: bool,
    /// Have the device verify the checksums that it can; the rest is verified here either way.
    #[serde(default = "yes")]
    pub checksum_offload: bool,
    /// What it speaks IP by.
    #[serde(default)]
    pub interface: Vec<PortInterface>,
    /// An interface of the kernel that gets what the responder has no use for; none: such frames are dropped.
    pub kernel: Option<Kernel>,
}

/// An interface of the kernel with the hardware address of a port, for a routing daemon or SSH on the same port.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// Its name. It is there while the responder runs; its addresses are the system's to set.
    #[serde(default)]
    pub interface: String,
    /// What carries frames to it.
    #[serde(default)]
    pub driver: KernelDriver,
    /// Addresses that the kernel alone has: it gets all that is sent there.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// TCP ports of the responder's own addresses that are the kernel's, such as 179 and 22, at either end.
    #[serde(default)]
    pub tcp: Vec<u16>,
    /// UDP ports likewise.
    #[serde(default)]
    pub udp: Vec<u16>,
    /// Whether the kernel gets frames to groups and to all (OSPF, router advertisements, LLDP).
    #[serde(default)]
    pub multicast: bool,
    /// Frames that it gets at most, a second and worker: so many from neighbours, and so many from all others.
    #[serde(default = "kernel_frames")]
    pub frames_per_second: u32,
}

/// See [`Kernel`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelDriver {
    /// A tap: on every kernel.
    #[default]
    Tap,
    /// virtio with the kernel's vhost-net, which takes fewer system calls.
    VhostNet,
}

const fn kernel_frames() -> u32 {
    10_000
}

const fn descriptors() -> u16 {
    1024
}

const fn yes() -> bool {
    true
}

/// Whether `device` is a PCI address (domain:bus:device.function), and so hardware.
#[must_use]
pub fn is_pci(device: &str) -> bool {
    let mut parts = device.rsplitn(3, ':');
    let hex = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_hexdigit());
    let (Some(slot), Some(bus)) = (parts.next(), parts.next()) else { return false };
    let Some((device, function)) = slot.split_once('.') else { return false };
    hex(bus) && hex(device) && hex(function) && parts.next().is_none_or(hex)
}

impl Port {
    /// See [`is_pci`].
    #[must_use]
    pub fn is_pci(&self) -> bool {
        is_pci(&self.device)
    }

    /// The name that DPDK knows the device by.
    #[must_use]
    pub fn device_name(&self) -> &str {
        self.device.split(',').next().unwrap_or_default()
    }
}

/// A port's frames of one VLAN, or those without.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PortInterface {
    /// What routes and logs call it; by default the device's name, and the VLAN behind a dot.
    pub name: Option<String>,
    /// The VLAN; none: untagged frames.
    #[serde(default, deserialize_with = "vlan", serialize_with = "vlan_number")]
    pub vlan: Option<VlanId>,
    /// Own addresses, each with the length of the prefix that is on the link.
    #[serde(default, deserialize_with = "addresses")]
    pub addresses: Vec<IpNet>,
}

impl PortInterface {
    /// The interface's name.
    #[must_use]
    pub fn name(&self, port: &Port) -> String {
        match (&self.name, self.vlan) {
            (Some(name), _) => name.clone(),
            (None, Some(vlan)) => format!("{}.{}", port.device_name(), vlan.get()),
            (None, None) => port.device_name().to_owned(),
        }
    }
}

/// A route.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The prefix.
    #[serde(default)]
    pub to: IpNet,
    /// The router.
    #[serde(default = "nowhere")]
    pub via: IpAddr,
    /// The interface; needed for a link-local router.
    pub interface: Option<String>,
    /// Of several routes to one prefix, that with the least number is taken whose router answers and whose port has a
    /// link; if there is none, the least of all.
    #[serde(default)]
    pub preference: u32,
}

/// No router: a key that must be there is missed by `read.rs`, not by serde, which would stop at it.
const fn nowhere() -> IpAddr {
    IpAddr::V4(Ipv4Addr::UNSPECIFIED)
}

/// The table of probes that wait for an answer.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pending {
    /// Probes that can wait at once.
    pub entries: usize,
    /// How long an answer is waited for, in milliseconds.
    pub timeout_ms: u64,
    /// 32 hexadecimal digits; random at each start unless several machines share an address.
    #[serde(skip_serializing)]
    pub secret: Option<Secret>,
}

impl Default for Pending {
    fn default() -> Self {
        Self { entries: 1 << 20, timeout_ms: 5000, secret: None }
    }
}

/// What is answered besides requests, and the way that all replies take.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplyPath {
    /// By the routes, or back to the neighbour that the frame came from.
    pub path: PathKind,
    /// Answer UDP and TCP to own addresses as a host without services does, so that forward traces end here.
    pub closed_ports: bool,
}

impl Default for ReplyPath {
    fn default() -> Self {
        Self { path: PathKind::Route, closed_ports: true }
    }
}

/// See [`ReplyPath`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PathKind {
    /// As the routes say: what a reverse trace is to show.
    #[default]
    Route,
    /// Back to the neighbour that the frame came from.
    Hairpin,
}

/// The probes that may be asked for.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Probes {
    /// Whether a router's answer must quote the identification that the IPv4 probe was sent with. Without, forged answers are
    /// believed 32768 times as easily; turn it off only if a middlebox near by rewrites the identification (`drop_forged` grows with
    /// each trace).
    pub check_identification: bool,
    /// Echo requests.
    pub icmp: Probe,
    /// SYNs.
    pub tcp: Probe,
    /// Datagrams.
    pub udp: Probe,
}

impl Default for Probes {
    fn default() -> Self {
        let [icmp, tcp, udp] = Default::default();
        Self { check_identification: true, icmp, tcp, udp }
    }
}

/// The probes of one protocol.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Probe {
    /// Whether they are sent at all.
    pub enabled: bool,
    /// Flows that may be asked for: numbers or ranges. UDP and TCP: destination ports; ICMP: checksums.
    pub flows: Vec<FlowRange>,
    /// The flow of a request without a wish; by default the protocol's own (53, 80, 0xbeaf).
    pub default_flow: Option<u16>,
}

impl Default for Probe {
    fn default() -> Self {
        Self { enabled: true, flows: vec![FlowRange(0..=u16::MAX)], default_flow: None }
    }
}

/// The neighbours that are remembered.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Neighbours {
    /// How many at most. When it is full, who talks to us takes the place of one that does not answer; others are not
    /// learned, and counted.
    pub entries: usize,
    /// How long an answer is believed before the neighbour is asked again, in seconds. A router that went away is noticed
    /// at most three seconds after that.
    pub reachable_s: u64,
}

impl Default for Neighbours {
    fn default() -> Self {
        Self { entries: 4096, reachable_s: 30 }
    }
}

impl Neighbours {
    /// How long an answer is believed.
    #[must_use]
    pub const fn reachable(&self) -> Duration {
        Duration::from_secs(self.reachable_s)
    }
}

/// The socket by which the responder is told what to do, and asked how it is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Control {
    /// Its path; none: there is no socket. The folder is made if it is not there.
    pub socket: Option<PathBuf>,
    /// Who may use it, as a file's mode.
    pub mode: Mode,
    /// The group that it belongs to; none: the process's own.
    pub group: Option<String>,
}

/// The HTTP endpoint, for monitoring.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// The addresses to listen at, of the machine's own network; none: there is no endpoint.
    pub listen: Vec<SocketAddr>,
}

/// The log, which is on stderr.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// From which level on events are worth a line.
    pub level: Level,
    /// The form of a line.
    pub format: LogFormat,
    /// Who reads the lines.
    pub target: LogTarget,
}

/// See [`Log`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// See [`Log`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogTarget {
    /// journald, if systemd says that stderr goes there.
    #[default]
    Auto,
    /// Whoever reads stderr.
    Stderr,
    /// journald: each line has its level in front.
    Journald,
}

/// Going out of service without a loss.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Drain {
    /// How long requests are still answered after the responder said that it is not ready, in milliseconds: as long as others need
    /// to send them elsewhere, such as by a route that is withdrawn.
    pub grace_ms: u64,
    /// How long answers are waited for after that, in milliseconds, if probes still wait.
    pub deadline_ms: u64,
}

impl Default for Drain {
    fn default() -> Self {
        Self { grace_ms: 0, deadline_ms: 5000 }
    }
}

impl Drain {
    /// The times.
    #[must_use]
    pub const fn times(&self) -> drain::Times {
        drain::Times {
            grace: Duration::from_millis(self.grace_ms),
            deadline: Duration::from_millis(self.deadline_ms),
        }
    }
}

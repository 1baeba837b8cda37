//! The configuration file: TOML, every key known, every value checked before anything starts.

mod error;
mod check;

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use otherhalf_wire::ethernet::VlanId;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use crate::drain;

pub use error::{Error, Invalid, Problem};

/// The whole file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
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
    /// The probes that may be asked for.
    #[serde(default)]
    pub probe: Probes,
    /// The neighbours that are remembered.
    #[serde(default)]
    pub neighbours: Neighbours,
    /// Going out of service.
    #[serde(default)]
    pub drain: Drain,
    /// The socket by which the responder is told what to do.
    #[serde(default)]
    pub control: Control,
}

/// DPDK's environment abstraction layer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Workers {
    /// The CPU of each worker. Each polls a queue of its own on every port.
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
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// A PCI address, or a virtual device with its driver's arguments.
    pub device: String,
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
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// Its name. It is there while the responder runs; its addresses are the system's to set.
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortInterface {
    /// What routes and logs call it; by default the device's name, and the VLAN behind a dot.
    pub name: Option<String>,
    /// The VLAN; none: untagged frames.
    #[serde(default, deserialize_with = "vlan")]
    pub vlan: Option<VlanId>,
    /// Own addresses, each with the length of the prefix that is on the link.
    #[serde(deserialize_with = "addresses")]
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

fn addresses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| address(text).map_err(de::Error::custom)).collect()
}

fn address(text: &str) -> Result<IpNet, String> {
    text.parse().map_err(|_| match text.parse::<std::net::IpAddr>() {
        Ok(ip) if ip.is_ipv4() => {
            format!("{text} lacks the length of its prefix: write it as {text}/24")
        }
        Ok(_) => format!("{text} lacks the length of its prefix: write it as {text}/64"),
        Err(_) => {
            format!("{text:?} is no address with the length of its prefix, such as 192.0.2.2/24")
        }
    })
}

fn vlan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<VlanId>, D::Error> {
    let id = u16::deserialize(deserializer)?;
    VlanId::new(id)
        .map(Some)
        .ok_or_else(|| de::Error::custom(format!("{id} is no VLAN: they are 1 to 4094")))
}

/// A route.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The prefix.
    pub to: IpNet,
    /// The router.
    pub via: std::net::IpAddr,
    /// The interface; needed for a link-local router.
    pub interface: Option<String>,
}

/// The table of probes that wait for an answer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pending {
    /// Probes that can wait at once.
    pub entries: usize,
    /// How long an answer is waited for, in milliseconds.
    pub timeout_ms: u64,
    /// 32 hexadecimal digits; random at each start unless several machines share an address.
    pub secret: Option<Secret>,
}

impl Default for Pending {
    fn default() -> Self {
        Self { entries: 1 << 20, timeout_ms: 5000, secret: None }
    }
}

/// A secret of 128 bits. Never shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u64; 2]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // `from_str_radix` takes a sign.
        let digits = text.len() == 32 && text.chars().all(|c| c.is_ascii_hexdigit());
        match u128::from_str_radix(&text, 16) {
            Ok(value) if digits => {
                let (high, low) = (value >> 64, value & u128::from(u64::MAX));
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "the halves of 128 bits have 64"
                )]
                Ok(Self([high as u64, low as u64]))
            }
            _ => Err(de::Error::custom(
                "a secret has 32 hexadecimal digits: make one with `openssl rand -hex 16`",
            )),
        }
    }
}

/// What is answered besides requests, and the way that all replies take.
#[derive(Debug, Clone, PartialEq, Deserialize)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathKind {
    /// As the routes say: what a reverse trace is to show.
    #[default]
    Route,
    /// Back to the neighbour that the frame came from.
    Hairpin,
}

/// The probes that may be asked for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Deserialize)]
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

/// A number, or a range such as "33434-33534".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowRange(pub RangeInclusive<u16>);

impl FromStr for FlowRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| {
            part.trim()
                .parse::<u16>()
                .map_err(|_| format!("{part:?} in {text:?} is no flow: they are 0 to 65535"))
        };
        let (from, to) = match text.split_once('-') {
            Some((from, to)) => (number(from)?, number(to)?),
            None => (number(text)?, number(text)?),
        };
        if from > to {
            Err(format!("the range {text:?} runs backwards"))
        } else {
            Ok(Self(from..=to))
        }
    }
}

impl<'de> Deserialize<'de> for FlowRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrRange;
        impl Visitor<'_> for NumberOrRange {
            type Value = FlowRange;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number from 0 to 65535 or a range such as \"33434-33534\"")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<FlowRange, E> {
                let flow = u16::try_from(value)
                    .map_err(|_| E::custom(format!("{value} is no flow: they are 0 to 65535")))?;
                Ok(FlowRange(flow..=flow))
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<FlowRange, E> {
                value.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(NumberOrRange)
    }
}

/// The neighbours that are remembered.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Neighbours {
    /// How many at most; more are not learned, and counted.
    pub entries: usize,
}

impl Default for Neighbours {
    fn default() -> Self {
        Self { entries: 4096 }
    }
}

/// The socket by which the responder is told what to do, and asked how it is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Control {
    /// Its path; none: there is no socket. The folder is made if it is not there.
    pub socket: Option<PathBuf>,
    /// Who may use it, as a file's mode.
    pub mode: Mode,
    /// The group that it belongs to; none: the process's own.
    pub group: Option<String>,
}

/// A file's mode: three octal digits, in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(pub u32);

impl Default for Mode {
    fn default() -> Self {
        Self(0o660)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match u32::from_str_radix(&text, 8) {
            Ok(mode @ 0..=0o777) if text.chars().all(|c| c.is_ascii_digit()) => Ok(Self(mode)),
            _ => Err(de::Error::custom(format!("{text:?} is no file mode: write it as \"0660\""))),
        }
    }
}

/// Going out of service without a loss.
#[derive(Debug, Clone, PartialEq, Deserialize)]
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

impl Config {
    /// Reads and checks the file at `path`.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Checks what the file at `path` says.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let config: Self =
            toml::from_str(text).map_err(|source| Error::parse(path, text, &source))?;
        config.check().map_err(|source| Error::Invalid { path: path.to_owned(), source })?;
        Ok(config)
    }
}

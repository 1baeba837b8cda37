//! The configuration file: TOML, every key known, every value checked before anything starts.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ipnet::IpNet;
use otherhalf_engine::network::{self, Interface, Network, StaticRoute};
use otherhalf_engine::policy::{Flows, Policy, Reply};
use otherhalf_engine::{InterfaceId, PortId};
use otherhalf_wire::ethernet::{Mac, VlanId};
use otherhalf_wire::probe::Protocol;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

/// Why a file is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It can't be read.
    #[error("can't read the configuration {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is no TOML, or has a key or value that does not belong there.
    #[error("{}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, column and cause.
        source: Box<toml::de::Error>,
    },
    /// Its parts do not fit together.
    #[error("{}: {source}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: Invalid,
    },
}

/// What does not fit together in a configuration.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// No port.
    #[error("there is no [[port]]: a responder needs at least one")]
    NoPort,
    /// A port without interface.
    #[error(
        "port {device:?} has no [[port.interface]] with addresses: nothing could be asked of it"
    )]
    NoInterface {
        /// The port's device.
        device: String,
    },
    /// An interface without address.
    #[error("interface {name:?} has no addresses")]
    NoAddress {
        /// The interface.
        name: String,
    },
    /// Two ports on one device.
    #[error("two [[port]] have the device {0:?}")]
    SameDevice(String),
    /// Two interfaces with one name.
    #[error("two interfaces have the name {0:?}")]
    SameName(String),
    /// A route by an interface that is not there.
    #[error(
        "the route to {to} names the interface {interface:?}, which does not exist; there are {known}"
    )]
    NoSuchInterface {
        /// The route.
        to: IpNet,
        /// What it names.
        interface: String,
        /// What there is.
        known: String,
    },
    /// No worker.
    #[error("workers.cpus is empty: name one CPU for each worker")]
    NoWorker,
    /// The default flow can't be asked for.
    #[error("probe.{protocol}: default_flow {flow} is not within flows")]
    DefaultFlow {
        /// The protocol's key.
        protocol: &'static str,
        /// Its default flow.
        flow: u16,
    },
    /// A number out of its range.
    #[error("{key} = {value} is out of range: {range}")]
    Range {
        /// The key.
        key: &'static str,
        /// Its value.
        value: u64,
        /// What would be in range.
        range: &'static str,
    },
    /// Addresses and routes contradict each other.
    #[error(transparent)]
    Network(#[from] network::Error),
}

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
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
    /// The way that replies take.
    #[serde(default)]
    pub reply: ReplyPath,
    /// The probes that may be asked for.
    #[serde(default)]
    pub probe: Probes,
    /// The neighbours that are remembered.
    #[serde(default)]
    pub neighbours: Neighbours,
}

/// DPDK's environment abstraction layer.
#[derive(Debug, Clone, Deserialize)]
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
#[derive(Debug, Clone, Deserialize)]
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
#[derive(Debug, Clone, Deserialize)]
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
    /// What it speaks IP by.
    #[serde(default)]
    pub interface: Vec<PortInterface>,
}

const fn descriptors() -> u16 {
    1024
}

impl Port {
    /// Whether the device is a PCI address (domain:bus:device.function), and so hardware.
    #[must_use]
    pub fn is_pci(&self) -> bool {
        let mut parts = self.device.rsplitn(3, ':');
        let hex = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_hexdigit());
        let (Some(slot), Some(bus)) = (parts.next(), parts.next()) else { return false };
        let Some((device, function)) = slot.split_once('.') else { return false };
        hex(bus) && hex(device) && hex(function) && parts.next().is_none_or(hex)
    }

    /// The name that DPDK knows the device by.
    #[must_use]
    pub fn device_name(&self) -> &str {
        self.device.split(',').next().unwrap_or_default()
    }
}

/// A port's frames of one VLAN, or those without.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortInterface {
    /// What routes and logs call it; by default the device's name, and the VLAN behind a dot.
    pub name: Option<String>,
    /// The VLAN; none: untagged frames.
    #[serde(default, deserialize_with = "vlan")]
    pub vlan: Option<VlanId>,
    /// Own addresses, each with the length of the prefix that is on the link.
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

fn vlan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<VlanId>, D::Error> {
    let id = u16::deserialize(deserializer)?;
    VlanId::new(id)
        .map(Some)
        .ok_or_else(|| de::Error::custom(format!("{id} is no VLAN: they are 1 to 4094")))
}

/// A route.
#[derive(Debug, Clone, Deserialize)]
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
#[derive(Debug, Clone, Deserialize)]
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

/// The way that replies take.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReplyPath {
    /// By the routes, or back to the neighbour that the frame came from.
    pub path: PathKind,
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
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Probes {
    /// Echo requests.
    pub icmp: Probe,
    /// SYNs.
    pub tcp: Probe,
    /// Datagrams.
    pub udp: Probe,
}

/// The probes of one protocol.
#[derive(Debug, Clone, Deserialize)]
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
#[derive(Debug, Clone, Deserialize)]
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

impl Config {
    /// Reads and checks the file at `path`.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let config: Self = toml::from_str(&text)
            .map_err(|source| Error::Parse { path: path.to_owned(), source: Box::new(source) })?;
        config.check().map_err(|source| Error::Invalid { path: path.to_owned(), source })?;
        Ok(config)
    }

    /// Whether the parts fit together.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.port.is_empty() {
            return Err(Invalid::NoPort);
        }
        if self.workers.cpus.is_empty() {
            return Err(Invalid::NoWorker);
        }
        in_range(
            "pending.timeout_ms",
            self.pending.timeout_ms,
            1..=3_600_000,
            "1 to 3600000 (an hour)",
        )?;
        in_range(
            "workers.idle_sleep_us",
            self.workers.idle_sleep_us,
            0..=10_000,
            "0 to 10000 (10 ms)",
        )?;
        in_range("pending.entries", self.pending.entries as u64, 1..=1 << 32, "1 to 4294967296")?;
        in_range(
            "neighbours.entries",
            self.neighbours.entries as u64,
            1..=1 << 20,
            "1 to 1048576",
        )?;
        let mut names: Vec<String> = Vec::new();
        for (place, port) in self.port.iter().enumerate() {
            let device = port.device_name();
            if self.port.iter().take(place).any(|other| other.device_name() == device) {
                return Err(Invalid::SameDevice(device.to_owned()));
            }
            if port.interface.is_empty() {
                return Err(Invalid::NoInterface { device: device.to_owned() });
            }
            for interface in &port.interface {
                let name = interface.name(port);
                if interface.addresses.is_empty() {
                    return Err(Invalid::NoAddress { name });
                }
                if names.contains(&name) {
                    return Err(Invalid::SameName(name));
                }
                names.push(name);
            }
        }
        self.policy()?;
        // The hardware addresses are not known before the ports are open, and do not matter here.
        self.network(&vec![Mac([2, 0, 0, 0, 0, 0]); self.port.len()])?;
        Ok(())
    }

    /// The names of the interfaces, in the order of their [`InterfaceId`].
    #[must_use]
    pub fn interface_names(&self) -> Vec<String> {
        self.port
            .iter()
            .flat_map(|port| port.interface.iter().map(|interface| interface.name(port)))
            .collect()
    }

    /// The network, with the hardware addresses `macs` of the ports.
    pub fn network(&self, macs: &[Mac]) -> Result<Network, Invalid> {
        let names = self.interface_names();
        let ports = (0u16..).map(PortId).zip(macs).zip(&self.port);
        let interfaces = ports.flat_map(|((id, mac), port)| {
            port.interface.iter().map(move |interface| Interface {
                port: id,
                vlan: interface.vlan,
                mac: *mac,
                addresses: interface.addresses.clone(),
            })
        });
        let mut routes = Vec::new();
        for route in &self.route {
            let by_name = |wanted: &String| {
                let mut ids = (0u16..).map(InterfaceId).zip(&names);
                ids.find(|(_, name)| *name == wanted).map(|(id, _)| id).ok_or_else(|| {
                    Invalid::NoSuchInterface {
                        to: route.to,
                        interface: wanted.clone(),
                        known: names.join(", "),
                    }
                })
            };
            let interface = route.interface.as_ref().map(by_name).transpose()?;
            routes.push(StaticRoute { to: route.to, via: route.via, interface });
        }
        Ok(Network::new(interfaces.collect(), &routes)?)
    }

    /// What is allowed.
    pub fn policy(&self) -> Result<Policy, Invalid> {
        Ok(Policy {
            icmp: flows("icmp", Protocol::Icmp, &self.probe.icmp)?,
            tcp: flows("tcp", Protocol::Tcp, &self.probe.tcp)?,
            udp: flows("udp", Protocol::Udp, &self.probe.udp)?,
            reply: match self.reply.path {
                PathKind::Route => Reply::Route,
                PathKind::Hairpin => Reply::Hairpin,
            },
        })
    }
}

fn flows(key: &'static str, protocol: Protocol, probe: &Probe) -> Result<Option<Flows>, Invalid> {
    if !probe.enabled {
        return Ok(None);
    }
    let default = probe.default_flow.unwrap_or(protocol.default_flow());
    let flows =
        Flows { allowed: probe.flows.iter().map(|range| range.0.clone()).collect(), default };
    if flows.allow(default) {
        Ok(Some(flows))
    } else {
        Err(Invalid::DefaultFlow { protocol: key, flow: default })
    }
}

fn in_range(
    key: &'static str,
    value: u64,
    range: RangeInclusive<u64>,
    text: &'static str,
) -> Result<(), Invalid> {
    if range.contains(&value) { Ok(()) } else { Err(Invalid::Range { key, value, range: text }) }
}

//! Whether the parts of a configuration fit together, and what the engine makes of them.

use std::ops::RangeInclusive;
use std::slice;

use ipnet::IpNet;
use otherhalf_engine::kernel::Exceptions;
use otherhalf_engine::network::{self, Interface, Network, StaticRoute};
use otherhalf_engine::policy::{Flows, Policy, Reply};
use otherhalf_engine::{InterfaceId, PortId};
use otherhalf_wire::ethernet::Mac;
use otherhalf_wire::probe::Protocol;

use super::{Config, Invalid, Kernel, PathKind, Port, Probe, Problem};

impl Config {
    /// Whether the parts fit together.
    pub fn check(&self) -> Result<(), Invalid> {
        self.check_numbers()?;
        self.check_ports()?;
        self.check_routes()?;
        self.policy()?;
        // The hardware addresses are not known before the ports are open, and do not matter here.
        self.network(&vec![Mac([2, 0, 0, 0, 0, 0]); self.port.len()])?;
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), Invalid> {
        let Self { eal, workers, pending, neighbours, drain, .. } = self;
        if workers.cpus.is_empty() {
            return Err(Invalid::new("workers.cpus", Problem::NoWorker));
        }
        if eal.control_cpus.is_empty() {
            return Err(Invalid::new("eal.control_cpus", Problem::NoControlCpu));
        }
        let usable = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let prefix = eal.file_prefix.as_str();
        let named = !prefix.is_empty() && prefix.len() <= 64 && !prefix.starts_with('.');
        if !named || !prefix.chars().all(usable) {
            return Err(Invalid::new("eal.file_prefix", Problem::FilePrefix(prefix.to_owned())));
        }
        in_range("eal.memory_mb", eal.memory_mb, 1..=1 << 20, "1 to 1048576 (a terabyte)")?;
        in_range("workers.idle_sleep_us", workers.idle_sleep_us, 0..=10_000, "0 to 10000 (10 ms)")?;
        // As many as a pending table takes (otherhalf_pending::Settings).
        in_range("pending.entries", pending.entries as u64, 1..=1 << 30, "1 to 1073741824")?;
        in_range(
            "pending.timeout_ms",
            pending.timeout_ms,
            1..=3_600_000,
            "1 to 3600000 (an hour)",
        )?;
        let ten_minutes = "0 to 600000 (10 minutes)";
        in_range("drain.grace_ms", drain.grace_ms, 0..=600_000, ten_minutes)?;
        in_range("drain.deadline_ms", drain.deadline_ms, 0..=600_000, ten_minutes)?;
        in_range("neighbours.entries", neighbours.entries as u64, 1..=1 << 20, "1 to 1048576")
    }

    fn check_ports(&self) -> Result<(), Invalid> {
        if self.port.is_empty() {
            return Err(Invalid::new("port", Problem::NoPort));
        }
        let mut names: Vec<String> = Vec::new();
        for (place, port) in self.port.iter().enumerate() {
            let key = |rest: &str| format!("port[{place}].{rest}");
            check_device(port).map_err(|problem| Invalid::new(key("device"), problem))?;
            let device = port.device_name();
            let earlier = self.port.iter().take(place);
            if let Some(other) = earlier.map(Port::device_name).position(|name| name == device) {
                let device = device.to_owned();
                return Err(Invalid::new(key("device"), Problem::SameDevice { device, other }));
            }
            let descriptors = "1 to 32768";
            in_range(&key("rx_descriptors"), port.rx_descriptors, 1..=32768, descriptors)?;
            in_range(&key("tx_descriptors"), port.tx_descriptors, 1..=32768, descriptors)?;
            if let Some(mtu) = port.mtu {
                // What IPv6 asks for at least (RFC 8200 §5), and what a mempool's buffers can be.
                in_range(&key("mtu"), mtu, 1280..=65000, "1280 to 65000")?;
            }
            if let Some(kernel) = &port.kernel {
                self.check_kernel(place, kernel)?;
            }
            if port.interface.is_empty() {
                let device = device.to_owned();
                return Err(Invalid::new(key("interface"), Problem::NoInterface { device }));
            }
            for (place, interface) in port.interface.iter().enumerate() {
                let key = |rest: &str| key(&format!("interface[{place}].{rest}"));
                if interface.addresses.is_empty() {
                    return Err(Invalid::new(key("addresses"), Problem::NoAddress));
                }
                if let Some(prefix) = interface.addresses.iter().find(|prefix| !is_host(prefix)) {
                    return Err(Invalid::new(key("addresses"), Problem::NotAHost(*prefix)));
                }
                let name = interface.name(port);
                if names.contains(&name) {
                    return Err(Invalid::new(key("name"), Problem::SameName(name)));
                }
                names.push(name);
            }
        }
        Ok(())
    }

    fn check_kernel(&self, place: usize, kernel: &Kernel) -> Result<(), Invalid> {
        let key = |rest: &str| format!("port[{place}].kernel.{rest}");
        let name = kernel.interface.as_str();
        if !is_interface_name(name) {
            return Err(Invalid::new(key("interface"), Problem::InterfaceName(name.to_owned())));
        }
        let mut earlier = self.port.iter().take(place).filter_map(|port| port.kernel.as_ref());
        if earlier.any(|other| other.interface == name) {
            return Err(Invalid::new(key("interface"), Problem::SameName(name.to_owned())));
        }
        for (list, ports) in [("tcp", &kernel.tcp), ("udp", &kernel.udp)] {
            for port in ports {
                in_range(&key(list), *port, 1..=65535, "1 to 65535")?;
            }
        }
        let frames = kernel.frames_per_second;
        in_range(&key("frames_per_second"), frames, 1..=1_000_000, "1 to 1000000")
    }

    fn check_routes(&self) -> Result<(), Invalid> {
        for (place, route) in self.route.iter().enumerate() {
            let to = route.to.trunc();
            if to != route.to {
                let problem = Problem::HostBits { to: route.to, network: to };
                return Err(Invalid::new(format!("route[{place}].to"), problem));
            }
            let mut earlier = self.route.iter().take(place);
            if let Some(other) = earlier.position(|earlier| earlier.to.trunc() == to) {
                let problem = Problem::SameRoute { to, other };
                return Err(Invalid::new(format!("route[{place}].to"), problem));
            }
        }
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
        let ports = (0u16..).map(PortId).zip(macs).zip(&self.port);
        let interfaces: Vec<Interface> = ports
            .flat_map(|((id, mac), port)| {
                port.interface.iter().map(move |interface| Interface {
                    port: id,
                    vlan: interface.vlan,
                    mac: *mac,
                    addresses: interface.addresses.clone(),
                })
            })
            .collect();
        let routes = self.static_routes()?;
        let network = Network::new(interfaces.clone(), &routes)
            .map_err(|error| Invalid::new(self.place_of(&error, &interfaces, &routes), error))?;
        let all = self.exceptions();
        let fails = |count: &usize| {
            network.clone().with_kernel(all.iter().take(*count).cloned().collect()).is_err()
        };
        let wrong = (1..=all.len()).find(fails).and_then(|count| all.get(count - 1));
        let place = wrong.map_or(0, |(port, _)| port.0);
        network
            .with_kernel(all)
            .map_err(|error| Invalid::new(format!("port[{place}].kernel.addresses"), error))
    }

    /// What the kernel gets, by port.
    fn exceptions(&self) -> Vec<(PortId, Exceptions)> {
        let ports = (0u16..).map(PortId).zip(&self.port);
        let exceptions = |kernel: &Kernel| Exceptions {
            addresses: kernel.addresses.clone(),
            tcp: kernel.tcp.clone(),
            udp: kernel.udp.clone(),
            multicast: kernel.multicast,
            frames_per_second: kernel.frames_per_second.into(),
        };
        ports.filter_map(|(id, port)| Some((id, exceptions(port.kernel.as_ref()?)))).collect()
    }

    fn static_routes(&self) -> Result<Vec<StaticRoute>, Invalid> {
        let names = self.interface_names();
        let by_name = |place: usize, wanted: &String| {
            let mut ids = (0u16..).map(InterfaceId).zip(&names);
            ids.find(|(_, name)| *name == wanted).map(|(id, _)| id).ok_or_else(|| {
                let problem =
                    Problem::NoSuchInterface { interface: wanted.clone(), known: names.join(", ") };
                Invalid::new(format!("route[{place}].interface"), problem)
            })
        };
        let routes = self.route.iter().enumerate().map(|(place, route)| {
            let interface =
                route.interface.as_ref().map(|name| by_name(place, name)).transpose()?;
            Ok(StaticRoute { to: route.to, via: route.via, interface })
        });
        routes.collect()
    }

    /// The key that `error` is about: that of the first part with which it shows.
    fn place_of(
        &self,
        error: &network::Error,
        interfaces: &[Interface],
        routes: &[StaticRoute],
    ) -> String {
        use network::Error as E;
        let key = match error {
            E::TooManyInterfaces => return "port".into(),
            E::SameInterface { .. } => "vlan",
            E::NotUnicast(_) | E::SameAddress(_) | E::KernelAddress(_) => "addresses",
            E::UnreachableRouter(_) | E::OwnRouter(_) | E::FamilyMismatch { .. } => "via",
            E::LinkLocalRouter(_) | E::NoSuchInterface(_) => "interface",
        };
        let mut keys = self.port.iter().enumerate().flat_map(|(port_place, port)| {
            (0..port.interface.len())
                .map(move |place| format!("port[{port_place}].interface[{place}].{key}"))
        });
        let fails = |count: &usize| {
            let first = interfaces.get(..*count).unwrap_or_default();
            Network::new(first.to_vec(), &[]).is_err()
        };
        if let Some(count) = (1..=interfaces.len()).find(fails) {
            return keys.nth(count - 1).unwrap_or_default();
        }
        let fails = |route: &StaticRoute| {
            Network::new(interfaces.to_vec(), slice::from_ref(route)).is_err()
        };
        let place = routes.iter().position(fails).unwrap_or_default();
        format!("route[{place}].{key}")
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
            check_identification: self.probe.check_identification,
            // The control thread's to set, not the configuration's.
            draining: false,
            closed_ports: self.reply.closed_ports,
        })
    }
}

fn check_device(port: &Port) -> Result<(), Problem> {
    let name = port.device_name();
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(Problem::NoDevice(name.to_owned()));
    }
    if port.is_pci() && port.device.matches(':').count() == 1 {
        return Err(Problem::NoPciDomain(port.device.clone()));
    }
    Ok(())
}

/// Whether the kernel takes it for the name of an interface (`dev_valid_name`), and DPDK in its arguments.
fn is_interface_name(name: &str) -> bool {
    (1..=15).contains(&name.len())
        && !name.starts_with('.')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// Whether it is the address of a host in a network, and not what the network itself is called
/// (RFC 1122 §3.2.1.3; RFC 4291 §2.6.1, where it means the routers). A link of two or one needs all addresses.
fn is_host(prefix: &IpNet) -> bool {
    let shared = prefix.max_prefix_len() - prefix.prefix_len() > 1;
    let broadcast = prefix.addr().is_ipv4() && prefix.addr() == prefix.broadcast();
    !(shared && (prefix.addr() == prefix.network() || broadcast))
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
        let problem = Problem::DefaultFlow { protocol: key, flow: default };
        Err(Invalid::new(format!("probe.{key}.default_flow"), problem))
    }
}

fn in_range(
    key: &str,
    value: impl Into<u64>,
    range: RangeInclusive<u64>,
    text: &'static str,
) -> Result<(), Invalid> {
    let value = value.into();
    if range.contains(&value) {
        Ok(())
    } else {
        Err(Invalid::new(key, Problem::Range { value, range: text }))
    }
}

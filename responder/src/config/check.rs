//! Whether the parts of a configuration fit together, and what the engine makes of them.

mod network;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use otherhalf_engine::policy::{Flows, Policy, Reply};
use otherhalf_wire::probe::Protocol;

use super::{Config, Invalid, Kernel, Mistake, PathKind, Port, Probe, Probes, Problem};

/// Ports, and interfaces on all of them together. A worker looks for a frame's interface one by one.
const MOST_INTERFACES: usize = 256;
/// Own addresses, on all interfaces together; looked through one by one, too.
const MOST_ADDRESSES: usize = 512;

/// What was found so far.
struct Findings<'a> {
    /// What could not be read: nothing is said of that again, nor of what follows from it.
    unread: &'a [Mistake],
    invalid: Vec<Invalid>,
}

impl Findings<'_> {
    /// Whether something is wrong with `key`, or a part of it.
    fn has(&self, key: &str) -> bool {
        self.unread.iter().any(|mistake| mistake.concerns(key))
    }

    fn add(&mut self, key: impl Into<String>, problem: impl Into<Problem>) {
        let key = key.into();
        if !self.has(&key) {
            self.invalid.push(Invalid::new(key, problem));
        }
    }

    fn in_range(&mut self, key: &str, value: impl Into<u64>, range: RangeInclusive<u64>) {
        let value = value.into();
        if !range.contains(&value) {
            self.add(key, Problem::Range { value, range });
        }
    }
}

impl Config {
    /// Whether the parts fit together; if not, the first that does not.
    pub fn check(&self) -> Result<(), Invalid> {
        self.check_besides(&[]).into_iter().next().map_or(Ok(()), Err)
    }

    /// All that does not fit together, but for what follows from the mistakes `unread`.
    pub(super) fn check_besides(&self, unread: &[Mistake]) -> Vec<Invalid> {
        let mut found = Findings { unread, invalid: Vec::new() };
        self.check_numbers(&mut found);
        let small = self.check_size().map_err(|problem| found.add("port", problem)).is_ok();
        if small {
            self.check_ports(&mut found);
        }
        self.check_routes(&mut found);
        for Invalid { key, problem } in self.requests.mistakes() {
            found.add(key, problem);
        }
        for (key, protocol, probe) in self.probes() {
            if let Err(problem) = flows(key, protocol, probe) {
                found.add(format!("probe.{key}.default_flow"), problem);
            }
        }
        self.check_rates(&mut found);
        if small {
            self.check_network(&mut found);
        }
        found.invalid
    }

    fn check_numbers(&self, found: &mut Findings<'_>) {
        let Self { eal, workers, pending, neighbours, drain, .. } = self;
        if workers.cpus.is_empty() {
            found.add("workers.cpus", Problem::NoWorker);
        }
        if eal.control_cpus.is_empty() {
            found.add("eal.control_cpus", Problem::NoControlCpu);
        }
        let usable = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let prefix = eal.file_prefix.as_str();
        let named = !prefix.is_empty() && prefix.len() <= 64 && !prefix.starts_with('.');
        if !named || !prefix.chars().all(usable) {
            found.add("eal.file_prefix", Problem::FilePrefix(prefix.to_owned()));
        }
        // A terabyte.
        found.in_range("eal.memory_mb", eal.memory_mb, 1..=1 << 20);
        found.in_range("workers.idle_sleep_us", workers.idle_sleep_us, 0..=10_000);
        // As many as a pending table takes (otherhalf_pending::Settings).
        found.in_range("pending.entries", pending.entries as u64, 1..=1 << 30);
        // An hour.
        found.in_range("pending.timeout_ms", pending.timeout_ms, 1..=3_600_000);
        // Ten minutes.
        found.in_range("drain.grace_ms", drain.grace_ms, 0..=600_000);
        found.in_range("drain.deadline_ms", drain.deadline_ms, 0..=600_000);
        found.in_range("neighbours.entries", neighbours.entries as u64, 1..=1 << 16);
        // An hour.
        found.in_range("neighbours.reachable_s", neighbours.reachable_s, 1..=3600);
    }

    fn check_rates(&self, found: &mut Findings<'_>) {
        let rate = &self.rate;
        // A minute, and as many lines as are 4 GB.
        found.in_range("rate.burst_ms", rate.burst_ms, 1..=60_000);
        found.in_range("rate.lines", rate.lines as u64, 1..=1 << 26);
        let before = found.invalid.len();
        // So that one is sent within a burst; above, the times between probes are too short to be told apart.
        let least = 1000_u64.div_ceil(rate.burst_ms.max(1));
        for (key, value) in rate.each() {
            found.in_range(key, value, least..=1_000_000);
        }
        if found.invalid.len() == before
            && let Err(unkept) = rate.limit()
        {
            found.add("rate.burst_ms", unkept);
        }
    }

    /// Whether there is little enough of it to look at each with each other.
    fn check_size(&self) -> Result<(), Problem> {
        let interfaces = || self.port.iter().flat_map(|port| &port.interface);
        let addresses = interfaces().map(|interface| interface.addresses.len()).sum::<usize>();
        for (what, count, most) in [
            ("ports", self.port.len(), MOST_INTERFACES),
            ("interfaces", interfaces().count(), MOST_INTERFACES),
            ("addresses", addresses, MOST_ADDRESSES),
        ] {
            if count > most {
                return Err(Problem::TooMany { what, count, most });
            }
        }
        Ok(())
    }

    fn check_ports(&self, found: &mut Findings<'_>) {
        if self.port.is_empty() {
            found.add("port", Problem::NoPort);
        }
        let mut names: Vec<String> = Vec::new();
        for (place, port) in self.port.iter().enumerate() {
            let key = |rest: &str| format!("port[{place}].{rest}");
            if let Err(problem) = check_device(port) {
                found.add(key("device"), problem);
            }
            let device = port.device_name();
            let mut earlier = self.port.iter().take(place).map(Port::device_name);
            if let Some(other) = earlier.position(|name| name == device && !name.is_empty()) {
                let device = device.to_owned();
                found.add(key("device"), Problem::SameDevice { device, other });
            }
            // An hour.
            found.in_range(&key("wait_s"), port.wait_s, 0..=3600);
            if port.wait_s > 0 && port.is_pci() {
                found.add(key("wait_s"), Problem::CannotWait);
            }
            found.in_range(&key("rx_descriptors"), port.rx_descriptors, 1..=32768);
            found.in_range(&key("tx_descriptors"), port.tx_descriptors, 1..=32768);
            if let Some(mtu) = port.mtu {
                // What IPv6 asks for at least (RFC 8200 §5), and what a mempool's buffers can be.
                found.in_range(&key("mtu"), mtu, 1280..=65000);
            }
            if let Some(kernel) = &port.kernel {
                self.check_kernel(place, kernel, found);
            }
            if port.interface.is_empty() {
                found.add(key("interface"), Problem::NoInterface { device: device.to_owned() });
            }
            for (place, interface) in port.interface.iter().enumerate() {
                let key = |rest: &str| key(&format!("interface[{place}].{rest}"));
                if interface.addresses.is_empty() {
                    found.add(key("addresses"), Problem::NoAddress);
                }
                for (place, prefix) in interface.addresses.iter().enumerate() {
                    if !is_host(prefix) {
                        found.add(key(&format!("addresses[{place}]")), Problem::NotAHost(*prefix));
                    }
                }
                let name = interface.name(port);
                if names.contains(&name) && (interface.name.is_some() || !found.has(&key("vlan"))) {
                    found.add(key("name"), Problem::SameName(name));
                } else {
                    names.push(name);
                }
            }
        }
    }

    fn check_kernel(&self, place: usize, kernel: &Kernel, found: &mut Findings<'_>) {
        let key = |rest: &str| format!("port[{place}].kernel.{rest}");
        let name = kernel.interface.as_str();
        if !is_interface_name(name) {
            found.add(key("interface"), Problem::InterfaceName(name.to_owned()));
        }
        let mut earlier = self.port.iter().take(place).filter_map(|port| port.kernel.as_ref());
        if earlier.any(|other| other.interface == name) {
            found.add(key("interface"), Problem::SameName(name.to_owned()));
        }
        for (list, ports) in [("tcp", &kernel.tcp), ("udp", &kernel.udp)] {
            for (place, port) in ports.iter().enumerate() {
                found.in_range(&key(&format!("{list}[{place}]")), *port, 1..=65535);
            }
        }
        found.in_range(&key("frames_per_second"), kernel.frames_per_second, 1..=1_000_000);
    }

    fn check_routes(&self, found: &mut Findings<'_>) {
        let mut places: HashMap<(IpNet, u32), usize> = HashMap::new();
        for (place, route) in self.route.iter().enumerate() {
            let key = format!("route[{place}].to");
            if found.has(&key) {
                continue;
            }
            let to = route.to.trunc();
            if to != route.to {
                found.add(&key, Problem::HostBits { to: route.to, network: to });
            }
            match places.entry((to, route.preference)) {
                Entry::Occupied(other) => {
                    found.add(key, Problem::SameRoute { to, other: *other.get() });
                }
                Entry::Vacant(free) => {
                    free.insert(place);
                }
            }
        }
    }

    /// The probes of each protocol, by their keys.
    const fn probes(&self) -> [(&'static str, Protocol, &Probe); 3] {
        let Probes { icmp, tcp, udp, .. } = &self.probe;
        [("icmp", Protocol::Icmp, icmp), ("tcp", Protocol::Tcp, tcp), ("udp", Protocol::Udp, udp)]
    }

    /// What is allowed.
    pub fn policy(&self) -> Result<Policy, Invalid> {
        let [icmp, tcp, udp] = self.probes().map(|(key, protocol, probe)| {
            flows(key, protocol, probe)
                .map_err(|problem| Invalid::new(format!("probe.{key}.default_flow"), problem))
        });
        let rate = self.rate.limit().map_err(|unkept| Invalid::new("rate", unkept))?;
        Ok(Policy {
            rate,
            allowances: self.rate.allowances(),
            icmp: icmp?,
            tcp: tcp?,
            udp: udp?,
            reply: match self.reply.path {
                PathKind::Route => Reply::Route,
                PathKind::Hairpin => Reply::Hairpin,
            },
            check_identification: self.probe.check_identification,
            // The control thread's to set, not the configuration's.
            draining: false,
            // Of lists in files, which are read apart.
            access: None,
            indirect: None,
            closed_ports: self.reply.closed_ports,
            bogons: self.requests.bogons(),
            strict_source: self.requests.strict_source,
            least_request: self.requests.least_request(),
            unpadded: self.requests.unpadded(),
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

fn flows(key: &'static str, protocol: Protocol, probe: &Probe) -> Result<Option<Flows>, Problem> {
    if !probe.enabled {
        return Ok(None);
    }
    let default = probe.default_flow.unwrap_or(protocol.default_flow());
    let flows =
        Flows { allowed: probe.flows.iter().map(|range| range.0.clone()).collect(), default };
    if flows.allow(default) {
        Ok(Some(flows))
    } else {
        Err(Problem::DefaultFlow { protocol: key, flow: default })
    }
}

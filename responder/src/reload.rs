//! A new configuration for a running responder: what of it is taken up at once, and what waits for the next start.

use crate::config::{Config, Port, PortInterface};

/// What comes of a new configuration.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What runs from now on: the new configuration where it can be taken up, the running one elsewhere.
    pub config: Config,
    /// Paths of the keys that are taken up now.
    pub changed: Vec<String>,
    /// Paths of the keys that changed and take effect at the next start.
    pub restart: Vec<String>,
}

/// Notes the fields of two structs that differ, as paths under a prefix.
macro_rules! differing {
    ($keys:expr, $prefix:expr, $old:expr, $new:expr, [$($field:ident),+ $(,)?]) => {
        $(if $old.$field != $new.$field {
            $keys.push(format!("{}{}", $prefix, stringify!($field)));
        })+
    };
}

impl Plan {
    /// Of what `running` becomes `new`, which was checked.
    ///
    /// Taken up are the interfaces' addresses, the routes, the probes and the replies: all that workers go by as one snapshot. What DPDK,
    /// memory and threads were made by at the start stays, and so do all interfaces if their number or names differ.
    #[must_use]
    pub fn new(running: &Config, new: &Config) -> Self {
        let (mut changed, mut restart) = (Vec::new(), Vec::new());
        differing!(
            restart,
            "eal.",
            running.eal,
            new.eal,
            [huge_pages, memory_mb, file_prefix, control_cpus, telemetry, extra]
        );
        differing!(restart, "workers.", running.workers, new.workers, [cpus, idle_sleep_us]);
        differing!(
            restart,
            "pending.",
            running.pending,
            new.pending,
            [entries, timeout_ms, secret]
        );
        differing!(restart, "neighbours.", running.neighbours, new.neighbours, [entries]);
        differing!(restart, "control.", running.control, new.control, [socket, mode, group]);
        differing!(changed, "reply.", running.reply, new.reply, [path, closed_ports]);
        differing!(
            changed,
            "probe.",
            running.probe,
            new.probe,
            [check_identification, icmp, tcp, udp]
        );
        differing!(changed, "drain.", running.drain, new.drain, [grace_ms, deadline_ms]);
        differing!(changed, "", running, new, [route]);
        let port = ports(running, new, &mut changed, &mut restart);
        let config = Config {
            eal: running.eal.clone(),
            workers: running.workers.clone(),
            pending: running.pending.clone(),
            neighbours: running.neighbours.clone(),
            control: running.control.clone(),
            port,
            ..new.clone()
        };
        Self { config, changed, restart }
    }
}

/// The running ports, with the new addresses if they have the same interfaces.
fn ports(
    running: &Config,
    new: &Config,
    changed: &mut Vec<String>,
    restart: &mut Vec<String>,
) -> Vec<Port> {
    let devices = |config: &Config| -> Vec<String> {
        config.port.iter().map(|port| port.device_name().to_owned()).collect()
    };
    if devices(running) != devices(new) {
        restart.push("port".to_owned());
        return running.port.clone();
    }
    let mut ports = running.port.clone();
    for (place, (port, new)) in ports.iter_mut().zip(&new.port).enumerate() {
        let prefix = format!("port[{place}].");
        differing!(
            restart,
            prefix,
            port,
            new,
            [device, rx_descriptors, tx_descriptors, mtu, promiscuous, checksum_offload, kernel]
        );
        let names = |port: &Port| -> Vec<_> {
            let name = |interface: &PortInterface| (interface.name(port), interface.vlan);
            port.interface.iter().map(name).collect()
        };
        if names(port) != names(new) {
            restart.push(format!("{prefix}interface"));
            continue;
        }
        for (place, (old, new)) in port.interface.iter_mut().zip(&new.interface).enumerate() {
            let prefix = format!("{prefix}interface[{place}].");
            differing!(changed, prefix, old, new, [addresses]);
            old.addresses.clone_from(&new.addresses);
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const FILE: &str = "
        [workers]
        cpus = [1]
        [[port]]
        device = \"net_null0\"
        [[port.interface]]
        addresses = [\"192.0.2.2/24\"]
        [[route]]
        to = \"0.0.0.0/0\"
        via = \"192.0.2.1\"
        [probe]
        check_identification = true
    ";

    fn config(change: [&str; 2]) -> Config {
        let text = FILE.replace(change[0], change[1]);
        assert!(text != FILE || change[0] == change[1]);
        Config::parse(&text, Path::new("test.toml")).unwrap()
    }

    fn plan(change: [&str; 2]) -> (Plan, Config) {
        let new = config(change);
        (Plan::new(&config(["", ""]), &new), new)
    }

    #[test]
    fn nothing_new() {
        let (plan, new) = plan(["", ""]);
        assert!(plan.changed.is_empty() && plan.restart.is_empty());
        assert_eq!(plan.config, new);
    }

    #[test]
    fn what_is_taken_up_at_once() {
        for (change, key) in [
            (["192.0.2.2/24", "192.0.2.3/24"], "port[0].interface[0].addresses"),
            (["via = \"192.0.2.1\"", "via = \"192.0.2.9\""], "route"),
            (
                ["check_identification = true", "check_identification = false"],
                "probe.check_identification",
            ),
            (["[probe]", "[reply]\nclosed_ports = false\n[probe]"], "reply.closed_ports"),
            (["[probe]", "[probe.tcp]\nenabled = false\n[probe]"], "probe.tcp"),
        ] {
            let (plan, new) = plan(change);
            assert_eq!(plan.changed, [key]);
            assert!(plan.restart.is_empty(), "{:?}", plan.restart);
            assert_eq!(plan.config, new, "{key}");
        }
    }

    #[test]
    fn what_waits_for_a_start() {
        let running = config(["", ""]);
        for (change, key) in [
            (["cpus = [1]", "cpus = [1, 2]"], "workers.cpus"),
            (["[workers]", "[eal]\nmemory_mb = 64\n[workers]"], "eal.memory_mb"),
            (["[probe]", "[pending]\ntimeout_ms = 9\n[probe]"], "pending.timeout_ms"),
            (["net_null0", "net_null1"], "port"),
            (["net_null0\"", "net_null0\"\nmtu = 9000"], "port[0].mtu"),
            (["[[port.interface]]", "[[port.interface]]\nvlan = 7"], "port[0].interface"),
        ] {
            let (plan, _) = plan(change);
            assert_eq!(plan.restart, [key]);
            assert!(plan.changed.is_empty(), "{:?}", plan.changed);
            assert_eq!(plan.config, running, "{key}");
        }
    }
}

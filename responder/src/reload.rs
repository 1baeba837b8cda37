//! A new configuration for a running responder: what of it is taken up at once, and what waits for the next start.

use toml::{Table, Value};

use crate::config::keys::{self, Change};
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

/// A configuration that can't be compared: it has a value that TOML can't express, which none that was read has.
#[derive(Debug, thiserror::Error)]
pub enum Incomparable {
    /// It can't be written.
    #[error("the configuration can't be compared with the running one: {0}")]
    Write(#[from] toml::ser::Error),
    /// What was written can't be read again.
    #[error("the configuration can't be merged with the running one: {0}")]
    Read(#[from] toml::de::Error),
}

impl Plan {
    /// Of what `running` becomes `new`, which was checked.
    ///
    /// Which keys are taken up is said by the commented default file ([`keys`]): all that workers go by as one snapshot. What DPDK,
    /// memory and threads were made by at the start stays, and so do all interfaces of a port if their number or names differ.
    pub fn new(running: &Config, new: &Config) -> Result<Self, Incomparable> {
        let (changed, restart) = compare(running, new)?;
        let (old, mut merged) = (Table::try_from(running)?, Table::try_from(new)?);
        for path in &restart {
            keep(&mut merged, &old, path);
        }
        let mut config: Config = merged.try_into()?;
        config.pending.secret = running.pending.secret;
        Ok(Self { config, changed, restart })
    }
}

/// Paths of the keys that differ between `running` and `new` and take effect at the next start.
pub fn restart_keys(running: &Config, new: &Config) -> Result<Vec<String>, Incomparable> {
    Ok(compare(running, new)?.1)
}

/// Paths of the keys that differ: those that are taken up now, and those that wait for a start.
fn compare(running: &Config, new: &Config) -> Result<(Vec<String>, Vec<String>), Incomparable> {
    let (old, table) = (Table::try_from(running)?, Table::try_from(new)?);
    let mut paths = Vec::new();
    for section in names(&old, &table).filter(|name| *name != "port") {
        match (old.get(section), table.get(section)) {
            (Some(Value::Table(old)), Some(Value::Table(new))) => {
                differing(&mut paths, &format!("{section}."), old, new, &[]);
            }
            (old, new) if old != new => paths.push(section.to_owned()),
            _ => {}
        }
    }
    ports(&mut paths, running, new)?;
    let restarts = |path: &String| keys::change_of(path) == Change::Restart;
    let (mut restart, changed): (Vec<_>, Vec<_>) = paths.into_iter().partition(restarts);
    // Secrets are in no table.
    if running.pending.secret != new.pending.secret {
        restart.push("pending.secret".to_owned());
    }
    Ok((changed, restart))
}

/// The names in either table.
fn names<'a>(old: &'a Table, new: &'a Table) -> impl Iterator<Item = &'a str> {
    let added = new.keys().filter(|name| !old.contains_key(*name));
    old.keys().chain(added).map(String::as_str)
}

/// Notes the keys of two tables that differ, as paths under a prefix.
fn differing(paths: &mut Vec<String>, prefix: &str, old: &Table, new: &Table, but: &[&str]) {
    let names = names(old, new).filter(|name| !but.contains(name));
    let differ = names.filter(|name| old.get(*name) != new.get(*name));
    paths.extend(differ.map(|name| format!("{prefix}{name}")));
}

/// The same of the ports: by their places if they are the same, and so with their interfaces.
fn ports(paths: &mut Vec<String>, running: &Config, new: &Config) -> Result<(), Incomparable> {
    let devices = |config: &Config| -> Vec<String> {
        config.port.iter().map(|port| port.device_name().to_owned()).collect()
    };
    if devices(running) != devices(new) {
        paths.push("port".to_owned());
        return Ok(());
    }
    for (place, (old, new)) in running.port.iter().zip(&new.port).enumerate() {
        let prefix = format!("port[{place}].");
        let tables = (Table::try_from(old)?, Table::try_from(new)?);
        differing(paths, &prefix, &tables.0, &tables.1, &["interface", "kernel"]);
        match (&old.kernel, &new.kernel) {
            (Some(old), Some(new)) => {
                let (old, new) = (Table::try_from(old)?, Table::try_from(new)?);
                differing(paths, &format!("{prefix}kernel."), &old, &new, &[]);
            }
            (None, None) => {}
            _ => paths.push(format!("{prefix}kernel")),
        }
        let names = |port: &Port| -> Vec<_> {
            let name = |interface: &PortInterface| (interface.name(port), interface.vlan);
            port.interface.iter().map(name).collect()
        };
        if names(old) != names(new) {
            paths.push(format!("{prefix}interface"));
            continue;
        }
        for (place, (old, new)) in old.interface.iter().zip(&new.interface).enumerate() {
            let prefix = format!("{prefix}interface[{place}].");
            let (old, new) = (Table::try_from(old)?, Table::try_from(new)?);
            // They are the same, whether written or not.
            differing(paths, &prefix, &old, &new, &["name", "vlan"]);
        }
    }
    Ok(())
}

/// Gives `path` in `table` the value that it has in `old`.
fn keep(table: &mut Table, old: &Table, path: &str) {
    let (part, rest) = path.split_once('.').map_or((path, None), |(part, rest)| (part, Some(rest)));
    let (name, place) = part.split_once('[').unwrap_or((part, ""));
    let Some(rest) = rest else {
        match old.get(name) {
            Some(value) => table.insert(name.to_owned(), value.clone()),
            None => table.remove(name),
        };
        return;
    };
    let inner = match (table.get_mut(name), old.get(name)) {
        (Some(Value::Table(table)), Some(Value::Table(old))) => Some((table, old)),
        (Some(Value::Array(tables)), Some(Value::Array(old))) => {
            let place = place.trim_end_matches(']').parse().unwrap_or(usize::MAX);
            let table = tables.get_mut(place).and_then(Value::as_table_mut);
            table.zip(old.get(place).and_then(Value::as_table))
        }
        _ => None,
    };
    if let Some((table, old)) = inner {
        keep(table, old, rest);
    }
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
        (Plan::new(&config(["", ""]), &new).unwrap(), new)
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
            (["[[route]]", "[port.kernel]\ninterface = \"k0\"\n[[route]]"], "port[0].kernel"),
            (["[probe]", "[control]\nsocket = \"/run/a\"\n[probe]"], "control.socket"),
            (
                ["[probe]", "[pending]\nsecret = \"00112233445566778899aabbccddeeff\"\n[probe]"],
                "pending.secret",
            ),
        ] {
            let (plan, _) = plan(change);
            assert_eq!(plan.restart, [key]);
            assert!(plan.changed.is_empty(), "{:?}", plan.changed);
            assert_eq!(plan.config, running, "{key}");
        }
    }

    #[test]
    fn what_the_kernel_gets_is_taken_up_but_by_the_same_interface() {
        let with = |kernel: &str| {
            config(["[[route]]", &format!("[port.kernel]\ninterface = {kernel}\n[[route]]")])
        };
        let running = with("\"k0\"\ntcp = [22]");
        let new = with("\"k0\"\ntcp = [22, 179]\naddresses = [\"192.0.2.3\"]");
        let plan = Plan::new(&running, &new).unwrap();
        assert_eq!(plan.changed, ["port[0].kernel.addresses", "port[0].kernel.tcp"]);
        assert!(plan.restart.is_empty());
        assert_eq!(plan.config, new);
        let plan = Plan::new(&running, &with("\"k1\"\ntcp = [179]")).unwrap();
        assert_eq!(plan.restart, ["port[0].kernel.interface"]);
        assert_eq!(plan.config, with("\"k0\"\ntcp = [179]"));
    }

    #[test]
    fn what_waits_holds_nothing_else_up() {
        let running = config(["", ""]);
        let text = FILE
            .replace("cpus = [1]", "cpus = [1, 2]")
            .replace("device = \"net_null0\"", "device = \"net_null0\"\nmtu = 9000")
            .replace("192.0.2.2/24", "192.0.2.3/24");
        let new = Config::parse(&text, Path::new("test.toml")).unwrap();
        let plan = Plan::new(&running, &new).unwrap();
        assert_eq!(plan.restart, ["workers.cpus", "port[0].mtu"]);
        assert_eq!(plan.restart, restart_keys(&running, &new).unwrap());
        assert_eq!(plan.changed, ["port[0].interface[0].addresses"]);
        let mut expected = running.clone();
        expected.port[0].interface[0].addresses = new.port[0].interface[0].addresses.clone();
        assert_eq!(plan.config, expected);
        // And back.
        let back = Plan::new(&new, &running).unwrap();
        assert_eq!(back.restart, plan.restart);
    }
}

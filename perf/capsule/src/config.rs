//! The configuration file: addresses, the pending table, and capsule's own section.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use capsule::config::RuntimeConfig;
use ipnet::IpNet;
use otherhalf_engine::{Interface, Network, PortId};
use otherhalf_pending::{Settings, Table};
use otherhalf_wire::ethernet::Mac;
use serde::Deserialize;

use crate::answers::NS_A_MS;

/// What the file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The port's addresses, each with the prefix that is on the link.
    pub addresses: Vec<IpNet>,
    /// The pending table.
    #[serde(default)]
    pub pending: Pending,
    /// capsule's own: application, cores, mempool, ports. See `capsule::config`.
    pub capsule: RuntimeConfig,
}

/// The pending table, by the names that `otherhalfd` has for it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pending {
    /// Probes that may wait.
    pub entries: usize,
    /// How long, in milliseconds.
    pub timeout_ms: u64,
    /// 32 hexadecimal digits; random where there are none.
    pub secret: Option<String>,
}

impl Default for Pending {
    fn default() -> Self {
        Self { entries: 1 << 20, timeout_ms: 5000, secret: None }
    }
}

impl Config {
    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not right", path.display()))
    }

    /// Reads and checks a file's text.
    pub fn parse(text: &str) -> Result<Self> {
        let config: Self = toml::from_str(text)?;
        ensure!(
            config.capsule.ports.len() == 1,
            "give it one port: its replies go back by the one that they came by"
        );
        // What can be wrong with the addresses does not depend on the hardware address.
        config.network(Mac([2, 0, 0, 0, 0, 1]))?;
        Ok(config)
    }

    /// The network of a port with the hardware address `mac`.
    pub fn network(&self, mac: Mac) -> Result<Network> {
        let addresses = self.addresses.clone();
        let interface = Interface { port: PortId(0), vlan: None, mac, addresses };
        Ok(Network::new(vec![interface], &[])?)
    }

    /// The pending table, whose ticks are nanoseconds.
    pub fn table(&self) -> Result<Table> {
        let secret = match &self.pending.secret {
            Some(digits) => secret(digits)?,
            None => [getrandom::u64()?, getrandom::u64()?],
        };
        let timeout_ticks = self.pending.timeout_ms.saturating_mul(NS_A_MS);
        let settings = Settings { entries: self.pending.entries, timeout_ticks, secret };
        Table::new(settings).context("the pending table")
    }
}

fn secret(digits: &str) -> Result<[u64; 2]> {
    let right = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    ensure!(right, "a secret has 32 hexadecimal digits: make one with `openssl rand -hex 16`");
    let (high, low) = digits.split_at(16);
    Ok([u64::from_str_radix(high, 16)?, u64::from_str_radix(low, 16)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        addresses = ["192.0.2.80/24"]
        capsule = { app_name = "x", master_core = 1, ports = [
            { name = "wire", device = "net_null0", cores = [0] },
        ] }
    "#;

    #[test]
    fn a_secret_is_two_words() {
        let words = secret("00112233445566778899aabbccddeeff").unwrap();
        assert_eq!(words, [0x0011_2233_4455_6677, 0x8899_aabb_ccdd_eeff]);
        for wrong in ["", "+0112233445566778899aabbccddeeff", "00112233445566778899aabbccddeef"] {
            assert!(secret(wrong).unwrap_err().to_string().contains("32 hexadecimal digits"));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(Config::parse(GOOD).unwrap().pending.entries, 1 << 20);
        for (from, to, sentence) in [
            ("192.0.2.80", "224.0.0.1", "not a unicast address"),
            (
                "cores = [0] },",
                "cores = [0] }, { name = \"y\", device = \"z\", cores = [0] },",
                "one port",
            ),
            ("addresses", "adresses", "unknown field"),
        ] {
            let error = Config::parse(&GOOD.replace(from, to)).unwrap_err();
            assert!(format!("{error:#}").contains(sentence), "{error:#}");
        }
    }
}

//! What is asked of the responder, and how the network answers: a TOML file, every key known.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use otherhalf_responder::config::Secret;
use otherhalf_wire::probe::Protocol;
use serde::Deserialize;

use crate::addresses::MAX_CLIENTS;
use crate::aim::{self, FIRST_CLIENT};
use crate::flood::Flood;
use crate::plan::Transaction;
use crate::steering::Steering;

/// Why a file is no scenario.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It can't be read.
    #[error("can't read the scenario {}: {source}", path.display())]
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
    /// Its values do not fit.
    #[error("{}: {key}: {rule}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What would fit.
        rule: &'static str,
    },
}

/// A scenario.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// One sentence: what it is for.
    pub about: String,
    /// How many clients ask in turn: a power of two up to 131072. 1: all that is asked for meets in one target.
    #[serde(default = "clients")]
    pub clients: u32,
    /// The clients' address family; mixed: every other client has IPv6.
    #[serde(default)]
    pub family: Families,
    /// The probes' protocols, in equal shares.
    #[serde(default = "protocols")]
    pub protocols: Vec<ProtocolName>,
    /// The least and the greatest TTL asked for, and all between, in equal shares.
    #[serde(default = "ttl")]
    pub ttl: [u8; 2],
    /// Probes of this TTL or more reach the client, which answers itself. None: no probe does.
    pub target_at: Option<u8>,
    /// What the client answers a TCP probe with.
    #[serde(default)]
    pub tcp_port: TcpPort,
    /// The least and the greatest flow asked for, and all between, in equal shares.
    #[serde(default = "flows")]
    pub flows: [u16; 2],
    /// How much of a probe routers quote.
    #[serde(default)]
    pub quote: Quoted,
    /// How long the network takes to answer a probe, in microseconds.
    #[serde(default)]
    pub delay_us: u32,
    /// How much longer at most; evenly spread.
    #[serde(default)]
    pub jitter_us: u32,
    /// The share of probes that nothing answers, 0 to 1. 1: the table of pending probes fills.
    #[serde(default)]
    pub loss: f64,
    /// Probes left unanswered before the measurement, so that the table is in use.
    #[serde(default)]
    pub standing: u32,
    /// Pings for each request, 0 to 1.
    #[serde(default)]
    pub ping: f64,
    /// Frames that are none of the responder's business, for each request, 0 to 1.
    #[serde(default)]
    pub junk: f64,
    /// Requests that nobody answers and whose probes all need the same two buckets of the responder's pending table, for
    /// each request, 0 to 1. They need `pending_entries` and `pending_secret`.
    #[serde(default)]
    pub aimed: f64,
    /// How many of them differ; eight fill two buckets.
    #[serde(default = "aimed_keys")]
    pub aimed_keys: u16,
    /// On which queue answers come, where the profile has several.
    #[serde(default)]
    pub steering: Steering,
    /// When a transaction counts as lost, in milliseconds.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u32,
    /// Entries of the responder's pending table; none: as its configuration says.
    pub pending_entries: Option<u32>,
    /// The responder's own time-out, in milliseconds; none: as its configuration says.
    pub pending_timeout_ms: Option<u32>,
    /// The secret of the responder's pending table; none: as its configuration says.
    pub pending_secret: Option<Secret>,
    /// What `ramp` does, where its command line does not say otherwise.
    pub ramp: Option<Ramp>,
    /// The aimed requests, once they were [looked for](Self::take_aim).
    #[serde(skip)]
    pub aims: Vec<Transaction>,
    /// The floods that steps may name by their place.
    #[serde(skip)]
    pub floods: Vec<Flood>,
}

/// The loads of a ramp.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    /// The greatest window of the closed loops.
    #[serde(default = "most")]
    pub most: usize,
    /// Open loops, as parts and multiples of the most that closed loops reached.
    #[serde(default = "of_peak")]
    pub of_peak: Vec<f64>,
}

impl Ramp {
    fn fits(&self) -> bool {
        let factors = 0.01..=100.0;
        (1..=1 << 14).contains(&self.most) && self.of_peak.iter().all(|f| factors.contains(f))
    }
}

impl Default for Ramp {
    fn default() -> Self {
        Self { most: most(), of_peak: of_peak() }
    }
}

const fn most() -> usize {
    4096
}

fn of_peak() -> Vec<f64> {
    vec![0.25, 0.5, 0.8, 1.0, 1.5, 2.0, 4.0]
}

const fn clients() -> u32 {
    1 << 16
}

fn protocols() -> Vec<ProtocolName> {
    vec![ProtocolName::Icmp, ProtocolName::Udp, ProtocolName::Tcp]
}

const fn ttl() -> [u8; 2] {
    [1, 30]
}

const fn flows() -> [u16; 2] {
    [33434, 33534]
}

const fn aimed_keys() -> u16 {
    32
}

const fn timeout_ms() -> u32 {
    100
}

/// Address families of the clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Families {
    /// IPv4.
    #[default]
    V4,
    /// IPv6.
    V6,
    /// Half of each.
    Mixed,
}

/// A probe's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProtocolName {
    /// Echo request.
    Icmp,
    /// Datagram.
    Udp,
    /// SYN.
    Tcp,
}

impl From<ProtocolName> for Protocol {
    fn from(name: ProtocolName) -> Self {
        match name {
            ProtocolName::Icmp => Self::Icmp,
            ProtocolName::Udp => Self::Udp,
            ProtocolName::Tcp => Self::Tcp,
        }
    }
}

/// What a TCP port of a client is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TcpPort {
    /// It answers with a RST.
    #[default]
    Closed,
    /// It answers with a SYN+ACK, which the responder has to end by a RST.
    Open,
}

/// How much of a probe an ICMP error quotes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quoted {
    /// Its IP header and 8 octets (RFC 792).
    #[default]
    Least,
    /// All of it (RFC 1812 §4.3.2.3).
    Whole,
    /// All of it, padded to 128 octets, and an MPLS label behind (RFC 4884, RFC 4950).
    Extended,
}

impl Scenario {
    /// Reads and checks the file at `path`.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// Checks `text`, which came from `path`.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let scenario: Self = toml::from_str(text)
            .map_err(|source| Error::Parse { path: path.to_owned(), source: Box::new(source) })?;
        match scenario.fault() {
            Some((key, rule)) => Err(Error::Invalid { path: path.to_owned(), key, rule }),
            None => Ok(scenario),
        }
    }

    /// The first key whose value does not fit, and what would.
    fn fault(&self) -> Option<(&'static str, &'static str)> {
        let share: RangeInclusive<f64> = 0.0..=1.0;
        let rules = [
            (
                self.clients.is_power_of_two() && self.clients <= MAX_CLIENTS,
                "clients",
                "a power of two up to 131072",
            ),
            (
                self.family != Families::Mixed || self.clients >= 2,
                "clients",
                "at least 2 with family = \"mixed\"",
            ),
            (!self.protocols.is_empty(), "protocols", "at least one of icmp, udp, tcp"),
            (self.protocols.len() <= 3, "protocols", "at most three"),
            (
                self.ttl[0] >= 1 && self.ttl[0] <= self.ttl[1],
                "ttl",
                "two numbers from 1 to 255, the lesser first",
            ),
            (
                self.flows[0] >= 1 && self.flows[0] <= self.flows[1] && self.flows[1] < u16::MAX,
                "flows",
                "two numbers from 1 to 65534, the lesser first",
            ),
            (share.contains(&self.loss), "loss", "a share from 0 to 1"),
            (share.contains(&self.ping), "ping", "a share from 0 to 1"),
            (share.contains(&self.junk), "junk", "a share from 0 to 1"),
            (
                self.delay_us.saturating_add(self.jitter_us) <= 1_000_000,
                "delay_us",
                "with jitter_us, at most a second",
            ),
            (share.contains(&self.aimed), "aimed", "a share from 0 to 1"),
            (
                self.aimed <= 0.0
                    || (self.pending_entries.is_some() && self.pending_secret.is_some()),
                "aimed",
                "with pending_entries and pending_secret alone, for the keys follow from them",
            ),
            (
                self.aimed <= 0.0 || self.clients <= FIRST_CLIENT,
                "clients",
                "at most 65536 with aimed: the other half asks for these",
            ),
            ((1..=1024).contains(&self.aimed_keys), "aimed_keys", "1 to 1024"),
            ((1..=10_000).contains(&self.timeout_ms), "timeout_ms", "1 to 10000"),
            (self.standing <= 1 << 24, "standing", "at most 16777216"),
            (
                self.ramp.as_ref().is_none_or(Ramp::fits),
                "ramp",
                "most from 1 to 16384, of_peak from 0.01 to 100",
            ),
        ];
        rules.into_iter().find(|(fits, ..)| !fits).map(|(_, key, rule)| (key, rule))
    }

    /// Looks for the aimed requests, if there are to be any: seconds.
    pub fn take_aim(&mut self) -> Result<(), aim::Error> {
        if let (Some(entries), Some(Secret(secret))) = (self.pending_entries, self.pending_secret)
            && self.aimed > 0.0
        {
            let entries = usize::try_from(entries).unwrap_or(usize::MAX);
            self.aims = aim::aim(entries, secret, self.aimed_keys.into())?;
        }
        Ok(())
    }

    /// Whether a transaction ends with its probe: nothing is ever answered.
    #[must_use]
    pub fn unanswered(&self) -> bool {
        self.loss >= 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Scenario, Error> {
        Scenario::parse(Path::new("test.toml"), text)
    }

    #[test]
    fn a_sentence_is_enough() {
        let scenario = parse("about = \"x\"").unwrap();
        assert_eq!((scenario.clients, scenario.family), (65536, Families::V4));
        assert_eq!((scenario.ttl, scenario.flows), ([1, 30], [33434, 33534]));
        assert!(!scenario.unanswered());
    }

    #[test]
    fn unknown_keys_and_values_are_refused() {
        for text in ["about = \"x\"\nspeed = 1", "about = \"x\"\nfamily = \"v5\"", "clients = 2"] {
            assert!(matches!(parse(text), Err(Error::Parse { .. })), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (line, named) in [
            ("clients = 3", "clients"),
            ("clients = 262144", "clients"),
            ("clients = 1\nfamily = \"mixed\"", "clients"),
            ("protocols = []", "protocols"),
            ("ttl = [0, 3]", "ttl"),
            ("ttl = [9, 3]", "ttl"),
            ("flows = [0, 3]", "flows"),
            ("flows = [1, 65535]", "flows"),
            ("loss = 1.5", "loss"),
            ("ping = -1.0", "ping"),
            ("junk = 2.0", "junk"),
            ("delay_us = 2000000", "delay_us"),
            ("aimed = 2.0", "aimed"),
            ("aimed = 0.5", "aimed"),
            ("aimed_keys = 0", "aimed_keys"),
            ("timeout_ms = 0", "timeout_ms"),
            ("standing = 20000000", "standing"),
            ("[ramp]\nmost = 20000", "ramp"),
            ("[ramp]\nof_peak = [0.0]", "ramp"),
        ] {
            match parse(&format!("about = \"x\"\n{line}")) {
                Err(Error::Invalid { key, .. }) => assert_eq!(key, named, "{line}"),
                other => panic!("{line}: {other:?}"),
            }
        }
    }

    #[test]
    fn all_scenarios_of_the_folder_are_good() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            Scenario::load(&entry.unwrap().path()).unwrap();
            count += 1;
        }
        assert!(count >= 10, "{count}");
    }
}

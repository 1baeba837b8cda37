//! What is wrong with a configuration: where, and what to do.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use otherhalf_engine::network;
use toml::de::DeTable;

use super::mistake::MOST;
use super::{Mistake, document, keys};

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
    /// It has mistakes.
    #[error("{}", one_line_each(path, mistakes))]
    Wrong {
        /// The file.
        path: PathBuf,
        /// All of them, in their order in the file; at least one.
        mistakes: Vec<Mistake>,
        /// The same for a person: each with its line, and a mark beneath.
        report: String,
    },
}

fn one_line_each(path: &Path, mistakes: &[Mistake]) -> String {
    let lines = mistakes.iter().map(|mistake| format!("{}:{mistake}", path.display()));
    lines.collect::<Vec<_>>().join("\n")
}

/// What does not fit together in a configuration.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {problem}{}", self.hint().map_or(String::new(), |hint| format!(" ({hint})")))]
pub struct Invalid {
    /// Where: the path of the key, such as `route[0].via`, counted from 0.
    pub key: String,
    /// What.
    pub problem: Problem,
}

impl Invalid {
    pub(crate) fn new(key: impl Into<String>, problem: impl Into<Problem>) -> Self {
        Self { key: key.into(), problem: problem.into() }
    }
}

/// See [`Invalid`].
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// No port.
    #[error("there is none, and a responder needs one")]
    NoPort,
    /// A device of the PCI bus that may come late.
    #[error("a PCI device is not waited for")]
    CannotWait,
    /// The device has no name.
    #[error("{0:?} names no device")]
    NoDevice(String),
    /// A PCI address that lacks the domain.
    #[error("{0:?} is a PCI address without its domain")]
    NoPciDomain(String),
    /// Two ports on one device.
    #[error("port[{other}] has the device {device:?} too")]
    SameDevice {
        /// The device.
        device: String,
        /// The place of the other port.
        other: usize,
    },
    /// A port without interface.
    #[error("there is none, so nothing could be asked of {device:?}")]
    NoInterface {
        /// The port's device.
        device: String,
    },
    /// An interface without address.
    #[error("there is none")]
    NoAddress,
    /// The address of a network instead of a host's.
    #[error("{0} is the address of a network, or its broadcast address, not that of a host in it")]
    NotAHost(IpNet),
    /// A name that no interface of the kernel can have.
    #[error("{0:?} can't be the name of an interface")]
    InterfaceName(String),
    /// Two interfaces with one name.
    #[error("another interface is called {0:?} too")]
    SameName(String),
    /// A route by an interface that is not there.
    #[error("there is no interface {interface:?}")]
    NoSuchInterface {
        /// What it names.
        interface: String,
        /// What there is.
        known: String,
    },
    /// A route to a host's address with a network's length.
    #[error("{to} has bits set behind its prefix length")]
    HostBits {
        /// As it was written.
        to: IpNet,
        /// The network that it would be.
        network: IpNet,
    },
    /// A file prefix that can't be a folder's name.
    #[error("{0:?} can't name an instance")]
    FilePrefix(String),
    /// Two routes to one prefix, none before the other.
    #[error("route[{other}] leads to {to} too, with the same preference")]
    SameRoute {
        /// The prefix.
        to: IpNet,
        /// The place of the other route.
        other: usize,
    },
    /// No CPU for a worker.
    #[error("there is none")]
    NoWorker,
    /// A CPU that the machine does not have.
    #[error("this machine has no CPU {cpu}")]
    NoSuchCpu {
        /// The CPU.
        cpu: usize,
        /// Those that it has.
        known: String,
    },
    /// Two workers on one CPU.
    #[error("workers.cpus[{other}] is CPU {cpu} too")]
    SameCpu {
        /// The CPU.
        cpu: usize,
        /// The place of the other worker.
        other: usize,
    },
    /// A group that nobody knows.
    #[error("there is no group {0:?}")]
    NoSuchGroup(String),
    /// No CPU for the control thread.
    #[error("there is none")]
    NoControlCpu,
    /// The default flow can't be asked for.
    #[error("{flow} is not within probe.{protocol}.flows")]
    DefaultFlow {
        /// The protocol's key.
        protocol: &'static str,
        /// Its default flow.
        flow: u16,
    },
    /// A number out of its range.
    #[error("{value} is out of range: {} to {}", range.start(), range.end())]
    Range {
        /// Its value.
        value: u64,
        /// What would be in range.
        range: RangeInclusive<u64>,
    },
    /// A factor out of its range.
    #[error("{0} is out of range: 0.1 to 10")]
    Amplification(f64),
    /// More of it than can be looked through for each packet.
    #[error("there are {count} {what}, and {most} at most can be served")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// Rates that can't be kept.
    #[error(transparent)]
    Unkept(#[from] otherhalf_policy::rates::Unkept),
    /// Addresses and routes contradict each other.
    #[error(transparent)]
    Network(#[from] network::Error),
}

impl Problem {
    /// Whether it is one of a value that stands in the file, whatever else the file says.
    pub(super) const fn is_of_one_value(&self) -> bool {
        matches!(
            self,
            Self::Range { .. }
                | Self::Amplification(_)
                | Self::FilePrefix(_)
                | Self::InterfaceName(_)
                | Self::NoPciDomain(_)
                | Self::NotAHost(_)
                | Self::HostBits { .. }
                | Self::NoSuchGroup(_)
        )
    }

    /// What to do about it, where it is with `key`.
    fn hint(&self, key: &str) -> Option<String> {
        let key = keys::key(key);
        let takes = || key.map(|key| format!("{} takes {}", key.name(), key.value));
        Some(match self {
            Self::NoPort => "add [[port]] with its device and a [[port.interface]]".into(),
            Self::CannotWait => {
                "remove it, and have the device bound before the start, by dpdk-config/bind-port"
                    .into()
            }
            Self::NoInterface { .. } => "add [[port.interface]] with its addresses".into(),
            Self::NoPciDomain(device) => format!("write \"0000:{device}\""),
            Self::SameDevice { .. } => "a device can be one port only: remove one of both".into(),
            Self::SameName(_) => "give each a name of its own".into(),
            Self::NoSuchInterface { known, .. } => format!("there are: {known}"),
            Self::HostBits { network, .. } => {
                format!("write {network}, or the length that was meant")
            }
            Self::SameRoute { .. } => {
                "remove one of both, or give each a preference: the lower is taken first".into()
            }
            Self::NoWorker => "name one CPU for each worker".into(),
            Self::NoSuchCpu { known, .. } => {
                format!("it has {known}; check a file for another machine with --elsewhere")
            }
            Self::SameCpu { .. } => {
                "give each worker a CPU of its own: two on one keep each other waiting".into()
            }
            Self::NoSuchGroup(_) => "make it with `addgroup --system`, or name another".into(),
            Self::NoControlCpu => "name at least one CPU for the control thread".into(),
            Self::NotAHost(_) => "give the address of a host, or a prefix of its length".into(),
            Self::DefaultFlow { .. } => "add it there, or set another default_flow".into(),
            Self::NoDevice(_)
            | Self::NoAddress
            | Self::FilePrefix(_)
            | Self::InterfaceName(_)
            | Self::Amplification(_)
            | Self::Range { .. } => {
                return takes();
            }
            // Its sentences say so themselves.
            Self::Network(_) | Self::TooMany { .. } | Self::Unkept(_) => return None,
        })
    }
}

impl Invalid {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        self.problem.hint(&self.key)
    }

    /// The mistake in the file `root`.
    pub(super) fn at(&self, root: &DeTable<'_>) -> Mistake {
        let span = document::find(root, &self.key);
        let mistake = Mistake::new(&self.key, span, self.problem.to_string());
        match self.hint() {
            Some(hint) => mistake.hint(hint),
            None => mistake,
        }
    }
}

/// What is no TOML in `file`, of `errors`, and how many octets of the file can be trusted besides.
///
/// After a value that is none, the rest of the file is what it seems. After a bracket or a quote that is not closed, it is not: of what follows,
/// nothing is told.
pub(super) fn unreadable(errors: &[toml::de::Error], file: &str) -> (Vec<Mistake>, usize) {
    let mut mistakes: Vec<Mistake> = Vec::new();
    let mut last_line = 0..0;
    // Structure and values are looked at one after the other.
    let mut errors: Vec<_> =
        errors.iter().map(|error| (error.span().unwrap_or(0..0), error)).collect();
    errors.sort_by_key(|(span, _)| span.start);
    for (span, error) in errors {
        let at = span.start.min(file.len());
        // One mistake seldom leaves a line as it was for the next.
        if last_line.contains(&at) {
            continue;
        }
        let (before, after) = file.split_at_checked(at).unwrap_or((file, ""));
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = after.find('\n').map_or(file.len(), |newline| at + newline);
        last_line = line_start..line_end + 1;
        if mistakes.len() > MOST {
            return (mistakes, line_start);
        }
        let line = file.get(line_start..line_end).unwrap_or_default();
        let (name, value) = line.split_once('=').unwrap_or((line, "["));
        let in_value = at > line_start + name.len() && !value.contains(['[', '{', '"', '\'']);
        let mistake = Mistake::new("", Some(span), error.message());
        mistakes.push(if in_value {
            mistake
                .hint("a text stands in quotes; numbers, true and false do not, and have no unit")
        } else {
            mistake
        });
        if !in_value && !error.message().starts_with("duplicate key") {
            return (mistakes, line_start);
        }
    }
    (mistakes, file.len() + 1)
}

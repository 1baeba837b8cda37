//! What is wrong with a configuration: where, and what to do.

use std::path::{Path, PathBuf};

use ipnet::IpNet;
use otherhalf_engine::network;

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
    #[error("{}: {text}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, column and cause.
        text: String,
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
#[error("{key}: {problem}")]
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
    #[error("there is none, and a responder needs one: add [[port]] with its device")]
    NoPort,
    /// The device has no name.
    #[error(
        "{0:?} names no device: give a PCI address or a virtual device, such as \"net_tap0,iface=dtap0\""
    )]
    NoDevice(String),
    /// A PCI address that lacks the domain.
    #[error("write the PCI address with its domain: \"0000:{0}\"")]
    NoPciDomain(String),
    /// Two ports on one device.
    #[error("port[{other}] has the device {device:?} too: each can be one port only")]
    SameDevice {
        /// The device.
        device: String,
        /// The place of the other port.
        other: usize,
    },
    /// A port without interface.
    #[error(
        "there is none, so nothing could be asked of {device:?}: add [[port.interface]] with its addresses"
    )]
    NoInterface {
        /// The port's device.
        device: String,
    },
    /// An interface without address.
    #[error("there is none: give at least one with its prefix length, such as \"192.0.2.2/24\"")]
    NoAddress,
    /// The address of a network instead of a host's.
    #[error("{0} is the address of a network, or its broadcast address, not that of a host in it")]
    NotAHost(IpNet),
    /// A name that no interface of the kernel can have.
    #[error(
        "{0:?} can't be the name of an interface: take 1 to 15 letters, digits, '-', '_' and '.', no '.' in front"
    )]
    InterfaceName(String),
    /// Two interfaces with one name.
    #[error("another interface is called {0:?} too: give each a name of its own")]
    SameName(String),
    /// A route by an interface that is not there.
    #[error("there is no interface {interface:?}; there are: {known}")]
    NoSuchInterface {
        /// What it names.
        interface: String,
        /// What there is.
        known: String,
    },
    /// A route to a host's address with a network's length.
    #[error(
        "{to} has bits set behind its prefix length: write {network}, or the length that was meant"
    )]
    HostBits {
        /// As it was written.
        to: IpNet,
        /// The network that it would be.
        network: IpNet,
    },
    /// A file prefix that can't be a folder's name.
    #[error(
        "{0:?} can't name an instance: take up to 64 letters, digits, '-', '_' and '.', no '.' in front"
    )]
    FilePrefix(String),
    /// Two routes to one prefix.
    #[error("route[{other}] leads to {to} too: remove one")]
    SameRoute {
        /// The prefix.
        to: IpNet,
        /// The place of the other route.
        other: usize,
    },
    /// No CPU for a worker.
    #[error("there is none: name one CPU for each worker")]
    NoWorker,
    /// No CPU for the control thread.
    #[error("there is none: name at least one CPU for the control thread")]
    NoControlCpu,
    /// The default flow can't be asked for.
    #[error(
        "{flow} is not within probe.{protocol}.flows: add it there, or set another default_flow"
    )]
    DefaultFlow {
        /// The protocol's key.
        protocol: &'static str,
        /// Its default flow.
        flow: u16,
    },
    /// A number out of its range.
    #[error("{value} is out of range: {range}")]
    Range {
        /// Its value.
        value: u64,
        /// What would be in range.
        range: &'static str,
    },
    /// Addresses and routes contradict each other.
    #[error(transparent)]
    Network(#[from] network::Error),
}

impl Error {
    /// The error `source` in the file `path`, which holds `file`.
    ///
    /// The text shows the line, unless it may hold a secret: that must not get into a log.
    pub(super) fn parse(path: &Path, file: &str, source: &toml::de::Error) -> Self {
        let start = source.span().map_or(0, |span| span.start).min(file.len());
        let (before, after) = file.split_at_checked(start).unwrap_or((file, ""));
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = after.find('\n').map_or(file.len(), |newline| start + newline);
        let line = file.get(line_start..line_end).unwrap_or_default();
        let text = if line.contains("secret") {
            let number = before.matches('\n').count() + 1;
            let column = before.len() - line_start + 1;
            // Of a value of another type, the message has the value.
            let message = match source.message() {
                typed if typed.starts_with("invalid ") => {
                    "a secret is a string of 32 hexadecimal digits"
                }
                other => other,
            };
            format!(
                "TOML parse error at line {number}, column {column} (not shown, it may be secret)\n{message}"
            )
        } else {
            source.to_string().trim_end().to_owned()
        };
        Self::Parse { path: path.to_owned(), text }
    }
}

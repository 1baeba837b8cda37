//! What may be wrong with a topology.

use std::path::PathBuf;

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no TOML, or has keys that topologies do not have.
    #[error("no topology: {0}")]
    Format(#[from] toml::de::Error),
    /// Something names a node that is not there.
    #[error(
        "{at} names the node \"{node}\", which does not exist: add [node.{node}] or correct the name"
    )]
    UnknownNode {
        /// Where.
        at: String,
        /// Who.
        node: String,
    },
    /// A node has no way on.
    #[error("{direction} traffic ends at the node \"{node}\": give it {direction} = [...]")]
    DeadEnd {
        /// `to_server` or `to_client`.
        direction: &'static str,
        /// Where.
        node: String,
    },
    /// A number is out of its range.
    #[error("{at}: {what}")]
    Value {
        /// Where.
        at: String,
        /// What it must be.
        what: &'static str,
    },
    /// Two nodes have one address.
    #[error(
        "the nodes \"{first}\" and \"{second}\" have the same address: give one of them another, or none"
    )]
    SameAddress {
        /// The one.
        first: String,
        /// The other.
        second: String,
    },
    /// More nodes without an address than documentation has addresses.
    #[error(
        "there are more than {0} nodes: give some of them addresses of their own, or make a smaller network"
    )]
    TooMany(usize),
}

/// With [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

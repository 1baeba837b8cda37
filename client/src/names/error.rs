//! Why a file of the user's cannot be used.

use std::io;

/// The file cannot be read, or does not have the form that it should.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file, fit for a terminal.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// It is a MaxMind database, and a broken one.
    #[error("{path} is damaged or no MaxMind database: {source}; download it again")]
    MaxMind {
        /// The file, fit for a terminal.
        path: String,
        /// What the reader said.
        source: maxminddb::MaxMindDbError,
    },
    /// It is a MaxMind database of something else.
    #[error(
        "{path} has no AS numbers, it is a database of type {kind}: take the ASN edition, such as GeoLite2-ASN.mmdb"
    )]
    NoAsNumbers {
        /// The file, fit for a terminal.
        path: String,
        /// What it says it is.
        kind: String,
    },
    /// A line is not of the form.
    #[error("{path}, line {line}: expected {expected}, not \"{found}\"")]
    Line {
        /// The file, fit for a terminal.
        path: String,
        /// From 1.
        line: usize,
        /// The form.
        expected: &'static str,
        /// The beginning of what stands there, fit for a terminal.
        found: String,
    },
    /// Nothing of use is in it.
    #[error("{path} is empty: expected {expected}")]
    Empty {
        /// The file, fit for a terminal.
        path: String,
        /// The form.
        expected: &'static str,
    },
}

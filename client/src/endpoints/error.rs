//! Why a directory cannot be used.

use std::io;

/// The file cannot be read, or is of neither form.
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
    /// It is TOML, but not of our form, or none at all.
    #[error("{path}, line {line}: {problem}. The form is: otherhalf endpoints list --toml")]
    Toml {
        /// The file, fit for a terminal.
        path: String,
        /// From 1.
        line: usize,
        /// What is wrong, fit for a terminal.
        problem: String,
    },
    /// A line of the reference's form is not.
    #[error(
        "{path}, line {line}: expected address;asnumber;email_contact, not \"{found}\" ({problem})"
    )]
    Line {
        /// The file, fit for a terminal.
        path: String,
        /// From 1.
        line: usize,
        /// What stands there, fit for a terminal.
        found: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// It names no responder.
    #[error(
        "no responders are known: name some in {path}; the form is: otherhalf endpoints list --toml"
    )]
    Empty {
        /// The file, fit for a terminal.
        path: String,
    },
}

impl Error {
    /// Whether there is no such file.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::File { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

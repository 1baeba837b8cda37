//! Exit codes, and the errors that keep a trace from being done.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use otherhalf_client::difference::NothingInCommon;
use otherhalf_client::{document, endpoints, formats, names, raw, resolve};

use crate::settings;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Reached = 0,
    NotReached = 1,
    Usage = 2,
    NotSpoken = 3,
    NoAnswer = 4,
    NoPermission = 5,
    Refused = 6,
    Interrupted = 130,
}

impl Code {
    /// The one with that number.
    pub(crate) fn of_number(number: i32) -> Option<Self> {
        [
            Self::Reached,
            Self::NotReached,
            Self::Usage,
            Self::NotSpoken,
            Self::NoAnswer,
            Self::NoPermission,
            Self::Refused,
            Self::Interrupted,
        ]
        .into_iter()
        .find(|code| *code as i32 == number)
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}; see the --help of that command")]
    Usage(String),
    #[error(transparent)]
    Settings(#[from] settings::Error),
    #[error("cannot {action} {}: {source}", file.display())]
    File { action: &'static str, file: PathBuf, source: io::Error },
    #[error("{}: {source}", file.display())]
    Saved { file: PathBuf, source: document::Error },
    #[error(transparent)]
    Format(#[from] formats::Error),
    #[error(transparent)]
    NothingInCommon(#[from] NothingInCommon),
    #[error("cannot run otherhalf again: {0}")]
    Child(io::Error),
    #[error(transparent)]
    Target(#[from] resolve::Error),
    #[error(transparent)]
    Names(#[from] names::Error),
    #[error(transparent)]
    Endpoints(#[from] endpoints::Error),
    #[error("{0}")]
    NoneAlive(&'static str),
    #[error("interrupted")]
    Interrupted,
    #[error(transparent)]
    Network(#[from] raw::Error),
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    #[error("cannot write the output: {0}")]
    Json(#[from] serde_json::Error),
    #[error("cannot write the output: {0}")]
    Toml(#[from] toml::ser::Error),
}

impl Failure {
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Usage(_)
            | Self::Target(_)
            | Self::Settings(_)
            | Self::File { .. }
            | Self::Saved { .. }
            | Self::NothingInCommon(_)
            | Self::Names(_)
            | Self::Endpoints(_)
            | Self::Format(formats::Error::NoPackets) => Code::Usage,
            Self::NoneAlive(_) => Code::NoAnswer,
            Self::Interrupted => Code::Interrupted,
            Self::Network(raw::Error::Permission) => Code::NoPermission,
            Self::Network(error) if error.is_usage() => Code::Usage,
            // Whoever closed the pipe has what they wanted.
            _ if self.is_quiet() => Code::Reached,
            Self::Network(_)
            | Self::Child(_)
            | Self::Output(_)
            | Self::Json(_)
            | Self::Toml(_)
            | Self::Format(_) => Code::NotReached,
        }
    }

    /// Whether the reader of our output has gone.
    pub(crate) fn is_quiet(&self) -> bool {
        match self {
            Self::Output(error) => error.kind() == io::ErrorKind::BrokenPipe,
            Self::Json(error) => error.io_error_kind() == Some(io::ErrorKind::BrokenPipe),
            Self::Usage(_)
            | Self::Target(_)
            | Self::Settings(_)
            | Self::File { .. }
            | Self::Saved { .. }
            | Self::NothingInCommon(_)
            | Self::Child(_)
            | Self::Names(_)
            | Self::Endpoints(_)
            | Self::NoneAlive(_)
            | Self::Interrupted
            | Self::Toml(_)
            | Self::Format(_)
            | Self::Network(_) => false,
        }
    }
}

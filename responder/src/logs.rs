//! The log: what is worth a line, for people and for the journal. Written by control threads alone, never by a worker.

use std::io::IsTerminal;
use std::sync::Arc;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

/// The level where nothing else is asked for.
const LEVEL: &str = "info";

/// The log's level, which can be changed while it runs.
#[derive(Debug, Clone)]
pub struct Logs(Arc<reload::Handle<EnvFilter, Registry>>);

impl Logs {
    /// Begins to log to stderr, from the level on that `RUST_LOG` says.
    #[must_use]
    pub fn start() -> Self {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LEVEL));
        let (filter, handle) = reload::Layer::new(filter);
        let lines = fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false);
        tracing_subscriber::registry().with(filter).with(lines).init();
        Self(Arc::new(handle))
    }

    /// The level, as a filter.
    #[must_use]
    pub fn level(&self) -> String {
        self.0.with_current(ToString::to_string).unwrap_or_default()
    }

    /// Logs from `level` on; the sentence says why it can't be one.
    pub fn set(&self, level: &str) -> Result<(), String> {
        let wrong = |why: String| {
            format!("{level:?} is no level of the log ({why}): error, warn, info, debug or trace")
        };
        let filter = EnvFilter::try_new(level).map_err(|error| wrong(error.to_string()))?;
        self.0.reload(filter).map_err(|error| error.to_string())
    }
}

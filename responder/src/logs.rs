//! The log: what is worth a line, for people and for the journal. Written by control threads alone, never by a worker.
//!
//! Nothing in it tells of a single requester. Lines that nobody takes are lost (`patient.rs`). Lines that the outside can cause again and again are limited (`limit.rs`), and how many were left out is told; one that tells of a
//! change of the configuration never is.

mod limit;
mod lines;
mod patient;

use std::io::{IsTerminal, stderr};
use std::os::unix::fs::MetadataExt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::format::{DefaultFields, JsonFields};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::config::{Log, LogFormat, LogTarget};
use limit::Limits;
use lines::Lines;
use patient::Patient;

/// The target of lines that tell who changed what. They are never limited.
pub const AUDIT: &str = "otherhalf_responder::audit";

/// The name of events below a warning that the outside can cause again and again; warnings are limited without it.
pub const REPEATS: &str = "repeats";

/// The log's level, which can be changed while it runs, and its limits.
#[derive(Debug, Clone)]
pub struct Logs {
    filter: Arc<reload::Handle<EnvFilter, Registry>>,
    limits: Arc<Limits>,
}

impl Logs {
    /// Begins to log to stderr as `config` says, from the level on that `RUST_LOG` says, if it is set.
    #[must_use]
    pub fn start(config: &Log) -> Self {
        let filter =
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(&config.level.0));
        let (filter, handle) = reload::Layer::new(filter);
        let journal = match config.target {
            LogTarget::Auto => stderr_is_journal(),
            LogTarget::Stderr => false,
            LogTarget::Journald => true,
        };
        let limits = Arc::default();
        let lines: Box<dyn Layer<_> + Send + Sync> = match config.format {
            LogFormat::Text => {
                let ansi = !journal && stderr().is_terminal();
                let text = fmt::format().with_target(false).with_ansi(ansi);
                let lines = fmt::layer().with_writer(Patient::new).fmt_fields(DefaultFields::new());
                if journal {
                    lines.event_format(Lines::journal(text.without_time(), &limits)).boxed()
                } else {
                    lines.event_format(Lines::plain(text, &limits)).boxed()
                }
            }
            LogFormat::Json => {
                let json = fmt::format().json().flatten_event(true).with_current_span(false);
                let json = json.with_span_list(false);
                let lines = fmt::layer().with_writer(Patient::new).fmt_fields(JsonFields::new());
                let form = if journal { Lines::journal } else { Lines::plain };
                lines.event_format(form(json, &limits).of_json()).boxed()
            }
        };
        tracing_subscriber::registry().with(filter).with(lines).init();
        Self { filter: Arc::new(handle), limits }
    }

    /// Tells how many lines were left out of kinds of which none has come to tell it, though it could have been written by `now`.
    pub fn tell_left_out(&self, now: Instant) {
        self.limits.tell(Some(now));
    }

    /// The same at the end, when no more lines of such kinds come.
    pub fn tell_left_out_at_end(&self) {
        self.limits.tell(None);
    }

    /// The level, as a filter.
    #[must_use]
    pub fn level(&self) -> String {
        self.filter.with_current(ToString::to_string).unwrap_or_default()
    }

    /// Logs from `level` on; the sentence says why it can't be one.
    pub fn set(&self, level: &str) -> Result<(), String> {
        let filter = filter(level)?;
        self.filter.reload(filter).map_err(|error| error.to_string())
    }
}

/// The filter that `level` says: a level, or several parts such as `info,otherhalf_responder::http=debug`.
pub fn filter(level: &str) -> Result<EnvFilter, String> {
    let wrong = |why: String| {
        format!("{level:?} is no level of the log ({why}): error, warn, info, debug or trace")
    };
    // A lone word that is no level would be taken for a module, and a mistyped level would silence the log.
    for part in level.split(',') {
        let level = LevelFilter::from_str(part).is_ok() && !part.is_empty();
        if !level && !part.contains('=') {
            return Err(wrong(format!("{part:?} is not known")));
        }
    }
    EnvFilter::try_new(level).map_err(|error| wrong(error.to_string()))
}

/// Whether stderr goes to the journal: systemd says by device and inode what it connected (systemd.exec(5)), which is not the journal any
/// more once stderr goes elsewhere.
fn stderr_is_journal() -> bool {
    let told = std::env::var("JOURNAL_STREAM").ok();
    let Some((device, inode)) = told.as_deref().and_then(|told| told.split_once(':')) else {
        return false;
    };
    let Ok(own) = std::fs::metadata("/proc/self/fd/2") else { return false };
    device.parse() == Ok(own.dev()) && inode.parse() == Ok(own.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_one_or_names_modules() {
        for good in
            ["info", "DEBUG", "off", "warn,otherhalf_responder::http=debug", "a=info,b=trace"]
        {
            assert!(filter(good).is_ok(), "{good}");
        }
        for wrong in ["", "inf", "info,", "a=loud", "otherhalf_responder"] {
            let said = filter(wrong).unwrap_err();
            assert!(said.contains("is no level of the log"), "{said}");
        }
    }
}

//! Logs on stderr, for whoever wonders what happens.

use std::io;

use tracing::level_filters::LevelFilter;

/// Says on stderr what goes wrong, and with `verbose` 1 what happens, with 2 every query and answer.
pub(crate) fn start(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_target(false)
        .with_ansi(false)
        .init();
}

//! What can be wrong with a configuration file.

use std::io;
use std::path::{Path, PathBuf};

use clap::Command;

use super::{settable, visit};

/// Why a configuration file is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot read the configuration file {}: {source}", file.display())]
    Read { file: PathBuf, source: io::Error },
    #[error("{}: {source}", file.display())]
    Syntax { file: PathBuf, source: Box<toml::de::Error> },
    #[error(
        "{}:{line}: no option{of} is called {key}{hint} (otherhalf generate config lists all)",
        file.display()
    )]
    Key { file: PathBuf, line: usize, key: String, of: String, hint: String },
    #[error("{source_name}: {one} and {other} exclude each other; leave one of them out")]
    Contradiction { source_name: String, one: String, other: String },
    #[error("{}:{line}: {key}: {reason}", file.display())]
    Value { file: PathBuf, line: usize, key: String, reason: String },
}

impl Error {
    /// `key` is no option of `command` nor of those below it.
    pub(super) fn key(command: &Command, file: &Path, line: usize, key: &str) -> Self {
        let mut known = Vec::new();
        visit(command, &mut |_, arg| known.extend(settable(arg)));
        let best = nearest(key, known);
        // The whole program has commands, one of them has none.
        let of = if command.has_subcommands() {
            String::new()
        } else {
            format!(" of {}", command.get_name())
        };
        Self::Key {
            file: file.to_owned(),
            line,
            key: otherhalf_client::printable(key),
            of,
            hint: best.map_or_else(String::new, |long| format!(": {long}, perhaps?")),
        }
    }
}

/// The one of `known` that `word` may be a slip for.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const SLIPS: usize = 2;
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(word, known), known))
        .filter(|(distance, _)| *distance <= SLIPS)
        .min()
        .map(|(_, known)| known)
}

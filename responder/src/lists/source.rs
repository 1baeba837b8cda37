//! Where the prefixes of a list are from.

use std::path::{Path, PathBuf};

use ipnet::IpNet;
use otherhalf_engine::access::{ALLOW, DENY};
use otherhalf_policy::list::{self, Entry};

use super::{Error, MOST_MISTAKES, Mistake, Purpose, text};
use crate::config::{self, Config};

/// A part of a list: what one key of the configuration says, or one of its files.
pub(super) struct Part {
    pub(super) purpose: Purpose,
    /// What it says of its prefixes.
    pub(super) value: u8,
    /// The key.
    key: &'static str,
    /// The file and its place in the key; none: the prefixes stand in the configuration.
    file: Option<(PathBuf, usize)>,
    /// The prefixes; without a file, their lines are their places in the key, from 1.
    pub(super) entries: Vec<Entry>,
}

impl Part {
    /// Where the entry of `line` stands.
    pub(super) fn place(&self, line: u32) -> String {
        let Self { purpose, key, .. } = self;
        let section = purpose.name();
        match &self.file {
            Some((file, place)) => format!("{}:{line} ({section}.{key}[{place}])", file.display()),
            None => format!("{section}.{key}[{}]", line.saturating_sub(1)),
        }
    }
}

/// What a key has: prefixes or files of them.
enum Says<'a> {
    Prefixes(&'a [IpNet]),
    Files(&'a [PathBuf]),
}

/// All keys of `config` that are lists.
fn keys(config: &Config) -> [(Purpose, u8, &'static str, Says<'_>); 10] {
    let config::Access { allow, allow_files, deny, deny_files } = &config.access;
    let config::OptOut { prefixes, files } = &config.opt_out;
    let indirect = &config.indirect;
    [
        (Purpose::Access, ALLOW, "allow", Says::Prefixes(allow)),
        (Purpose::Access, ALLOW, "allow_files", Says::Files(allow_files)),
        (Purpose::Access, DENY, "deny", Says::Prefixes(deny)),
        (Purpose::Access, DENY, "deny_files", Says::Files(deny_files)),
        (Purpose::OptOut, DENY, "prefixes", Says::Prefixes(prefixes)),
        (Purpose::OptOut, DENY, "files", Says::Files(files)),
        (Purpose::Indirect, ALLOW, "allow", Says::Prefixes(&indirect.allow)),
        (Purpose::Indirect, ALLOW, "allow_files", Says::Files(&indirect.allow_files)),
        (Purpose::Indirect, DENY, "deny", Says::Prefixes(&indirect.deny)),
        (Purpose::Indirect, DENY, "deny_files", Says::Files(&indirect.deny_files)),
    ]
}

/// Reads all lists of `config`; the error has all that is wrong.
pub(super) fn read(config: &Config) -> Result<Vec<Part>, Error> {
    let mut found = Error { mistakes: Vec::new(), more: 0 };
    let mut parts = Vec::new();
    for (purpose, value, key, says) in keys(config) {
        let part = |file, entries| Part { purpose, value, key, file, entries };
        match says {
            Says::Prefixes(prefixes) => {
                let entries =
                    (1..).zip(prefixes).map(|(line, prefix)| Entry { prefix: *prefix, line });
                parts.push(part(None, entries.collect()));
            }
            Says::Files(files) => parts.extend(
                files
                    .iter()
                    .enumerate()
                    .map(|(place, path)| part(Some((path.clone(), place)), file(path, &mut found))),
            ),
        }
    }
    if found.mistakes.is_empty() { Ok(parts) } else { Err(found) }
}

/// The prefixes of the file at `path`; what is wrong in it goes to `found`.
fn file(path: &Path, found: &mut Error) -> Vec<Entry> {
    let room = MOST_MISTAKES.saturating_sub(found.mistakes.len());
    let mistake = |line, what| Mistake { file: path.to_owned(), line, what };
    match text(path) {
        Ok(text) => {
            let list = list::List::read(&text, room);
            found.more += list.wrong - list.mistakes.len();
            found.mistakes.extend(list.mistakes.iter().map(|wrong| {
                let list::Mistake { line, problem } = wrong;
                mistake(Some(*line), format!("{problem} ({})", problem.hint()))
            }));
            list.entries
        }
        Err(error) if room > 0 => {
            found.mistakes.push(mistake(None, format!("can't read the list of prefixes: {error}")));
            Vec::new()
        }
        Err(_) => {
            found.more += 1;
            Vec::new()
        }
    }
}

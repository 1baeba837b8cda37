//! The lists of prefixes that a configuration names: read, compared with those that run, and made into what workers go by.
//!
//! Reading a million prefixes takes a good part of a second, so a running responder has it done by a thread of its own
//! (`takeup.rs`), never by the control thread.

mod source;

use std::cmp::Reverse;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipnet::IpNet;
use otherhalf_engine::access::{ALLOW, Access, DENY};
use otherhalf_engine::{Indirect, Policy};
use otherhalf_policy::list::Entry;

use crate::config::{Config, Invalid};
use source::{Part, read};

/// Mistakes that are told at most, as of a configuration.
const MOST_MISTAKES: usize = 100;

/// What a list is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Whose requests are taken.
    Access,
    /// Who is never probed.
    OptOut,
    /// Who may have others traced.
    Indirect,
}

impl Purpose {
    /// Its section in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::OptOut => "opt_out",
            Self::Indirect => "indirect",
        }
    }
}

/// All lists of a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lists {
    /// See [`Purpose::Access`].
    pub access: List,
    /// See [`Purpose::OptOut`].
    pub opt_out: List,
    /// See [`Purpose::Indirect`].
    pub indirect: List,
    /// The first two for workers; none: there is nothing to look at.
    workers: Option<Arc<Access>>,
    /// The third for workers; none: nobody may.
    requesters: Option<Arc<Indirect>>,
}

/// A list, whatever it is from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// Each prefix once, in order, with its value.
    entries: Arc<[(IpNet, u8)]>,
}

/// How two lists differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Difference {
    /// Prefixes that the new one alone has, or with another value.
    pub came: usize,
    /// The same of the old one.
    pub went: usize,
}

/// Why lists can't be taken up.
#[derive(Debug, thiserror::Error)]
#[error("{}", lines(mistakes, *more))]
pub struct Error {
    /// What is wrong, in the order of the configuration and of the lines; at least one.
    pub mistakes: Vec<Mistake>,
    /// How many more are not among them.
    pub more: usize,
}

/// Something that is wrong in a file of prefixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; none: the file itself.
    pub line: Option<u32>,
    /// What, and what to do.
    pub what: String,
}

fn lines(mistakes: &[Mistake], more: usize) -> String {
    let mut lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    if more > 0 {
        lines.push(format!("there are {more} mistakes more: are these lists of prefixes?"));
    }
    lines.join("\n")
}

impl std::fmt::Display for Mistake {
    /// `FILE:LINE: WHAT (HINT)`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.file.display())?;
        self.line.iter().try_for_each(|line| write!(f, ":{line}"))?;
        write!(f, ": {}", self.what)
    }
}

/// The prefix that decides for an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deciding {
    /// It.
    pub prefix: IpNet,
    /// Whether it is against the address.
    pub denied: bool,
    /// Where it stands: a key with its place, or a file's line and its key.
    pub place: String,
}

/// All lists of a configuration, with the places that their prefixes are from.
pub struct Sources {
    parts: Vec<Part>,
    /// `indirect.private_targets`.
    private_targets: bool,
}

impl Sources {
    /// Reads all lists of `config`.
    ///
    /// # Errors
    ///
    /// All that is wrong in the files, or the first hundred of it.
    pub fn read(config: &Config) -> Result<Self, Error> {
        let private_targets = config.indirect.private_targets;
        Ok(Self { parts: read(config)?, private_targets })
    }

    /// The lists.
    #[must_use]
    pub fn lists(&self) -> Lists {
        let of = |purpose| List::new(self.parts.iter().filter(|part| part.purpose == purpose));
        let [access, opt_out, indirect] =
            [Purpose::Access, Purpose::OptOut, Purpose::Indirect].map(of);
        let any = !access.is_empty() || !opt_out.is_empty();
        let workers = any.then(|| Arc::new(Access::new(access.iter(), opt_out.iter())));
        let somebody = indirect.iter().any(|(_, value)| value == ALLOW);
        let requesters =
            somebody.then(|| Arc::new(Indirect::new(indirect.iter(), self.private_targets)));
        Lists { access, opt_out, indirect, workers, requesters }
    }

    /// The prefix of the list `purpose` that decides for `address`, if one holds it.
    #[must_use]
    pub fn deciding(&self, purpose: Purpose, address: IpAddr) -> Option<Deciding> {
        let entries = self.parts.iter().filter(|part| part.purpose == purpose).flat_map(|part| {
            let holding = part.entries.iter().filter(|entry| entry.prefix.contains(&address));
            holding.map(move |entry| (entry, part))
        });
        // Of equal prefixes the first that says so.
        let best = entries.reduce(|best, next| {
            let rank = |(entry, part): &(&Entry, &Part)| (entry.prefix.prefix_len(), part.value);
            if rank(&next) > rank(&best) { next } else { best }
        });
        best.map(|(entry, part)| Deciding {
            prefix: entry.prefix,
            denied: part.value == DENY,
            place: part.place(entry.line),
        })
    }
}

impl Lists {
    /// Reads all lists of `config`.
    ///
    /// # Errors
    ///
    /// As [`Sources::read`].
    pub fn load(config: &Config) -> Result<Self, Error> {
        Ok(Sources::read(config)?.lists())
    }

    /// The policy of `config`, with these lists.
    ///
    /// # Errors
    ///
    /// As [`Config::policy`].
    pub fn policy(&self, config: &Config) -> Result<Policy, Invalid> {
        let (access, indirect) = (self.workers.clone(), self.requesters.clone());
        Ok(Policy { access, indirect, ..config.policy()? })
    }

    /// Takes from `old` what workers went by there and would go by here, so that it stays in their caches.
    pub fn keep(&mut self, old: &Self) {
        if self.workers == old.workers {
            self.workers.clone_from(&old.workers);
        }
        if self.requesters == old.requesters {
            self.requesters.clone_from(&old.requesters);
        }
    }

    /// How each differs from that of `old`, if it does.
    #[must_use]
    pub fn differences(&self, old: &Self) -> Vec<(Purpose, Difference)> {
        let pairs = [
            (Purpose::Access, self.access.difference(&old.access)),
            (Purpose::OptOut, self.opt_out.difference(&old.opt_out)),
            (Purpose::Indirect, self.indirect.difference(&old.indirect)),
        ];
        pairs.into_iter().filter(|(_, difference)| *difference != Difference::default()).collect()
    }

    /// Bytes that workers' part of it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let access = self.workers.as_ref().map_or(0, |access| access.bytes());
        access + self.requesters.as_ref().map_or(0, |indirect| indirect.bytes())
    }
}

impl List {
    fn new<'a>(parts: impl Iterator<Item = &'a Part>) -> Self {
        let entries =
            parts.flat_map(|part| part.entries.iter().map(|entry| (entry.prefix, part.value)));
        let mut entries: Vec<(IpNet, u8)> = entries.collect();
        // Of equal prefixes, the value that a set takes.
        entries.sort_unstable_by_key(|(prefix, value)| (*prefix, Reverse(*value)));
        entries.dedup_by_key(|(prefix, _)| *prefix);
        Self { entries: entries.into() }
    }

    /// Its prefixes and their values.
    fn iter(&self) -> impl Iterator<Item = (IpNet, u8)> {
        self.entries.iter().copied()
    }

    /// How many prefixes there are, equal ones counted once.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How it differs from `old`.
    #[must_use]
    pub fn difference(&self, old: &Self) -> Difference {
        let mut difference = Difference::default();
        let (mut ours, mut theirs) =
            (self.entries.iter().peekable(), old.entries.iter().peekable());
        loop {
            match (ours.peek(), theirs.peek()) {
                (None, None) => return difference,
                (Some(new), Some(old)) if new == old => {
                    ours.next();
                    theirs.next();
                }
                (Some(new), Some(old)) if new > old => {
                    difference.went += 1;
                    theirs.next();
                }
                (None, Some(_)) => {
                    difference.went += 1;
                    theirs.next();
                }
                (Some(_), _) => {
                    difference.came += 1;
                    ours.next();
                }
            }
        }
    }
}

/// The text of the file at `path`.
fn text(path: &Path) -> std::io::Result<String> {
    crate::config::file::read(path, "list of prefixes", LARGEST_FILE)
}

/// The largest file, in octets: a few million prefixes.
const LARGEST_FILE: u64 = 64 << 20;

#[cfg(test)]
mod tests;

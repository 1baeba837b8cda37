//! Floods: what an attacker sends beside the transactions that are to be served. A TOML file each, every key known.
//!
//! [`torrent`] makes the frames, out of what [`strangers`] (who they come from), [`frames`] and [`captured`] write.

pub mod strangers;
pub mod frames;
pub mod captured;
pub mod torrent;

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// What must come of the answers to everybody else, where a flood does not say otherwise.
const PROMISE: f64 = 0.95;

/// Why a file is no flood.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It can't be read.
    #[error("can't read the flood {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is no TOML, or has a key or value that does not belong there.
    #[error("{}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, column and cause.
        source: Box<toml::de::Error>,
    },
    /// Its values do not fit.
    #[error("{}: {key}: {rule}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What would fit.
        rule: &'static str,
    },
    /// A capture file that it replays can't be read.
    #[error("{}: {source}", path.display())]
    Capture {
        /// The capture file.
        path: PathBuf,
        /// Why not.
        source: pcap_file::PcapError,
    },
}

/// A flood.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flood {
    /// One sentence: what the attacker does.
    pub about: String,
    /// What is sent.
    pub kind: Kind,
    /// The share of everybody else's requests that must be answered meanwhile, 0 to 1.
    #[serde(default = "promise")]
    pub promise: f64,
    /// Frames that the responder may send to strangers for each frame of the flood, but for neighbour discovery.
    #[serde(default = "most_replies")]
    pub most_replies: f64,
    /// Why `promise` is less than that of other floods, where it is.
    pub why: Option<String>,
    /// Requests within a pending time-out as a multiple of the table's entries, instead of the rate of the run: at 2 it is full.
    pub fill: Option<f64>,
    /// Capture files (pcap) whose frames are replayed, beside the flood's own file.
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// Their frames, once they were read.
    #[serde(skip)]
    pub captured: Vec<Vec<u8>>,
}

/// What a flood sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Requests, each from an address made up at random.
    RandomSources,
    /// Requests from one address of each family.
    OneSource,
    /// Requests that would all need the same bucket of the pending table if it had no secret.
    OneBucket,
    /// Requests of addresses that were not answered the last time: whoever shares a place with others is found so.
    Adaptive,
    /// Requests from many addresses, each under ever new identifiers, whose probes nobody answers.
    Unanswered,
    /// Time exceeded messages about probes that wait, with guessed identifier and keyed bits.
    ForgedErrors,
    /// Echo replies of targets whose probes wait, with a guessed identifier.
    ForgedEchoes,
    /// Fragments of requests and answers.
    Fragments,
    /// Frames cut to any length, and of up to 2000 octets.
    Sizes,
    /// Wrong checksums, and octets at random.
    Garbage,
    /// ARP and neighbour discovery from made-up stations of the link.
    Neighbours,
    /// Pings from made-up addresses.
    Pings,
    /// UDP and TCP to ports where nothing listens, from made-up addresses.
    ClosedPorts,
    /// Frames out of capture files, over and over.
    Replay,
}

impl Kind {
    /// The chance of one of its frames to be believed by a responder that does all that it promises: the identifier alone must
    /// be guessed of an echo reply (docs/security.md, "Forged answers"), 31 bits and more of what else it forges.
    #[must_use]
    pub fn believed(self) -> f64 {
        match self {
            Self::ForgedEchoes => 2f64.powi(-16),
            Self::ForgedErrors => 2f64.powi(-31),
            _ => 0.0,
        }
    }
}

const fn promise() -> f64 {
    PROMISE
}

/// Never two for one.
const fn most_replies() -> f64 {
    1.0
}

impl Flood {
    /// Reads and checks the file at `path`, and the captures that it names.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let mut flood = Self::parse(path, &text)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        for file in &flood.files {
            flood.captured.extend(captured::frames(&folder.join(file))?);
        }
        Ok(flood)
    }

    /// Checks `text`, which came from `path`.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let flood: Self = toml::from_str(text)
            .map_err(|source| Error::Parse { path: path.to_owned(), source: Box::new(source) })?;
        let rules = [
            ((0.0..=1.0).contains(&flood.promise), "promise", "a share from 0 to 1"),
            (
                flood.promise >= PROMISE || flood.why.is_some(),
                "why",
                "a sentence, where promise is below 0.95",
            ),
            (
                (0.0..=1.0).contains(&flood.most_replies),
                "most_replies",
                "0 to 1: never two for one",
            ),
            (flood.fill.is_none_or(|fill| (0.1..=10.0).contains(&fill)), "fill", "0.1 to 10"),
            (
                flood.files.is_empty() == (flood.kind != Kind::Replay),
                "files",
                "at least one with kind = \"replay\", and none without",
            ),
        ];
        match rules.into_iter().find(|(fits, ..)| !fits) {
            Some((_, key, rule)) => Err(Error::Invalid { path: path.to_owned(), key, rule }),
            None => Ok(flood),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn all_floods_of_the_folder_are_good_and_of_a_kind_of_their_own() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("floods");
        let mut kinds = HashSet::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let flood = Flood::load(&entry.unwrap().path()).unwrap();
            assert_eq!(flood.captured.is_empty(), flood.kind != Kind::Replay);
            assert!(kinds.insert(flood.kind), "{:?} twice", flood.kind);
        }
        assert_eq!(kinds.len(), 14);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let parse = |text: &str| Flood::parse(Path::new("x"), &format!("about = \"x\"\n{text}"));
        assert!((parse("kind = \"pings\"").unwrap().promise - PROMISE).abs() < 1e-9);
        assert!(matches!(parse("kind = \"storm\""), Err(Error::Parse { .. })));
        for (text, named) in [
            ("kind = \"pings\"\npromise = 2.0", "promise"),
            ("kind = \"pings\"\npromise = 0.5", "why"),
            ("kind = \"pings\"\nmost_replies = 1.5", "most_replies"),
            ("kind = \"pings\"\nfill = 0.0", "fill"),
            ("kind = \"pings\"\nfiles = [\"x\"]", "files"),
            ("kind = \"replay\"", "files"),
        ] {
            match parse(text) {
                Err(Error::Invalid { key, .. }) => assert_eq!(key, named, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}

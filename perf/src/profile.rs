//! How generator and responder are connected: a TOML file.

use std::path::{Path, PathBuf};

use otherhalf_responder::config::{Config, Secret, is_pci};
use serde::Deserialize;

use crate::scenario::Scenario;
use crate::steering::MAX_QUEUES;

/// What stands in a profile for the folder of a run, in which sockets are.
pub const FOLDER: &str = "%DIR%";
/// The device with which the generator runs in the responder's own process.
pub const RING: &str = "net_ring";
/// The name of the pair of ring ports; the responder's device is `net_ring_perfa`.
pub const RING_NAME: &str = "perf";
/// The name of the second pair, by which answers go, if there is one.
pub const ANSWERS_NAME: &str = "answers";

/// Why a file is no profile.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It can't be read.
    #[error("can't read the profile {}: {source}", path.display())]
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
    /// Its queues are none, or too many.
    #[error("{}: generator.queues: 1 to {MAX_QUEUES}", path.display())]
    Queues {
        /// The file.
        path: PathBuf,
    },
    /// Its ports are none, or more than go together with the rest.
    #[error("{}: generator.ports: 1, or 2 with one queue and either device = \"{RING}\" or generator.answers", path.display())]
    Ports {
        /// The file.
        path: PathBuf,
    },
    /// What it says of the responder is no configuration of otherhalfd.
    #[error("{}: [responder]: {source}", path.display())]
    Responder {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: otherhalf_responder::config::Invalid,
    },
}

/// A profile.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// One sentence: what connects the two.
    pub about: String,
    /// The generator's side.
    pub generator: Side,
    /// The responder's: a configuration of otherhalfd.
    pub responder: toml::Table,
}

/// The generator's side.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Side {
    /// Its port, as DPDK names it, or a PCI address; `net_ring`: in the responder's process, connected by rings.
    pub device: String,
    /// Its queues. Rings and memif have as many on the responder's side, where each is a worker's.
    #[serde(default = "queues")]
    pub queues: u16,
    /// Its ports, one or two. With two, answers go by the second, `net_ring_answersa` on the responder's side or the device that
    /// `answers` names, and never wait behind requests. With one queue.
    #[serde(default = "ports")]
    pub ports: u16,
    /// The second port, as DPDK names it; over rings it makes itself.
    #[serde(default)]
    pub answers: Option<String>,
    /// Names of two connected interfaces of the kernel, which the run makes in a network namespace of its own, and
    /// the generator's and the responder's devices use.
    #[serde(default)]
    pub veth: Option<[String; 2]>,
    /// Its CPU.
    #[serde(default)]
    pub cpu: usize,
    /// CPUs of the thread that waits meanwhile.
    #[serde(default)]
    pub main_cpus: Option<Vec<usize>>,
    /// Hugepages; virtio-user wants them.
    #[serde(default)]
    pub huge_pages: bool,
    /// Memory reserved at start, in MB.
    #[serde(default = "memory_mb")]
    pub memory_mb: u32,
    /// Descriptors of a queue, or frames of a ring: a power of two.
    #[serde(default = "descriptors")]
    pub descriptors: u16,
}

const fn ports() -> u16 {
    1
}

const fn queues() -> u16 {
    1
}

const fn memory_mb() -> u32 {
    512
}

const fn descriptors() -> u16 {
    1024
}

impl Side {
    /// Whether the device is a PCI address, and so hardware.
    #[must_use]
    pub fn is_pci(&self) -> bool {
        is_pci(&self.device)
    }
}

impl Profile {
    /// Reads the file at `path`, for a run in `folder`.
    pub fn load(path: &Path, folder: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text.replace(FOLDER, &folder.display().to_string()))
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let profile: Self = toml::from_str(text)
            .map_err(|source| Error::Parse { path: path.to_owned(), source: Box::new(source) })?;
        let queues = usize::from(profile.generator.queues);
        if !(1..=MAX_QUEUES).contains(&queues) {
            return Err(Error::Queues { path: path.to_owned() });
        }
        let named = profile.generator.answers.is_some();
        match profile.generator.ports {
            1 if !named => Ok(profile),
            2 if named != profile.in_one_process() && queues == 1 => Ok(profile),
            _ => Err(Error::Ports { path: path.to_owned() }),
        }
    }

    /// Whether generator and responder share a process.
    #[must_use]
    pub fn in_one_process(&self) -> bool {
        self.generator.device == RING
    }

    /// The responder's configuration, with what `scenario` says of it, as TOML.
    #[must_use]
    pub fn responder_text(&self, scenario: &Scenario) -> String {
        let mut table = self.responder.clone();
        let wishes =
            [("entries", scenario.pending_entries), ("timeout_ms", scenario.pending_timeout_ms)];
        let numbers = wishes.map(|(key, value)| Some((key, toml::Value::from(i64::from(value?)))));
        let secret = scenario.pending_secret.map(|Secret([high, low])| {
            ("secret", toml::Value::from(format!("{high:016x}{low:016x}")))
        });
        for (key, value) in numbers.into_iter().chain([secret]).flatten() {
            let pending = table.entry("pending").or_insert_with(|| toml::Table::new().into());
            if let Some(pending) = pending.as_table_mut() {
                pending.insert(key.to_owned(), value);
            }
        }
        // The harness waits for the answers that it wants, and leaves probes behind that get none.
        table.entry("drain").or_insert_with(|| {
            toml::Table::from_iter([("deadline_ms".to_owned(), toml::Value::from(0))]).into()
        });
        // Unless the profile says otherwise, it is the packet path that is measured, by few clients that ask for much.
        table.entry("rate").or_insert_with(|| {
            let most = || toml::Value::from(4_000_000_000_i64);
            let keys = [("enabled", false.into()), ("pings", most()), ("neighbours", most())];
            toml::Table::from_iter(keys.map(|(key, value)| (key.to_owned(), value))).into()
        });
        table.to_string()
    }

    /// The same, read and checked.
    pub fn responder_config(&self, path: &Path, scenario: &Scenario) -> Result<Config, Error> {
        let config: Config = toml::from_str(&self.responder_text(scenario))
            .map_err(|source| Error::Parse { path: path.to_owned(), source: Box::new(source) })?;
        config.check().map_err(|source| Error::Responder { path: path.to_owned(), source })?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(text: &str) -> Scenario {
        Scenario::parse(Path::new("x"), &format!("about = \"x\"\n{text}")).unwrap()
    }

    #[test]
    fn all_profiles_of_the_folder_are_good() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
        let mut rings = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let profile = Profile::load(&path, Path::new("/run/x")).unwrap();
            profile.responder_config(&path, &scenario("")).unwrap();
            rings += usize::from(profile.in_one_process());
            let physical = path.file_stem().is_some_and(|name| name == "physical");
            assert_eq!(profile.generator.is_pci(), physical, "{}", path.display());
        }
        assert_eq!(rings, 6);
    }

    #[test]
    fn a_scenario_has_its_say() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/net_ring.toml");
        let profile = Profile::load(&path, Path::new("/run/x")).unwrap();
        let wishes = scenario(
            "pending_entries = 4096\npending_timeout_ms = 70\npending_secret = \"00000000000000070000000000000009\"",
        );
        let config = profile.responder_config(&path, &wishes).unwrap();
        assert_eq!((config.pending.entries, config.pending.timeout_ms), (4096, 70));
        assert_eq!(config.pending.secret, Some(Secret([7, 9])));
    }

    #[test]
    fn unknown_keys_are_refused_on_both_sides() {
        let good = "about = \"x\"\n[generator]\ndevice = \"net_ring\"\n[responder]\n";
        let path = Path::new("x");
        assert!(Profile::parse(path, good).is_ok());
        assert!(Profile::parse(path, &format!("speed = 1\n{good}")).is_err());
        let none = good.replace("[responder]", "queues = 0\n[responder]");
        assert!(matches!(Profile::parse(path, &none), Err(Error::Queues { .. })));
        for more in [
            "ports = 0",
            "ports = 3",
            "ports = 2\nqueues = 2",
            "answers = \"net_memif1\"",
            "ports = 2\nanswers = \"net_memif1\"",
        ] {
            let ports = good.replace("[responder]", &format!("{more}\n[responder]"));
            assert!(matches!(Profile::parse(path, &ports), Err(Error::Ports { .. })), "{more}");
        }
        let profile = Profile::parse(path, &format!("{good}speed = 1")).unwrap();
        assert!(matches!(profile.responder_config(path, &scenario("")), Err(Error::Parse { .. })));
    }
}

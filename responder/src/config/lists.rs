//! The lists of prefixes that a configuration has: some in itself, the long ones in files.

use std::path::{Path, PathBuf};

use ipnet::IpNet;
use otherhalf_policy::list;
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};

use super::Config;

/// Whose requests are taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// Prefixes that may ask.
    #[serde(deserialize_with = "prefixes")]
    pub allow: Vec<IpNet>,
    /// Files of such.
    pub allow_files: Vec<PathBuf>,
    /// Prefixes that may not.
    #[serde(deserialize_with = "prefixes")]
    pub deny: Vec<IpNet>,
    /// Files of such.
    pub deny_files: Vec<PathBuf>,
}

/// Who is never probed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptOut {
    /// Prefixes that are not probed.
    #[serde(deserialize_with = "prefixes")]
    pub prefixes: Vec<IpNet>,
    /// Files of such.
    pub files: Vec<PathBuf>,
}

/// Who may have others traced, and whom.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Indirect {
    /// Prefixes that may.
    #[serde(deserialize_with = "prefixes")]
    pub allow: Vec<IpNet>,
    /// Files of such.
    pub allow_files: Vec<PathBuf>,
    /// Prefixes that may not.
    #[serde(deserialize_with = "prefixes")]
    pub deny: Vec<IpNet>,
    /// Files of such.
    pub deny_files: Vec<PathBuf>,
    /// Whether targets may be addresses that nobody on the Internet has.
    pub private_targets: bool,
}

impl Config {
    /// Lets files of lists that have no whole path be in the folder of the configuration, which is at `path`.
    pub(super) fn find_lists_beside(&mut self, path: &Path) {
        let Some(folder) = path.parent() else { return };
        let Self {
            access: Access { allow_files, deny_files, .. },
            opt_out: OptOut { files, .. },
            indirect,
            ..
        } = self;
        let indirect = indirect.allow_files.iter_mut().chain(&mut indirect.deny_files);
        for file in allow_files.iter_mut().chain(deny_files).chain(files).chain(indirect) {
            *file = folder.join(&file);
        }
    }
}

/// Prefixes as lists in files have them.
pub(super) fn prefixes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let prefix = |text: &String| {
        list::prefix(text)
            .map_err(|problem| de::Error::custom(format!("{problem}: {}", problem.hint())))
    };
    texts.iter().map(prefix).collect()
}

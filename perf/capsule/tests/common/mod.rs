//! What EAL leaves behind.

use std::fs;
use std::path::{Path, PathBuf};

/// EAL's runtime folder of an instance, which neither EAL nor capsule clears away. Removed when dropped.
pub(crate) struct RuntimeFolder(PathBuf);

impl RuntimeFolder {
    /// That of the instance with the file prefix `instance`.
    pub(crate) fn of(instance: &str) -> Self {
        // Not root's are elsewhere, and go with the session.
        Self(Path::new("/var/run/dpdk").join(instance))
    }
}

impl Drop for RuntimeFolder {
    fn drop(&mut self) {
        // EAL may have ended before it made one.
        let _ = fs::remove_dir_all(&self.0);
    }
}

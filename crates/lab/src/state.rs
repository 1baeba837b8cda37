//! What is remembered of a lab while it is up, so that another process can use it or clean up.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{AtPath as _, Error, Result};
use crate::process::Process;
use crate::topology::Topology;

/// Gone after a reboot, as the namespaces are.
const ROOT: &str = "/run/otherhalf-lab";

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) topology: Topology,
    /// Those that carry the userspace links, when no thread of ours does.
    pub(crate) processes: Vec<Process>,
}

/// The folder of one lab.
pub(crate) fn folder(lab: &str) -> PathBuf {
    Path::new(ROOT).join(lab)
}

fn file(lab: &str) -> PathBuf {
    folder(lab).join("state.json")
}

/// Takes the name for a new lab; of two at once, one wins.
pub(crate) fn claim(lab: &str) -> Result<()> {
    loop {
        fs::create_dir_all(ROOT).at(ROOT)?;
        match fs::create_dir(folder(lab)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::Exists(lab.to_owned()));
            }
            // The last of the others has just removed the folder.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            created => return created.at(folder(lab)),
        }
    }
}

pub(crate) fn write(lab: &str, state: &State) -> Result<()> {
    let path = file(lab);
    let text =
        serde_json::to_vec(state).map_err(|source| Error::State { path: path.clone(), source })?;
    // Renamed into place, so that a reader never sees half of it.
    let new = path.with_extension("new");
    fs::write(&new, text).at(&new)?;
    fs::rename(&new, &path).at(path)
}

/// The state; none, if no lab has the name or it ended before it had made anything.
pub(crate) fn read(lab: &str) -> Result<Option<State>> {
    let path = file(lab);
    match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => serde_json::from_slice(&text.at(&path)?)
            .map(Some)
            .map_err(|source| Error::State { path, source }),
    }
}

/// Forgets a lab; whether there was one.
pub(crate) fn remove(lab: &str) -> Result<bool> {
    let found = match fs::remove_dir_all(folder(lab)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        removed => removed.at(folder(lab)).map(|()| true)?,
    };
    // The last one leaves nothing behind; while there are others, this fails, as it should.
    let _others = fs::remove_dir(ROOT);
    Ok(found)
}

/// The names of all labs, sorted.
pub(crate) fn list() -> Result<Vec<String>> {
    let entries = match fs::read_dir(ROOT) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.at(ROOT)?,
    };
    let mut names = entries
        .map(|entry| entry.map(|e| e.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<Vec<_>>>()
        .at(ROOT)?;
    names.sort();
    Ok(names)
}

//! Saved traces: reading them, and writing what comes of them.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use otherhalf_client::{Document, document};
use tempfile::NamedTempFile;

use crate::failure::Failure;

/// The trace that was saved in `file`; `-` is the standard input.
pub(super) fn read(file: &Path) -> Result<Document, Failure> {
    let text = if file.as_os_str() == "-" {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    let text =
        text.map_err(|source| Failure::File { action: "read", file: file.to_owned(), source })?;
    document::read(&text).map_err(|source| Failure::Saved { file: file.to_owned(), source })
}

/// Writes `text` to `file`: all of it or nothing, even if two write at once.
pub(super) fn replace(file: &Path, text: &str) -> Result<(), Failure> {
    // Beside the file: a rename works within one file system only.
    let folder =
        file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = || {
        let mut new = NamedTempFile::new_in(folder)?;
        new.write_all(text.as_bytes())?;
        new.as_file().sync_all()?;
        new.persist(file).map_err(|error| error.error)
    };
    written().map(drop).map_err(|source| Failure::File {
        action: "write",
        file: file.to_owned(),
        source,
    })
}

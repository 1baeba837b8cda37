//! Files of lines, and errors that name the line.

use std::path::Path;

use super::Error;
use crate::printable;

/// So much of a wrong line is shown.
const SHOWN: usize = 60;

/// The path, fit for a terminal.
pub(super) fn shown(path: &Path) -> String {
    printable(&path.display().to_string())
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::File { path: shown(path), source })
}

/// The lines of a file that say something: neither empty nor a comment.
pub(super) struct Lines<'a> {
    rest: &'a [u8],
    path: &'a Path,
    expected: &'static str,
    line: &'a [u8],
    number: usize,
    /// Lines that said something.
    count: usize,
}

impl<'a> Lines<'a> {
    /// The lines of `bytes`, which are `path`'s; each should be what is `expected`.
    pub(super) const fn new(bytes: &'a [u8], path: &'a Path, expected: &'static str) -> Self {
        Self { rest: bytes, path, expected, line: &[], number: 0, count: 0 }
    }

    /// The next one.
    pub(super) fn next(&mut self) -> Result<Option<&'a str>, Error> {
        while !self.rest.is_empty() {
            let end = self.rest.iter().position(|octet| *octet == b'\n');
            let (line, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
            self.rest = rest.get(1..).unwrap_or_default();
            self.line = line.strip_suffix(b"\r").unwrap_or(line);
            self.number += 1;
            let text = std::str::from_utf8(self.line).map_err(|_| self.error())?;
            if !text.trim().is_empty() && !text.starts_with('#') {
                self.count += 1;
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    /// Whether the last one was the first that says something.
    pub(super) const fn is_first(&self) -> bool {
        self.count == 1
    }

    /// What is wrong with the last one.
    pub(super) fn error(&self) -> Error {
        let found: String = String::from_utf8_lossy(self.line).chars().take(SHOWN).collect();
        Error::Line {
            path: shown(self.path),
            line: self.number,
            expected: self.expected,
            found: printable(&found),
        }
    }

    /// Whether there was anything at all.
    pub(super) fn finish(self) -> Result<(), Error> {
        if self.count == 0 {
            return Err(Error::Empty { path: shown(self.path), expected: self.expected });
        }
        Ok(())
    }
}

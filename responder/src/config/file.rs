//! Reads the file, which a running responder does on the thread that looks after everything: never for long, whatever stands at its path.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// The largest file, in octets: dozens of times what is written by hand. The worst that was tried of this size (lines that are no TOML) took half a
/// second to be refused by a program built without optimisation: less than a worker may hang before control looks for it again.
pub(super) const LARGEST: u64 = 256 << 10;

/// The text of the file at `path`, which is to be `kind`.
///
/// # Errors
///
/// If it can't be opened or read, is no regular file, larger than `largest` octets, or no UTF-8.
pub(crate) fn read(path: &Path, kind: &str, largest: u64) -> io::Result<String> {
    // Without O_NONBLOCK, a FIFO would wait for somebody who writes to it.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        let it_is = if metadata.is_dir() { "it is a folder" } else { "it is no regular file" };
        return Err(io::Error::other(format!("{it_is}: give the path of a {kind}")));
    }
    let mut text = String::new();
    // It may grow while it is read.
    file.take(largest.saturating_add(1)).read_to_string(&mut text)?;
    if text.len() as u64 > largest {
        let (most, unit) =
            if largest < 1 << 20 { (largest >> 10, "KiB") } else { (largest >> 20, "MiB") };
        return Err(io::Error::other(format!(
            "it is larger than {most} {unit}, which no {kind} may be: is it the right file?"
        )));
    }
    Ok(text)
}

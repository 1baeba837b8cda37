//! A file of public responders, in either form; what is read is written in ours and read again.

use std::path::Path;

use otherhalf_client::endpoints::Directory;

/// Reads `octets` as such a file.
///
/// # Panics
///
/// If what was written can't be read.
pub fn run(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let path = Path::new("endpoints");
    let Ok(directory) = Directory::parse(text, path) else { return };
    let again = Directory::parse(&directory.to_toml().unwrap(), path).unwrap();
    assert_eq!(again.endpoints().len(), directory.endpoints().len());
}

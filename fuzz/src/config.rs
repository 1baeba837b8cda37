//! The responder's configuration: whatever is in the file, it is taken whole or refused with a sentence.

use std::path::Path;

use otherhalf_responder::config::Config;

/// Reads `octets` as such a file.
///
/// # Panics
///
/// If a refusal says nothing, or what was taken cannot be put in force.
pub fn run(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    match Config::parse(text, Path::new("otherhalfd.toml")) {
        Ok(config) => drop(config.policy().expect("a checked configuration has a policy")),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

//! A file of a simulated network.

use otherhalf_simnet::Topology;

/// Reads `octets` as such a file.
pub fn run(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    let _ = Topology::parse(text);
}

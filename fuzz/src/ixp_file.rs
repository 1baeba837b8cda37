//! A file of exchanges' peering networks.

use std::path::Path;

use otherhalf_client::names::Exchanges;

use crate::common::{FAMILIES, ends};

/// Reads `octets` as such a file and looks addresses up.
pub fn run(octets: &[u8]) {
    let Ok(exchanges) = Exchanges::parse(octets, Path::new("exchanges")) else { return };
    for family in FAMILIES {
        let _ = exchanges.find(ends(family).hop);
    }
}

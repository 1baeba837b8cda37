//! A table of AS numbers: MaxMind's database, or lines of iptoasn.com.

use std::path::Path;

use otherhalf_client::names::AsTable;

use crate::common::{FAMILIES, ends};

/// Longer files show nothing new, but may unpack to much.
const LONGEST: usize = 8192;

/// Reads `octets` as such a file and looks addresses up.
pub fn run(octets: &[u8]) {
    if octets.len() > LONGEST {
        return;
    }
    let Ok(table) = AsTable::parse(octets.to_vec(), Path::new("table")) else { return };
    for family in FAMILIES {
        let _ = table.find(ends(family).hop);
    }
}

//! Which Internet exchange an address belongs to, from a local file.
//!
//! The form: one peering network a line, its prefix, a comma, and the exchange's name up to the end of the line. Empty lines and
//! those that begin with `#` do not count, nor does a first line that reads `prefix,name`.
//!
//! ```text
//! prefix,name
//! 203.0.113.0/24,Example-IX Peering LAN
//! 2001:db8:9::/64,Example-IX Peering LAN
//! ```

use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;
use prefix_trie::joint::JointPrefixMap;

use super::Error;
use super::file::{self, Lines};

const EXPECTED: &str =
    "a prefix, a comma and the name of an exchange, as in 203.0.113.0/24,Example-IX";

/// The exchanges of peering networks, in memory.
#[derive(Debug)]
pub struct Exchanges(JointPrefixMap<IpNet, String>);

impl Exchanges {
    /// Reads `path`: a line a peering network, its prefix, a comma and the exchange's name.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::parse(&file::read(path)?, path)
    }

    /// The file at `path` says `bytes`.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, Error> {
        let mut exchanges = JointPrefixMap::new();
        let mut lines = Lines::new(bytes, path, EXPECTED);
        while let Some(line) = lines.next()? {
            if lines.is_first() && line.eq_ignore_ascii_case("prefix,name") {
                continue;
            }
            let parsed = line.split_once(',').and_then(|(prefix, name)| {
                let name = name.trim().trim_matches('"');
                Some((prefix.trim().parse::<IpNet>().ok()?, name)).filter(|_| !name.is_empty())
            });
            let Some((prefix, name)) = parsed else { return Err(lines.error()) };
            exchanges.insert(prefix.trunc(), name.to_owned());
        }
        lines.finish()?;
        Ok(Self(exchanges))
    }

    /// The exchange in whose network `address` is, by the longest prefix; not to be trusted, see [`crate::printable`].
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Option<&str> {
        self.0.get_lpm(&IpNet::from(address)).map(|(_, name)| name.as_str())
    }
}

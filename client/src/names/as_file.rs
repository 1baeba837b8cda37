//! Which autonomous system announces an address, from a local file: MaxMind's form or iptoasn.com's, told by content.

use std::collections::HashMap;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;

use flate2::read::GzDecoder;
use otherhalf_wire::ip::to_mapped;
use serde::Deserialize;

use super::Error;
use super::file::{self, Lines};

/// What ends every MaxMind database, before its metadata (MaxMind DB File Format Specification 2.0).
const MAXMIND_MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";
/// The metadata is in the last so many octets (the same).
const MAXMIND_METADATA_LEN: usize = 128 * 1024;
/// RFC 1952 §2.3.1.
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

/// A line of iptoasn.com's files.
const EXPECTED: &str = "first address, last address, AS number, country and name with tabs between, as in iptoasn.com's files";

/// An autonomous system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// Its number.
    pub asn: u32,
    /// Its name, if the file tells; not to be trusted, see [`crate::printable`].
    pub name: Option<String>,
}

/// The systems of all addresses, in memory.
#[derive(Debug)]
pub struct AsTable(Form);

#[derive(Debug)]
enum Form {
    MaxMind(maxminddb::Reader<Vec<u8>>),
    Ranges(Ranges),
}

/// A record of GeoLite2-ASN and of the databases made like it.
#[derive(Deserialize)]
struct Record {
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<String>,
}

impl AsTable {
    /// Reads `path`: a MaxMind database with AS numbers, or an `ip2asn` file of iptoasn.com (IPv4, IPv6 or both), packed by gzip
    /// or not.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::parse(file::read(path)?, path)
    }

    /// The file at `path` says `bytes`.
    pub fn parse(mut bytes: Vec<u8>, path: &Path) -> Result<Self, Error> {
        if bytes.starts_with(GZIP_MAGIC) {
            let mut unpacked = Vec::new();
            GzDecoder::new(bytes.as_slice())
                .read_to_end(&mut unpacked)
                .map_err(|source| Error::File { path: file::shown(path), source })?;
            bytes = unpacked;
        }
        let tail = bytes.get(bytes.len().saturating_sub(MAXMIND_METADATA_LEN)..);
        let is_maxmind = tail.is_some_and(|tail| {
            tail.windows(MAXMIND_MARKER.len()).any(|window| window == MAXMIND_MARKER)
        });
        Ok(Self(if is_maxmind {
            Form::MaxMind(maxmind(bytes, path)?)
        } else {
            Form::Ranges(Ranges::read(&bytes, path)?)
        }))
    }

    /// The system that announces `address`; `None` also for what the file says is not routed.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Option<System> {
        match &self.0 {
            Form::MaxMind(reader) => {
                // An address of IPv6 in a database of IPv4 is an error of the library's: nothing known, either way.
                let record: Record = reader.lookup(address).ok()?.decode().ok()??;
                Some(System {
                    asn: record.autonomous_system_number?,
                    name: record.autonomous_system_organization,
                })
            }
            Form::Ranges(ranges) => ranges.find(address),
        }
    }
}

fn maxmind(bytes: Vec<u8>, path: &Path) -> Result<maxminddb::Reader<Vec<u8>>, Error> {
    let reader = maxminddb::Reader::from_source(bytes)
        .map_err(|source| Error::MaxMind { path: file::shown(path), source })?;
    let kind = &reader.metadata().database_type;
    if kind.to_ascii_uppercase().contains("ASN") {
        return Ok(reader);
    }
    Err(Error::NoAsNumbers { path: file::shown(path), kind: crate::printable(kind) })
}

/// Ranges of addresses, by their first; IPv4 mapped into IPv6.
#[derive(Debug)]
struct Ranges {
    ranges: Vec<Range>,
    /// Each name once: there are six times as many ranges as systems.
    names: HashMap<u32, Box<str>>,
}

#[derive(Debug, Clone, Copy)]
struct Range {
    first: u128,
    last: u128,
    asn: u32,
}

impl Ranges {
    fn read(bytes: &[u8], path: &Path) -> Result<Self, Error> {
        let mut ranges = Vec::new();
        let mut names = HashMap::new();
        let mut lines = Lines::new(bytes, path, EXPECTED);
        while let Some(line) = lines.next()? {
            let Some((range, name)) = parse(line) else { return Err(lines.error()) };
            // 0 is "not routed".
            if range.asn != 0 {
                ranges.push(range);
                names.entry(range.asn).or_insert_with(|| name.into());
            }
        }
        lines.finish()?;
        ranges.sort_unstable_by_key(|range| range.first);
        Ok(Self { ranges, names })
    }

    fn find(&self, address: IpAddr) -> Option<System> {
        let address = to_mapped(address).to_bits();
        let after = self.ranges.partition_point(|range| range.first <= address);
        let range = self.ranges.get(after.checked_sub(1)?).filter(|range| address <= range.last)?;
        let name = self.names.get(&range.asn).filter(|name| !name.is_empty());
        Some(System { asn: range.asn, name: name.map(ToString::to_string) })
    }
}

fn parse(line: &str) -> Option<(Range, &str)> {
    let mut fields = line.split('\t');
    let [first, last] = [fields.next()?, fields.next()?].map(str::parse::<IpAddr>);
    let (first, last) = (first.ok()?, last.ok()?);
    let asn = fields.next()?.parse().ok()?;
    let name = fields.nth(1).unwrap_or_default().trim();
    let [start, end] = [first, last].map(|address| to_mapped(address).to_bits());
    (first.is_ipv4() == last.is_ipv4() && start <= end)
        .then_some((Range { first: start, last: end, asn }, name))
}

//! What local files tell about addresses, and what is said of files that tell nothing.

use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use ipnet::IpNet;
use mmdb_writer::{Value, Writer};
use otherhalf_client::names::{AsTable, Error, Exchanges, Names, Sources, Systems};
use tempfile::TempDir;

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// In no order; 0 is "not routed".
const RANGES: &str = "2001:db8::\t2001:db8:ffff:ffff:ffff:ffff:ffff:ffff\t64501\tZZ\tEXAMPLE-SIX\n\
    198.51.100.0\t198.51.100.127\t64502\tZZ\tOTHER Network\r\n\
    192.0.2.0\t192.0.2.255\t64500\tZZ\tEXAMPLE-AS\x1b[31m\n\
    198.51.100.128\t198.51.100.255\t0\tNone\tNot routed\n\
    # 203.0.113.0\t203.0.113.255\t64503\tZZ\tA comment\n\n";

fn found(table: &AsTable, address: &str) -> Option<(u32, Option<String>)> {
    table.find(address.parse().unwrap()).map(|system| (system.asn, system.name))
}

#[test]
fn ranges_of_iptoasn_packed_or_not() {
    let files = Files::new();
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(RANGES.as_bytes()).unwrap();
    for path in
        [files.write("plain.tsv", RANGES), files.write("packed.gz", packed.finish().unwrap())]
    {
        let table = AsTable::open(&path).unwrap();
        for (address, asn, name) in [
            ("192.0.2.0", 64500, "EXAMPLE-AS\x1b[31m"),
            ("192.0.2.255", 64500, "EXAMPLE-AS\x1b[31m"),
            ("198.51.100.127", 64502, "OTHER Network"),
            ("2001:db8::1", 64501, "EXAMPLE-SIX"),
        ] {
            assert_eq!(found(&table, address), Some((asn, Some(name.to_owned()))), "{address}");
        }
        for address in ["192.0.1.255", "192.0.3.0", "198.51.100.128", "203.0.113.1", "2001:db9::"] {
            assert_eq!(found(&table, address), None, "{address}");
        }
    }
}

fn maxmind(files: &Files, kind: &str) -> PathBuf {
    let mut writer = Writer::new(kind);
    let record = |asn: u32, name: &str| {
        Value::map([
            ("autonomous_system_number", Value::from(asn)),
            ("autonomous_system_organization", Value::from(name)),
        ])
    };
    for (prefix, asn, name) in [
        ("192.0.2.0/24", 64500, "Example Network"),
        ("192.0.2.128/25", 64502, "Its Customer"),
        ("2001:db8::/32", 64501, "Example Six"),
    ] {
        writer.insert_value(prefix.parse::<IpNet>().unwrap(), record(asn, name)).unwrap();
    }
    files.write("systems.mmdb", writer.to_bytes().unwrap())
}

#[test]
fn a_maxmind_database_of_systems() {
    let files = Files::new();
    let table = AsTable::open(&maxmind(&files, "GeoLite2-ASN")).unwrap();
    for (address, asn, name) in [
        ("192.0.2.1", 64500, "Example Network"),
        ("192.0.2.129", 64502, "Its Customer"),
        ("2001:db8::1", 64501, "Example Six"),
    ] {
        assert_eq!(found(&table, address), Some((asn, Some(name.to_owned()))), "{address}");
    }
    assert_eq!(found(&table, "198.51.100.1"), None);
}

#[test]
fn exchanges_by_the_longest_prefix() {
    let files = Files::new();
    let path = files.write(
        "exchanges.csv",
        "Prefix,Name\n# comment\n203.0.113.0/24,Example-IX, Main Street\n\
         203.0.113.128/25 , \"Example-IX Annex\"\n2001:db8:9::/64,Example-IX\n",
    );
    let exchanges = Exchanges::open(&path).unwrap();
    let find = |address: &str| exchanges.find(address.parse().unwrap());
    assert_eq!(find("203.0.113.1"), Some("Example-IX, Main Street"));
    assert_eq!(find("203.0.113.200"), Some("Example-IX Annex"));
    assert_eq!(find("2001:db8:9::1"), Some("Example-IX"));
    assert_eq!((find("203.0.114.1"), find("2001:db8:a::1")), (None, None));
}

#[test]
fn what_files_tell_is_there_at_once_and_fit_for_a_terminal() {
    let files = Files::new();
    let exchanges = files.write("exchanges.csv", "192.0.2.0/28,Ex\x1bample-IX\n");
    let mut names = Names::of(Sources {
        names: false,
        systems: Systems::Table(AsTable::open(&files.write("systems.tsv", RANGES)).unwrap()),
        exchanges: Some(Exchanges::open(&exchanges).unwrap()),
        ..Sources::default()
    });
    let [at_exchange, elsewhere, nowhere]: [IpAddr; 3] =
        ["192.0.2.1", "198.51.100.1", "203.0.113.1"].map(|address| address.parse().unwrap());
    for address in [at_exchange, elsewhere, nowhere] {
        names.look_up(address);
    }
    assert!(names.update(), "nobody was asked");
    assert_eq!(names.tag(at_exchange), r"[AS64500] [Ex\u{1b}ample-IX]");
    assert_eq!(names.tag(elsewhere), "[AS64502]");
    assert_eq!((names.tag(nowhere).as_str(), names.host(nowhere)), ("[*]", None));
    let host = names.host(at_exchange).unwrap();
    assert_eq!(host.as_name.as_deref(), Some(r"EXAMPLE-AS\u{1b}[31m"));
    assert_eq!(host.name, None);
}

#[track_caller]
fn says(error: &Error, path: &Path, words: &str) {
    let said = error.to_string();
    assert!(said.contains(words) && said.contains(path.to_str().unwrap()), "{said}");
}

#[test]
fn files_that_tell_nothing() {
    let files = Files::new();
    let missing = files.0.path().join("missing");
    says(&AsTable::open(&missing).unwrap_err(), &missing, "cannot read");
    says(&Exchanges::open(&missing).unwrap_err(), &missing, "cannot read");

    let city = maxmind(&files, "GeoLite2-City");
    says(&AsTable::open(&city).unwrap_err(), &city, "of type GeoLite2-City: take the ASN edition");
    let bytes = std::fs::read(&city).unwrap();
    let marker = bytes.windows(11).rposition(|window| window == b"MaxMind.com").unwrap();
    let damaged = files.write("damaged.mmdb", &bytes[..marker + 12]);
    says(&AsTable::open(&damaged).unwrap_err(), &damaged, "damaged or no MaxMind database");
    let torn = files.write("torn.gz", b"\x1f\x8b\x08\0");
    says(&AsTable::open(&torn).unwrap_err(), &torn, "cannot read");

    for (name, line) in [
        ("words.tsv", "what is this\x1b"),
        ("mixed.tsv", "192.0.2.0\t2001:db8::\t64500\tZZ\tNAME"),
        ("backwards.tsv", "192.0.2.9\t192.0.2.1\t64500\tZZ\tNAME"),
        ("number.tsv", "192.0.2.0\t192.0.2.255\tAS64500\tZZ\tNAME"),
    ] {
        let path = files.write(name, format!("# one\n{line}\n"));
        let error = AsTable::open(&path).unwrap_err();
        says(&error, &path, ", line 2: expected first address, last address, AS number");
        assert!(!error.to_string().contains('\x1b'), "{error}");
    }
    let binary = files.write("binary", b"\xff\xfe\n");
    says(&AsTable::open(&binary).unwrap_err(), &binary, ", line 1: expected");
    for name in ["203.0.113.0/24", "203.0.113.0/33,Name", "203.0.113.0/24,", "prefix;name"] {
        let path = files.write("exchanges.csv", format!("{name}\n"));
        let words = format!(
            "line 1: expected a prefix, a comma and the name of an exchange, as in 203.0.113.0/24,Example-IX, not \"{name}\""
        );
        says(&Exchanges::open(&path).unwrap_err(), &path, &words);
    }
    let empty = files.write("empty", "\n# nothing\n");
    says(&AsTable::open(&empty).unwrap_err(), &empty, "is empty: expected first address");
    says(&Exchanges::open(&empty).unwrap_err(), &empty, "is empty: expected a prefix");
}

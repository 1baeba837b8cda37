//! Which autonomous system announces an address, as Team Cymru answers by DNS (its IP to ASN mapping service).
//!
//! `1.2.0.192.origin.asn.cymru.com` has TXT records such as `64500 | 192.0.2.0/24 | ZZ | iana | 2010-01-01`, one for each prefix
//! that covers the address, several numbers where several systems announce it. `AS64500.asn.cymru.com` has the name:
//! `64500 | ZZ | iana | 2010-01-01 | EXAMPLE-AS Example Network, ZZ`.

use std::fmt::Write as _;
use std::net::IpAddr;

use ipnet::IpNet;

/// The name whose TXT records tell who announces `address`.
pub(super) fn origin(address: IpAddr) -> String {
    let mut name = String::new();
    match address {
        IpAddr::V4(v4) => {
            for octet in v4.octets().iter().rev() {
                // Writing to a String cannot fail.
                let _ = write!(name, "{octet}.");
            }
            name + "origin.asn.cymru.com."
        }
        IpAddr::V6(v6) => {
            for octet in v6.octets().iter().rev() {
                let _ = write!(name, "{:x}.{:x}.", octet & 0xf, octet >> 4);
            }
            name + "origin6.asn.cymru.com."
        }
    }
}

/// The name whose TXT record tells what `asn` is called.
pub(super) fn system(asn: u32) -> String {
    format!("AS{asn}.asn.cymru.com.")
}

/// The number in the record of the longest prefix, the first of several.
pub(super) fn read_origin(records: &[String]) -> Option<u32> {
    records
        .iter()
        .filter_map(|record| {
            let mut fields = record.split('|').map(str::trim);
            let asn = fields.next()?.split_whitespace().next()?.parse::<u32>().ok()?;
            let prefix: IpNet = fields.next()?.parse().ok()?;
            (asn != 0).then_some((prefix.prefix_len(), asn))
        })
        .max_by_key(|(prefix_len, _)| *prefix_len)
        .map(|(_, asn)| asn)
}

/// The name in the record of a system.
pub(super) fn read_system(records: &[String]) -> Option<String> {
    let name = records.first()?.splitn(5, '|').nth(4)?.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions() {
        assert_eq!(origin("192.0.2.1".parse().unwrap()), "1.2.0.192.origin.asn.cymru.com.");
        assert_eq!(
            origin("2001:db8::1".parse().unwrap()),
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.origin6.asn.cymru.com."
        );
        assert_eq!(system(64500), "AS64500.asn.cymru.com.");
    }

    #[test]
    fn the_longest_prefix_counts_and_the_first_of_its_systems() {
        let records = [
            "64501 | 192.0.2.0/23 | ZZ | iana | 2010-01-01",
            "64500 64502 | 192.0.2.0/24 | ZZ | iana | 2010-01-01",
        ]
        .map(str::to_owned);
        assert_eq!(read_origin(&records), Some(64500));
        for nothing in ["", "NA | NA | NA", "0 | 192.0.2.0/24", "64500", "64500 | everything"] {
            assert_eq!(read_origin(&[nothing.to_owned()]), None, "{nothing}");
        }
    }

    #[test]
    fn names_of_systems() {
        let record = "64500 | ZZ | iana | 2010-01-01 | EXAMPLE-AS Example | Network, ZZ".to_owned();
        assert_eq!(read_system(&[record]).as_deref(), Some("EXAMPLE-AS Example | Network, ZZ"));
        assert_eq!(read_system(&["64500 | ZZ | iana".to_owned()]), None);
        assert_eq!(read_system(&[]), None);
    }
}

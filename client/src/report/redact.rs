//! Takes out of a document where it was traced from.

use std::net::IpAddr;

use serde_json::Value;

use crate::document::{Document, Path};

/// What stands in sentences where something was taken out.
const HIDDEN: &str = "(hidden)";

/// `document` without our own address, and without the routers of the first `hops` hops of the forward path and of as many
/// hops before the client on the reverse one. An indirect trace (`--via`) comes near us nowhere: of it, no router is hidden.
///
/// An address that is hidden is hidden wherever it stands, with what is known about it; in its place stands the
/// unspecified one. This goes over the document as JSON, so nothing that is added to it later slips through.
pub fn redact(document: &Document, hops: u8) -> Result<Document, serde_json::Error> {
    let hidden = hidden(document, hops);
    let mut words: Vec<String> = Vec::new();
    for address in &hidden {
        words.push(address.to_string());
        words.extend(document.hosts.get(address).and_then(|host| host.name.clone()));
    }
    // The longest first: an address may be the beginning of another word.
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let mut value = serde_json::to_value(document)?;
    cover(&mut value, &words);
    serde_json::from_value(value)
}

/// The addresses to hide: but never the target's, which is what the report is about.
fn hidden(document: &Document, hops: u8) -> Vec<IpAddr> {
    let mut found = vec![document.head.source];
    for (direction, path) in document.paths() {
        let is_near = |ttl: u8| match direction {
            _ if hops == 0 || document.head.via.is_some() => false,
            crate::Direction::Forward => ttl <= hops,
            // The client itself is the last of the hops; those that come in front of it are near.
            crate::Direction::Reverse => {
                last(path).is_some_and(|last| ttl.saturating_add(hops) >= last)
            }
        };
        let near = path.hops.iter().filter(|hop| is_near(hop.ttl));
        found.extend(near.flat_map(crate::document::Hop::addresses));
        let nodes = path.multipath.iter().flat_map(|multipath| &multipath.nodes);
        let near = nodes.filter(|node| node.ttl > 0 && is_near(node.ttl));
        found.extend(near.filter_map(|node| node.address));
        if let Some(crate::document::End::ReachedTranslator { address }) = path.end {
            found.push(address);
        }
        // What translators wrote into probes is our own as well.
        let probes = path.hops.iter().flat_map(|hop| hop.probes.iter().flatten());
        found.extend(probes.filter_map(|probe| probe.details.nat?.source));
    }
    // A router is hidden with all its addresses.
    let of_one = document
        .aliases
        .iter()
        .filter(|router| router.addresses.iter().any(|address| found.contains(address)));
    let others: Vec<_> = of_one.flat_map(|router| router.addresses.iter().copied()).collect();
    found.extend(others);
    found.retain(|address| *address != document.head.target.address);
    found.sort_unstable();
    found.dedup();
    found
}

/// The TTL of the client on a reverse path, or of the last hop that is known: silent ones behind it may be none.
fn last(path: &Path) -> Option<u8> {
    let of_nodes = path
        .multipath
        .iter()
        .flat_map(|multipath| &multipath.nodes)
        .filter(|node| node.address.is_some())
        .map(|node| node.ttl);
    let answered = path.hops.iter().filter(|hop| hop.probes.iter().any(Option::is_some));
    answered.map(|hop| hop.ttl).chain(of_nodes).max()
}

fn cover(value: &mut Value, words: &[String]) {
    match value {
        Value::String(text) => {
            if let Ok(address) = text.parse::<IpAddr>() {
                if words.contains(&address.to_string()) {
                    *text = match address {
                        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.to_string(),
                        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.to_string(),
                    };
                }
            } else {
                for word in words {
                    *text = without(text, word);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| cover(item, words)),
        Value::Object(fields) => {
            // What is known of an address stands under it. The names of fields are not to be taken for those of hosts.
            fields.retain(|name, _| name.parse::<IpAddr>().is_err() || !words.contains(name));
            fields.values_mut().for_each(|field| cover(field, words));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `text` with `word` hidden wherever it is not a part of a longer address or name.
fn without(text: &str, word: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == ':' || c == '-';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(word).filter(|_| !word.is_empty()) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        // A dot may end a sentence.
        let goes_on = after.starts_with(is_part)
            || after.strip_prefix('.').is_some_and(|after| after.starts_with(is_part));
        let came_from = before.ends_with(|c| is_part(c) || c == '.');
        out.push_str(before);
        out.push_str(if goes_on || came_from { word } else { HIDDEN });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::samples::{document, multipath, path};
    use crate::document::{Finding, FindingKind, Host, Target};

    #[test]
    fn nothing_hidden_is_left() {
        let forward = path(1, 2, &[&[(10, 1.0)], &[(11, 1.0)], &[(12, 1.0)], &[(2, 2.0)]]);
        let reverse = path(2, 1, &[&[(12, 1.0)], &[(13, 1.0)], &[(10, 2.0)], &[(1, 2.0)]]);
        let mut whole = document(Some(forward), Some(reverse));
        let name = |name: &str| Host { name: Some(name.to_owned()), ..Host::default() };
        whole.hosts.insert([192, 0, 2, 10].into(), name("home.example.net"));
        whole.hosts.insert([192, 0, 2, 12].into(), name("far.example.net"));
        whole.finding = Some(Finding {
            kind: FindingKind::Nothing,
            sentence: "Between home.example.net (192.0.2.10) and 192.0.2.12, not 192.0.2.1."
                .to_owned(),
            forward: None,
            reverse: None,
        });
        let text = |document: &Document| serde_json::to_string(document).unwrap();
        let own = redact(&whole, 0).unwrap();
        assert!(!text(&own).contains("192.0.2.1\"") && text(&own).contains("192.0.2.10"));
        assert!(own.finding.as_ref().unwrap().sentence.ends_with("not (hidden)."));
        assert_eq!(own.reverse.as_ref().unwrap().to, IpAddr::from([0, 0, 0, 0]));
        let near = redact(&whole, 1).unwrap();
        assert_eq!(
            near.finding.as_ref().unwrap().sentence,
            "Between (hidden) ((hidden)) and 192.0.2.12, not (hidden)."
        );
        assert!(!text(&near).contains("192.0.2.10") && !text(&near).contains("home"));
        assert!(text(&near).contains("far.example.net") && text(&near).contains("192.0.2.2\""));
        assert!(text(&near).contains("192.0.2.11"));
    }

    #[test]
    fn silence_at_the_end_of_a_reverse_path_does_not_count() {
        let silent: &[_] = &[(0, 0.0)];
        let hops: [&[_]; 6] =
            [&[(12, 1.0)], &[(13, 1.0)], &[(14, 1.0)], &[(10, 2.0)], silent, silent];
        let mut reverse = path(2, 1, &hops);
        let text = |reverse: &Path| {
            let near = redact(&document(None, Some(reverse.clone())), 1).unwrap();
            serde_json::to_string(&near).unwrap()
        };
        assert!(!text(&reverse).contains("192.0.2.10\""));
        assert!(text(&reverse).contains("192.0.2.13\""));
        let nodes = [(0, 2), (1, 12), (2, 13), (3, 14), (4, 10), (5, 0), (6, 0)];
        reverse.multipath = Some(multipath(&nodes, &[]));
        assert!(!text(&reverse).contains("192.0.2.10\""));
        assert!(text(&reverse).contains("192.0.2.13\""));
    }

    #[test]
    fn an_indirect_trace_has_no_router_of_ours() {
        let reverse = path(3, 2, &[&[(10, 1.0)], &[(11, 2.0)], &[(2, 2.0)]]);
        let mut whole = document(None, Some(reverse));
        let address = [192, 0, 2, 3].into();
        whole.head.via = Some(Target { name: "responder.example.net".to_owned(), address });
        let near = redact(&whole, 2).unwrap();
        assert_eq!(near.reverse, whole.reverse);
        assert_ne!(near.head.source, whole.head.source);
    }

    #[test]
    fn a_host_that_is_named_like_a_field_hides_no_field() {
        let reverse = path(2, 1, &[&[(12, 1.0)], &[(10, 2.0)], &[(1, 2.0)]]);
        let mut whole = document(None, Some(reverse));
        let host = Host { name: Some("reverse".to_owned()), ..Host::default() };
        whole.hosts.insert([192, 0, 2, 10].into(), host);
        let near = redact(&whole, 1).unwrap();
        assert_eq!(near.reverse.map(|path| path.hops.len()), Some(3));
        assert!(near.hosts.is_empty());
    }
}

//! Documents for tests, by way of JSON: fields that are added later are left out, as in files of older versions.

use serde_json::{Value, json};

use super::{Document, Multipath, Path};

/// An answer of 192.0.2.`number` in `ms`; 0 is none.
pub(crate) type Answer = (u8, f64);

/// A path from 192.0.2.`from` to 192.0.2.`to` by hops of these answers.
pub(crate) fn path(from: u8, to: u8, hops: &[&[Answer]]) -> Path {
    let probe = |(number, ms): &Answer| match number {
        0 => Value::Null,
        _ => json!({
            "address": address(*number), "sent_ms": 0.0, "rtt_ms": ms, "query_ms": ms, "reply": null,
        }),
    };
    let reached = hops.last().is_some_and(|hop| hop.iter().any(|(number, _)| *number == to));
    let hops: Vec<_> = hops
        .iter()
        .zip(1..)
        .map(
            |(hop, ttl)| json!({ "ttl": ttl, "probes": hop.iter().map(probe).collect::<Vec<_>>() }),
        )
        .collect();
    serde_json::from_value(json!({
        "protocol": "udp", "flow": 33434, "first_ttl": 1, "max_ttl": 30, "queries": 3, "sent": 9,
        "from": address(from), "to": address(to), "reached": reached,
        "end": { "kind": if reached { "reached" } else { "silent" } }, "hops": hops,
    }))
    .unwrap()
}

/// A graph of nodes (TTL, 192.0.2.n or 0 for silence) and links (from, to, flows).
pub(crate) fn multipath(nodes: &[(u8, u8)], links: &[(usize, usize, u32)]) -> Multipath {
    let node = |(ttl, number): &(u8, u8)| {
        let address = (*number != 0).then(|| address(*number));
        json!({ "ttl": ttl, "address": address, "answered": 1, "rtt_ms": null })
    };
    let link =
        |(from, to, flows): &(usize, usize, u32)| json!({ "from": from, "to": to, "flows": flows });
    serde_json::from_value(json!({
        "confidence": 0.95, "max_flows": 256, "flows": 16,
        "nodes": nodes.iter().map(node).collect::<Vec<_>>(),
        "links": links.iter().map(link).collect::<Vec<_>>(),
        "balancers": [{ "node": 1, "balancing": "per_flow", "branches": 2, "confidence": 0.95 }],
    }))
    .unwrap()
}

/// Both directions between us, 192.0.2.1, and www, 192.0.2.2.
pub(crate) fn document(forward: Option<Path>, reverse: Option<Path>) -> Document {
    let mut document: Document = serde_json::from_value(json!({
        "schema_version": 1, "version": "0.1.0", "command": "two-way",
        "started": "2026-01-02T03:04:05Z",
        "target": { "name": "www.example.com", "address": address(2) },
        "source": address(1), "exit_code": 0,
    }))
    .unwrap();
    document.forward = forward;
    document.reverse = reverse;
    document
}

fn address(number: u8) -> String {
    format!("192.0.2.{number}")
}

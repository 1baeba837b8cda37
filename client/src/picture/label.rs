//! What is written on a node.

use std::net::IpAddr;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::graph::{Graph, Kind, Node};
use crate::document::{Balancer, Balancing, Document, End, Host, Target};
use crate::{Direction, printable};

/// The most columns of a line; the whole text is in the title.
const COLUMNS: usize = 34;
/// Of the name of an autonomous system.
const AS_COLUMNS: usize = 16;

/// What is written on a node. All of it is fit for a terminal; none is escaped for a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    /// The most important first.
    pub(crate) lines: Vec<String>,
    /// All that is known, uncut.
    pub(crate) title: String,
}

/// The label of `node` of `graph`.
pub(crate) fn of(document: &Document, graph: &Graph, node: &Node) -> Label {
    let Some(address) = node.kind.address() else { return silence(node) };
    let host = document.hosts.get(&address);
    let (name, role) = match node.kind {
        Kind::Start(_) | Kind::End(_) if address == document.head.source => (None, Some("client")),
        Kind::Start(_) | Kind::End(_) if let Some(end) = end(document, address) => {
            let name = &end.name;
            let known = host.and_then(|host| host.name.as_ref());
            (if *name == address.to_string() { known } else { Some(name) }, None)
        }
        _ => (host.and_then(|host| host.name.as_ref()), None),
    };
    let address = shown(address);
    let mut lines: Vec<String> = role.map(str::to_owned).into_iter().collect();
    lines.extend(name.map(|name| printable(name)));
    lines.push(address);
    if let Some(translator) = translator(document, graph, node) {
        lines.push(format!("behind {}", shown(translator)));
    }
    let [short, long] = [true, false].map(|short| facts(host, node, short).join(" · "));
    let title = [&lines[..], &[long]].concat().join("\n");
    lines.push(short);
    let lines =
        lines.iter().filter(|line| !line.is_empty()).map(|line| cut(line, COLUMNS)).collect();
    Label { lines, title: title.trim_end().to_owned() }
}

/// The end that has this address, as the user named it.
fn end(document: &Document, address: IpAddr) -> Option<&Target> {
    let ends = [Some(&document.head.target), document.head.via.as_ref()];
    ends.into_iter().flatten().find(|end| end.address == address)
}

/// An address; one that a report hides is unspecified.
pub(crate) fn shown(address: IpAddr) -> String {
    if address.is_unspecified() { "(hidden)".to_owned() } else { address.to_string() }
}

/// The translator that hides the end of a reverse path.
fn translator(document: &Document, graph: &Graph, node: &Node) -> Option<IpAddr> {
    let path = match graph.direction {
        Direction::Forward => document.forward.as_ref()?,
        Direction::Reverse => document.reverse.as_ref()?,
    };
    match (node.kind, &path.end) {
        (Kind::End(_), Some(End::ReachedTranslator { address })) => Some(*address),
        _ => None,
    }
}

fn silence(node: &Node) -> Label {
    let text = match node.kind {
        Kind::Silent(hops) if hops > 1 => {
            format!("no answer from TTL {} to {}", node.ttl, node.ttl.saturating_add(hops - 1))
        }
        _ => "no answer".to_owned(),
    };
    Label { lines: vec![text.clone()], title: text }
}

/// What was measured, and the network that the address is in.
fn facts(host: Option<&Host>, node: &Node, short: bool) -> Vec<String> {
    let mut facts: Vec<_> = node.rtt_ms.map(milliseconds).into_iter().collect();
    let lost = node.loss.filter(|loss| *loss > 0.0);
    facts.extend(lost.map(|loss| format!("{:.0} % lost", loss * 100.0)));
    facts.extend(host.into_iter().flat_map(|host| network(host, short)));
    facts
}

/// `AS64500 EXAMPLE`, and the exchange point.
pub(crate) fn network(host: &Host, short: bool) -> Vec<String> {
    let clip = |text: &str| {
        let text = printable(text);
        if short { cut(&text, AS_COLUMNS) } else { text }
    };
    let asn = host.asn.map(|asn| match &host.as_name {
        Some(name) => format!("AS{asn} {}", clip(name)),
        None => format!("AS{asn}"),
    });
    asn.into_iter().chain(host.ixp.as_deref().map(clip)).collect()
}

/// A time with three digits that mean something.
pub(crate) fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms < 1.0 => format!("{ms:.2} ms"),
        ms if ms < 100.0 => format!("{ms:.1} ms"),
        ms => format!("{ms:.0} ms"),
    }
}

/// `per flow, 4 ways, 99 % sure`.
pub(crate) fn balancer(balancer: &Balancer) -> String {
    let by = match balancer.balancing {
        Balancing::PerFlow => "per flow",
        Balancing::PerPacket => "per packet",
        Balancing::PerDestination => "per destination",
        Balancing::Unknown => "balances",
    };
    format!("{by}, {} ways, {} % sure", balancer.branches, percent(balancer.confidence))
}

/// A part of 1 in per cent, never rounded up to certainty.
fn percent(part: f64) -> String {
    let percent = part * 100.0;
    if percent < 99.0 {
        format!("{percent:.0}")
    } else {
        format!("{:.1}", (percent * 10.0).floor() / 10.0)
    }
}

/// Columns that `text` takes in a font whose characters are all as wide.
pub(crate) fn columns(text: &str) -> usize {
    text.width()
}

/// The beginning of `text`, with a mark where the rest is missing.
fn cut(text: &str, most: usize) -> String {
    if columns(text) <= most {
        return text.to_owned();
    }
    let mut used = 1;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= most
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_and_wide_ones_count_twice() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(columns(&cut("日本語日本語", 6)), 5);
    }

    #[test]
    fn nothing_is_certain() {
        assert_eq!(percent(0.9999), "99.9");
        assert_eq!(percent(0.95), "95");
        assert_eq!(percent(0.99), "99.0");
    }

    #[test]
    fn times_keep_what_was_measured() {
        assert_eq!([0.1234, 12.34, 312.3].map(milliseconds), ["0.12 ms", "12.3 ms", "312 ms"]);
    }
}

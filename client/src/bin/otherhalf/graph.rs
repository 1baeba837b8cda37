//! The graph of a multipath trace as text: TTL by TTL, the interfaces, their flows, and the balancers.

use std::fmt::Write as _;

use otherhalf_client::document::{Balancer, Balancing, Multipath, Node};
use otherhalf_client::names::Names;

use crate::lines::who;

/// How to write addresses.
#[derive(Clone, Copy)]
pub(crate) struct Style<'a> {
    pub(crate) names: &'a Names,
    pub(crate) numeric: bool,
}

impl Style<'_> {
    fn node(&self, node: &Node) -> String {
        node.address
            .map_or_else(|| "*".to_owned(), |address| who(address, self.names, self.numeric))
    }

    /// The shortest that tells nodes apart.
    fn short(&self, node: &Node) -> String {
        let Some(address) = node.address else { return "*".to_owned() };
        let name = self.names.get(address).filter(|_| !self.numeric);
        name.map_or_else(|| address.to_string(), ToOwned::to_owned)
    }
}

/// The graph: a line for each interface, and one below each balancer.
pub(crate) fn render(graph: &Multipath, style: Style<'_>) -> String {
    let mut text = String::new();
    let mut last = None;
    for (at, node) in graph.nodes.iter().enumerate() {
        if at > 0 {
            let ttl = if last == Some(node.ttl) { String::new() } else { node.ttl.to_string() };
            last = Some(node.ttl);
            // Writing to a String cannot fail.
            let _ = write!(text, "{ttl:>2}  {}", style.node(node));
            if let Some(rtt) = node.rtt_ms {
                let _ = write!(text, "  {rtt:.3} ms");
            }
            let flows: u32 =
                graph.links.iter().filter(|link| link.to == at).map(|link| link.flows).sum();
            let _ = write!(text, "  {}", count(flows, "flow"));
            text.push_str(&after(graph, at, style));
            text.push('\n');
        }
        if let Some(balancer) = graph.balancers.iter().find(|balancer| balancer.node == at) {
            let whose = if at == 0 { "the start: " } else { "" };
            let _ = writeln!(text, "      {whose}{}", describe(balancer));
        }
    }
    text
}

/// Which of several nodes before it lead to a node; nothing if all do.
fn after(graph: &Multipath, at: usize, style: Style<'_>) -> String {
    let before = |from: usize| graph.nodes.get(from);
    let Some(ttl) = graph.nodes.get(at).and_then(|node| node.ttl.checked_sub(1)) else {
        return String::new();
    };
    let (all, links) = (
        graph.nodes.iter().filter(|node| node.ttl == ttl).count(),
        graph.links.iter().filter(|link| link.to == at),
    );
    let names: Vec<_> = links
        .filter_map(|link| {
            let doubt = if link.certain { "" } else { "?" };
            Some((style.short(before(link.from)?), doubt))
        })
        .map(|(name, doubt)| format!("{name}{doubt}"))
        .collect();
    if all < 2 || (names.len() == all && !names.iter().any(|name| name.ends_with('?'))) {
        return String::new();
    }
    format!("  after {}", names.join(", "))
}

fn describe(balancer: &Balancer) -> String {
    let kind = match balancer.balancing {
        Balancing::PerFlow => "balances by flow",
        Balancing::PerPacket => "balances by packet",
        Balancing::PerDestination => "balances by destination",
        Balancing::Unknown => "balances, by what cannot be told",
    };
    let sure = balancer
        .balancing_confidence
        .map_or_else(String::new, |chance| format!(" ({} sure)", percent(chance)));
    format!(
        "{kind}{sure} over {} next hops; no more with {}",
        balancer.branches,
        percent(balancer.confidence)
    )
}

/// What the whole graph says, in a sentence.
///
/// `complete` says whether the search came to its own end: one that was stopped, or ran out of flows, promises nothing.
pub(crate) fn summary(graph: &Multipath, complete: bool, sent: u64, seconds: f64) -> String {
    let paths = match paths(graph) {
        None => "too many paths to count".to_owned(),
        Some(1) => "1 path".to_owned(),
        Some(paths) => format!("{paths} paths"),
    };
    let balancers = u32::try_from(graph.balancers.len()).unwrap_or(u32::MAX);
    let promise = if complete && graph.flows < graph.max_flows {
        format!(
            "With a confidence of {} there is no more to find, if balancers spread flows evenly.",
            percent(graph.confidence)
        )
    } else {
        "The search was cut short, so there may be more to find.".to_owned()
    };
    format!(
        "{paths}, {}. {promise} {} in {seconds:.1} s.",
        count(balancers, "balancer"),
        if sent == 1 { "1 query".to_owned() } else { format!("{sent} queries") },
    )
}

/// Ways from the start to nodes that nothing is behind.
fn paths(graph: &Multipath) -> Option<u64> {
    let mut ways = vec![0u64; graph.nodes.len()];
    *ways.first_mut()? = 1;
    // Links stand in the order of their first node, and lead to the next TTL.
    for link in &graph.links {
        let through = *ways.get(link.from)?;
        let to = ways.get_mut(link.to)?;
        *to = to.checked_add(through)?;
    }
    let ends = |at: usize| !graph.links.iter().any(|link| link.from == at);
    ways.iter()
        .enumerate()
        .filter(|(at, _)| ends(*at))
        .try_fold(0u64, |sum, (_, ways)| sum.checked_add(*ways))
}

fn count(number: u32, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// Never more than is known: 99.97 % are not 100 %.
fn percent(chance: f64) -> String {
    format!("{} %", (chance * 1000.0 + 1e-6).floor() / 10.0)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use otherhalf_client::document::Link;

    use super::*;
    use crate::lines::tests::names;

    fn node(ttl: u8, last: u8) -> Node {
        let address: Option<IpAddr> = (last > 0).then(|| [192, 0, 2, last].into());
        let rtt_ms = (last > 0).then_some(f64::from(ttl));
        Node { ttl, address, answered: 1, rtt_ms }
    }

    fn link(from: usize, to: usize, flows: u32, certain: bool) -> Link {
        Link { from, to, flows, certain }
    }

    fn graph() -> Multipath {
        Multipath {
            confidence: 0.95,
            max_flows: 512,
            flows: 15,
            nodes: vec![node(0, 0), node(1, 1), node(2, 2), node(2, 0), node(3, 3), node(3, 7)],
            links: vec![
                link(0, 1, 15, true),
                link(1, 2, 8, true),
                link(1, 3, 7, true),
                link(2, 4, 8, true),
                link(3, 4, 6, true),
                link(3, 5, 1, false),
            ],
            balancers: vec![
                Balancer {
                    node: 1,
                    balancing: Balancing::PerFlow,
                    branches: 2,
                    confidence: 0.9931,
                    balancing_confidence: Some(0.992),
                },
                Balancer {
                    node: 3,
                    balancing: Balancing::Unknown,
                    branches: 2,
                    confidence: 0.9999,
                    balancing_confidence: None,
                },
            ],
        }
    }

    #[test]
    fn interfaces_flows_and_balancers() {
        let names = names();
        let text = render(&graph(), Style { names: &names, numeric: false });
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                " 1  A (192.0.2.1)  1.000 ms  15 flows",
                "      balances by flow (99.2 % sure) over 2 next hops; no more with 99.3 %",
                " 2  B (192.0.2.2)  2.000 ms  8 flows",
                "    *  7 flows",
                "      balances, by what cannot be told over 2 next hops; no more with 99.9 %",
                " 3  C (192.0.2.3)  3.000 ms  14 flows",
                "    192.0.2.7 (192.0.2.7)  3.000 ms  1 flow  after *?",
            ]
        );
    }

    #[test]
    fn a_search_that_was_cut_short_promises_nothing() {
        let all = Multipath { flows: 512, ..graph() };
        for text in [summary(&graph(), false, 42, 1.26), summary(&all, true, 42, 1.26)] {
            assert!(text.contains("there may be more to find") && !text.contains("95 %"), "{text}");
        }
    }

    #[test]
    fn the_summary_counts_paths() {
        assert_eq!(
            summary(&graph(), true, 42, 1.26),
            "3 paths, 2 balancers. With a confidence of 95 % there is no more to find, if balancers spread flows \
             evenly. 42 queries in 1.3 s."
        );
        assert_eq!(percent(0.99999), "99.9 %");
        assert_eq!(percent(1.0), "100 %");
    }
}

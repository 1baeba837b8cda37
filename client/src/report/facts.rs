//! What a report says, before it has a format.

use std::net::IpAddr;

use crate::document::{Document, Hop, Path, Protocol, Reply};
use crate::multipath::Confidence;
use crate::options::least_size;
use crate::picture::label::{balancer, milliseconds, network, shown};
use crate::picture::titles::{outcome, probes};
use crate::{Direction, Rewritten, printable};

/// The columns of a direction's table.
pub(super) const COLUMNS: [&str; 8] =
    ["TTL", "Router", "Network", "Loss", "Best", "Mean", "Worst", "Notes"];
/// Which of them hold figures.
pub(super) const FIGURES: [bool; 8] = [true, false, false, true, true, true, true, false];

/// A line of a direction's table, a text for each column.
pub(super) type Row = [String; 8];

/// The heading of a document.
pub(super) fn title(document: &Document) -> String {
    let target = printable(&document.head.target.name);
    match (&document.forward, &document.reverse) {
        (Some(_), Some(_)) => format!("The way to {target} and back"),
        (None, Some(_)) => match &document.head.via {
            Some(via) => format!("The way from {} to {target}", printable(&via.name)),
            None => format!("The way back from {target}"),
        },
        _ => format!("The way to {target}"),
    }
}

/// Who, when, from where to where: names and values.
pub(super) fn head(document: &Document) -> Vec<(&'static str, String)> {
    let head = &document.head;
    let mut facts = vec![
        ("Date", head.started.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()),
        ("Client", place(document, None, head.source)),
        ("Target", place(document, Some(&head.target.name), head.target.address)),
    ];
    if let Some(via) = &head.via {
        facts.push(("Responder", place(document, Some(&via.name), via.address)));
    }
    for (direction, path) in document.paths() {
        let name = match direction {
            Direction::Forward => "Forward",
            Direction::Reverse => "Reverse",
        };
        let asked = format!("{}, {} probes a hop", probes(path), path.queries);
        facts.push((name, format!("{} ({asked})", outcome(path))));
    }
    facts.push(("Program", format!("otherhalf {}", printable(&head.version))));
    facts
}

/// `name (address), network`.
fn place(document: &Document, name: Option<&str>, address: IpAddr) -> String {
    let host = document.hosts.get(&address);
    let name = name.or_else(|| host.and_then(|host| host.name.as_deref()));
    let name = name.filter(|name| *name != address.to_string());
    let mut text = name
        .map_or_else(|| shown(address), |name| format!("{} ({})", printable(name), shown(address)));
    for network in host.map(|host| network(host, false)).unwrap_or_default() {
        text.push_str(", ");
        text.push_str(&network);
    }
    text
}

/// The heading of a direction.
pub(super) fn way(document: &Document, direction: Direction) -> String {
    let target = printable(&document.head.target.name);
    match direction {
        Direction::Forward => format!("Forward: from the client to {target}"),
        Direction::Reverse => match &document.head.via {
            Some(via) => format!("Reverse: from {} to {target}", printable(&via.name)),
            None => format!("Reverse: from {target} to the client"),
        },
    }
}

/// The table of a direction: a line for each address of each hop.
pub(super) fn rows(document: &Document, path: &Path) -> Vec<Row> {
    path.hops.iter().flat_map(|hop| hop_rows(document, path, hop)).collect()
}

fn hop_rows(document: &Document, path: &Path, hop: &Hop) -> Vec<Row> {
    let answered = hop.probes.iter().flatten().count();
    #[expect(clippy::cast_precision_loss, reason = "few probes a hop")]
    let lost = match hop.probes.len() {
        0 => String::new(),
        asked => format!("{:.0} %", (asked - answered) as f64 * 100.0 / asked as f64),
    };
    let mut addresses = hop.addresses();
    // A multipath trace meets more of them than one flow does.
    let nodes = path.multipath.iter().flat_map(|multipath| &multipath.nodes);
    for address in nodes.filter(|node| node.ttl == hop.ttl).filter_map(|node| node.address) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    let ttl = hop.ttl.to_string();
    if addresses.is_empty() {
        let mut row = Row::default();
        [row[0], row[1], row[3]] = [ttl, "no answer".to_owned(), lost];
        return vec![row];
    }
    let row = |(at, address): (usize, &IpAddr)| {
        let first = |text: &str| if at == 0 { text.to_owned() } else { String::new() };
        let host = document.hosts.get(address);
        let name = host.and_then(|host| host.name.as_deref());
        let [best, mean, worst] = times(path, hop, *address);
        [
            first(&ttl),
            name.map_or_else(
                || shown(*address),
                |name| format!("{} ({})", printable(name), shown(*address)),
            ),
            host.map(|host| network(host, false).join(", ")).unwrap_or_default(),
            first(&lost),
            best,
            mean,
            worst,
            notes(path, hop, *address),
        ]
    };
    addresses.iter().enumerate().map(row).collect()
}

/// The least, the mean and the highest round-trip time of `address` at `hop`.
fn times(path: &Path, hop: &Hop, address: IpAddr) -> [String; 3] {
    let here = hop.probes.iter().flatten().filter(|probe| probe.address == address);
    let times: Vec<_> = here.filter_map(|probe| probe.rtt_ms).collect();
    if times.is_empty() {
        let mut nodes = path.multipath.iter().flat_map(|multipath| &multipath.nodes);
        let node = nodes.find(|node| node.ttl == hop.ttl && node.address == Some(address));
        let best = node.and_then(|node| node.rtt_ms).map(milliseconds);
        return [best.unwrap_or_default(), String::new(), String::new()];
    }
    let (sum, count) = times.iter().fold((0.0, 0.0), |(sum, count), ms| (sum + ms, count + 1.0));
    let least = times.iter().copied().fold(f64::INFINITY, f64::min);
    let most = times.iter().copied().fold(0.0, f64::max);
    [least, sum / count, most].map(milliseconds)
}

/// What else is known of `address` at `hop`.
fn notes(path: &Path, hop: &Hop, address: IpAddr) -> String {
    let mut notes: Vec<String> = Vec::new();
    for probe in hop.probes.iter().flatten().filter(|probe| probe.address == address) {
        match &probe.reply {
            Some(Reply::Unreachable { meaning, .. }) => notes.push(printable(meaning)),
            Some(Reply::TooBig { mtu: Some(mtu) }) => notes.push(format!("MTU {mtu} behind it")),
            Some(Reply::TooBig { mtu: None }) => notes.push("MTU too small behind it".to_owned()),
            Some(Reply::TimeExceeded | Reply::Direct) | None => {}
        }
        let labels = probe.details.mpls.iter().map(|entry| entry.label.to_string());
        let labels = labels.collect::<Vec<_>>().join(", ");
        if !labels.is_empty() {
            notes.push(format!("MPLS {labels}"));
        }
        if probe.details.nat.is_some_and(|nat| Rewritten::from(nat).is_translated()) {
            notes.push("behind NAT".to_owned());
        }
    }
    if let Some(multipath) = &path.multipath {
        let is_here = |node: usize| {
            multipath
                .nodes
                .get(node)
                .is_some_and(|node| node.ttl == hop.ttl && node.address == Some(address))
        };
        let here = multipath.balancers.iter().filter(|balancer| is_here(balancer.node));
        notes.extend(here.map(|found| format!("load balancer {}", balancer(found))));
    }
    let mut once: Vec<String> = Vec::new();
    for note in notes {
        if !once.contains(&note) {
            once.push(note);
        }
    }
    once.join("; ")
}

/// The command line that traces it again, as far as a document knows how it was traced: not how fast, nor how many silent hops
/// ended it.
pub(super) fn command(document: &Document) -> String {
    let path = document.paths().next().map(|(_, path)| path);
    let mut words = vec!["otherhalf".to_owned(), command_name(document).to_owned()];
    if let Some(path) = path {
        let (protocol, usual) = match path.protocol {
            Protocol::Udp => ("udp", 33434),
            Protocol::Tcp => ("tcp", 80),
            Protocol::Icmp => ("icmp", 48815),
        };
        words.push(protocol.to_owned());
        if let Some(multipath) = &path.multipath {
            words.push("--multipath".to_owned());
            let percent = (multipath.confidence * 1e8).round() / 1e6;
            // A file may claim one that the program would refuse.
            let confidence = Confidence::from_percent(percent);
            words.extend(confidence.map(|percent| format!("--confidence {percent}")));
            if multipath.max_flows != 512 {
                words.push(format!("--max-flows {}", multipath.max_flows));
            }
        }
        if path.flow != usual {
            words.push(format!("--flow {}", path.flow));
        }
        // Those of a multipath trace follow from what it found.
        if path.queries != 3 && path.multipath.is_none() {
            words.push(format!("-q {}", path.queries));
        }
        if path.first_ttl != 1 {
            words.push(format!("-f {}", path.first_ttl));
        }
        if path.max_ttl != 30 {
            words.push(format!("-m {}", path.max_ttl));
        }
        let least = least_size(path.protocol.into(), path.from);
        let longer = path.size.filter(|size| *size != least);
        words.extend(longer.map(|size| format!("--size {size}")));
        words.extend(path.tos.filter(|tos| *tos != 0).map(|tos| format!("--tos {tos}")));
    }
    if let Some(via) = document.head.via.as_ref().filter(|_| document.forward.is_none()) {
        words.push(format!("--via {}", via.address));
    }
    // What stands there is run by somebody: the address, not a name that a file made up.
    words.push(document.head.target.address.to_string());
    words.join(" ")
}

/// By what was traced; a file may claim any command.
const fn command_name(document: &Document) -> &'static str {
    match (&document.forward, &document.reverse) {
        (Some(_), Some(_)) => "two-way",
        (None, Some(_)) => "reverse",
        _ => "forward",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::samples::{document, multipath, path};
    use crate::document::{Nat, Target};

    #[test]
    fn a_hop_has_a_line_for_each_address() {
        let path = path(
            1,
            2,
            &[&[(10, 1.0), (10, 3.0), (0, 0.0)], &[(11, 2.0), (12, 4.0)], &[(0, 0.0)], &[(2, 5.0)]],
        );
        let rows = rows(&document(None, None), &path);
        let told: Vec<_> =
            rows.iter().map(|row| [0, 1, 3, 4, 5, 6].map(|at| row[at].as_str())).collect();
        assert_eq!(
            told,
            [
                ["1", "192.0.2.10", "33 %", "1.0 ms", "2.0 ms", "3.0 ms"],
                ["2", "192.0.2.11", "0 %", "2.0 ms", "2.0 ms", "2.0 ms"],
                ["", "192.0.2.12", "", "4.0 ms", "4.0 ms", "4.0 ms"],
                ["3", "no answer", "100 %", "", "", ""],
                ["4", "192.0.2.2", "0 %", "5.0 ms", "5.0 ms", "5.0 ms"],
            ]
        );
    }

    #[test]
    fn an_indirect_trace_starts_at_its_responder() {
        let mut indirect = document(None, Some(path(3, 2, &[&[(10, 1.0)], &[(2, 1.0)]])));
        indirect.head.via = Some(Target {
            name: "responder.example.net".to_owned(),
            address: [192, 0, 2, 3].into(),
        });
        assert_eq!(title(&indirect), "The way from responder.example.net to www.example.com");
        assert_eq!(
            way(&indirect, Direction::Reverse),
            "Reverse: from responder.example.net to www.example.com"
        );
        assert!(
            head(&indirect).contains(&("Responder", "responder.example.net (192.0.2.3)".into()))
        );
        assert_eq!(command(&indirect), "otherhalf reverse udp --via 192.0.2.3 192.0.2.2");
    }

    #[test]
    fn the_command_asks_for_as_much_of_a_graph() {
        let mut forward = path(1, 2, &[&[(2, 1.0)]]);
        forward.multipath = Some(multipath(&[(0, 1), (1, 2)], &[(0, 1, 1)]));
        (forward.flow, forward.queries) = (443, 16);
        let mut told = |confidence, max_flows| {
            let found = forward.multipath.as_mut().unwrap();
            (found.confidence, found.max_flows) = (confidence, max_flows);
            command(&document(Some(forward.clone()), None))
        };
        assert_eq!(
            told(0.999, 512),
            "otherhalf forward udp --multipath --confidence 99.9 --flow 443 192.0.2.2"
        );
        assert_eq!(
            told(1.0, 256),
            "otherhalf forward udp --multipath --max-flows 256 --flow 443 192.0.2.2"
        );
    }

    #[test]
    fn a_checksum_alone_is_a_translators_work_as_in_a_trace() {
        let mut path = path(1, 2, &[&[(10, 1.0)], &[(11, 1.0)]]);
        for (hop, nat) in path.hops.iter_mut().zip([
            Nat { checksum: Some(1), ..Nat::default() },
            Nat { identification: Some(1), ..Nat::default() },
        ]) {
            hop.probes[0].as_mut().unwrap().details.nat = Some(nat);
        }
        let notes: Vec<_> =
            rows(&document(None, None), &path).into_iter().map(|row| row[7].clone()).collect();
        assert_eq!(notes, ["behind NAT", ""]);
    }

    #[test]
    fn the_command_traces_it_again() {
        let mut forward = path(1, 2, &[&[(2, 1.0)]]);
        let both = document(Some(forward.clone()), Some(path(2, 1, &[])));
        assert_eq!(command(&both), "otherhalf two-way udp 192.0.2.2");
        (forward.size, forward.tos) =
            (Some(least_size(forward.protocol.into(), forward.from)), Some(0));
        assert_eq!(
            command(&document(Some(forward.clone()), None)),
            "otherhalf forward udp 192.0.2.2"
        );
        (forward.size, forward.tos) = (Some(1400), Some(184));
        assert_eq!(
            command(&document(Some(forward.clone()), None)),
            "otherhalf forward udp --size 1400 --tos 184 192.0.2.2"
        );
        (forward.size, forward.tos) = (None, None);
        (forward.flow, forward.queries, forward.max_ttl) = (443, 1, 20);
        assert_eq!(
            command(&document(Some(forward), None)),
            "otherhalf forward udp --flow 443 -q 1 -m 20 192.0.2.2"
        );
    }
}

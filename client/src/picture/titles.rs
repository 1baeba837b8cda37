//! What stands over each direction.

use super::label::shown;
use crate::document::{Document, End, Path, Protocol};
use crate::{Direction, printable};

/// A title and what stands below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Title {
    pub(crate) direction: Direction,
    /// Whether it stands on the right.
    pub(crate) right: bool,
    pub(crate) text: String,
    pub(crate) detail: String,
}

/// The titles of the directions of a scene.
pub(crate) fn titles(document: &Document, directions: &[(Direction, bool)]) -> Vec<Title> {
    let paths = document.paths();
    paths
        .zip(directions)
        .map(|((direction, path), (_, right))| Title {
            direction,
            right: *right,
            text: way(document, direction),
            detail: format!("{}, {}", probes(path), outcome(path)),
        })
        .collect()
}

/// `Forward: to www.example.com`.
pub(crate) fn way(document: &Document, direction: Direction) -> String {
    let name = printable(&document.head.target.name);
    match (direction, &document.head.via) {
        (Direction::Forward, _) => format!("Forward: to {name}"),
        (Direction::Reverse, None) => format!("Reverse: from {name}"),
        (Direction::Reverse, Some(via)) => {
            format!("Reverse: from {} to {name}", printable(&via.name))
        }
    }
}

/// `UDP, flow 33434`, or `UDP, 64 flows`.
pub(crate) fn probes(path: &Path) -> String {
    let protocol = protocol(path.protocol);
    match &path.multipath {
        Some(multipath) if multipath.flows == 1 => format!("{protocol}, 1 flow"),
        Some(multipath) => format!("{protocol}, {} flows", multipath.flows),
        None => format!("{protocol}, flow {}", path.flow),
    }
}

/// As the field writes it.
pub(crate) const fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Udp => "UDP",
        Protocol::Tcp => "TCP",
        Protocol::Icmp => "ICMP",
    }
}

/// How the trace ended, in a few words.
pub(crate) fn outcome(path: &Path) -> String {
    let hops = match &path.multipath {
        Some(multipath) => multipath.nodes.iter().map(|node| node.ttl).max(),
        None => path.hops.last().map(|hop| hop.ttl),
    };
    let hops = match hops {
        Some(1) => "1 hop".to_owned(),
        Some(hops) => format!("{hops} hops"),
        None => "no hops".to_owned(),
    };
    match &path.end {
        _ if path.reached => format!("reached after {hops}"),
        Some(End::Unreachable { from, reply }) => {
            let meaning = match reply {
                crate::document::Reply::Unreachable { meaning, .. } => printable(meaning),
                _ => "unreachable".to_owned(),
            };
            format!("not reached: {meaning}, says {}", shown(*from))
        }
        Some(End::PingOnly) => "not traced: the target speaks plain ping only".to_owned(),
        Some(End::Refused { text, status, .. }) if text.is_empty() => {
            format!("refused by the target (status {status})")
        }
        Some(End::Refused { text, .. }) => format!("refused by the target: {}", printable(text)),
        Some(End::Repeating { address }) => {
            format!("not reached: {} answers at every TTL", shown(*address))
        }
        Some(End::Interrupted) => format!("interrupted after {hops}"),
        Some(End::Silent) => format!("not reached: silent hops up to {hops}"),
        Some(End::Reached | End::ReachedTranslator { .. } | End::LastTtl) | None => {
            format!("not reached within {hops}")
        }
    }
}

//! Differences in words.

use std::net::IpAddr;

use super::{BranchChange, Difference, HopChange, PathDifference, Spot, TimeChange};
use crate::document::{Document, Path};
use crate::picture::label::{milliseconds, shown};
use crate::picture::titles::protocol;
use crate::{Direction, printable};

/// What makes two traces hard to compare.
pub(super) fn notes(before: &Document, after: &Document) -> Vec<String> {
    let mut notes = Vec::new();
    let mut differs = |what: &str, a: String, b: String| {
        if a != b {
            notes.push(format!("{what}: {a} before, {b} after"));
        }
    };
    let [a, b] = [&before.head, &after.head];
    differs("The targets differ", shown(a.target.address), shown(b.target.address));
    differs("The clients differ", shown(a.source), shown(b.source));
    let one = |a: Option<&Path>, b: Option<&Path>, way: &str, notes: &mut Vec<String>| match (a, b)
    {
        (Some(a), Some(b)) => {
            let probes = |path: &Path| match path.multipath {
                Some(_) => format!("{}, all paths", protocol(path.protocol)),
                None => format!("{}, flow {}", protocol(path.protocol), path.flow),
            };
            if probes(a) != probes(b) {
                notes.push(format!(
                    "The {way} probes differ: {} before, {} after; other probes may take other ways",
                    probes(a),
                    probes(b)
                ));
            }
        }
        (Some(_), None) => notes.push(format!("Only the earlier one has a {way} path")),
        (None, Some(_)) => notes.push(format!("Only the later one has a {way} path")),
        (None, None) => {}
    };
    one(before.forward.as_ref(), after.forward.as_ref(), "forward", &mut notes);
    one(before.reverse.as_ref(), after.reverse.as_ref(), "reverse", &mut notes);
    notes
}

/// How to name what the two documents show.
struct Words<'a> {
    before: &'a Document,
    after: &'a Document,
}

impl Difference {
    /// Several lines, as for `otherhalf diff`: what was with a minus, what is with a plus.
    #[must_use]
    pub fn lines(&self, before: &Document, after: &Document) -> Vec<String> {
        let words = Words { before, after };
        let mut lines: Vec<String> =
            self.notes.iter().map(|note| format!("note: {note}.")).collect();
        for (direction, path) in self.paths() {
            let way = name(direction);
            if *path == PathDifference::default() {
                lines.push(format!("{way}: the same"));
                continue;
            }
            lines.push(format!("{way}: changed"));
            for change in &path.hops {
                lines.extend(change.before.as_ref().map(|spot| format!("  - {}", words.row(spot))));
                lines.extend(change.after.as_ref().map(|spot| format!("  + {}", words.row(spot))));
            }
            for change in &path.branches {
                let row = |sign, address| {
                    format!("  {sign} {:>2}  branch {}", change.ttl, words.who(address))
                };
                lines.extend(change.removed.iter().map(|address| row('-', *address)));
                lines.extend(change.added.iter().map(|address| row('+', *address)));
            }
            lines.extend(path.times.iter().map(|change| format!("  ~ {}", words.time(change))));
            lines.extend(path.reached.map(|change| format!("  ! {}", reached(change.after))));
        }
        lines
    }

    /// One line, as for `otherhalf watch`: where the path leads now.
    #[must_use]
    pub fn line(&self, before: &Document, after: &Document) -> String {
        let words = Words { before, after };
        let parts = self.paths().filter_map(|(direction, path)| {
            let hops = path.hops.iter().map(|change| words.hop(change));
            let branches = path.branches.iter().map(|change| words.branch(change));
            let times = path.times.iter().map(|change| words.time(change));
            let reached = path.reached.map(|change| reached(change.after).to_owned());
            let said: Vec<_> =
                reached.into_iter().chain(hops).chain(branches).chain(times).collect();
            (!said.is_empty()).then(|| format!("{}: {}", name(direction), said.join(", ")))
        });
        parts.collect::<Vec<_>>().join("; ")
    }
}

impl Words<'_> {
    fn who(&self, address: IpAddr) -> String {
        match self.after.name(address).or_else(|| self.before.name(address)) {
            Some(name) => format!("{} ({})", printable(name), shown(address)),
            None => shown(address),
        }
    }

    fn all(&self, spot: &Spot) -> String {
        if spot.addresses.is_empty() {
            return "no answer".to_owned();
        }
        spot.addresses.iter().map(|address| self.who(*address)).collect::<Vec<_>>().join(" or ")
    }

    fn row(&self, spot: &Spot) -> String {
        format!("{:>2}  {}", spot.ttl, self.all(spot))
    }

    fn hop(&self, change: &HopChange) -> String {
        match (&change.before, &change.after) {
            (Some(before), Some(after)) => {
                format!("hop {} is {}, was {}", after.ttl, self.all(after), self.all(before))
            }
            (Some(before), None) => format!("hop {} is gone, was {}", before.ttl, self.all(before)),
            (None, Some(after)) => format!("hop {} is new, is {}", after.ttl, self.all(after)),
            (None, None) => String::new(),
        }
    }

    fn branch(&self, change: &BranchChange) -> String {
        let all = |addresses: &[IpAddr]| {
            addresses.iter().map(|address| self.who(*address)).collect::<Vec<_>>().join(" and ")
        };
        match (change.added.as_slice(), change.removed.as_slice()) {
            (added, []) => format!("hop {} has a new branch, {}", change.ttl, all(added)),
            ([], removed) => format!("hop {} has lost a branch, {}", change.ttl, all(removed)),
            (added, removed) => {
                format!(
                    "hop {} has branched to {}, no longer to {}",
                    change.ttl,
                    all(added),
                    all(removed)
                )
            }
        }
    }

    fn time(&self, change: &TimeChange) -> String {
        format!(
            "from hop {} on ({}) the round-trip time is {}, was {}",
            change.at.ttl,
            self.all(&change.at),
            milliseconds(change.after_ms),
            milliseconds(change.before_ms)
        )
    }
}

const fn reached(now: bool) -> &'static str {
    if now { "the end is reached again" } else { "the end is no longer reached" }
}

const fn name(direction: Direction) -> &'static str {
    match direction {
        Direction::Forward => "forward",
        Direction::Reverse => "reverse",
    }
}

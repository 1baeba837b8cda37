//! Routers that both directions pass, and rows in which both are drawn.

use super::graph::{Graph, Kind};
use super::layers::Layers;
use crate::document::{Document, Router};

/// What an aligned end counts for: more than all routers.
const END_SCORE: usize = 1000;

/// The nodes of `forward` and `reverse` that are one router: of one address, of one name, or found to be one.
pub(crate) fn routers(
    document: &Document,
    forward: &Graph,
    reverse: &Graph,
) -> Vec<(usize, usize)> {
    let is_known = |a, b| {
        let both = |router: &Router| router.addresses.contains(&a) && router.addresses.contains(&b);
        document.aliases.iter().any(both)
    };
    let same = |a, b| {
        a == b
            || document.name(a).is_some_and(|name| document.name(b) == Some(name))
            || is_known(a, b)
    };
    let mut pairs = Vec::new();
    for (there, a) in forward.nodes.iter().enumerate() {
        for (back, b) in reverse.nodes.iter().enumerate() {
            if let (Kind::Router(a), Kind::Router(b)) = (a.kind, b.kind)
                && !a.is_unspecified()
                && same(a, b)
            {
                pairs.push((there, back));
            }
        }
    }
    pairs
}

/// The row of each layer of both directions. Forward goes down, reverse up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) forward: Vec<usize>,
    pub(crate) reverse: Vec<usize>,
    pub(crate) count: usize,
}

impl Rows {
    /// Rows of one direction alone, its start on top.
    pub(crate) fn alone(layers: usize) -> Vec<usize> {
        (0..layers).collect()
    }

    /// Rows in which as many as possible of `routers` stand beside each other.
    pub(crate) fn of_both(
        (forward, there): (&Graph, &Layers),
        (reverse, back): (&Graph, &Layers),
        routers: &[(usize, usize)],
    ) -> Self {
        let counts = [there.ttls.len(), back.ttls.len()];
        // From here on layers of both count from the client's end.
        let turned = |layer: usize| counts[1] - 1 - layer;
        let mut scores = vec![vec![0; counts[1]]; counts[0]];
        for (a, b) in routers {
            scores[there.cells[*a].layer][turned(back.cells[*b].layer)] += 1;
        }
        for (a, one) in forward.nodes.iter().enumerate() {
            for (b, other) in reverse.nodes.iter().enumerate() {
                let is_one_end = match (one.kind, other.kind) {
                    (Kind::Start(a), Kind::End(b)) | (Kind::End(a), Kind::Start(b)) => a == b,
                    _ => false,
                };
                if is_one_end {
                    scores[there.cells[a].layer][turned(back.cells[b].layer)] += END_SCORE;
                }
            }
        }
        let mut rows = Self { forward: Vec::new(), reverse: Vec::new(), count: 0 };
        let mut turned_rows = Vec::new();
        for anchor in anchors(&scores).into_iter().map(Some).chain([None]) {
            let [to_there, to_back] = anchor.map_or(counts, |(there, back)| [there, back]);
            let (a, b) = (to_there - rows.forward.len(), to_back - turned_rows.len());
            let height = a.max(b);
            rows.forward.extend((0..a).map(|at| rows.count + at));
            // A reverse direction that is not tied at an end hangs from where it starts, at the bottom.
            let lowest = anchor.is_none() || rows.count == 0;
            let place =
                |at: usize| if lowest { height - b + at } else { (2 * at + 1) * height / (2 * b) };
            turned_rows.extend((0..b).map(|at| rows.count + place(at)));
            rows.count += height;
            if anchor.is_some() {
                rows.forward.push(rows.count);
                turned_rows.push(rows.count);
                rows.count += 1;
            }
        }
        turned_rows.reverse();
        rows.reverse = turned_rows;
        rows
    }
}

/// Pairs of ascending indexes whose scores add up to the most.
fn anchors(scores: &[Vec<usize>]) -> Vec<(usize, usize)> {
    let width = scores.first().map_or(0, Vec::len);
    // best[a][b]: the most that is left from there on.
    let mut best = vec![vec![0; width + 1]; scores.len() + 1];
    for a in (0..scores.len()).rev() {
        for b in (0..width).rev() {
            let taken = if scores[a][b] > 0 { scores[a][b] + best[a + 1][b + 1] } else { 0 };
            best[a][b] = taken.max(best[a + 1][b]).max(best[a][b + 1]);
        }
    }
    let (mut a, mut b) = (0, 0);
    let mut found = Vec::new();
    while a < scores.len() && b < width {
        if scores[a][b] > 0 && best[a][b] == scores[a][b] + best[a + 1][b + 1] {
            found.push((a, b));
            a += 1;
            b += 1;
        } else if best[a][b] == best[a + 1][b] {
            a += 1;
        } else {
            b += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Direction;
    use crate::document::Path;
    use crate::document::samples::{Answer, document, path};

    /// A chain of hops that answer, by their numbers.
    fn chain(from: u8, to: u8, hops: &[u8]) -> Path {
        let hops: Vec<[Answer; 1]> = hops.iter().map(|number| [(*number, 1.0)]).collect();
        path(from, to, &hops.iter().map(<[Answer; 1]>::as_slice).collect::<Vec<_>>())
    }

    fn rows(forward: &[u8], reverse: &[u8]) -> (Rows, usize) {
        let document = document(Some(chain(1, 2, forward)), Some(chain(2, 1, reverse)));
        let there = Graph::new(Direction::Forward, document.forward.as_ref().unwrap(), None);
        let back = Graph::new(Direction::Reverse, document.reverse.as_ref().unwrap(), None);
        let routers = routers(&document, &there, &back);
        let layers = [&there, &back].map(Layers::new);
        (Rows::of_both((&there, &layers[0]), (&back, &layers[1]), &routers), routers.len())
    }

    #[test]
    fn shared_routers_stand_beside_each_other() {
        let (rows, routers) = rows(&[10, 11, 12, 13, 2], &[13, 20, 10, 1]);
        assert_eq!(routers, 2);
        assert_eq!(rows.forward, [0, 1, 2, 3, 4, 5]);
        assert_eq!(rows.reverse, [5, 4, 3, 1, 0]);
        assert_eq!(rows.count, 6);
    }

    #[test]
    fn a_direction_that_ends_early_leaves_the_rest_to_the_other() {
        let (rows, _) = rows(&[10, 11], &[13, 12, 11, 10, 1]);
        assert_eq!((rows.forward, rows.reverse), (vec![0, 1, 2], vec![5, 4, 3, 2, 1, 0]));
        let (rows, _) = super::tests::rows(&[10, 11, 12, 13, 2], &[30, 31]);
        assert_eq!((rows.forward, rows.reverse), (vec![0, 1, 2, 3, 4, 5], vec![5, 4, 3]));
    }

    #[test]
    fn what_is_shared_in_the_wrong_order_does_not_bend_the_rows() {
        let (rows, routers) = rows(&[10, 11, 2], &[10, 11, 1]);
        assert_eq!(routers, 2);
        assert_eq!(rows.count, 5);
    }
}

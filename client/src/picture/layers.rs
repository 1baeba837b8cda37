//! The layers of a graph, and the order within each that crosses few links.
//!
//! The layers are given: a node's is its TTL. A link over several layers gets a waypoint in each between. The order is
//! found by the barycentre heuristic of Sugiyama et al. (1981), up and down in turns, and by swapping neighbours after
//! that; why no library does it stands in ADR 0012.

use super::graph::Graph;

/// Sweeps of the barycentre heuristic; it settles in a few.
const SWEEPS: usize = 12;
/// The most pairs of cells and links that are looked at for one count of crossings, in a path whose order is looked for. Thirty hops
/// with 512 nodes and 512 links each have fewer; with more, a picture is black in whatever order.
const PAIRS: usize = 1 << 25;
/// Rounds of swapping neighbours, at most: each round costs the square of a layer.
const SWAPS: usize = 8;

/// A graph in layers.
#[derive(Debug, Clone)]
pub(crate) struct Layers {
    /// The TTL of each layer.
    pub(crate) ttls: Vec<u8>,
    /// Each node, then waypoints.
    pub(crate) cells: Vec<Cell>,
    /// The cells of each layer, from left to right.
    pub(crate) order: Vec<Vec<usize>>,
    /// For each link of the graph the cells that it passes, both ends included.
    pub(crate) routes: Vec<Vec<usize>>,
    /// For each cell those of the layer before that are joined to it.
    pub(crate) above: Vec<Vec<usize>>,
    /// And those of the layer after.
    pub(crate) below: Vec<Vec<usize>>,
}

/// A place in a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) layer: usize,
    /// The node; `None` where a long link passes.
    pub(crate) node: Option<usize>,
}

impl Layers {
    /// The layers of `graph`, in a good order.
    pub(crate) fn new(graph: &Graph) -> Self {
        let mut ttls: Vec<u8> = graph.nodes.iter().map(|node| node.ttl).collect();
        ttls.sort_unstable();
        ttls.dedup();
        let layer_of = |ttl| ttls.binary_search(&ttl).unwrap_or_default();
        let cells = graph.nodes.iter().zip(0..);
        let mut layers = Self {
            cells: cells
                .map(|(node, at)| Cell { layer: layer_of(node.ttl), node: Some(at) })
                .collect(),
            order: vec![Vec::new(); ttls.len()],
            routes: Vec::new(),
            above: Vec::new(),
            below: Vec::new(),
            ttls,
        };
        for link in &graph.links {
            let (first, last) = (layers.cells[link.from].layer, layers.cells[link.to].layer);
            let mut route = vec![link.from];
            for layer in first + 1..last {
                route.push(layers.cells.len());
                layers.cells.push(Cell { layer, node: None });
            }
            route.push(link.to);
            layers.routes.push(route);
        }
        layers.join();
        if layers.pairs() <= PAIRS {
            layers.settle();
        }
        layers
    }

    fn join(&mut self) {
        self.above = vec![Vec::new(); self.cells.len()];
        self.below = vec![Vec::new(); self.cells.len()];
        for (from, to) in
            self.routes.iter().flat_map(|route| route.array_windows().map(|[a, b]| (*a, *b)))
        {
            self.below[from].push(to);
            self.above[to].push(from);
        }
        for (at, cell) in self.cells.iter().enumerate() {
            self.order[cell.layer].push(at);
        }
    }

    /// How many pairs of cells and links are looked at for a count of crossings, at most.
    fn pairs(&self) -> usize {
        let in_layer = |layer: &Vec<usize>| {
            let links: usize = layer.iter().map(|cell| self.below[*cell].len()).sum();
            let all = layer.len().saturating_add(links);
            all.saturating_mul(all)
        };
        self.order.iter().map(in_layer).fold(0, usize::saturating_add)
    }

    /// Finds the order.
    fn settle(&mut self) {
        let mut best = (self.crossings(), self.order.clone());
        for sweep in 0..SWEEPS {
            self.sweep(sweep % 2 == 0);
            let crossings = self.crossings();
            if crossings < best.0 {
                best = (crossings, self.order.clone());
            }
        }
        self.order = best.1;
        for _ in 0..SWAPS {
            if !self.swap() {
                break;
            }
        }
    }

    /// Sorts each layer by the mean place of the neighbours in the layer before, downwards or upwards.
    fn sweep(&mut self, down: bool) {
        let count = self.order.len();
        let layers: Vec<usize> =
            if down { (0..count).collect() } else { (0..count).rev().collect() };
        for layer in layers {
            let places = self.places();
            let neighbours = if down { &self.above } else { &self.below };
            let mean = |cell: usize| {
                let near: Vec<_> = neighbours[cell].iter().map(|near| places[*near]).collect();
                // Relative, so that layers of any width compare.
                if near.is_empty() {
                    places[cell]
                } else {
                    near.iter().sum::<f64>() / count_of(&near)
                }
            };
            let mut keyed: Vec<_> =
                self.order[layer].iter().map(|cell| (mean(*cell), *cell)).collect();
            // Stable: equals stay where they are.
            keyed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            self.order[layer] = keyed.into_iter().map(|(_, cell)| cell).collect();
        }
    }

    /// The place of each cell within its layer, 0 to 1.
    fn places(&self) -> Vec<f64> {
        let mut places = vec![0.0; self.cells.len()];
        for layer in &self.order {
            for (at, cell) in layer.iter().enumerate() {
                places[*cell] = (index(at) + 0.5) / index(layer.len());
            }
        }
        places
    }

    /// Swaps neighbours wherever that saves crossings; whether any did.
    fn swap(&mut self) -> bool {
        let mut better = false;
        for layer in 0..self.order.len() {
            let places = self.places();
            for at in 1..self.order[layer].len() {
                let (left, right) = (self.order[layer][at - 1], self.order[layer][at]);
                let crossed = |a: usize, b: usize| {
                    [&self.above, &self.below]
                        .iter()
                        .map(|near| pairs_crossed(&near[a], &near[b], &places))
                        .sum::<usize>()
                };
                if crossed(right, left) < crossed(left, right) {
                    self.order[layer].swap(at - 1, at);
                    better = true;
                }
            }
        }
        better
    }

    /// How often links cross.
    pub(crate) fn crossings(&self) -> usize {
        let places = self.places();
        let in_layer = |layer: &Vec<usize>| {
            layer
                .iter()
                .enumerate()
                .flat_map(|(at, left)| layer[at + 1..].iter().map(move |right| (*left, *right)))
                .map(|(left, right)| pairs_crossed(&self.below[left], &self.below[right], &places))
                .sum::<usize>()
        };
        self.order.iter().map(in_layer).sum()
    }
}

/// How often links of a left cell cross those of a right one, both to the same layer.
fn pairs_crossed(left: &[usize], right: &[usize], places: &[f64]) -> usize {
    let crossed = |a: &usize| right.iter().filter(|b| places[*a] > places[**b]).count();
    left.iter().map(crossed).sum()
}

#[expect(clippy::cast_precision_loss, reason = "a layer has fewer cells than 2^52")]
const fn index(at: usize) -> f64 {
    at as f64
}

fn count_of(items: &[f64]) -> f64 {
    index(items.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Direction;
    use crate::document::samples::{multipath, path};

    fn layers(nodes: &[(u8, u8)], links: &[(usize, usize, u32)]) -> Layers {
        let mut path = path(1, 2, &[]);
        path.multipath = Some(multipath(nodes, links));
        Layers::new(&Graph::new(Direction::Forward, &path, None))
    }

    #[test]
    fn a_twisted_ladder_is_untwisted() {
        // Two strands, listed crosswise in each layer.
        let nodes =
            [(0, 1), (1, 10), (1, 11), (2, 21), (2, 20), (3, 30), (3, 31), (4, 41), (4, 40)];
        let links = [(1, 4), (2, 3), (4, 5), (3, 6), (5, 8), (6, 7)].map(|(a, b)| (a, b, 1));
        let links = [&[(0, 1, 1), (0, 2, 1)][..], &links].concat();
        assert_eq!(layers(&nodes, &links).crossings(), 0);
    }

    #[test]
    fn a_long_link_has_waypoints() {
        let layers = layers(
            &[(0, 1), (1, 10), (2, 11), (3, 2)],
            &[(0, 1, 1), (1, 2, 1), (2, 3, 1), (0, 3, 1)],
        );
        assert_eq!(layers.routes.iter().map(Vec::len).max(), Some(4));
        assert_eq!(layers.order.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 2, 1]);
        assert_eq!(layers.crossings(), 0);
    }

    proptest! {
        /// Whatever the graph: each cell stands once in its own layer, and each route goes from layer to layer.
        #[test]
        fn nothing_is_lost(
            ttls in prop::collection::vec(1u8..6, 0..20),
            links in prop::collection::vec((0usize..21, 0usize..21, 0u32..4), 0..40),
        ) {
            let mut nodes = vec![(0, 1)];
            nodes.extend(ttls.iter().zip(10..).map(|(ttl, number)| (*ttl, number)));
            let layers = layers(&nodes, &links);
            let mut seen = vec![0; layers.cells.len()];
            for (layer, cells) in layers.order.iter().enumerate() {
                for cell in cells {
                    prop_assert_eq!(layers.cells[*cell].layer, layer);
                    seen[*cell] += 1;
                }
            }
            prop_assert!(seen.iter().all(|times| *times == 1));
            for route in &layers.routes {
                for [from, to] in route.array_windows() {
                    prop_assert_eq!(layers.cells[*from].layer + 1, layers.cells[*to].layer);
                }
            }
        }
    }
}

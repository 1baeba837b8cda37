//! Where cells stand in their layers: near those that they are joined to, and none over another.

use super::layers::Layers;

/// Sweeps down and up; the last changes move nothing by a visible amount.
const SWEEPS: usize = 24;
/// A waypoint pulls so much more than a node: long links are to be straight.
const WAYPOINT_PULL: f64 = 4.0;

/// The centre of each cell from left to right, the leftmost edge at 0, for cells of these widths and a gap between.
pub(crate) fn centres(layers: &Layers, widths: &[f64], gap: f64) -> Vec<f64> {
    let mut centres = vec![0.0; layers.cells.len()];
    for order in &layers.order {
        let ideal = vec![0.0; order.len()];
        spread(order, &ideal, &vec![1.0; order.len()], widths, gap, &mut centres);
    }
    for sweep in 0..SWEEPS {
        let down = sweep % 2 == 0;
        let count = layers.order.len();
        for step in 0..count {
            let order = &layers.order[if down { step } else { count - 1 - step }];
            let ideal: Vec<_> =
                order.iter().map(|cell| pull(layers, *cell, down, &centres)).collect();
            let weight = |cell: &usize| {
                if layers.cells[*cell].node.is_none() { WAYPOINT_PULL } else { 1.0 }
            };
            let weights: Vec<_> = order.iter().map(weight).collect();
            spread(order, &ideal, &weights, widths, gap, &mut centres);
        }
    }
    let left = centres.iter().zip(widths).map(|(centre, width)| centre - width / 2.0);
    let leftmost = left.fold(f64::INFINITY, f64::min);
    if leftmost.is_finite() {
        for centre in &mut centres {
            *centre -= leftmost;
        }
    }
    centres
}

/// Where the neighbours of the layer before want a cell to be, or all neighbours if there are none in that.
fn pull(layers: &Layers, cell: usize, down: bool, centres: &[f64]) -> f64 {
    let (before, after) = (&layers.above[cell], &layers.below[cell]);
    let (near, far) = if down { (before, after) } else { (after, before) };
    let mean = |cells: &[usize]| {
        let (sum, count) =
            cells.iter().fold((0.0, 0.0), |(sum, count), at| (sum + centres[*at], count + 1.0));
        (count > 0.0).then(|| sum / count)
    };
    mean(near).or_else(|| mean(far)).unwrap_or(centres[cell])
}

/// Moves the cells of a layer as near to their ideals as their order and widths allow, by least squares.
///
/// With the distance that must lie between them taken out, what is left is to keep an order: isotonic regression, which
/// pooling adjacent violators solves exactly (Ayer et al. 1955).
fn spread(
    order: &[usize],
    ideal: &[f64],
    weights: &[f64],
    widths: &[f64],
    gap: f64,
    centres: &mut [f64],
) {
    let mut offsets = Vec::with_capacity(order.len());
    let mut offset = 0.0;
    for (at, cell) in order.iter().enumerate() {
        if let Some(left) = at.checked_sub(1).and_then(|at| order.get(at)) {
            offset += widths[*left] / 2.0 + gap + widths[*cell] / 2.0;
        }
        offsets.push(offset);
    }
    // Blocks that move as one: their mean, weight and number of cells.
    let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
    for ((ideal, offset), weight) in ideal.iter().zip(&offsets).zip(weights) {
        let mut block = (ideal - offset, *weight, 1);
        while let Some(&(mean, weight, cells)) = blocks.last().filter(|before| before.0 > block.0) {
            blocks.pop();
            let sum = mean * weight + block.0 * block.1;
            block = (sum / (weight + block.1), weight + block.1, cells + block.2);
        }
        blocks.push(block);
    }
    let means = blocks.iter().flat_map(|(mean, _, cells)| std::iter::repeat_n(*mean, *cells));
    for ((cell, mean), offset) in order.iter().zip(means).zip(&offsets) {
        centres[*cell] = mean + offset;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Direction;
    use crate::document::samples::{multipath, path};
    use crate::picture::graph::Graph;

    fn layers(nodes: &[(u8, u8)], links: &[(usize, usize, u32)]) -> Layers {
        let mut path = path(1, 2, &[]);
        path.multipath = Some(multipath(nodes, links));
        Layers::new(&Graph::new(Direction::Forward, &path, None))
    }

    #[test]
    fn a_diamond_is_symmetric() {
        let nodes = [(0, 1), (1, 10), (2, 11), (2, 12), (2, 13), (2, 14), (3, 2)];
        let links = [(0, 1), (1, 2), (1, 3), (1, 4), (1, 5), (2, 6), (3, 6), (4, 6), (5, 6)];
        let layers = layers(&nodes, &links.map(|(a, b)| (a, b, 1)));
        let centres = centres(&layers, &[100.0; 7], 20.0);
        let branches: Vec<_> = layers.order[2].iter().map(|cell| centres[*cell].round()).collect();
        assert_eq!(branches, [50.0, 170.0, 290.0, 410.0]);
        for alone in [0, 1, 6] {
            assert!((centres[alone] - 230.0).abs() < 0.5, "{centres:?}");
        }
    }

    #[test]
    fn cells_keep_their_distance() {
        // Two chains that both want to be in the middle, of different widths.
        let nodes = [(0, 1), (1, 10), (1, 11), (2, 12), (2, 13), (3, 2)];
        let links = [(0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 5)].map(|(a, b)| (a, b, 1));
        let layers = layers(&nodes, &links);
        let widths = [50.0, 200.0, 80.0, 30.0, 120.0, 60.0];
        let centres = centres(&layers, &widths, 10.0);
        for order in &layers.order {
            for [left, right] in order.array_windows() {
                let space =
                    centres[*right] - centres[*left] - f64::midpoint(widths[*left], widths[*right]);
                assert!(space > 9.99, "{space} between {left} and {right}: {centres:?}");
            }
        }
    }
}

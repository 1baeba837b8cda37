//! Topologies of many shapes, as text.

use std::fmt::Write as _;

use otherhalf_simnet::Topology;

/// Layers of nodes, each node of one leading to all (or to those that `meets` lets it) of the next. The ends and a node
/// of each layer's width 1 are added around them.
pub(crate) fn layers(widths: &[usize], meets: impl Fn(usize, usize, usize) -> bool) -> Topology {
    let mut all = vec![1, 1];
    all.extend(widths);
    all.push(1);
    let name = |layer: usize, at: usize| format!("n{layer:02}x{at:02}");
    let mut text =
        format!("client = \"{}\"\nserver = \"{}\"\n", name(0, 0), name(all.len() - 1, 0));
    for (layer, width) in all.iter().enumerate() {
        for at in 0..*width {
            let lead = |to: Option<usize>, forward: bool| -> Vec<String> {
                let Some(to) = to.filter(|to| *to < all.len()) else { return Vec::new() };
                let (near, far) = if forward { (layer, to) } else { (to, layer) };
                let linked = |other: usize| {
                    let (a, b) = if forward { (at, other) } else { (other, at) };
                    all[near] == 1 || all[far] == 1 || meets(near - 2, a, b)
                };
                (0..all[to])
                    .filter(|o| linked(*o))
                    .map(|o| format!("\"{}\"", name(to, o)))
                    .collect()
            };
            let (there, back) = (lead(Some(layer + 1), true), lead(layer.checked_sub(1), false));
            writeln!(text, "[node.{}]", name(layer, at)).unwrap();
            writeln!(text, "to_server = [{}]", there.join(", ")).unwrap();
            writeln!(text, "to_client = [{}]", back.join(", ")).unwrap();
        }
    }
    Topology::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A diamond.
pub(crate) fn diamond(width: usize) -> Topology {
    layers(&[width, 1], |_, _, _| true)
}

/// Diamonds in a row.
pub(crate) fn row(widths: &[usize]) -> Topology {
    let widths: Vec<_> = widths.iter().flat_map(|width| [*width, 1]).collect();
    layers(&widths, |_, _, _| true)
}

/// A diamond of `outer` ways, each of which is a diamond of `inner` ways.
pub(crate) fn nested(outer: usize, inner: usize) -> Topology {
    layers(&[outer, outer * inner, outer, 1], move |layer, a, b| match layer {
        0 => b / inner == a,
        _ => a / inner == b,
    })
}

/// Two layers of which each node leads to all but one of the other.
pub(crate) fn meshed(width: usize) -> Topology {
    layers(&[width, width, 1], |_, a, b| a != b)
}

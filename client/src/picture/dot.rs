//! Both directions as a graph of Graphviz.

use std::fmt::{self, Write};

use super::graph::{Graph, Kind};
use super::label::{self, milliseconds};
use super::shared;
use super::titles::{outcome, probes, way};
use crate::Direction;
use crate::document::Document;

/// The text of `graphs` in the DOT language.
pub(crate) fn write(document: &Document, graphs: &[Graph]) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = try_write(document, graphs, &mut out);
    out
}

fn try_write(document: &Document, graphs: &[Graph], out: &mut String) -> fmt::Result {
    writeln!(out, "digraph otherhalf {{")?;
    writeln!(out, "  graph [rankdir=TB, newrank=true, fontname=\"sans-serif\"];")?;
    writeln!(out, "  node [shape=box, style=rounded, fontname=\"monospace\", fontsize=11];")?;
    writeln!(out, "  edge [fontname=\"monospace\", fontsize=11];")?;
    for (graph, (direction, path)) in graphs.iter().zip(document.paths()) {
        let (name, colour) = look(direction);
        writeln!(out, "  subgraph cluster_{name} {{")?;
        let title = format!("{}\n{}, {}", way(document, direction), probes(path), outcome(path));
        writeln!(out, "    graph [label={}, color={colour}, fontcolor={colour}];", quoted(&title))?;
        writeln!(out, "    node [color={colour}];")?;
        writeln!(out, "    edge [color={colour}];")?;
        for (at, node) in graph.nodes.iter().enumerate() {
            let label = label::of(document, graph, node);
            let mut lines = label.lines;
            let ttl = if node.ttl > 0 { format!("TTL {}", node.ttl) } else { String::new() };
            let mut look = match node.kind {
                Kind::Start(_) | Kind::End(_) => ", shape=ellipse, style=bold",
                Kind::Router(_) => "",
                Kind::Silent(_) => ", style=\"rounded,dashed\"",
            };
            if let Some(balancer) = &node.balancer {
                lines.push(label::balancer(balancer));
                look = match node.kind {
                    Kind::Silent(_) => ", shape=hexagon, style=dashed",
                    _ => ", shape=hexagon, style=solid",
                };
            }
            lines.extend((!ttl.is_empty()).then_some(ttl));
            writeln!(out, "    {name}{at} [label={}{look}];", quoted(&lines.join("\n")))?;
        }
        for link in &graph.links {
            let width = 1.0 + 2.0 * link.share;
            let rise = link.rise_ms.map_or_else(String::new, |ms| {
                let label = quoted(&format!("+{}", milliseconds(ms)));
                format!(", color=\"#c1123f\", fontcolor=\"#c1123f\", label={label}")
            });
            writeln!(
                out,
                "    {name}{} -> {name}{} [penwidth={width:.1}{rise}];",
                link.from, link.to
            )?;
        }
        writeln!(out, "  }}")?;
    }
    if let [forward, reverse] = graphs {
        for (a, b) in shared::routers(document, forward, reverse) {
            writeln!(
                out,
                "  forward{a} -> reverse{b} [dir=none, style=dotted, constraint=false, color=\"#59636e\"];"
            )?;
        }
    }
    writeln!(out, "}}")
}

const fn look(direction: Direction) -> (&'static str, &'static str) {
    match direction {
        Direction::Forward => ("forward", "\"#0550ae\""),
        Direction::Reverse => ("reverse", "\"#b35900\""),
    }
}

/// A quoted string, in which Graphviz finds neither an end, nor an escape of its own (`\N`, `\l`), nor an entity.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '&' => out.push_str("&amp;"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_ends_its_quotes() {
        assert_eq!(quoted("a\"];\nb\\N &lt;"), r#""a\"];\nb\\N &amp;lt;""#);
    }
}

//! A scene as SVG.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::label::{self, milliseconds};
use super::scene::{Block, DIAMOND, FONT, LINE, PADDING, Point, STRIP, Scene, Style, TOP, Wire};
use super::{legend, style, titles::Title};
use crate::Direction;
use crate::document::Balancing;

/// The SVG element, with its own style sheet if it is to stand alone.
pub(crate) fn draw(scene: &Scene, titles: &[Title], about: &str, alone: bool) -> Markup {
    let legend = legend::entries(scene);
    let rows = legend::rows(&legend, scene.width);
    let height = scene.height + legend::height(rows.len());
    let size = |value: f64| format!("{value:.0}");
    html! {
        svg xmlns="http://www.w3.org/2000/svg" class="oh-picture" role="img" aria-label=(about)
            width=(size(scene.width)) height=(size(height))
            viewBox=(format!("0 0 {:.0} {height:.0}", scene.width)) {
            title { (about) }
            @if alone { style { (style::picture()) } }
            defs {
                @for name in ["forward", "reverse", "hot"] { (tip(name)) }
            }
            rect class="oh-ground" width="100%" height="100%" rx="8" {}
            @for title in titles { (heading(scene, title)) }
            @for x in scene.margins() {
                text class="oh-quiet oh-small" text-anchor="middle" x=(px(x)) y=(px(TOP - 4.0)) { "TTL" }
            }
            @for (at, ttl) in &scene.ttls {
                text class="oh-quiet" text-anchor="middle" x=(px(at.x)) y=(px(at.y + 4.0)) { (ttl) }
            }
            @for (from, to) in &scene.ties { path class="oh-tie" d=(tie(*from, *to)) {} }
            // What is marked lies on top.
            @for wire in scene.wires.iter().filter(|wire| wire.rise_ms.is_none()) { (line(wire)) }
            @for wire in scene.wires.iter().filter(|wire| wire.rise_ms.is_some()) { (line(wire)) }
            @for node in &scene.boxes { (block(node)) }
            (rises(scene))
            (legend::draw(&rows, scene.height))
        }
    }
}

/// A coordinate, to a tenth of a pixel.
pub(crate) fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// The name of a direction in classes and ids.
pub(crate) const fn name(direction: Direction) -> &'static str {
    match direction {
        Direction::Forward => "forward",
        Direction::Reverse => "reverse",
    }
}

fn tip(name: &str) -> Markup {
    html! {
        marker id=(format!("oh-tip-{name}")) viewBox="0 0 10 10" refX="8.5" refY="5"
            markerUnits="userSpaceOnUse" markerWidth="11" markerHeight="11" orient="auto" {
            path class=(format!("oh-tip-{name}")) d="M0,1 L9,5 L0,9 L2.4,5 Z" {}
        }
    }
}

fn heading(scene: &Scene, title: &Title) -> Markup {
    let (x, anchor) = if title.right { (scene.width - 24.0, "end") } else { (24.0, "start") };
    let class = format!("oh-sans oh-big oh-bold oh-text-{}", name(title.direction));
    html! {
        text class=(class) text-anchor=(anchor) x=(px(x)) y="30" { (title.text) }
        text class="oh-sans oh-quiet" text-anchor=(anchor) x=(px(x)) y="49" { (title.detail) }
    }
}

/// Straight down or up at nodes, bent between.
fn curve(points: &[Point]) -> String {
    let mut path = String::new();
    for (at, point) in points.iter().enumerate() {
        let (x, y) = (px(point.x), px(point.y));
        let Some(before) = at.checked_sub(1).and_then(|at| points.get(at)) else {
            let _ = write!(path, "M{x},{y}");
            continue;
        };
        let half = px(f64::midpoint(before.y, point.y));
        // Writing to a String cannot fail.
        let _ = write!(path, " C{},{half} {x},{half} {x},{y}", px(before.x));
    }
    path
}

fn tie(from: Point, to: Point) -> String {
    let bend = (to.x - from.x) / 2.0;
    let [start, end] = [from, to].map(|point| format!("{},{}", px(point.x), px(point.y)));
    let left = format!("{},{}", px(from.x + bend), px(from.y));
    let right = format!("{},{}", px(to.x - bend), px(to.y));
    format!("M{start} C{left} {right} {end}")
}

fn line(wire: &Wire) -> Markup {
    let colour = if wire.rise_ms.is_some() { "hot" } else { name(wire.direction) };
    let dashed = if wire.dashed { " oh-dashed" } else { "" };
    // The more flows, the wider.
    let width = 1.1 + 1.9 * wire.share + if wire.rise_ms.is_some() { 0.6 } else { 0.0 };
    html! {
        path class=(format!("oh-wire oh-{colour}{dashed}")) d=(curve(&wire.points)) stroke-width=(px(width))
            marker-end=(format!("url(#oh-tip-{colour})")) {}
    }
}

/// The amount of each rise, once for all the links that it is seen on.
fn rises(scene: &Scene) -> Markup {
    let mut groups: Vec<(Direction, f64, Vec<Point>)> = Vec::new();
    for wire in &scene.wires {
        let (Some(ms), [first, .., last]) = (wire.rise_ms, wire.points.as_slice()) else {
            continue;
        };
        let middle = Point { x: f64::midpoint(first.x, last.x), y: f64::midpoint(first.y, last.y) };
        match groups.iter_mut().find(|(direction, _, _)| *direction == wire.direction) {
            Some((_, _, middles)) => middles.push(middle),
            None => groups.push((wire.direction, ms, vec![middle])),
        }
    }
    html! {
        @for (_, ms, middles) in &groups {
            @let alone = middles.len() == 1;
            @let Point { x, y } = mean(middles);
            // Beside a line; where there are several, between them.
            text class="oh-bold oh-text-hot" text-anchor=(if alone { "start" } else { "middle" })
                x=(px(if alone { x + 10.0 } else { x })) y=(px(y + 4.0)) { "+" (milliseconds(*ms)) }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "fewer points than 2^52")]
fn mean(points: &[Point]) -> Point {
    let count = points.len() as f64;
    let sum = |of: fn(&Point) -> f64| points.iter().map(of).sum::<f64>() / count;
    Point { x: sum(|point| point.x), y: sum(|point| point.y) }
}

fn block(node: &Block) -> Markup {
    let Point { x, y } = node.at;
    let class = match (node.style, node.direction) {
        (Style::End, _) => "oh-end".to_owned(),
        (Style::Router, Some(direction)) => format!("oh-router oh-{}", name(direction)),
        (Style::Router, None) => "oh-router".to_owned(),
        (Style::Silent, _) => "oh-silent".to_owned(),
    };
    let round = if node.style == Style::End { node.height.min(40.0) / 2.0 } else { 6.0 };
    let centre = x + node.width / 2.0;
    let strip = if node.balancer.is_some() { STRIP } else { 0.0 };
    // The strip lies where paths leave.
    let text_top = y + PADDING * 0.7 + if node.up { strip } else { 0.0 };
    html! {
        g {
            title { (node.label.title) }
            rect class=(class) x=(px(x)) y=(px(y)) width=(px(node.width)) height=(px(node.height)) rx=(px(round)) {}
            @for (at, text) in (0_u8..).zip(&node.label.lines) {
                text class=(line_class(node, at)) text-anchor="middle" x=(px(centre))
                    y=(px(text_top + f64::from(at) * LINE + FONT)) { (text) }
            }
            @if let Some((text, balancing)) = &node.balancer {
                (balancer(node, text, *balancing))
            }
        }
    }
}

fn line_class(node: &Block, at: u8) -> &'static str {
    match (node.style, at) {
        (Style::End | Style::Router, 0) => "oh-text oh-bold",
        _ => "oh-quiet oh-small",
    }
}

fn balancer(node: &Block, text: &str, balancing: Balancing) -> Markup {
    let Point { x, y } = node.at;
    let top = if node.up { y + 1.0 } else { y + node.height - STRIP - 1.0 };
    let edge = if node.up { y } else { y + node.height };
    let centre = x + node.width / 2.0;
    let middle = top + STRIP / 2.0;
    html! {
        path class="oh-strip" d=(strip(node, top)) {}
        text class="oh-text-balancer oh-small" text-anchor="middle" x=(px(centre))
            y=(px(middle + if node.up { 6.5 } else { 1.5 })) { (text) }
        path class=(diamond_class(balancing)) d=(diamond(centre, edge)) {}
    }
}

/// The strip inside a node's border, round where that is.
fn strip(node: &Block, top: f64) -> String {
    let (left, right) = (node.at.x + 1.0, node.at.x + node.width - 1.0);
    let bottom = top + STRIP;
    let [left_in, right_in] = [left + 5.0, right - 5.0].map(px);
    let [left, right] = [left, right].map(px);
    if node.up {
        let (corner, edge, bottom) = (px(top + 5.0), px(top), px(bottom));
        format!(
            "M{left},{bottom} V{corner} Q{left},{edge} {left_in},{edge} H{right_in} Q{right},{edge} {right},{corner} V{bottom} Z"
        )
    } else {
        let (corner, edge, top) = (px(bottom - 5.0), px(bottom), px(top));
        format!(
            "M{left},{top} V{corner} Q{left},{edge} {left_in},{edge} H{right_in} Q{right},{edge} {right},{corner} V{top} Z"
        )
    }
}

/// The class of a diamond: each way of choosing looks different without colours too.
pub(crate) const fn diamond_class(balancing: Balancing) -> &'static str {
    match balancing {
        Balancing::PerFlow => "oh-per_flow",
        Balancing::PerPacket => "oh-per_packet",
        Balancing::PerDestination => "oh-per_destination",
        Balancing::Unknown => "oh-unknown",
    }
}

/// A diamond around a point.
pub(crate) fn diamond(x: f64, y: f64) -> String {
    let [left, right, top, bottom] = [x - DIAMOND, x + DIAMOND, y - DIAMOND, y + DIAMOND].map(px);
    let (x, y) = (px(x), px(y));
    format!("M{x},{top} L{right},{y} L{x},{bottom} L{left},{y} Z")
}

/// The columns of a text, as pixels of the small sans-serif font.
#[expect(clippy::cast_precision_loss, reason = "a text has fewer columns than 2^52")]
pub(crate) fn sans_width(text: &str) -> f64 {
    label::columns(text) as f64 * 6.6
}

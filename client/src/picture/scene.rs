//! Where everything of a picture lies, in pixels. What draws it knows no graph.

use super::graph::{Graph, Kind};
use super::label::{self, Label};
use super::layers::Layers;
use super::place;
use super::shared::{self, Rows};
use crate::Direction;
use crate::document::{Balancing, Document};

/// The advance of a character in the monospaced fonts that the style asks for, at [`FONT`].
const COLUMN: f64 = 7.25;
/// The size of the text on nodes.
pub(crate) const FONT: f64 = 12.0;
/// From one line of a node to the next.
pub(crate) const LINE: f64 = 16.0;
/// Around the text of a node.
pub(crate) const PADDING: f64 = 11.0;
/// The strip that says how a balancer chooses.
pub(crate) const STRIP: f64 = 23.0;
/// Half the diamond where paths part.
pub(crate) const DIAMOND: f64 = 7.0;
/// Between nodes of one layer.
const GAP: f64 = 22.0;
/// What a long link has of a layer that it passes.
const WAYPOINT: f64 = 10.0;
/// Between rows, at least; where links run far across, more.
const ROW_GAP: f64 = 46.0;
const MOST_ROW_GAP: f64 = 84.0;
/// Between both directions.
const MIDDLE: f64 = 120.0;
/// Left and right, where TTLs stand.
const MARGIN: f64 = 52.0;
/// Above the first row, where the titles stand.
pub(crate) const TOP: f64 = 78.0;
const BOTTOM: f64 = 18.0;
/// A direction is no narrower than its title.
const NARROWEST: f64 = 270.0;

/// All that is drawn.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub(crate) width: f64,
    /// Without the legend.
    pub(crate) height: f64,
    pub(crate) boxes: Vec<Block>,
    pub(crate) wires: Vec<Wire>,
    /// One router, seen from both directions: from its one node to its other.
    pub(crate) ties: Vec<(Point, Point)>,
    /// TTLs at the margin.
    pub(crate) ttls: Vec<(Point, u8)>,
    /// Of each direction that is there, and whether its title stands on the right.
    pub(crate) directions: Vec<(Direction, bool)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
}

/// A node.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// Its upper left corner.
    pub(crate) at: Point,
    pub(crate) width: f64,
    pub(crate) height: f64,
    /// `None` for an end that both directions share.
    pub(crate) direction: Option<Direction>,
    pub(crate) style: Style,
    pub(crate) label: Label,
    /// What stands on the strip, and how it chooses.
    pub(crate) balancer: Option<(String, Balancing)>,
    /// Whether paths leave upwards.
    pub(crate) up: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    End,
    Router,
    Silent,
}

/// A link.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    /// From its beginning to its end, by its waypoints.
    pub(crate) points: Vec<Point>,
    pub(crate) direction: Direction,
    pub(crate) share: f64,
    pub(crate) rise_ms: Option<f64>,
    /// Leads to or from silence.
    pub(crate) dashed: bool,
}

/// One direction with all that is known before it has a place.
struct Lane<'a> {
    graph: &'a Graph,
    layers: Layers,
    labels: Vec<Label>,
    /// Of each layer.
    rows: Vec<usize>,
    up: bool,
    /// Of each cell.
    centres: Vec<f64>,
    widths: Vec<f64>,
    heights: Vec<f64>,
}

impl<'a> Lane<'a> {
    fn new(document: &Document, graph: &'a Graph) -> Self {
        let layers = Layers::new(graph);
        let labels: Vec<_> =
            graph.nodes.iter().map(|node| label::of(document, graph, node)).collect();
        let sizes: Vec<_> = layers
            .cells
            .iter()
            .map(|cell| cell.node.map_or((WAYPOINT, 0.0), |at| size(graph, at, &labels[at])))
            .collect();
        let (widths, heights) = sizes.into_iter().unzip();
        let rows = Rows::alone(layers.ttls.len());
        Self { graph, layers, labels, rows, up: false, centres: Vec::new(), widths, heights }
    }

    fn place(&mut self) {
        self.centres = place::centres(&self.layers, &self.widths, GAP);
    }

    /// The width of what is placed.
    fn width(&self) -> f64 {
        let rights =
            self.centres.iter().zip(&self.widths).map(|(centre, width)| centre + width / 2.0);
        rights.fold(0.0, f64::max)
    }

    fn move_by(&mut self, x: f64) {
        self.centres.iter_mut().for_each(|centre| *centre += x);
    }

    /// The cell of the node for which `is` holds.
    fn find(&self, is: impl Fn(Kind) -> bool) -> Option<usize> {
        self.graph.nodes.iter().position(|node| is(node.kind))
    }

    /// How far a link runs across from one row to the next, at most.
    fn reach(&self) -> f64 {
        let spans = self.layers.routes.iter().flat_map(|route| route.array_windows());
        spans.map(|[a, b]| (self.centres[*a] - self.centres[*b]).abs()).fold(0.0, f64::max)
    }
}

/// The width and height of a node.
#[expect(clippy::cast_precision_loss, reason = "a label has fewer columns than 2^52")]
fn size(graph: &Graph, at: usize, label: &Label) -> (f64, f64) {
    let balancer = graph.nodes[at].balancer.as_ref().map(label::balancer);
    let texts = label.lines.iter().map(|line| label::columns(line));
    let strip = balancer.as_deref().map(label::columns).into_iter();
    let columns = texts.chain(strip).max().unwrap_or(0) as f64;
    let lines = label.lines.len() as f64;
    let height = lines * LINE + PADDING * 1.4 + if balancer.is_some() { STRIP } else { 0.0 };
    (columns * COLUMN + 2.0 * PADDING, height)
}

impl Scene {
    /// The picture of the directions that `graphs` are.
    pub(crate) fn new(document: &Document, graphs: &[Graph]) -> Self {
        let mut lanes: Vec<_> = graphs.iter().map(|graph| Lane::new(document, graph)).collect();
        let mut ties = Vec::new();
        let mut ends = Vec::new();
        let mut count = lanes.first().map_or(0, |lane| lane.rows.len());
        if let [there, back] = lanes.as_mut_slice() {
            ties = shared::routers(document, there.graph, back.graph);
            let rows =
                Rows::of_both((there.graph, &there.layers), (back.graph, &back.layers), &ties);
            (there.rows, back.rows, count, back.up) =
                (rows.forward, rows.reverse, rows.count, true);
            ends = shared_ends(there, back);
            for (a, b) in &ends {
                // In the middle between both, so of no width in either.
                there.widths[*a] = 0.0;
                back.widths[*b] = 0.0;
                let height = there.heights[*a].max(back.heights[*b]);
                there.heights[*a] = height;
                back.heights[*b] = height;
            }
        }
        let mut x = MARGIN;
        let mut middle = 0.0;
        for lane in &mut lanes {
            lane.place();
            let own = lane.width();
            let taken = own.max(NARROWEST);
            lane.move_by(x + (taken - own) / 2.0);
            middle = x - MIDDLE / 2.0;
            x += taken + MIDDLE;
        }
        let width = x - MIDDLE + MARGIN;
        for (a, b) in &ends {
            let cells = [(0, *a), (1, *b)];
            let widths =
                cells.map(|(lane, at)| size(lanes[lane].graph, at, &lanes[lane].labels[at]).0);
            for (lane, at) in cells {
                lanes[lane].centres[at] = middle;
                lanes[lane].widths[at] = widths[0].max(widths[1]);
            }
        }
        let (tops, heights) = row_heights(&lanes, count);
        let height =
            tops.last().zip(heights.last()).map_or(TOP, |(top, height)| top + height) + BOTTOM;
        let mut scene = Self {
            width,
            height,
            boxes: Vec::new(),
            wires: Vec::new(),
            ties: Vec::new(),
            ttls: Vec::new(),
            directions: lanes
                .iter()
                .zip([false, true])
                .map(|(lane, right)| (lane.graph.direction, right))
                .collect(),
        };
        let middles: Vec<_> =
            tops.iter().zip(&heights).map(|(top, height)| top + height / 2.0).collect();
        for (at, lane) in lanes.iter().enumerate() {
            let shared: Vec<_> = ends.iter().map(|(a, b)| if at == 0 { *a } else { *b }).collect();
            scene.add(lane, &middles, &shared, at == 1);
        }
        if let [there, back] = lanes.as_slice() {
            for (a, b) in ties {
                let y =
                    |lane: &Lane, cell: usize| middles[lane.rows[lane.layers.cells[cell].layer]];
                let from = Point { x: there.centres[a] + there.widths[a] / 2.0, y: y(there, a) };
                let to = Point { x: back.centres[b] - back.widths[b] / 2.0, y: y(back, b) };
                scene.ties.push((from, to));
            }
        }
        scene
    }

    /// Where the TTLs of each direction stand.
    pub(crate) fn margins(&self) -> impl Iterator<Item = f64> {
        self.directions.iter().map(|(_, right)| self.margin(*right))
    }

    fn margin(&self, right: bool) -> f64 {
        if right { self.width - MARGIN / 2.0 } else { MARGIN / 2.0 }
    }

    fn add(&mut self, lane: &Lane, middles: &[f64], shared: &[usize], right: bool) {
        let y = |cell: usize| middles[lane.rows[lane.layers.cells[cell].layer]];
        for (at, node) in lane.graph.nodes.iter().enumerate() {
            let is_shared = shared.contains(&at);
            // Drawn by the direction that ends there, which knows more of it.
            if is_shared && matches!(node.kind, Kind::Start(_)) {
                continue;
            }
            let (width, height) = (lane.widths[at], lane.heights[at]);
            self.boxes.push(Block {
                at: Point { x: lane.centres[at] - width / 2.0, y: y(at) - height / 2.0 },
                width,
                height,
                direction: (!is_shared).then_some(lane.graph.direction),
                style: match node.kind {
                    Kind::Start(_) | Kind::End(_) => Style::End,
                    Kind::Router(_) => Style::Router,
                    Kind::Silent(_) => Style::Silent,
                },
                label: lane.labels[at].clone(),
                balancer: node
                    .balancer
                    .as_ref()
                    .map(|balancer| (label::balancer(balancer), balancer.balancing)),
                up: lane.up,
            });
        }
        for (layer, ttl) in lane.layers.ttls.iter().enumerate().filter(|(_, ttl)| **ttl > 0) {
            self.ttls.push((Point { x: self.margin(right), y: middles[lane.rows[layer]] }, *ttl));
        }
        let is_silent = |at: usize| matches!(lane.graph.nodes[at].kind, Kind::Silent(_));
        for (link, route) in lane.graph.links.iter().zip(&lane.layers.routes) {
            let mut points: Vec<_> =
                route.iter().map(|cell| Point { x: lane.centres[*cell], y: y(*cell) }).collect();
            let ways = if lane.up { [-1.0, 1.0] } else { [1.0, -1.0] };
            if let [first, .., last] = points.as_mut_slice() {
                for ((point, cell), way) in
                    [(first, link.from), (last, link.to)].into_iter().zip(ways)
                {
                    point.y += way * lane.heights[cell] / 2.0;
                    if shared.contains(&cell) {
                        // Out on the one side, in on the other.
                        let side = if right { 1.0 } else { -1.0 };
                        point.x += side * lane.widths[cell] / 4.0;
                    }
                }
            }
            let parts = lane.graph.nodes[link.from].balancer.is_some();
            if parts && let Some(first) = points.first_mut() {
                first.y += ways[0] * DIAMOND;
            }
            self.wires.push(Wire {
                points,
                direction: lane.graph.direction,
                share: link.share,
                rise_ms: link.rise_ms,
                dashed: is_silent(link.from) || is_silent(link.to),
            });
        }
    }
}

/// The nodes at which one direction begins and the other ends.
fn shared_ends(there: &Lane, back: &Lane) -> Vec<(usize, usize)> {
    let pair = |a: Option<usize>, b: Option<usize>| {
        let (a, b) = a.zip(b)?;
        let one = there.graph.nodes[a].kind.address() == back.graph.nodes[b].kind.address();
        one.then_some((a, b))
    };
    let is_start = |kind| matches!(kind, Kind::Start(_));
    let is_end = |kind| matches!(kind, Kind::End(_));
    let client = pair(there.find(is_start), back.find(is_end));
    let target = pair(there.find(is_end), back.find(is_start));
    client.into_iter().chain(target).collect()
}

/// The upper edge and the height of each row.
fn row_heights(lanes: &[Lane], count: usize) -> (Vec<f64>, Vec<f64>) {
    let mut heights = vec![0.0_f64; count];
    for lane in lanes {
        for (cell, height) in lane.layers.cells.iter().zip(&lane.heights) {
            let row = &mut heights[lane.rows[cell.layer]];
            *row = row.max(*height);
        }
    }
    let reach = lanes.iter().map(Lane::reach).fold(0.0, f64::max);
    let gap = (ROW_GAP + reach / 16.0).min(MOST_ROW_GAP);
    let mut top = TOP;
    let tops = heights
        .iter()
        .map(|height| {
            let this = top;
            top += height + gap;
            this
        })
        .collect();
    (tops, heights)
}

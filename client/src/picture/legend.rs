//! What the signs of a picture mean: those that are in it.

use maud::{Markup, html};

use super::scene::{Scene, Style};
use super::svg::{diamond, diamond_class, name, px, sans_width};
use crate::Direction;
use crate::document::Balancing;

/// The height of a row of entries.
const ROW: f64 = 24.0;
/// The room for a sign.
const SIGN: f64 = 44.0;
/// Between entries.
const SPACE: f64 = 22.0;
const LEFT: f64 = 24.0;

/// A sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    Wire(Direction),
    Rise,
    Silent,
    Balancer(Balancing),
    Tie,
}

impl Sign {
    const fn meaning(self) -> &'static str {
        match self {
            Self::Wire(Direction::Forward) => "forward; the wider, the more of all flows",
            Self::Wire(Direction::Reverse) => "reverse; the wider, the more of all flows",
            Self::Rise => "the round-trip time rises here",
            Self::Silent => "no answer",
            Self::Balancer(Balancing::PerFlow) => "load balancer, by flow",
            Self::Balancer(Balancing::PerPacket) => "load balancer, by packet",
            Self::Balancer(Balancing::PerDestination) => "load balancer, by destination",
            Self::Balancer(Balancing::Unknown) => "load balancer, by what is not known",
            Self::Tie => "one router, met both ways",
        }
    }
}

/// The signs that are in `scene`.
pub(crate) fn entries(scene: &Scene) -> Vec<Sign> {
    let balancings =
        [Balancing::PerFlow, Balancing::PerPacket, Balancing::PerDestination, Balancing::Unknown];
    let is_there = |sign: &Sign| match *sign {
        Sign::Wire(direction) => scene.wires.iter().any(|wire| wire.direction == direction),
        Sign::Rise => scene.wires.iter().any(|wire| wire.rise_ms.is_some()),
        Sign::Silent => scene.boxes.iter().any(|node| node.style == Style::Silent),
        Sign::Balancer(balancing) => scene
            .boxes
            .iter()
            .any(|node| node.balancer.as_ref().is_some_and(|(_, by)| *by == balancing)),
        Sign::Tie => !scene.ties.is_empty(),
    };
    [Sign::Wire(Direction::Forward), Sign::Wire(Direction::Reverse)]
        .into_iter()
        .chain(balancings.map(Sign::Balancer))
        .chain([Sign::Rise, Sign::Silent, Sign::Tie])
        .filter(is_there)
        .collect()
}

/// The same with their places from the left, in rows no wider than `width`.
pub(crate) fn rows(signs: &[Sign], width: f64) -> Vec<Vec<(f64, Sign)>> {
    let mut rows = vec![Vec::new()];
    let mut x = LEFT;
    for sign in signs {
        let wide = SIGN + sans_width(sign.meaning()) + SPACE;
        if x > LEFT && x + wide > width {
            rows.push(Vec::new());
            x = LEFT;
        }
        if let Some(row) = rows.last_mut() {
            row.push((x, *sign));
        }
        x += wide;
    }
    rows
}

/// The height of so many rows with what is around them.
#[expect(clippy::cast_precision_loss, reason = "a legend has fewer rows than 2^52")]
pub(crate) const fn height(rows: usize) -> f64 {
    rows as f64 * ROW + 20.0
}

/// The legend, from `top` on.
pub(crate) fn draw(rows: &[Vec<(f64, Sign)>], top: f64) -> Markup {
    html! {
        g {
            @for (row, entries) in (0_u8..).zip(rows) {
                @let y = top + 16.0 + f64::from(row) * ROW;
                @for (x, sign) in entries {
                    (draw_sign(*sign, *x, y))
                    text class="oh-sans oh-quiet" x=(px(x + SIGN)) y=(px(y + 4.0)) { (sign.meaning()) }
                }
            }
        }
    }
}

fn draw_sign(sign: Sign, x: f64, y: f64) -> Markup {
    let line = format!("M{},{y} H{}", px(x), px(x + SIGN - 12.0), y = px(y));
    let wire = |colour: &str| {
        html! {
            path class=(format!("oh-wire oh-{colour}")) d=(line) stroke-width="2.2"
                marker-end=(format!("url(#oh-tip-{colour})")) {}
        }
    };
    match sign {
        Sign::Wire(direction) => wire(name(direction)),
        Sign::Rise => wire("hot"),
        Sign::Silent => html! {
            rect class="oh-silent" x=(px(x + 2.0)) y=(px(y - 8.0)) width="30" height="16" rx="5" {}
        },
        Sign::Balancer(balancing) => html! {
            path class=(diamond_class(balancing)) d=(diamond(x + 17.0, y)) {}
        },
        Sign::Tie => html! { path class="oh-tie" d=(line) {} },
    }
}

//! A document as a picture: the graph of both directions.
//!
//! [`dot`] is for Graphviz; [`svg`] needs nothing else to be seen, and [`html`] is a page around it. A direction that was
//! traced along one path is a chain; where several answered at one TTL, a fork. Texts from the network are escaped by
//! what writes each format, after [`crate::printable`].

mod graph;
pub(crate) mod label;
mod layers;
mod place;
mod shared;
mod scene;
mod style;
pub(crate) mod titles;
mod legend;
mod svg;
mod dot;
pub(crate) mod page;

use maud::Markup;

use crate::Document;
use graph::Graph;
use scene::Scene;

/// `document` in the DOT language of Graphviz.
#[must_use]
pub fn dot(document: &Document) -> String {
    dot::write(document, &graphs(document))
}

/// `document` as an SVG file, for light and dark ground, without scripts or anything to load.
#[must_use]
pub fn svg(document: &Document) -> String {
    let svg = draw(document, true).into_string();
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{svg}\n")
}

/// `document` as an HTML page that needs nothing beside it.
#[must_use]
pub fn html(document: &Document) -> String {
    page::whole(document)
}

/// The SVG element alone; without its style sheet if the page around it has that.
pub(crate) fn draw(document: &Document, alone: bool) -> Markup {
    let scene = Scene::new(document, &graphs(document));
    let titles = titles::titles(document, &scene.directions);
    let about = titles.iter().map(|title| title.text.as_str()).collect::<Vec<_>>().join("; ");
    svg::draw(&scene, &titles, &about, alone)
}

fn graphs(document: &Document) -> Vec<Graph> {
    let finding = document.finding.as_ref();
    document.paths().map(|(direction, path)| Graph::new(direction, path, finding)).collect()
}

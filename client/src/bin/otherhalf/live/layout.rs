//! What stands where.

use std::time::Duration;

use otherhalf_client::live::Side;
use otherhalf_client::resolve::Names;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Paragraph, Widget};

use super::both::Both;
use super::state::State;
use super::table::{Table, cut};
use super::theme::Theme;
use super::{Subject, details, keys};
use crate::table::wrap;

/// From this width on the directions stand side by side.
const WIDE: u16 = 110;
/// Columns between them.
const GUTTER: u16 = 2;

/// All that is drawn.
pub(super) struct Scene<'a> {
    pub(super) state: &'a State,
    pub(super) names: &'a Names,
    pub(super) theme: &'a Theme,
    pub(super) subject: &'a Subject,
    /// Since the start.
    pub(super) elapsed: Duration,
}

/// Draws `scene`, whatever the size of the terminal.
pub(super) fn draw(frame: &mut Frame, scene: &Scene) {
    let area = frame.area();
    let out = frame.buffer_mut();
    let [top, middle, bottom] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(u16::from(area.height > 2)),
    ])
    .areas(area);
    header(scene, top, out);
    footer(scene, bottom, out);
    let sides = scene.state.board().sides();
    if let Some(side) = sides.get(scene.state.focus).filter(|_| scene.state.zoomed) {
        details::draw(scene, scene.state.focus, side, middle, out);
    } else {
        body(scene, sides, middle, out);
    }
    if scene.state.help {
        help(scene, area, out);
    }
}

/// The tables, and below them as much as there is room for: what both mean, and the selected hop.
fn body(scene: &Scene, sides: &[Side], area: Rect, out: &mut Buffer) {
    let both = Both::of(sides, scene.names, scene.state.numeric, &scene.subject.name);
    let wide = area.width >= WIDE;
    let each = if wide && sides.len() > 1 { (area.width - GUTTER) / 2 } else { area.width };
    let tables: Vec<_> = sides
        .iter()
        .zip(&both.rises)
        .enumerate()
        .map(|(number, (side, rise))| Table::new(scene, number, side, rise.as_ref(), each))
        .collect();
    let heights: Vec<_> =
        tables.iter().map(|table| u16::try_from(table.height()).unwrap_or(u16::MAX)).collect();
    let needed = if wide {
        heights.iter().copied().max().unwrap_or(0)
    } else {
        heights.iter().fold(0u16, |sum, height| sum.saturating_add(*height))
    };
    let height = needed.min(area.height);
    let [upper, lower] =
        Layout::vertical([Constraint::Length(height), Constraint::Fill(1)]).areas(area);
    for (table, place) in tables.iter().zip(places(&heights, wide, upper)) {
        table.draw(place, out);
    }
    let wrapped =
        both.sentence.map(|text| wrap(&text, usize::from(area.width))).unwrap_or_default();
    let lines = u16::try_from(wrapped.lines().count()).unwrap_or(u16::MAX);
    // A blank line above each.
    let said = if lines > 0 && lines < lower.height { lines + 1 } else { 0 };
    let [words, rest] =
        Layout::vertical([Constraint::Length(said), Constraint::Fill(1)]).areas(lower);
    for (line, row) in wrapped.lines().zip(words.rows().skip(1)) {
        Line::raw(line).render(row, out);
    }
    let focus = scene.state.focus;
    if let Some(side) = sides.get(focus).filter(|_| rest.height > details::LEAST_HEIGHT) {
        let [_, rest] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(rest);
        details::draw(scene, focus, side, rest, out);
    }
}

/// Where each of the tables goes.
fn places(heights: &[u16], wide: bool, area: Rect) -> Vec<Rect> {
    match heights {
        [_, _] if wide => {
            Layout::horizontal([Constraint::Fill(1); 2]).spacing(GUTTER).split(area).to_vec()
        }
        [first, second] => {
            // Half each, unless one needs less.
            let half = area.height / 2;
            let upper = (*first).min(half.max(area.height.saturating_sub(*second)));
            Layout::vertical([Constraint::Length(upper), Constraint::Fill(1)]).split(area).to_vec()
        }
        _ => vec![area],
    }
}

fn header(scene: &Scene, area: Rect, out: &mut Buffer) {
    let Scene { state, subject, theme, elapsed, .. } = scene;
    let Some(side) = state.board().sides().first() else { return };
    let options = side.options();
    let rounds = state.board().sides().iter().map(Side::rounds).max().unwrap_or(0);
    let mut right = format!("round {rounds}  {}  {}", interval(state.interval), clock(*elapsed));
    for (is, word) in [(state.paused, "PAUSED"), (state.is_frozen(), "FROZEN")] {
        if is {
            right = format!("{word}  {right}");
        }
    }
    let width = usize::from(area.width);
    let left = format!(
        "otherhalf {}  {}  {} flow {}",
        subject.command, subject.shown, options.protocol, options.flow
    );
    let left = cut(&left, width.saturating_sub(right.len() + 2), **theme);
    let blanks = width.saturating_sub(Line::raw(left.as_str()).width() + right.len());
    Line::styled(format!("{left}{}{right}", " ".repeat(blanks)), theme.bar()).render(area, out);
}

/// What keeps it from sending; or else the keys.
fn footer(scene: &Scene, area: Rect, out: &mut Buffer) {
    let theme = *scene.theme;
    let width = usize::from(area.width);
    let line = if let Some(trouble) = scene.state.board().trouble() {
        let trouble = otherhalf_client::printable(trouble);
        Line::styled(cut(&trouble, width, theme), theme.trouble())
    } else {
        let keys = format!(
            "q quit  ? help  p pause  f freeze  r reset  d figures  n names  {} hop  tab direction  +/- interval",
            theme.updown()
        );
        Line::styled(cut(&keys, width, theme), theme.faint())
    };
    line.render(area, out);
}

fn help(scene: &Scene, area: Rect, out: &mut Buffer) {
    let mut text: Vec<_> =
        keys::HELP.iter().map(|(keys, what)| Line::raw(format!("{keys:<13}{what}"))).collect();
    text.push(Line::raw(""));
    text.extend(
        [
            "Times are milliseconds. ~~~ marks the link where they rise for good.",
            "A loss that hops behind do not show is a router that limits its",
            "answers: it stands faint, and no packet of yours was lost there.",
        ]
        .map(Line::raw),
    );
    let width = text.iter().map(Line::width).max().unwrap_or(0);
    let size = |length: usize| Constraint::Length(u16::try_from(length + 2).unwrap_or(u16::MAX));
    let place = area.centered(size(width), size(text.len()));
    Clear.render(place, out);
    let block = Block::bordered().title("Keys").style(scene.theme.title(false));
    Paragraph::new(text).block(block).render(place, out);
}

/// `1 s`, `0.2 s`.
fn interval(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

/// `00:01:23`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
pub(super) mod tests;

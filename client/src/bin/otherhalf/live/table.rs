//! The table of a direction.

use std::fmt::Write as _;

use otherhalf_client::analyse::Rise;
use otherhalf_client::live::{KEPT, Side};
use otherhalf_client::{Direction, Outcome};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::columns::{Figure, chosen};
use super::layout::Scene;
use super::row::{HopRow, Row, label, rows};
use super::state::Mode;
use super::theme::Theme;
use crate::finding::amount;
use crate::table::wrap;
use crate::verdict;

/// A number of up to three digits and a blank.
const TTL: usize = 4;

/// The table of direction number `number`.
pub(super) struct Table<'a> {
    scene: &'a Scene<'a>,
    side: &'a Side,
    number: usize,
    rows: Vec<Row<'a>>,
    /// Why the path ends where it does, if not at the other end.
    note: Vec<String>,
}

impl<'a> Table<'a> {
    pub(super) fn new(
        scene: &'a Scene<'a>,
        number: usize,
        side: &'a Side,
        rise: Option<&Rise>,
        width: u16,
    ) -> Self {
        let name = &scene.subject.name;
        let note = match side.end() {
            None if side.rounds() == 0 && side.hops().is_empty() => {
                Some("no answer yet".to_owned())
            }
            Some(end) => verdict::of_end(side.options(), end, side.is_answered(), [name, "here"]).1,
            None => None,
        };
        let wrapped = note
            .map(|note| wrap(&note, usize::from(width).saturating_sub(TTL)))
            .unwrap_or_default();
        let note = wrapped.lines().map(str::to_owned).collect();
        Self { scene, side, number, rows: rows(side, rise), note }
    }

    /// Lines for all of it.
    pub(super) fn height(&self) -> usize {
        2 + self.rows.len() + self.note.len()
    }

    pub(super) fn draw(&self, area: Rect, out: &mut Buffer) {
        let width = usize::from(area.width);
        let Scene { state, theme, .. } = *self.scene;
        let figures = chosen(state.mode, width.saturating_sub(TTL));
        let taken = figures.iter().map(|figure| figure.width()).sum::<usize>();
        let room = width.saturating_sub(TTL + taken);
        let who = if state.mode == Mode::History { room / 2 } else { room };
        let strip = room - who;
        let mut lines = vec![self.title(width), head(&figures, who, strip, *theme)];
        let selected = state.selected(self.number);
        let body: Vec<_> =
            self.rows.iter().map(|row| self.line(row, &figures, who, strip, selected)).collect();
        let visible = usize::from(area.height).saturating_sub(lines.len());
        lines.extend(body.into_iter().skip(self.scroll(visible, selected)));
        for note in &self.note {
            let note = cut(note, width.saturating_sub(TTL), *theme);
            lines.push(Line::styled(format!("{:TTL$}{note}", ""), theme.faint()));
        }
        for (line, row) in lines.iter().zip(area.rows()) {
            line.render(row, out);
        }
    }

    /// Rows to skip so that the selected hop is seen.
    fn scroll(&self, visible: usize, selected: Option<u8>) -> usize {
        let is_selected =
            |row: &Row| matches!(row, Row::Hop(hop) if Some(hop.hop.ttl().get()) == selected);
        let last = self.rows.iter().rposition(is_selected);
        let needed = last.map_or(0, |last| (last + 1).saturating_sub(visible));
        needed.min(self.rows.len().saturating_sub(1))
    }

    fn title(&self, width: usize) -> Line<'static> {
        let Scene { state, theme, subject, .. } = *self.scene;
        let both = state.board().sides().len() > 1;
        let focused = both && state.focus == self.number;
        let name = &subject.name;
        let title = match self.side.options().direction {
            Direction::Forward => format!("Forward: from here to {name}"),
            Direction::Reverse => format!("Reverse: from {name} to here"),
        };
        let changes = match self.side.changed() {
            0 => String::new(),
            1 => ", changed once".to_owned(),
            times => format!(", changed {times} times"),
        };
        let mark = if focused { "> " } else { "" };
        Line::styled(cut(&format!("{mark}{title}{changes}"), width, *theme), theme.title(focused))
    }

    fn line(
        &self,
        row: &Row,
        figures: &[Figure],
        who: usize,
        strip: usize,
        selected: Option<u8>,
    ) -> Line<'static> {
        let Scene { state, theme, names, .. } = *self.scene;
        match row {
            Row::Rise(by) => {
                Line::styled(format!("{:TTL$}~~~ +{} ~~~", "", amount(*by)), theme.rise())
            }
            Row::Hop(hop) => {
                let ttl = hop.hop.ttl().get();
                let number = if hop.first { format!("{ttl:>3} ") } else { " ".repeat(TTL) };
                let name = hop.responder.map_or_else(
                    || "*".to_owned(),
                    |responder| label(responder, names, state.numeric, who.saturating_sub(1)),
                );
                let name = pad(&cut(&name, who.saturating_sub(1), *theme), who);
                let mut spans = vec![Span::raw(number), Span::raw(name)];
                spans.extend(figures.iter().map(|figure| {
                    let text = format!("{:>width$}", hop.text(*figure), width = figure.width());
                    Span::styled(text, style(hop, *figure, *theme))
                }));
                if strip > 0 && hop.first {
                    spans.push(Span::raw(" "));
                    spans.extend(self.history(hop, strip.saturating_sub(1)));
                }
                let mut line = Line::from(spans);
                if selected == Some(ttl) {
                    line = line.style(Style::new().add_modifier(Modifier::REVERSED));
                }
                line
            }
        }
    }

    /// The latest probes of a hop, each a sign; all hops of the direction on one scale.
    fn history(&self, row: &HopRow, width: usize) -> Vec<Span<'static>> {
        let theme = *self.scene.theme;
        let hops = self.side.hops();
        let times = hops.iter().flat_map(|hop| hop.recent()).filter_map(rtt);
        let longest = times.fold(0.0, f64::max);
        let width = width.min(KEPT);
        let count = row.hop.recent().count();
        row.hop
            .recent()
            .skip(count.saturating_sub(width))
            .map(|outcome| match outcome {
                Outcome::Answered(_) => {
                    let part =
                        rtt(outcome).map_or(0.0, |time| time / longest.max(f64::MIN_POSITIVE));
                    Span::styled(theme.height(part).to_string(), theme.time())
                }
                _ => Span::styled(theme.lost().to_string(), theme.trouble()),
            })
            .collect()
    }
}

/// In seconds.
fn rtt(outcome: &Outcome) -> Option<f64> {
    match outcome {
        Outcome::Answered(sample) => sample.rtt.map(|time| time.as_secs_f64()),
        Outcome::Silent | Outcome::Waiting => None,
    }
}

fn head(figures: &[Figure], who: usize, strip: usize, theme: Theme) -> Line<'static> {
    let mut text = format!("{:TTL$}{:who$}", "", "");
    for figure in figures {
        // Writing to a String cannot fail.
        let _ = write!(text, "{:>width$}", figure.title(), width = figure.width());
    }
    if strip > 0 {
        let title = cut("latest last", strip - 1, theme);
        let _ = write!(text, " {title:<width$}", width = strip - 1);
    }
    Line::styled(text, theme.head())
}

fn style(row: &HopRow, figure: Figure, theme: Theme) -> Style {
    match figure {
        // Nobody ever answered: nothing was lost.
        Figure::Loss if row.first && row.responder.is_none() => theme.faint(),
        Figure::Loss if row.first => theme.loss(row.hop.loss(), row.lasting),
        _ => Style::new(),
    }
}

/// `text` in at most `width` columns.
pub(super) fn cut(text: &str, width: usize, theme: Theme) -> String {
    if Span::raw(text).width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if Span::raw(kept.as_str()).width() + 1 > width {
            kept.pop();
            break;
        }
    }
    if width > 0 {
        kept.push_str(theme.cut());
    }
    kept
}

/// `text` in `width` columns.
fn pad(text: &str, width: usize) -> String {
    let blanks = width.saturating_sub(Span::raw(text).width());
    format!("{text}{}", " ".repeat(blanks))
}

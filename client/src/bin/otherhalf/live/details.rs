//! All about the selected hop.

use otherhalf_client::live::{HopSeries, Responder, Series, Side};
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::Widget;

use super::columns::milliseconds;
use super::layout::Scene;
use super::row::{annotation, both, percent};
use super::table::cut;

/// The least height that is worth it.
pub(super) const LEAST_HEIGHT: u16 = 6;
/// Classes of the histogram, at most.
const CLASSES: u32 = 12;
/// What a class's upper end and its count take.
const LABELS: usize = 20;

/// Draws what is known of the selected hop of `side`, or of its path if none is selected.
pub(super) fn draw(scene: &Scene, number: usize, side: &Side, area: Rect, out: &mut Buffer) {
    let selected = scene.state.selected(number);
    let hops = side.hops();
    let hop = hops.iter().find(|hop| Some(hop.ttl().get()) == selected);
    let [left, right] =
        Layout::horizontal([Constraint::Percentage(60), Constraint::Percentage(40)]).areas(area);
    let (mut lines, times) = match hop {
        Some(hop) => (of_hop(scene, side, hop), hop.series()),
        None => return lines_of(&changes(scene, side, usize::from(area.height)), area, out),
    };
    let room = usize::from(area.height).saturating_sub(lines.len());
    lines.extend(changes(scene, side, room));
    let width = usize::from(left.width).saturating_sub(1);
    let theme = *scene.theme;
    let lines: Vec<_> = lines
        .into_iter()
        .map(|line| {
            let style = line.style;
            Line::styled(cut(&line.to_string(), width, theme), style)
        })
        .collect();
    lines_of(&lines, left, out);
    lines_of(&histogram(scene, times, right), right, out);
}

fn lines_of(lines: &[Line], area: Rect, out: &mut Buffer) {
    for (line, row) in lines.iter().zip(area.rows()) {
        line.render(row, out);
    }
}

fn of_hop(scene: &Scene, side: &Side, hop: &HopSeries) -> Vec<Line<'static>> {
    let direction = side.options().direction;
    let mut lines = vec![Line::styled(
        format!(
            "Hop {}, {direction}: {} of {} probes answered, {}% lost",
            hop.ttl(),
            hop.answered(),
            hop.sent(),
            percent(hop.loss())
        ),
        scene.theme.title(true),
    )];
    for responder in hop.responders() {
        lines.push(Line::raw(format!("  {}", of_responder(scene, hop, responder))));
    }
    let series = hop.series();
    let time = |time: Option<std::time::Duration>| time.map_or("-".to_owned(), milliseconds);
    lines.push(Line::raw(format!(
        "  ms: p50 {}  p90 {}  p99 {}  stdev {}  jitter {} (smoothed {})",
        time(series.percentile(50.0)),
        time(series.percentile(90.0)),
        time(series.percentile(99.0)),
        time(series.deviation()),
        time(series.average_jitter()),
        time(series.smooth_jitter()),
    )));
    lines
}

/// `E (203.0.113.5)  100%  12 answers  avg 1.20 ms  flow 33434`.
fn of_responder(scene: &Scene, hop: &HopSeries, responder: &Responder) -> String {
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 answers")]
    let share = responder.answered as f64 * 100.0 / hop.answered().max(1) as f64;
    let average = responder.series.average().map_or("-".to_owned(), milliseconds);
    let flows: Vec<_> = responder.flows.iter().take(4).map(ToString::to_string).collect();
    let more = if responder.flows.len() > 4 { " ..." } else { "" };
    let note = annotation(responder.reply);
    let labels: Vec<_> = responder.labels.iter().map(|label| label.label.to_string()).collect();
    let mpls =
        if labels.is_empty() { String::new() } else { format!(" MPLS {}", labels.join(" ")) };
    format!(
        "{}  {}%  {} answer{}  avg {average} ms  flow {}{more}{mpls} {note}",
        both(responder.address, scene.names, scene.state.numeric),
        percent(share),
        responder.answered,
        if responder.answered == 1 { "" } else { "s" },
        flows.join(" "),
    )
    .trim_end()
    .to_owned()
}

/// The latest changes of the path in at most `room` lines.
fn changes(scene: &Scene, side: &Side, room: usize) -> Vec<Line<'static>> {
    if side.changes().next().is_none() || room < 2 {
        return Vec::new();
    }
    let direction = side.options().direction;
    let title = format!("Changes of the path, {direction}");
    let mut lines = vec![Line::styled(title, scene.theme.title(true))];
    lines.extend(side.changes().rev().take(room - 1).map(|change| {
        let who = |address: Option<std::net::IpAddr>| {
            address
                .map_or("-".to_owned(), |address| both(address, scene.names, scene.state.numeric))
        };
        let (at, arrow) = (change.at.strftime("%H:%M:%S UTC"), scene.theme.arrow());
        let (before, after) = (who(change.before), who(change.after));
        Line::raw(format!("  {at}  hop {}: {before} {arrow} {after}", change.ttl))
    }));
    lines
}

fn histogram(scene: &Scene, series: &Series, area: Rect) -> Vec<Line<'static>> {
    let theme = scene.theme;
    let room = u32::from(area.height).saturating_sub(1).min(CLASSES);
    let mut classes = series.classes(room);
    // Without a spread there is one class.
    if series.best() == series.worst() {
        classes.truncate(1);
    }
    if classes.is_empty() {
        return Vec::new();
    }
    let most = classes.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    let width = usize::from(area.width).saturating_sub(LABELS);
    let mut lines = vec![Line::styled("Round-trip times, up to ms", theme.title(true))];
    lines.extend(classes.iter().map(|(end, count)| {
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 answers")]
        let bar = theme.gauge(*count as f64 / most as f64, width);
        Line::styled(format!("{:>8} {bar} {count}", milliseconds(*end)), theme.time())
    }));
    lines
}

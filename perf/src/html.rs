//! Reports as one HTML page: tables and plots, nothing fetched from anywhere.

use std::fmt::Write;

use crate::figures::Percentiles;
use crate::report::{Report, StepLine};

/// Size of a plot, and the room around it for axes and their names.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 48.0;
/// Colours that people with colour blindness can tell apart (Okabe and Ito).
const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a6a00", "#000000"];

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse;font-size:13px}\
th,td{padding:.2rem .6rem;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}th:first-child,td:first-child{text-align:left}\
.wide{overflow-x:auto}.bad{color:#b00020;font-weight:600}svg{max-width:100%;height:auto;font:12px system-ui,sans-serif}\
p.note{color:#555;font-size:13px}";

/// A line of a plot.
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

/// How an axis is divided.
#[derive(Clone, Copy, PartialEq)]
enum Scale {
    Linear,
    Logarithmic,
}

/// A plot.
struct Plot<'a> {
    x: &'a str,
    y: &'a str,
    x_scale: Scale,
    y_scale: Scale,
    lines: Vec<Line>,
    /// Names of places on the x axis; none: numbers.
    x_names: Option<&'a [(f64, &'a str)]>,
}

/// The page.
#[must_use]
pub fn page(report: &Report) -> String {
    let run = &report.run;
    let mut out = String::new();
    let title = format!("{} on {}", run.scenario, run.profile);
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>otherhalf-perf: {0}</title><style>{STYLE}</style></head><body>\n<h1>{0}</h1>\n<p>{1}.<br>{2}.</p>\n",
        escape(&title),
        escape(&run.scenario_about),
        escape(&run.profile_about)
    );
    let _ = write!(
        out,
        "<p class=\"note\">The host's mood before: {}; after: {}. {:.3} GHz ticks. Absolute figures move with the \
         mood by a factor of two and more; compare only what was measured side by side.</p>\n{}",
        run.mood_before,
        run.mood_after,
        run.tsc_hz as f64 / 1e9,
        verdict(report)
    );
    out.push_str(&steps_table(report));
    out.push_str(&throughput(report));
    out.push_str(&percentiles(report));
    out.push_str(&course(report));
    out.push_str(&counters(report));
    let _ = writeln!(
        out,
        "<p class=\"note\">otherhalf-perf {}. A window is clean if no thread was away from its core for more than 30 µs \
         in it; rates and latencies are those of clean windows where not said otherwise. In an open loop, \
         latency counts from when a request was due.</p></body></html>",
        escape(&run.version)
    );
    out
}

fn verdict(report: &Report) -> String {
    let wrong: u64 = report.steps.iter().flat_map(|(step, _)| step.faults.values()).sum();
    let right: u64 = report
        .steps
        .iter()
        .filter_map(|(step, _)| {
            Some(step.counts.get("responses")? + step.counts.get("unanswered")?)
        })
        .sum();
    if wrong == 0 {
        format!("<p>{} transactions verified, none wrong.</p>\n", number(right as f64))
    } else {
        let kinds: Vec<String> = report
            .steps
            .iter()
            .flat_map(|(step, _)| &step.faults)
            .map(|(name, count)| format!("{} {count}", escape(name)))
            .collect();
        format!("<p class=\"bad\">{wrong} frames were wrong: {}.</p>\n", kinds.join(", "))
    }
}

fn steps_table(report: &Report) -> String {
    let mut out = String::from(
        "<h2>Steps</h2>\n<div class=\"wide\"><table><tr><th>load</th><th>offered/s</th><th>served/s</th><th>lost</th>\
         <th>p50 µs</th><th>p99 µs</th><th>p99.9 µs</th><th>ticks/frame</th><th>frames/turn</th><th>responder busy</th>\
         <th>generator busy</th><th>clean</th></tr>\n",
    );
    for (step, _) in &report.steps {
        let rates = step.rates();
        let latency = main_part(step);
        let lost: u64 = ["lost_requests", "lost_answers"]
            .iter()
            .filter_map(|name| step.counts.get(*name))
            .sum();
        let optional = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
        };
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{lost}</td><td>{:.1}</td><td>{:.1}</td><td>{:.1}</td><td>{}</td>\
             <td>{}</td><td>{}</td><td>{:.0} %</td><td>{:.0} %</td></tr>",
            escape(&step.name()),
            number(rates.offered_per_s),
            number(rates.served_per_s),
            us(latency.p50),
            us(latency.p99),
            us(latency.p999),
            optional(rates.ticks_per_frame, 0),
            optional(rates.frames_per_turn, 1),
            rates.responder_busy.map_or_else(|| "–".to_owned(), |b| format!("{:.0} %", 100.0 * b)),
            100.0 * rates.generator_busy,
            100.0 * step.clean_share
        );
    }
    out.push_str("</table></div>\n");
    out
}

/// The whole transaction, or the probe where nothing is answered.
fn main_part(step: &StepLine) -> &Percentiles {
    let latencies = step.latencies();
    if latencies.whole.count > 0 { &latencies.whole } else { &latencies.probe }
}

fn throughput(report: &Report) -> String {
    let points = |of: fn(&StepLine) -> Option<f64>| -> Vec<(f64, f64)> {
        report.steps.iter().filter_map(|(step, _)| Some((of(step)?, step.served_per_s()))).collect()
    };
    let closed = points(|step| Some(step.window? as f64));
    let open = points(|step| step.rate);
    let mut out = String::new();
    if closed.len() > 1 {
        out.push_str("<h2>Throughput against load: closed loop</h2>\n");
        let lines = vec![Line { name: "served/s".to_owned(), points: closed }];
        let (x, y) = ("transactions under way at once", "transactions/s");
        let (x_scale, y_scale) = (Scale::Logarithmic, Scale::Linear);
        out.push_str(&svg(&Plot { x, y, x_scale, y_scale, lines, x_names: None }));
    }
    if open.len() > 1 {
        out.push_str("<h2>Throughput against load: open loop</h2>\n");
        let offered: Vec<(f64, f64)> = report
            .steps
            .iter()
            .filter_map(|(step, _)| Some((step.rate?, step.rates().offered_per_s)))
            .collect();
        let lines = vec![
            Line { name: "served/s".to_owned(), points: open },
            Line { name: "really offered/s".to_owned(), points: offered },
        ];
        let (x, y) = ("requests/s wanted", "transactions/s");
        let (x_scale, y_scale) = (Scale::Linear, Scale::Linear);
        out.push_str(&svg(&Plot { x, y, x_scale, y_scale, lines, x_names: None }));
    }
    out
}

fn percentiles(report: &Report) -> String {
    /// Places on the axis: the number of nines.
    const NAMES: [(f64, &str); 6] =
        [(0.3, "p50"), (1.0, "p90"), (2.0, "p99"), (3.0, "p99.9"), (4.0, "p99.99"), (5.0, "max")];
    let values = |p: &Percentiles| [p.p50, p.p90, p.p99, p.p999, p.p9999, p.max];
    let mut steps: Vec<&StepLine> =
        report.steps.iter().map(|(step, _)| step).filter(|s| main_part(s).count > 0).collect();
    // More lines than colours would tell nobody anything.
    if steps.len() > COLOURS.len() {
        let all = steps.len() - 1;
        steps = (0..COLOURS.len()).map(|n| steps[n * all / (COLOURS.len() - 1)]).collect();
    }
    let lines: Vec<Line> = steps
        .into_iter()
        .map(|step| {
            let places = NAMES.iter().map(|(place, _)| *place);
            let points = places.zip(values(main_part(step)).map(us)).collect();
            Line { name: step.name(), points }
        })
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    let plot = Plot {
        x: "percentile",
        y: "latency, µs",
        x_scale: Scale::Linear,
        y_scale: Scale::Logarithmic,
        lines,
        x_names: Some(&NAMES),
    };
    format!("<h2>Latency</h2>\n{}", svg(&plot))
}

fn course(report: &Report) -> String {
    let lines: Vec<Line> = report
        .steps
        .iter()
        .filter(|(_, blocks)| blocks.len() > 1)
        .take(COLOURS.len())
        .map(|(step, blocks)| Line {
            name: step.name(),
            points: blocks.iter().map(|block| (block.at_s, block.rates.served_per_s)).collect(),
        })
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    let (x, y) = ("seconds", "transactions/s");
    let (x_scale, y_scale) = (Scale::Linear, Scale::Linear);
    let plot = Plot { x, y, x_scale, y_scale, lines, x_names: None };
    format!("<h2>In the course of time, by tenths of a second</h2>\n{}", svg(&plot))
}

fn counters(report: &Report) -> String {
    let mut out = String::from(
        "<h2>The responder's counters</h2>\n<table><tr><th>name</th><th>count</th></tr>\n",
    );
    for (name, count) in report.run.responder.iter().filter(|(_, count)| **count > 0) {
        let count = number(*count as f64);
        let _ = writeln!(out, "<tr><td>{}</td><td>{count}</td></tr>", escape(name));
    }
    out.push_str("</table>\n");
    out
}

fn us(ns: u64) -> f64 {
    ns as f64 / 1000.0
}

/// With a comma at each thousand.
fn number(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number on an axis.
fn short(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        v if v >= 1e6 => (value / 1e6, " M"),
        v if v >= 1e4 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let text = format!("{scaled:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}{unit}")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Where an axis begins and ends, and what is written on it.
struct Axis {
    from: f64,
    to: f64,
    scale: Scale,
    marks: Vec<f64>,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64> + Clone, scale: Scale) -> Self {
        let high = values.clone().fold(f64::MIN_POSITIVE, f64::max);
        match scale {
            Scale::Linear => {
                // Five marks or so, at 1, 2 or 5 times a power of ten.
                let rough = high / 5.0;
                let power = 10f64.powf(rough.log10().floor());
                let step = [1.0, 2.0, 5.0, 10.0]
                    .into_iter()
                    .map(|factor| factor * power)
                    .find(|step| *step >= rough)
                    .unwrap_or(high);
                let count = (high / step).ceil();
                let marks = (0..20).map(f64::from).take_while(|n| *n <= count);
                Self {
                    from: 0.0,
                    to: count * step,
                    scale,
                    marks: marks.map(|n| n * step).collect(),
                }
            }
            Scale::Logarithmic => {
                let low = values.filter(|value| *value > 0.0).fold(high, f64::min);
                let (from, to) =
                    (low.log10().floor(), high.log10().ceil().max(low.log10().floor() + 1.0));
                let marks = (-12..13).map(f64::from).filter(|n| (from..=to).contains(n));
                Self { from, to, scale, marks: marks.map(|n| 10f64.powf(n)).collect() }
            }
        }
    }

    /// Where `value` lies, 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let value = match self.scale {
            Scale::Linear => value,
            Scale::Logarithmic => value.max(1e-12).log10(),
        };
        ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }
}

fn svg(plot: &Plot<'_>) -> String {
    let points = || plot.lines.iter().flat_map(|line| line.points.iter());
    let x_axis = Axis::over(points().map(|(x, _)| *x), plot.x_scale);
    let y_axis = Axis::over(points().map(|(_, y)| *y), plot.y_scale);
    let (inner_width, inner_height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let x_at = |value: f64| LEFT + inner_width * x_axis.place(value);
    let y_at = |value: f64| TOP + inner_height * (1.0 - y_axis.place(value));
    let legend = plot.lines.len().div_ceil(4) as f64 * 18.0;
    let whole = HEIGHT + legend;
    let mut out = format!(
        "<svg viewBox=\"0 0 {WIDTH} {whole}\" role=\"img\" aria-label=\"{} against {}\">\n",
        plot.y, plot.x
    );
    for mark in &y_axis.marks {
        let y = y_at(*mark);
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            y + 4.0,
            short(*mark)
        );
    }
    let numbers: Vec<(f64, String)> = match plot.x_names {
        Some(names) => names.iter().map(|(at, name)| (*at, (*name).to_owned())).collect(),
        None => x_axis.marks.iter().map(|mark| (*mark, short(*mark))).collect(),
    };
    let base = HEIGHT - BOTTOM;
    for (at, name) in numbers {
        let x = x_at(at);
        let _ = writeln!(
            out,
            "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{base}\" stroke=\"#eee\"/><text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            base + 16.0,
            escape(&name)
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text><text x=\"14\" y=\"{:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {:.1})\">{}</text>",
        LEFT + inner_width / 2.0,
        base + 36.0,
        escape(plot.x),
        TOP + inner_height / 2.0,
        TOP + inner_height / 2.0,
        escape(plot.y)
    );
    for (place, (line, colour)) in plot.lines.iter().zip(COLOURS.iter().cycle()).enumerate() {
        let path: Vec<String> =
            line.points.iter().map(|(x, y)| format!("{:.1},{:.1}", x_at(*x), y_at(*y))).collect();
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join(" ")
        );
        if line.points.len() <= 30 {
            for (x, y) in &line.points {
                let _ = write!(
                    out,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                    x_at(*x),
                    y_at(*y)
                );
            }
        }
        let column = LEFT + (place % 4) as f64 * 165.0;
        let row = HEIGHT + (place / 4) as f64 * 18.0;
        let _ = writeln!(
            out,
            "<rect x=\"{column}\" y=\"{:.1}\" width=\"12\" height=\"4\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            row + 4.0,
            column + 18.0,
            row + 10.0,
            escape(&line.name)
        );
    }
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::report;

    #[test]
    fn a_page_is_whole_and_fetches_nothing() {
        let page = page(&report(&[1e6, 1.2e6, 1.1e6], 3.0));
        assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"));
        assert!(page.contains("about &lt;a&gt;"), "text is escaped");
        for outside in ["http:", "https:", "<script", "src=", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
        assert_eq!(page.matches("<polyline").count(), 1);
        assert!(!page.contains("NaN") && !page.contains("inf\""));
    }

    #[test]
    fn a_wrong_frame_is_seen_at_once() {
        let mut report = report(&[1e6, 1e6], 3.0);
        report.steps[0].0.faults.insert("wrong_hop".to_owned(), 3);
        assert!(page(&report).contains("3 frames were wrong: wrong_hop 3"));
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert_eq!(number(999.4), "999");
        assert_eq!(
            [short(2.5e6), short(200_000.0), short(0.5), short(0.0)],
            ["2.5 M", "200 k", "0.5", "0"]
        );
    }

    #[test]
    fn axes_cover_their_values() {
        for values in [vec![1.0], vec![0.3, 7.0], vec![1e-3, 9e6], vec![4096.0, 1.0]] {
            for scale in [Scale::Linear, Scale::Logarithmic] {
                let axis = Axis::over(values.iter().copied(), scale);
                assert!(axis.marks.len() >= 2, "{values:?}");
                for value in &values {
                    assert!((0.0..=1.0).contains(&axis.place(*value)));
                }
                let most = values.iter().copied().fold(0.0, f64::max);
                let least = values.iter().copied().fold(f64::MAX, f64::min);
                assert!(axis.place(most) > axis.place(least) || values.len() == 1);
            }
        }
    }
}

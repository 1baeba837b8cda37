//! Reports as one HTML page: tables and plots, nothing fetched from anywhere.

mod found;
mod plot;
pub(crate) mod table;

use std::fmt::Write;

use crate::figures::Percentiles;
use crate::report::{Report, StepLine};
use plot::{COLOURS, Line, Plot, Scale, bars, svg};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse;font-size:13px}\
th,td{padding:.2rem .6rem;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}th{white-space:normal;vertical-align:bottom}table+table{margin-top:1rem}th:first-child,td:first-child{text-align:left}\
.wide{overflow-x:auto}.bad{color:#b00020;font-weight:600}svg{max-width:100%;height:auto;font:12px system-ui,sans-serif}\
p.note{color:#555;font-size:13px}";

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
    out.push_str(&found::no_drop(report));
    out.push_str(&found::ratios(report));
    out.push_str(&steps_table(report));
    out.push_str(&throughput(report));
    out.push_str(&percentiles(report));
    out.push_str(&stages(report));
    out.push_str(&course(report));
    out.push_str(&found::workers(report));
    out.push_str(&counters(report));
    let _ = writeln!(
        out,
        "<p class=\"note\">otherhalf-perf {}. A window is clean if no thread was away from its core for more than 30 µs \
         in it; rates are those of clean windows. Latencies are those of settled windows, if there are any: clean ones in \
         which nothing was left that had piled up while a thread was away. In an open loop, latency counts from when a \
         request was due, and what finds a full queue is lost.</p></body></html>",
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
        let lost = number(step.lost() as f64);
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
    let mut out = String::new();
    // A proof's steps are compared in pairs, not along an axis.
    if report.run.proven.is_some() {
        return out;
    }
    let closed = at_each(report, |step| Some((step.window? as f64, step.served_per_s())));
    if closed.len() > 1 {
        out.push_str("<h2>Throughput against load: closed loop</h2>\n");
        let lines = vec![Line { name: "served/s".to_owned(), points: closed }];
        let (x, y) = ("transactions under way at once", "transactions/s");
        let (x_scale, y_scale) = (Scale::Logarithmic, Scale::Linear);
        out.push_str(&svg(&Plot { x, y, x_scale, y_scale, lines, x_names: None }));
    }
    let served = at_each(report, |step| Some((step.rate?, step.served_per_s())));
    if served.len() > 1 {
        out.push_str("<h2>Throughput against load: open loop</h2>\n");
        let offered = at_each(report, |step| Some((step.rate?, step.rates().offered_per_s)));
        let lines = vec![
            Line { name: "served/s".to_owned(), points: served },
            Line { name: "really offered/s".to_owned(), points: offered },
        ];
        let (x, y) = ("requests/s wanted", "transactions/s");
        let (x_scale, y_scale) = (Scale::Linear, Scale::Linear);
        out.push_str(&svg(&Plot { x, y, x_scale, y_scale, lines, x_names: None }));
    }
    out
}

/// The points of all steps that have one, from left to right; of several at one place, the middle one.
fn at_each(report: &Report, of: impl Fn(&StepLine) -> Option<(f64, f64)>) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> =
        report.steps.iter().filter_map(|(step, _)| of(step)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let same = |a: &(f64, f64), b: &(f64, f64)| a.0.total_cmp(&b.0).is_eq();
    points.chunk_by(same).filter_map(|chunk| chunk.get(chunk.len() / 2).copied()).collect()
}

/// As many of `steps` as there are colours, the first and the last among them: more would tell nobody anything.
fn some_of<T>(mut steps: Vec<T>) -> Vec<T> {
    let all = steps.len();
    if all > COLOURS.len() {
        let wanted: Vec<usize> =
            (0..COLOURS.len()).map(|n| n * (all - 1) / (COLOURS.len() - 1)).collect();
        let mut place = 0;
        steps.retain(|_| {
            place += 1;
            wanted.contains(&(place - 1))
        });
    }
    steps
}

/// Where the responder's ticks go, step by step.
fn stages(report: &Report) -> String {
    // Without a clean window, ticks are those of the host's absences.
    let known = |step: &&StepLine| !step.stages.is_empty() && step.clean.seconds > 0.0;
    let with_stages = report.steps.iter().map(|(step, _)| step).filter(known);
    let steps = some_of(with_stages.collect());
    let Some(first) = steps.first() else { return String::new() };
    let parts: Vec<String> = first.stages.iter().map(|stage| stage.stage.clone()).collect();
    let columns: Vec<plot::Bar> = steps
        .iter()
        .map(|step| (step.name(), step.stages.iter().map(|stage| stage.ticks_per_frame).collect()))
        .collect();
    format!(
        "<h2>Cycles by stage</h2>\n{}<p class=\"note\">Ticks of the time stamp counter in the worker's busy turns, for \
         each frame that it received; a transaction has two. “Rest”: empty queues, and bounded work besides packets. To \
         know the stages takes a reading of {:.0} ticks for each stage of a burst.</p>\n",
        bars("ticks a frame", &parts, &columns),
        report.run.stage_reading_ticks
    )
}

fn percentiles(report: &Report) -> String {
    /// Places on the axis: the number of nines.
    const NAMES: [(f64, &str); 6] =
        [(0.3, "p50"), (1.0, "p90"), (2.0, "p99"), (3.0, "p99.9"), (4.0, "p99.99"), (5.0, "max")];
    let values = |p: &Percentiles| [p.p50, p.p90, p.p99, p.p999, p.p9999, p.max];
    let with_latency = report.steps.iter().map(|(step, _)| step).filter(|s| main_part(s).count > 0);
    let steps = some_of(with_latency.collect());
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
    let with_blocks = report.steps.iter().filter(|(_, blocks)| blocks.len() > 1);
    let lines: Vec<Line> = some_of(with_blocks.collect())
        .into_iter()
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

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
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
    }
}

//! The tables of what was found: ratios, the no-drop rate, the workers.

use std::fmt::Write;

use super::{escape, number, us};
use crate::report::Report;

/// The trials of a search, and the rate that it found.
pub(super) fn no_drop(report: &Report) -> String {
    let Some(found) = &report.run.no_drop else { return String::new() };
    let mut out = format!(
        "<h2>No-drop rate</h2>\n<p><b>{} transactions/s</b>, {}.</p>\n<table><tr><th>trial</th><th>rate/s</th>\
         <th>offered</th><th>lost</th><th>seconds that count</th><th>verdict</th></tr>\n",
        number(found.rate),
        escape(&found.mode.to_string())
    );
    for (place, trial) in (1..).zip(&found.trials) {
        let _ = writeln!(
            out,
            "<tr><td>{place}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.3}</td><td>{}</td></tr>",
            number(trial.rate),
            number(trial.counts.offered as f64),
            number(trial.counts.lost as f64),
            trial.counts.seconds,
            trial.verdict
        );
    }
    out.push_str("</table>\n");
    out
}

/// Overload and latency.
pub(super) fn ratios(report: &Report) -> String {
    let Some(proven) = &report.run.proven else { return String::new() };
    let mut out = String::from(
        "<h2>Overload and latency</h2>\n<table><tr><th>ratio</th><th>value</th><th>target</th><th></th></tr>\n",
    );
    for ratio in &proven.ratios {
        let value = ratio.value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"));
        let sign = if ratio.at_least { "≥" } else { "≤" };
        let target = ratio.target.map_or_else(String::new, |target| format!("{sign} {target}"));
        let verdict = match ratio.verdict() {
            "short" => "<span class=\"bad\">short</span>",
            other => other,
        };
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{value}</td><td>{target}</td><td>{verdict}</td></tr>",
            escape(&ratio.name)
        );
    }
    out.push_str("</table>\n<table><tr><th>latency of a frame, µs</th><th>p50</th><th>p99</th><th>p99.9</th></tr>\n");
    for (name, p) in proven.latencies() {
        let _ = writeln!(
            out,
            "<tr><td>{name}</td><td>{:.1}</td><td>{:.1}</td><td>{:.1}</td></tr>",
            us(p.p50),
            us(p.p99),
            us(p.p999)
        );
    }
    out.push_str("</table>\n");
    out
}

/// What each worker did.
pub(super) fn workers(report: &Report) -> String {
    if report.run.workers.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "<h2>The responder's workers</h2>\n<table><tr><th>worker</th><th>received</th><th>probes</th>\
         <th>responses</th></tr>\n",
    );
    for worker in &report.run.workers {
        let [received, probes, responses] =
            [worker.received, worker.probes, worker.responses].map(|count| number(count as f64));
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{received}</td><td>{probes}</td><td>{responses}</td></tr>",
            worker.worker
        );
    }
    out.push_str("</table>\n");
    out
}

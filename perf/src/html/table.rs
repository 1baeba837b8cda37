//! The page of all ratios.

use std::fmt::Write;

use super::{STYLE, escape};
use crate::table::{Best, Row, Table, target, value};

const OWN: &str = ".bar{width:14rem}.pass td:nth-child(5){color:#1b6e3a;font-weight:600}.short td:nth-child(5){color:#b00020;font-weight:600}\
td:nth-child(2),th:nth-child(2){text-align:left;white-space:normal}td:nth-child(6),th:nth-child(6){text-align:left}svg.bar{height:.9rem;vertical-align:middle}";
/// The bar's end, as a multiple of the target.
const MOST: f64 = 2.5;

pub(crate) fn page(table: &Table, notes: &[String], links: &[String]) -> String {
    let [pass, short, open] = table.verdicts();
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>otherhalf: ratios</title><style>{STYLE}{OWN}</style></head><body>\n<h1>Ratios of one run</h1>\n\
         <p>{pass} pass, {short} are short, {open} have no target or are undecided.</p>\n"
    );
    for note in notes {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escape(note));
    }
    if !links.is_empty() {
        out.push_str("<p>Reports with plots:");
        for link in links {
            let _ = write!(out, " <a href=\"{0}\">{0}</a>", escape(link));
        }
        out.push_str("</p>\n");
    }
    for (about, command, rows) in table.groups() {
        let _ = writeln!(out, "<h2>{}</h2>", escape(about));
        if !command.is_empty() {
            let _ = writeln!(out, "<p class=\"note\"><code>{}</code></p>", escape(command));
        }
        out.push_str(
            "<div class=\"wide\"><table><tr><th>ratio</th><th>what is compared</th><th>value</th><th>target</th><th></th>\
             <th>value to target</th></tr>\n",
        );
        for (row, about, best) in rows {
            let class = match row.verdict.as_str() {
                "pass" => "pass",
                "short" => "short",
                _ => "open",
            };
            let verdict = match (class, row.target) {
                ("open", Some(_)) => "undecided",
                ("open", None) => "",
                _ => class,
            };
            let _ = writeln!(
                out,
                "<tr class=\"{class}\"><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{verdict}</td><td>{}</td></tr>",
                escape(&row.name),
                escape(about),
                value(row),
                target(row, *best),
                bar(row, *best)
            );
        }
        out.push_str("</table></div>\n");
    }
    out.push_str(
        "<p class=\"note\">A bar is the value as a part of the target, which is the line; its good side is left of it \
         where less is better, right of it where more is.</p></body></html>\n",
    );
    out
}

/// The value beside its target; empty where there is none to compare with.
fn bar(row: &Row, best: Option<Best>) -> String {
    let (Some(value), Some(target), Some(Best::Low | Best::High)) = (row.value, row.target, best)
    else {
        return String::new();
    };
    let part = (value / target).clamp(0.0, MOST);
    let colour = match row.verdict.as_str() {
        "pass" => "#7fb996",
        "short" => "#d98a94",
        _ => "#bbbbbb",
    };
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{:.0} % of the target\">\
         <rect width=\"{:.1}\" height=\"10\" fill=\"{colour}\"/><rect x=\"{:.1}\" width=\"0.6\" height=\"10\" fill=\"#222\"/></svg>",
        100.0 * value / target,
        100.0 * part / MOST,
        100.0 / MOST
    )
}

//! What is printed when the view is closed: the figures of all rounds, as `mtr --report` has them.

use std::fmt::Write as _;

use otherhalf_client::Direction;
use otherhalf_client::live::Side;
use otherhalf_client::resolve::Names;

use super::both::Both;
use super::columns::TIMES;
use super::row::{Row, annotation, both, rows};
use super::{Ended, Subject};
use crate::finding::amount;

/// The report of `ended`.
pub(crate) fn text(ended: &Ended, found: &Both, names: &Names, subject: &Subject) -> String {
    let sides = ended.board.sides();
    let mut out = String::new();
    let Some(options) = sides.first().map(Side::options) else { return out };
    let rounds = sides.iter().map(Side::rounds).max().unwrap_or(0);
    let plural = if rounds == 1 { "" } else { "s" };
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(
        out,
        "otherhalf {} {}, {}, flow {}: {rounds} round{plural} in {:.0} s",
        subject.command,
        subject.shown,
        options.protocol,
        options.flow,
        ended.took.as_secs_f64()
    );
    let tables: Vec<_> = sides.iter().zip(&found.rises).collect();
    let names_of: Vec<Vec<String>> = tables
        .iter()
        .map(|(side, rise)| labels(side, rise.as_ref(), names, ended.numeric))
        .collect();
    let width = names_of.iter().flatten().map(|name| name.chars().count()).max().unwrap_or(0);
    for ((side, rise), labels) in tables.into_iter().zip(names_of) {
        let title = match side.options().direction {
            Direction::Forward => format!("Forward: from here to {}", subject.name),
            Direction::Reverse => format!("Reverse: from {} to here", subject.name),
        };
        let _ = write!(out, "\n{title}\n    {:width$}", "");
        for figure in TIMES {
            let _ = write!(out, "{:>width$}", figure.title(), width = figure.width());
        }
        out.push('\n');
        for (row, label) in rows(side, rise.as_ref()).iter().zip(labels) {
            match row {
                Row::Rise(_) => {
                    let _ = writeln!(out, "    {label}");
                }
                Row::Hop(hop) => {
                    let number = if hop.first { hop.hop.ttl().to_string() } else { String::new() };
                    let mut line = format!("{number:>2}  {label:<width$}");
                    for figure in TIMES {
                        let text = hop.text(figure);
                        let _ = write!(line, "{text:>width$}", width = figure.width());
                    }
                    let _ = writeln!(out, "{}", line.trim_end());
                }
            }
        }
        if side.hops().is_empty() {
            let nothing = if side.rounds() == 0 { "nothing was measured" } else { "no answer" };
            let _ = writeln!(out, "    {nothing}");
        }
        for change in side.changes() {
            let who = |address: Option<std::net::IpAddr>| {
                address.map_or("nobody".to_owned(), |address| both(address, names, ended.numeric))
            };
            let at = change.at.strftime("%Y-%m-%d %H:%M:%S UTC");
            let (before, after) = (who(change.before), who(change.after));
            let _ = writeln!(out, "    {at}: hop {} was {before}, is {after}", change.ttl);
        }
    }
    out
}

/// What stands in the first column of each row.
fn labels(
    side: &Side,
    rise: Option<&otherhalf_client::analyse::Rise>,
    names: &Names,
    numeric: bool,
) -> Vec<String> {
    rows(side, rise)
        .iter()
        .map(|row| match row {
            Row::Rise(by) => format!("~~~ +{} ~~~", amount(*by)),
            Row::Hop(hop) => hop.responder.map_or("*".to_owned(), |one| {
                let note = annotation(one.reply);
                let who = both(one.address, names, numeric);
                if note.is_empty() { who } else { format!("{who} {note}") }
            }),
        })
        .collect()
}

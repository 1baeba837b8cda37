//! Both directions as a table: side by side where the terminal is wide enough, else one below the other.

use std::time::Duration;

use otherhalf_client::analyse::Rise;
use otherhalf_client::resolve::Names;
use otherhalf_client::{Hop, Sample};

use crate::finding::amount;
use crate::lines::{annotation, milliseconds, who};

/// Blanks between the two directions.
const GUTTER: usize = 4;

/// A direction, ready to be written.
pub(crate) struct Column {
    title: String,
    rows: Vec<Row>,
}

struct Row {
    number: String,
    who: String,
    best: String,
    average: String,
    note: String,
}

impl Column {
    /// The column of `hops` under `title`, with the link of `rise` marked.
    pub(crate) fn new(
        title: String,
        hops: &[Hop],
        rise: Option<&Rise>,
        names: &Names,
        numeric: bool,
    ) -> Self {
        let mut rows = Vec::new();
        for hop in hops {
            if let Some(rise) = rise.filter(|rise| rise.after.ttl == Some(hop.ttl())) {
                rows.push(Row::mark(rise.by));
            }
            rows.extend(Row::of(hop, names, numeric));
        }
        Self { title, rows }
    }

    /// The lines, all columns of the table aligned.
    fn lines(&self) -> Vec<String> {
        let width = |text: fn(&Row) -> &str, least: usize| {
            self.rows.iter().map(|row| text(row).chars().count()).max().unwrap_or(0).max(least)
        };
        let who = width(|row| &row.who, 0);
        let best = width(|row| &row.best, "best".len());
        let average = width(|row| &row.average, "avg".len());
        let line = |row: &Row| {
            let Row { number, who: name, best: fastest, average: mean, note } = row;
            format!("{number:>2}  {name:<who$}  {fastest:>best$}  {mean:>average$}  {note}")
                .trim_end()
                .to_owned()
        };
        let head = Row {
            number: String::new(),
            who: String::new(),
            best: "best".to_owned(),
            average: "avg".to_owned(),
            note: String::new(),
        };
        let mut lines = vec![self.title.clone(), line(&head)];
        lines.extend(self.rows.iter().map(line));
        lines
    }
}

impl Row {
    /// The link above the row that follows.
    fn mark(by: Duration) -> Self {
        Self {
            number: "~~".to_owned(),
            who: format!("~~ +{} ~~", amount(by)),
            best: String::new(),
            average: String::new(),
            note: String::new(),
        }
    }

    /// A hop: one row for each of its addresses.
    fn of(hop: &Hop, names: &Names, numeric: bool) -> Vec<Self> {
        let number = hop.ttl().to_string();
        if !hop.is_answered() {
            let empty = String::new;
            return vec![Self {
                number,
                who: "*".to_owned(),
                best: empty(),
                average: empty(),
                note: empty(),
            }];
        }
        let mut rows = Vec::new();
        for address in hop.addresses() {
            let samples: Vec<&Sample> =
                hop.samples().filter(|sample| sample.from == address).collect();
            let times: Vec<Duration> = samples.iter().filter_map(|sample| sample.rtt).collect();
            let count = u32::try_from(times.len()).unwrap_or(u32::MAX);
            let unknown = || "?".to_owned();
            rows.push(Self {
                number: if rows.is_empty() { number.clone() } else { String::new() },
                who: who(address, names, numeric),
                best: times.iter().min().copied().map_or_else(unknown, milliseconds),
                average: times
                    .iter()
                    .sum::<Duration>()
                    .checked_div(count)
                    .map_or_else(unknown, milliseconds),
                note: samples.first().map(|sample| annotation(sample)).unwrap_or_default(),
            });
        }
        rows
    }
}

/// Both directions in `width` columns.
pub(crate) fn render(forward: &Column, reverse: &Column, width: usize) -> String {
    let (left, right) = (forward.lines(), reverse.lines());
    let longest =
        |lines: &[String]| lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let margin = longest(&left) + GUTTER;
    let mut out = String::new();
    if margin + longest(&right) > width {
        for line in left.iter().chain(&[String::new()]).chain(&right) {
            out.push_str(line);
            out.push('\n');
        }
        return out;
    }
    for number in 0..left.len().max(right.len()) {
        let of = |lines: &[String]| lines.get(number).cloned().unwrap_or_default();
        out.push_str(format!("{:<margin$}{}", of(&left), of(&right)).trim_end());
        out.push('\n');
    }
    out
}

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
        if self.rows.is_empty() {
            return vec![self.title.clone(), "    no answer".to_owned()];
        }
        let mut lines = vec![self.title.clone(), line(&head)];
        lines.extend(self.rows.iter().map(line));
        lines
    }
}

impl Row {
    /// The link above the row that follows.
    fn mark(by: Duration) -> Self {
        Self {
            number: String::new(),
            who: format!("~~~ +{} ~~~", amount(by)),
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
                // Twice the address would take the room that a name needs.
                who: who(address, names, numeric || names.get(address).is_none()),
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

/// `text` in lines of `width` columns, as far as its words allow.
pub(crate) fn wrap(text: &str, width: usize) -> String {
    let mut out = String::with_capacity(text.len() + 1);
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            out.push('\n');
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
    out
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

#[cfg(test)]
mod tests {
    use otherhalf_client::analyse::{Finding, Path, compare};

    use super::*;
    use crate::finding::Words;
    use crate::lines::tests::{answered, hop_of, names};

    const US: u8 = 9;
    const TARGET: u8 = 6;

    /// Forward: A, C, D, target F; reverse: D, B, a silent hop, A, us. 300 ms on B to A.
    fn both() -> [Vec<Hop>; 2] {
        let hops = |of: &[(u8, u64)]| {
            of.iter()
                .zip(1..)
                .map(|((last, us), ttl)| {
                    let outcomes = match us {
                        0 => vec![otherhalf_client::Outcome::Silent; 2],
                        us => vec![answered(*last, *us, None), answered(*last, *us + 200, None)],
                    };
                    hop_of(ttl, outcomes)
                })
                .collect()
        };
        [
            hops(&[(3, 500), (4, 300_700), (TARGET, 300_900)]),
            hops(&[(4, 300), (2, 600), (0, 0), (5, 300_800), (US, 301_000)]),
        ]
    }

    fn rendered(width: usize) -> String {
        let names = names();
        let [forward, reverse] = both();
        let rise =
            |start: u8, hops: &[Hop]| Path::new([192, 0, 2, start].into(), hops, true).rise();
        let there =
            Column::new("Forward".to_owned(), &forward, rise(US, &forward).as_ref(), &names, false);
        let back = Column::new(
            "Reverse".to_owned(),
            &reverse,
            rise(TARGET, &reverse).as_ref(),
            &names,
            false,
        );
        render(&there, &back, width)
    }

    #[test]
    fn side_by_side_where_it_fits() {
        let expected = "\
Forward                                        Reverse
                           best         avg                               best         avg
 1  C (192.0.2.3)      0.500 ms    0.600 ms     1  D (192.0.2.4)      0.300 ms    0.400 ms
    ~~~ +300 ms ~~~                             2  B (192.0.2.2)      0.600 ms    0.700 ms
 2  D (192.0.2.4)    300.700 ms  300.800 ms     3  *
 3  F (192.0.2.6)    300.900 ms  301.000 ms        ~~~ +300 ms ~~~
                                                4  E (192.0.2.5)    300.800 ms  300.900 ms
                                                5  192.0.2.9        301.000 ms  301.100 ms
";
        assert_eq!(rendered(200), expected);
        let width = expected.lines().map(str::len).max().unwrap();
        assert_eq!(rendered(width), expected);
    }

    #[test]
    fn one_below_the_other_where_it_is_narrow() {
        let expected = "\
Forward
                           best         avg
 1  C (192.0.2.3)      0.500 ms    0.600 ms
    ~~~ +300 ms ~~~
 2  D (192.0.2.4)    300.700 ms  300.800 ms
 3  F (192.0.2.6)    300.900 ms  301.000 ms

Reverse
                           best         avg
 1  D (192.0.2.4)      0.300 ms    0.400 ms
 2  B (192.0.2.2)      0.600 ms    0.700 ms
 3  *
    ~~~ +300 ms ~~~
 4  E (192.0.2.5)    300.800 ms  300.900 ms
 5  192.0.2.9        301.000 ms  301.100 ms
";
        assert_eq!(rendered(80), expected);
    }

    #[test]
    fn sentences_are_wrapped_between_words() {
        assert_eq!(wrap("one two  three", 8), "one two\nthree\n");
        assert_eq!(wrap("one two", 1), "one\ntwo\n");
        assert_eq!(wrap("", 80), "\n");
    }

    #[test]
    fn the_sentence_names_the_link_and_why_the_other_trace_is_wrong() {
        let names = names();
        let [forward, reverse] = both();
        let there = Path::new([192, 0, 2, US].into(), &forward, true);
        let back = Path::new([192, 0, 2, TARGET].into(), &reverse, true);
        let finding = compare(&there, &back, |_, _| false);
        let words =
            Words { names: &names, numeric: false, target: "www.example.com", reached: [true; 2] };
        assert_eq!(
            words.sentence(&finding),
            "The delay is on the way back: the round-trip time rises by 300 ms between B (192.0.2.2) and \
             E (192.0.2.5). The forward trace shows the same rise between C (192.0.2.3) and D (192.0.2.4) \
             only because answers from D on come back over that link."
        );
        let numeric = Words { numeric: true, ..words };
        assert_eq!(
            numeric.sentence(&Finding::ReverseOnly(back.rise().unwrap())),
            "On the reverse trace the round-trip time rises by 300 ms between 192.0.2.2 and 192.0.2.5. \
             The forward trace shows no such rise, so nothing tells whether the delay is on that link or on \
             the way that answers take from there on."
        );
    }
}

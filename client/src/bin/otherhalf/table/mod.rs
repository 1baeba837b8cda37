//! Both directions as a table: side by side where the terminal is wide enough, else one below the other.
//!
//! Side by side, a router that both ways pass stands in one line: the way there is read downwards, the way back upwards.

mod align;
mod column;

use std::fmt::Write as _;
use std::net::IpAddr;

use anstyle::{AnsiColor, Style};

pub(crate) use column::Column;
use column::{Entry, Line, Row};

/// What stands between the two directions.
const BOTH: &str = " == ";
const THERE: &str = " >  ";
const BACK: &str = "  < ";
const EACH: &str = " >< ";
const NONE: &str = "    ";

/// A router on both ways.
const SHARED: Style = AnsiColor::Green.on_default();
/// Routers on one way.
const ASYMMETRIC: Style = AnsiColor::Yellow.on_default();

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

/// Both directions in `width` columns; `same` says whether two addresses are of one router.
pub(crate) fn render(
    forward: &Column,
    reverse: &Column,
    width: usize,
    same: impl Fn(IpAddr, IpAddr) -> bool,
) -> String {
    let shared = align::shared(&forward.hops, &reverse.hops, &same);
    let (lines, legend) = if shared.is_empty() {
        (side_by_side(forward, reverse), "")
    } else {
        (aligned(forward, reverse, &shared), LEGEND)
    };
    let margin = lines.iter().map(|(left, _, _)| left.width).max().unwrap_or(0);
    let fits = |(_, _, right): &(Line, &str, Line)| margin + NONE.len() + right.width <= width;
    if !lines.iter().all(fits) {
        return stacked(forward, reverse, &shared);
    }
    let mut out = String::new();
    for (left, sign, right) in &lines {
        let style = match *sign {
            BOTH => SHARED,
            NONE => Style::new(),
            _ => ASYMMETRIC,
        };
        let gap = margin - left.width;
        if right.width == 0 && sign.trim().is_empty() {
            out.push_str(&left.text);
        } else {
            let sign = Line::styled(sign.trim_end(), style);
            let rest = if right.width == 0 { 0 } else { NONE.len() - sign.width };
            // Writing to a String cannot fail.
            let _ = write!(out, "{}{:gap$}{}{:rest$}{}", left.text, "", sign.text, "", right.text);
        }
        out.push('\n');
    }
    out.push_str(legend);
    out
}

const LEGEND: &str = "\
(== on both ways, > only on the way there, < only on the way back, which is read upwards)
";

/// Both from their starts.
fn side_by_side(forward: &Column, reverse: &Column) -> Vec<(Line, &'static str, Line)> {
    let (mut left, mut right) = (lines(forward).into_iter(), lines(reverse).into_iter());
    std::iter::from_fn(|| match (left.next(), right.next()) {
        (None, None) => None,
        (left, right) => {
            Some((left.unwrap_or_else(Line::empty), NONE, right.unwrap_or_else(Line::empty)))
        }
    })
    .collect()
}

/// One column from its start.
fn lines(column: &Column) -> Vec<Line> {
    let rows = column.hops.iter().flat_map(|hop| hop.rise.iter().chain(&hop.rows));
    column.heading().into_iter().chain(rows.map(|row| column.line(row))).collect()
}

/// The way there downwards, the way back upwards, `shared` routers in one line.
fn aligned(
    forward: &Column,
    reverse: &Column,
    shared: &[(usize, usize)],
) -> Vec<(Line, &'static str, Line)> {
    let [left, right] = [forward.heading(), reverse.heading()];
    let mut out: Vec<_> =
        left.into_iter().zip(right).map(|(left, right)| (left, NONE, right)).collect();
    let (mut there, mut back) = (0, reverse.hops.len());
    let ends = [(forward.hops.len(), None)];
    for (next, found) in shared.iter().map(|(i, j)| (*i, Some(*j))).chain(ends) {
        let down = forward.hops.get(there..next).unwrap_or_default();
        let up = reverse.hops.get(found.map_or(0, |j| j + 1)..back).unwrap_or_default();
        let mut left: Vec<Marked<'_>> = down.iter().flat_map(Marked::downwards).collect();
        let right: Vec<Marked<'_>> = up.iter().rev().flat_map(Marked::upwards).collect();
        let pair = found.and_then(|j| Some((forward.hops.get(next)?, reverse.hops.get(j)?)));
        // The link before a shared router stands before the line that both have.
        left.extend(pair.and_then(|(hop, _)| hop.rise.as_ref()).map(Marked::plain));
        push(&mut out, forward, &left, reverse, &right);
        let Some((hop, twin)) = pair else { break };
        let rows = hop.rows.len().max(twin.rows.len());
        for number in 0..rows {
            let line = |column: &Column, row: Option<&Row>| {
                row.map_or_else(Line::empty, |row| column.line(row))
            };
            out.push((
                line(forward, hop.rows.get(number)),
                BOTH,
                line(reverse, twin.rows.get(number)),
            ));
        }
        if let Some(rise) = &twin.rise {
            push(&mut out, forward, &[], reverse, &[Marked::plain(rise)]);
        }
        (there, back) = (next + 1, found.unwrap_or(0));
    }
    out
}

/// A row, and whether it is of a router that the other way does not pass.
struct Marked<'a> {
    row: &'a Row,
    alone: bool,
}

impl<'a> Marked<'a> {
    const fn plain(row: &'a Row) -> Self {
        Self { row, alone: false }
    }

    fn rows(entry: &'a Entry) -> impl DoubleEndedIterator<Item = Self> {
        let alone = !entry.is_end && !entry.addresses.is_empty();
        entry.rows.iter().map(move |row| Self { row, alone })
    }

    fn downwards(entry: &'a Entry) -> impl Iterator<Item = Self> {
        entry.rise.iter().map(Self::plain).chain(Self::rows(entry))
    }

    fn upwards(entry: &'a Entry) -> impl Iterator<Item = Self> {
        Self::rows(entry).chain(entry.rise.iter().map(Self::plain))
    }
}

/// What stands between two shared routers.
fn push(
    out: &mut Vec<(Line, &'static str, Line)>,
    forward: &Column,
    left: &[Marked<'_>],
    reverse: &Column,
    right: &[Marked<'_>],
) {
    for number in 0..left.len().max(right.len()) {
        let (there, back) = (left.get(number), right.get(number));
        let alone = |marked: Option<&Marked<'_>>| marked.is_some_and(|marked| marked.alone);
        let sign = match (alone(there), alone(back)) {
            (true, true) => EACH,
            (true, false) => THERE,
            (false, true) => BACK,
            (false, false) => NONE,
        };
        let line = |column: &Column, marked: Option<&Marked<'_>>| {
            marked.map_or_else(Line::empty, |marked| column.line(marked.row))
        };
        out.push((line(forward, there), sign, line(reverse, back)));
    }
}

/// One below the other, each from its start; a shared router says where it stands in the other.
fn stacked(forward: &Column, reverse: &Column, shared: &[(usize, usize)]) -> String {
    let turned: Vec<_> = shared.iter().map(|(there, back)| (*back, *there)).collect();
    let there = section(forward, reverse, shared, "back");
    let back = section(reverse, forward, &turned, "there");
    format!("{there}\n{back}")
}

/// The lines of `column`; `twins` are the hops of it that `other` has too, which is the `way` there or back.
fn section(column: &Column, other: &Column, twins: &[(usize, usize)], way: &str) -> String {
    let mut out = String::new();
    let mut push = |line: &Line| {
        out.push_str(&line.text);
        out.push('\n');
    };
    column.heading().iter().for_each(&mut push);
    for (number, hop) in column.hops.iter().enumerate() {
        if let Some(rise) = &hop.rise {
            push(&column.line(rise));
        }
        let twin = twins.iter().find(|(here, _)| *here == number);
        let twin: Option<&Entry> = twin.and_then(|(_, there)| other.hops.get(*there));
        for row in &hop.rows {
            push(&match twin {
                Some(twin) => column.line(&row.noted(&format!("== {way} {}", twin.ttl))),
                None => column.line(row),
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use otherhalf_client::Hop;
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
        let there = Column::new(
            "Forward".to_owned(),
            &forward,
            true,
            rise(US, &forward).as_ref(),
            &names,
            false,
        );
        let back = Column::new(
            "Reverse".to_owned(),
            &reverse,
            true,
            rise(TARGET, &reverse).as_ref(),
            &names,
            false,
        );
        plain(&render(&there, &back, width, |_, _| false))
    }

    /// `text` as one sees it.
    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_shared_router_stands_in_one_line() {
        let expected = "\
Forward                                        Reverse
                           best         avg                               best         avg
 1  C (192.0.2.3)      0.500 ms    0.600 ms >   5  192.0.2.9        301.000 ms  301.100 ms
    ~~~ +300 ms ~~~                          <  4  E (192.0.2.5)    300.800 ms  300.900 ms
                                                   ~~~ +300 ms ~~~
                                                3  *
                                             <  2  B (192.0.2.2)      0.600 ms    0.700 ms
 2  D (192.0.2.4)    300.700 ms  300.800 ms ==  1  D (192.0.2.4)      0.300 ms    0.400 ms
 3  F (192.0.2.6)    300.900 ms  301.000 ms
(== on both ways, > only on the way there, < only on the way back, which is read upwards)
";
        assert_eq!(rendered(200), expected);
        // The legend is not part of the table.
        let width = expected.lines().take(9).map(str::len).max().unwrap();
        assert_eq!(rendered(width), expected);
    }

    #[test]
    fn one_below_the_other_where_it_is_narrow() {
        let expected = "\
Forward
                           best         avg
 1  C (192.0.2.3)      0.500 ms    0.600 ms
    ~~~ +300 ms ~~~
 2  D (192.0.2.4)    300.700 ms  300.800 ms  == back 1
 3  F (192.0.2.6)    300.900 ms  301.000 ms

Reverse
                           best         avg
 1  D (192.0.2.4)      0.300 ms    0.400 ms  == there 2
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

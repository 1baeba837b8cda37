//! One direction of the table.

use std::net::IpAddr;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use otherhalf_client::analyse::Rise;
use otherhalf_client::resolve::Names;
use otherhalf_client::{Hop, Sample};

use crate::finding::amount;
use crate::lines::{annotation, milliseconds, who};

/// Where the round-trip time rises.
const RISE: Style = AnsiColor::Red.on_default().bold();
/// Titles.
const TITLE: Style = Style::new().bold();

/// A direction, ready to be written.
pub(crate) struct Column {
    title: String,
    pub(super) hops: Vec<Entry>,
    widths: Widths,
}

/// A hop of a direction.
pub(super) struct Entry {
    /// Its number.
    pub(super) ttl: u8,
    /// Who answered there.
    pub(super) addresses: Vec<IpAddr>,
    /// Whether that is one of the two ends of the trace, and no router between them.
    pub(super) is_end: bool,
    /// One for each address.
    pub(super) rows: Vec<Row>,
    /// The link before it, if the round-trip time rises there.
    pub(super) rise: Option<Row>,
}

/// A line of one direction.
#[derive(Clone)]
pub(super) struct Row {
    number: String,
    who: String,
    best: String,
    average: String,
    note: String,
    style: Style,
}

struct Widths {
    who: usize,
    best: usize,
    average: usize,
}

/// Text and how wide it is, which its colours hide.
pub(super) struct Line {
    pub(super) text: String,
    pub(super) width: usize,
}

impl Column {
    /// The column of `hops` under `title`, with the link of `rise` marked; the last hop is the other end if it is `reached`.
    pub(crate) fn new(
        title: String,
        hops: &[Hop],
        reached: bool,
        rise: Option<&Rise>,
        names: &Names,
        numeric: bool,
    ) -> Self {
        let entry = |hop: &Hop| Entry {
            ttl: hop.ttl().get(),
            addresses: hop.addresses(),
            is_end: reached && hops.last().is_some_and(|last| last.ttl() == hop.ttl()),
            rows: Row::of(hop, names, numeric),
            rise: rise
                .filter(|rise| rise.after.ttl == Some(hop.ttl()))
                .map(|rise| Row::rise(rise.by)),
        };
        let hops: Vec<Entry> = hops.iter().map(entry).collect();
        let rows = || hops.iter().flat_map(|hop| hop.rise.iter().chain(&hop.rows));
        let widest = |text: fn(&Row) -> &str, least: usize| {
            rows().map(|row| text(row).chars().count()).max().unwrap_or(0).max(least)
        };
        let widths = Widths {
            who: widest(|row| &row.who, 0),
            best: widest(|row| &row.best, "best".len()),
            average: widest(|row| &row.average, "avg".len()),
        };
        Self { title, hops, widths }
    }

    /// The title, and what stands over the numbers; or that there are none.
    pub(super) fn heading(&self) -> [Line; 2] {
        let head = if self.hops.is_empty() {
            Line::plain("    no answer".to_owned())
        } else {
            let empty = String::new;
            self.line(&Row {
                number: empty(),
                who: empty(),
                best: "best".to_owned(),
                average: "avg".to_owned(),
                note: empty(),
                style: Style::new(),
            })
        };
        [Line::styled(&self.title, TITLE), head]
    }

    /// `row` as wide as the others.
    pub(super) fn line(&self, row: &Row) -> Line {
        let Widths { who, best, average } = self.widths;
        let Row { number, who: name, best: fastest, average: mean, note, style } = row;
        let text = format!("{number:>2}  {name:<who$}  {fastest:>best$}  {mean:>average$}  {note}");
        Line::styled(text.trim_end(), *style)
    }
}

impl Line {
    pub(super) fn plain(text: String) -> Self {
        Self { width: text.chars().count(), text }
    }

    pub(super) fn empty() -> Self {
        Self::plain(String::new())
    }

    pub(super) fn styled(text: &str, style: Style) -> Self {
        // The blanks before it bear no colour.
        let bare = text.trim_start();
        let indent = text.len() - bare.len();
        Self { width: text.chars().count(), text: format!("{:indent$}{style}{bare}{style:#}", "") }
    }
}

impl Row {
    /// The link above the row that follows.
    fn rise(by: Duration) -> Self {
        Self {
            number: String::new(),
            who: format!("~~~ +{} ~~~", amount(by)),
            best: String::new(),
            average: String::new(),
            note: String::new(),
            style: RISE,
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
                style: Style::new().dimmed(),
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
                style: Style::new(),
            });
        }
        rows
    }

    /// The same with `note` behind what it says.
    pub(super) fn noted(&self, note: &str) -> Self {
        let note = format!("{} {note}", self.note).trim_start().to_owned();
        Self { note, ..self.clone() }
    }
}

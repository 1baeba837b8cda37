//! The rows of a direction.

use std::net::IpAddr;
use std::time::Duration;

use otherhalf_client::analyse::Rise;
use otherhalf_client::live::{HopSeries, Responder, Side};
use otherhalf_client::query::Reply;
use otherhalf_client::resolve::Names;

use super::columns::{Figure, milliseconds};

/// A row of the table of a direction.
pub(super) enum Row<'a> {
    /// The link above the row that follows: its round-trip times are higher by so much.
    Rise(Duration),
    /// A hop, or another address of the hop above.
    Hop(HopRow<'a>),
}

pub(super) struct HopRow<'a> {
    pub(super) hop: &'a HopSeries,
    /// Who answers; `None`: nobody yet.
    pub(super) responder: Option<&'a Responder>,
    /// Whether it is the first row of its hop.
    pub(super) first: bool,
    /// Whether hops behind lose answers as well: so the loss is on the way, and not a router that limits its answers.
    pub(super) lasting: bool,
}

impl HopRow<'_> {
    /// `figure` in its own words; blank where it says nothing.
    pub(super) fn text(&self, figure: Figure) -> String {
        match figure {
            Figure::Loss if self.first => percent(self.hop.loss()),
            Figure::Loss => String::new(),
            Figure::Sent if self.first => self.hop.sent().to_string(),
            Figure::Sent => self.responder.map_or(0, |one| one.answered).to_string(),
            figure => {
                let series = self.responder.map(|one| &one.series);
                series.and_then(|series| figure.of(series)).map(milliseconds).unwrap_or_default()
            }
        }
    }
}

/// All rows of `side`, the link of `rise` marked.
pub(super) fn rows<'a>(side: &'a Side, rise: Option<&Rise>) -> Vec<Row<'a>> {
    let hops = side.hops();
    let mut rows = Vec::new();
    for (place, hop) in hops.iter().enumerate() {
        if let Some(rise) = rise.filter(|rise| rise.after.ttl == Some(hop.ttl())) {
            rows.push(Row::Rise(rise.by));
        }
        let mut behind = hops.iter().skip(place + 1).filter(|hop| hop.answered() > 0);
        let lasting = behind.all(|hop| hop.answered() < hop.sent());
        let responders = hop.responders();
        if responders.is_empty() {
            rows.push(Row::Hop(HopRow { hop, responder: None, first: true, lasting }));
        }
        rows.extend(responders.into_iter().enumerate().map(|(number, responder)| {
            let (responder, first) = (Some(responder), number == 0);
            Row::Hop(HopRow { hop, responder, first, lasting })
        }));
    }
    rows
}

/// `12.5`, `100`.
pub(super) fn percent(part: f64) -> String {
    if part >= 99.95 { "100".to_owned() } else { format!("{part:.1}") }
}

/// The name of `responder`, and its address where `width` has room for both.
pub(super) fn label(responder: &Responder, names: &Names, numeric: bool, width: usize) -> String {
    let address = responder.address;
    let mut label = match names.get(address).filter(|_| !numeric) {
        Some(name) => {
            let both = format!("{name} ({address})");
            if both.chars().count() <= width { both } else { name.to_owned() }
        }
        None => address.to_string(),
    };
    for note in [names.tag(address), annotation(responder.reply)] {
        if !note.is_empty() {
            label = format!("{label} {note}");
        }
    }
    label
}

/// `name (address) [AS64500]`, as far as these are known.
pub(super) fn both(address: IpAddr, names: &Names, numeric: bool) -> String {
    let who = match names.get(address).filter(|_| !numeric) {
        Some(name) => format!("{name} ({address})"),
        None => address.to_string(),
    };
    format!("{who} {}", names.tag(address)).trim_end().to_owned()
}

/// traceroute's `!X`; mostly empty.
pub(super) fn annotation(reply: Option<Reply>) -> String {
    match reply {
        Some(Reply::Unreachable(reason)) => reason.annotation(),
        _ => String::new(),
    }
}

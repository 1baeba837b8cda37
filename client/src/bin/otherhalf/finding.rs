//! What two directions together say, in a sentence.

use std::time::Duration;

use otherhalf_client::analyse::{Finding, Place, Rise};
use otherhalf_client::resolve::Names;

use crate::lines::who;

/// The ends of both paths and how to name what lies between.
pub(crate) struct Words<'a> {
    pub(crate) names: &'a Names,
    pub(crate) numeric: bool,
    /// The target, fit for a terminal.
    pub(crate) target: &'a str,
    /// Whether the forward trace and the reverse one reached their ends.
    pub(crate) reached: [bool; 2],
}

impl Words<'_> {
    /// The sentence.
    pub(crate) fn sentence(&self, finding: &Finding) -> String {
        match finding {
            Finding::Nothing if self.reached != [true; 2] => {
                "As far as traced, no link stands out: the round-trip time rises nowhere by much."
                    .to_owned()
            }
            Finding::Nothing => {
                "No link stands out: the round-trip time rises nowhere by much, in neither direction."
                    .to_owned()
            }
            Finding::ForwardOnly(rise) => format!(
                "On the forward trace the round-trip time rises by {}. The reverse trace {}, \
                 so nothing tells whether the delay is on that link or on the way that answers take from there on.",
                self.link(rise, "this machine"),
                shows_no_rise(self.reached[1]),
            ),
            Finding::ReverseOnly(rise) => format!(
                "On the reverse trace the round-trip time rises by {}. The forward trace {}, \
                 so nothing tells whether the delay is on that link or on the way that answers take from there on.",
                self.link(rise, self.target),
                shows_no_rise(self.reached[0]),
            ),
            Finding::SameLink { forward, .. } => format!(
                "The delay is on one link that both ways share: the round-trip time rises by {}, \
                 in both directions. Which of the two is slow there, round-trip times cannot tell.",
                self.link(forward, "this machine")
            ),
            Finding::WayBack { forward, reverse } => format!(
                "The delay is on the way back: the round-trip time rises by {}. \
                 The forward trace shows the same rise between {} and {} only because answers from {} on \
                 come back over that link.",
                self.link(reverse, self.target),
                self.place(&forward.before, "this machine"),
                self.place(&forward.after, "this machine"),
                self.name(&forward.after),
            ),
            Finding::WayThere { forward, reverse } => format!(
                "The delay is on the way there: the round-trip time rises by {}. \
                 The reverse trace shows the same rise between {} and {} only because answers from {} on \
                 go over that link.",
                self.link(forward, "this machine"),
                self.place(&reverse.before, self.target),
                self.place(&reverse.after, self.target),
                self.name(&reverse.after),
            ),
            Finding::Unrelated { forward, reverse } => format!(
                "On the forward trace the round-trip time rises by {}; on the reverse trace by {}. \
                 Nothing that was seen ties the two together.",
                self.link(forward, "this machine"),
                self.link(reverse, self.target),
            ),
        }
    }

    /// `300 ms between E (192.0.2.5) and F (192.0.2.6)`.
    fn link(&self, rise: &Rise, start: &str) -> String {
        format!(
            "{} between {} and {}",
            amount(rise.by),
            self.place(&rise.before, start),
            self.place(&rise.after, start)
        )
    }

    fn place(&self, place: &Place, start: &str) -> String {
        match (place.ttl, place.addresses.as_slice()) {
            (None, _) | (_, []) => start.to_owned(),
            (_, addresses) => addresses
                .iter()
                .map(|address| match self.names.get(*address) {
                    Some(_) if !self.numeric => who(*address, self.names, self.numeric),
                    _ => address.to_string(),
                })
                .collect::<Vec<_>>()
                .join(" or "),
        }
    }

    /// The shortest name of a hop.
    fn name(&self, place: &Place) -> String {
        let name = |address| match self.names.get(address) {
            Some(name) if !self.numeric => name.to_owned(),
            _ => address.to_string(),
        };
        place.addresses.first().map_or_else(String::new, |address| name(*address))
    }
}

const fn shows_no_rise(reached: bool) -> &'static str {
    if reached { "shows no such rise" } else { "ends before it could show such a rise" }
}

/// A rise in whole milliseconds, or in tenths if it is small.
pub(crate) fn amount(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    if ms < 20.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_traced_is_not_judged() {
        let names = Names::none();
        for (reached, start) in [
            ([true, true], "No link"),
            ([true, false], "As far as traced, no link"),
            ([false, true], "As far as traced, no link"),
        ] {
            let words = Words { names: &names, numeric: true, target: "www", reached };
            let sentence = words.sentence(&Finding::Nothing);
            assert!(sentence.starts_with(start), "{sentence}");
        }
    }
}

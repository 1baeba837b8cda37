//! Where a round-trip time rises, and on which way.
//!
//! A round-trip time has two ways in it, and traceroute shows one. A rise from one hop to the next can be the link between them,
//! or the way that answers take from there on, which is another one if routing is asymmetric. Only both directions together
//! tell which.

use std::net::IpAddr;
use std::time::Duration;

use crate::hop::Hop;
use crate::multipath::Search;
use crate::options::{Direction, Options};
use crate::trace::Trace;
use crate::ttl::Ttl;

/// A rise that is worth a word is at least this high ...
const LEAST_RISE: Duration = Duration::from_millis(10);
/// ... and at least this part of the whole round-trip time.
const LEAST_PART: u32 = 4;
/// Hops that must bear a rise out where the other end, whose answer is beyond doubt, did not answer: a last router may
/// just be slow to answer.
const WITNESSES: usize = 2;
/// Two rises are the same if they differ by no more than this part of the larger one.
const TOLERANCE: u32 = 4;

/// An end of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its TTL; `None` for the start of the path, which is no hop.
    pub ttl: Option<Ttl>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// A link on which the round-trip time rises for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rise {
    /// The last place before it that answered.
    pub before: Place,
    /// The first place after it that answered.
    pub after: Place,
    /// By how much.
    pub by: Duration,
}

/// The path of one direction, as far as it answered.
#[derive(Debug, Clone)]
pub struct Path {
    /// The start, then each hop that answered, with the least round-trip time of it and all behind it.
    places: Vec<(Place, Duration)>,
    /// Whether the last place is the other end.
    reached: bool,
}

impl Path {
    /// The path from `start` by `hops`; `reached` says whether the last of them is the other end.
    ///
    /// The round-trip time to a router cannot be longer than the one to a router behind it, but for the time that the
    /// router took for its answer, which is none of the path. So a hop counts with the least time of its own and of all
    /// hops behind it: a rise that does not last is none.
    #[must_use]
    pub fn new(start: IpAddr, hops: &[Hop], reached: bool) -> Self {
        let places = hops.iter().filter_map(|hop| {
            let place = Place { ttl: Some(hop.ttl()), addresses: hop.addresses() };
            Some((place, hop.best()?))
        });
        Self::of_places(start, places.collect(), reached)
    }

    /// The path that the first flow of `search` takes: with all flows, there is no one path. A router's time is the least that it
    /// answered any flow in.
    #[must_use]
    pub fn of_first_flow(search: &Search) -> Self {
        let options = &search.options().trace;
        let places = search
            .first_flow()
            .map(|(ttl, address, time)| (Place { ttl: Some(ttl), addresses: vec![address] }, time));
        Self::of_places(start_of(options), places.collect(), search.is_reached())
    }

    fn of_places(start: IpAddr, mut places: Vec<(Place, Duration)>, reached: bool) -> Self {
        let mut least = Duration::MAX;
        for (_, time) in places.iter_mut().rev() {
            least = least.min(*time);
            *time = least;
        }
        places.insert(0, (Place { ttl: None, addresses: vec![start] }, Duration::ZERO));
        Self { places, reached }
    }

    /// The path of `trace`.
    #[must_use]
    pub fn of(trace: &Trace) -> Self {
        Self::new(start_of(trace.options()), trace.hops(), trace.is_reached())
    }

    /// The link with the highest rise, if one stands out.
    #[must_use]
    pub fn rise(&self) -> Option<Rise> {
        self.rise_before(if self.reached { 1 } else { WITNESSES })
    }

    /// The same with that many hops at least behind the link.
    fn rise_before(&self, witnesses: usize) -> Option<Rise> {
        let (_, whole) = self.places.last()?;
        let rise = self
            .places
            .array_windows()
            .enumerate()
            .filter(|(at, _)| at + witnesses < self.places.len())
            .map(|(_, [(before, less), (after, more)])| (before, after, more.saturating_sub(*less)))
            // The first of equals.
            .rev()
            .max_by_key(|(_, _, by)| *by)?;
        let (before, after, by) = rise;
        (by >= LEAST_RISE.max(*whole / LEAST_PART)).then(|| Rise {
            before: before.clone(),
            after: after.clone(),
            by,
        })
    }

    /// Whether `place`, of the other direction, is on this path at `until` or before.
    fn passes(&self, place: &Place, until: &Place, same: &impl Fn(IpAddr, IpAddr) -> bool) -> bool {
        self.places
            .iter()
            .take_while(|(here, _)| here.ttl <= until.ttl)
            .any(|(here, _)| is_same(here, place, same))
    }
}

/// Where a trace by these options starts.
const fn start_of(options: &Options) -> IpAddr {
    match options.direction {
        Direction::Forward => options.source,
        Direction::Reverse => options.target,
    }
}

fn is_same(a: &Place, b: &Place, same: &impl Fn(IpAddr, IpAddr) -> bool) -> bool {
    a.addresses.iter().any(|a| b.addresses.iter().any(|b| a == b || same(*a, *b)))
}

/// What both directions say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// No link stands out in either.
    Nothing,
    /// A link stands out in the forward trace alone: nothing says which way it is.
    ForwardOnly(Rise),
    /// A link stands out in the reverse trace alone.
    ReverseOnly(Rise),
    /// Both rise on one link, from either side.
    SameLink {
        /// The link, as forward probes pass it.
        forward: Rise,
        /// The same, as reverse probes do.
        reverse: Rise,
    },
    /// It is on the way back: answers from where the forward trace rises come back over the link where the reverse one does.
    WayBack {
        /// Where the forward trace only seems to rise.
        forward: Rise,
        /// Where it does.
        reverse: Rise,
    },
    /// It is on the way there: answers from where the reverse trace rises go over the link where the forward one does.
    WayThere {
        /// Where it does.
        forward: Rise,
        /// Where the reverse trace only seems to rise.
        reverse: Rise,
    },
    /// Both rise, and nothing ties them together: their heights differ, or no router is seen in both directions.
    Unrelated {
        /// In the forward trace.
        forward: Rise,
        /// In the reverse trace.
        reverse: Rise,
    },
}

/// Compares the two directions; `same` says whether two addresses are of one router (its name may tell).
///
/// Routing goes by destination: a router that probes from the target to us pass sends its own answers to us on by the same links
/// from there on. So if the router behind the forward rise is on the reverse path before the reverse rise, its
/// answers come back over that link, which explains both. And the same the other way round.
#[must_use]
pub fn compare(forward: &Path, reverse: &Path, same: impl Fn(IpAddr, IpAddr) -> bool) -> Finding {
    // A rise at the very last hop that answered is believed if the other direction rises as much.
    let backed = |path: &Path, other: &Path| {
        path.rise().or_else(|| {
            let other = other.rise()?;
            path.rise_before(1).filter(|rise| alike(rise, &other))
        })
    };
    let (there, back) = match (backed(forward, reverse), backed(reverse, forward)) {
        (None, None) => return Finding::Nothing,
        (Some(rise), None) => return Finding::ForwardOnly(rise),
        (None, Some(rise)) => return Finding::ReverseOnly(rise),
        (Some(there), Some(back)) => (there, back),
    };
    let comes_back = reverse.passes(&there.after, &back.before, &same);
    let goes_there = forward.passes(&back.after, &there.before, &same);
    let one_link =
        is_same(&there.after, &back.before, &same) && is_same(&there.before, &back.after, &same);
    let (forward, reverse) = (there, back);
    match (alike(&forward, &reverse), comes_back, goes_there) {
        (true, _, _) if one_link => Finding::SameLink { forward, reverse },
        (true, true, false) => Finding::WayBack { forward, reverse },
        (true, false, true) => Finding::WayThere { forward, reverse },
        _ => Finding::Unrelated { forward, reverse },
    }
}

/// Whether both rise by about as much.
fn alike(a: &Rise, b: &Rise) -> bool {
    a.by.abs_diff(b.by) <= a.by.max(b.by) / TOLERANCE
}

impl Finding {
    /// The link that stands out in the forward trace.
    #[must_use]
    pub const fn forward(&self) -> Option<&Rise> {
        match self {
            Self::Nothing | Self::ReverseOnly(_) => None,
            Self::ForwardOnly(forward)
            | Self::SameLink { forward, .. }
            | Self::WayBack { forward, .. }
            | Self::WayThere { forward, .. }
            | Self::Unrelated { forward, .. } => Some(forward),
        }
    }

    /// The link that stands out in the reverse trace.
    #[must_use]
    pub const fn reverse(&self) -> Option<&Rise> {
        match self {
            Self::Nothing | Self::ForwardOnly(_) => None,
            Self::ReverseOnly(reverse)
            | Self::SameLink { reverse, .. }
            | Self::WayBack { reverse, .. }
            | Self::WayThere { reverse, .. }
            | Self::Unrelated { reverse, .. } => Some(reverse),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hop::{Outcome, Sample};

    /// Hops of one address each, 10.0.0.n, with their times in milliseconds; 0 is a silent one.
    fn hops(of: &[(u8, u64)]) -> Vec<Hop> {
        of.iter()
            .zip(1..)
            .map(|((address, ms), ttl)| {
                let rtt = Duration::from_millis(*ms);
                let sample = Sample {
                    from: node(*address),
                    sent: std::time::Instant::now(),
                    rtt: Some(rtt),
                    elapsed: rtt,
                    reply: None,
                    details: crate::Details::default(),
                    rewritten: crate::Rewritten::default(),
                };
                let outcome = if *ms == 0 { Outcome::Silent } else { Outcome::Answered(sample) };
                Hop::settled(Ttl::new(ttl).unwrap(), vec![outcome])
            })
            .collect()
    }

    fn node(number: u8) -> IpAddr {
        [10, 0, 0, number].into()
    }

    fn link(rise: &Rise) -> (IpAddr, IpAddr, u128) {
        (rise.before.addresses[0], rise.after.addresses[0], rise.by.as_millis())
    }

    const US: u8 = 1;
    const TARGET: u8 = 2;
    const A: u8 = 11;
    const B: u8 = 12;
    const C: u8 = 13;
    const D: u8 = 14;
    const E: u8 = 15;
    const F: u8 = 16;

    fn path(start: u8, of: &[(u8, u64)], reached: bool) -> Path {
        Path::new(node(start), &hops(of), reached)
    }

    #[test]
    fn the_link_after_which_it_stays_high() {
        let path = path(US, &[(A, 1), (B, 2), (C, 0), (D, 303), (TARGET, 304)], true);
        assert_eq!(link(&path.rise().unwrap()), (node(B), node(D), 301));
    }

    #[test]
    fn a_slow_control_plane_is_no_rise() {
        assert_eq!(path(US, &[(A, 1), (B, 200), (C, 3), (TARGET, 4)], true).rise(), None);
        let path = path(US, &[(A, 1), (B, 90), (C, 61), (D, 300), (TARGET, 62)], true);
        assert_eq!(link(&path.rise().unwrap()), (node(A), node(B), 60));
    }

    #[test]
    fn small_rises_are_none() {
        assert_eq!(path(US, &[(A, 1), (B, 4), (TARGET, 9)], true).rise(), None);
        // 12 of 100 ms, everything else even.
        let even: Vec<_> = (1..=10).map(|n| (n + 20, u64::from(n) * 12)).collect();
        assert_eq!(path(US, &even, true).rise(), None);
    }

    #[test]
    fn the_first_link_can_be_it() {
        let path = path(US, &[(A, 600), (TARGET, 610)], true);
        assert_eq!(link(&path.rise().unwrap()), (node(US), node(A), 600));
    }

    #[test]
    fn the_last_hop_alone_is_a_witness_only_if_it_is_the_other_end() {
        assert!(path(US, &[(A, 1), (B, 300)], true).rise().is_some());
        assert_eq!(path(US, &[(A, 1), (B, 300)], false).rise(), None);
        assert!(path(US, &[(A, 1), (B, 300), (C, 301)], false).rise().is_some());
        assert_eq!(path(US, &[], false).rise(), None);
    }

    const THERE: [(u8, u64); 5] = [(A, 1), (B, 2), (C, 3), (D, 303), (TARGET, 304)];
    const BACK: [(u8, u64); 4] = [(D, 1), (E, 2), (F, 302), (US, 303)];

    #[test]
    fn asymmetric_routing_is_seen_through() {
        let (there, back) = (path(US, &THERE, true), path(TARGET, &BACK, true));
        let Finding::WayBack { forward, reverse } = compare(&there, &back, |_, _| false) else {
            panic!("it is on the way back");
        };
        assert_eq!(link(&forward), (node(C), node(D), 300));
        assert_eq!(link(&reverse), (node(E), node(F), 300));
        // Seen from the other end it is the way there.
        assert!(matches!(compare(&back, &there, |_, _| false), Finding::WayThere { .. }));
    }

    #[test]
    fn a_last_hop_is_believed_if_the_other_direction_bears_it_out() {
        let there = path(US, &[(A, 1), (B, 2), (C, 3), (D, 303)], false);
        assert_eq!(there.rise(), None);
        let back = path(TARGET, &BACK, true);
        let finding = compare(&there, &back, |_, _| false);
        assert!(matches!(finding, Finding::WayBack { .. }));
        assert_eq!(link(finding.forward().unwrap()), (node(C), node(D), 300));
        assert_eq!(link(finding.reverse().unwrap()), (node(E), node(F), 300));
        // A lone slow router that nothing bears out is none.
        let slow = path(US, &[(A, 1), (B, 2), (C, 3), (D, 90)], false);
        assert!(matches!(compare(&slow, &back, |_, _| false), Finding::ReverseOnly(_)));
    }

    #[test]
    fn routers_are_known_by_other_addresses_too() {
        let other = D + 100;
        let back = path(TARGET, &[(other, 1), (E, 2), (F, 302), (US, 303)], true);
        let there = path(US, &THERE, true);
        assert!(matches!(compare(&there, &back, |_, _| false), Finding::Unrelated { .. }));
        let same = |a, b| (a, b) == (node(other), node(D)) || (a, b) == (node(D), node(other));
        assert!(matches!(compare(&there, &back, same), Finding::WayBack { .. }));
    }

    #[test]
    fn one_link_passed_both_ways() {
        let there = path(US, &[(A, 1), (B, 51), (TARGET, 52)], true);
        let back = path(TARGET, &[(B, 1), (A, 51), (US, 52)], true);
        assert!(matches!(compare(&there, &back, |_, _| false), Finding::SameLink { .. }));
    }

    #[test]
    fn what_does_not_fit_together_is_not_tied_together() {
        let there = path(US, &THERE, true);
        let lower = path(TARGET, &[(D, 1), (E, 2), (F, 102), (US, 103)], true);
        assert!(matches!(compare(&there, &lower, |_, _| false), Finding::Unrelated { .. }));
        let flat = path(TARGET, &[(D, 1), (E, 2)], false);
        assert!(matches!(compare(&there, &flat, |_, _| false), Finding::ForwardOnly(_)));
        assert!(matches!(compare(&flat, &there, |_, _| false), Finding::ReverseOnly(_)));
        assert_eq!(compare(&flat, &flat, |_, _| false), Finding::Nothing);
    }
}

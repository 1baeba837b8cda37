//! The order in which peers are measured, and the ratios of what was measured next to each other.

use serde::Serialize;

use crate::beside::frames::Load;
use crate::beside::lane::Seen;
use crate::beside::link::Link;
use crate::beside::peer::Kind;
use crate::beside::verdict::{Side, Verdict};

/// Complete traces a second of the reference implementation on one core, at its best: a closed loop of 256
/// over a veth pair, on the machine of `docs/performance.md`.
const REFERENCE_TRACES_PER_S: f64 = 94_000.0;

/// One thing that is measured in every round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) peer: Kind,
    pub(crate) load: Load,
}

const fn entry(peer: Kind, load: Load) -> Entry {
    Entry { peer, load }
}

/// A round. What is compared stands side by side, as far as a row can have it so; ours is there twice for its
/// traces, and so tells how much two slices of the same differ.
const ROUND: [Entry; 9] = [
    entry(Kind::Ours, Load::Traces),
    entry(Kind::Floor, Load::Echo),
    entry(Kind::Ours, Load::Requests),
    entry(Kind::Icmpecho, Load::Pings),
    entry(Kind::Ours, Load::Pings),
    entry(Kind::FiveTuple, Load::Mirror),
    entry(Kind::Ours, Load::Traces),
    entry(Kind::Software, Load::Traces),
    entry(Kind::Capsule, Load::Traces),
];

/// The round with those `peers` alone.
pub(crate) fn round(peers: &[Kind]) -> Vec<Entry> {
    ROUND.into_iter().filter(|entry| peers.contains(&entry.peer)).collect()
}

/// What an entry of a round showed.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Sample {
    pub(crate) round: u32,
    /// Its place in the round.
    pub(crate) place: usize,
    pub(crate) peer: Kind,
    pub(crate) load: &'static str,
    #[serde(flatten)]
    pub(crate) seen: Seen,
}

/// A comparison, made.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Ratio {
    pub(crate) name: String,
    pub(crate) value: f64,
    /// What it has to reach, where something was promised.
    pub(crate) target: Option<f64>,
    pub(crate) rounds: usize,
    pub(crate) quartiles: [f64; 2],
    /// The medians of both sides: packets a second, or traces a second beside a constant.
    pub(crate) sides: [Side; 2],
    /// The sides that show the generator's limit and not the peer's.
    pub(crate) limited: [bool; 2],
    pub(crate) verdict: Verdict,
}

/// The comparisons: a name, the side that is asked about, the other, and the target on shared-memory ports.
///
/// None is of whole traces with the floor: each of its frames puts a new key into a table that is full, while the two
/// frames of a trace share an entry that lives for as long as the answer takes. Requests that nobody answers need a new
/// key each, as there.
const COMPARISONS: [(&str, Entry, Entry, Option<f64>); 7] = [
    (
        "requests/floor",
        entry(Kind::Ours, Load::Requests),
        entry(Kind::Floor, Load::Echo),
        Some(0.85),
    ),
    (
        "pings/icmpecho",
        entry(Kind::Ours, Load::Pings),
        entry(Kind::Icmpecho, Load::Pings),
        Some(0.9),
    ),
    (
        "traces/icmpecho",
        entry(Kind::Ours, Load::Traces),
        entry(Kind::Icmpecho, Load::Pings),
        Some(0.9),
    ),
    ("traces/5tswap", entry(Kind::Ours, Load::Traces), entry(Kind::FiveTuple, Load::Mirror), None),
    ("traces/software", entry(Kind::Ours, Load::Traces), entry(Kind::Software, Load::Traces), None),
    ("traces/capsule", entry(Kind::Ours, Load::Traces), entry(Kind::Capsule, Load::Traces), None),
    ("traces/traces", entry(Kind::Ours, Load::Traces), entry(Kind::Ours, Load::Traces), None),
];

/// All comparisons of which both sides were measured.
pub(crate) fn compare(link: Link, samples: &[Sample]) -> Vec<Ratio> {
    let mut ratios: Vec<Ratio> = COMPARISONS
        .iter()
        .filter_map(|(name, ours, other, target)| {
            let pairs = pairs(samples, *ours, *other);
            let target = target.filter(|_| !link.by_kernel());
            let value = |sample: &Sample| sample.seen.packets_per_s;
            let sides = [
                Side::of(pairs.iter().map(|pair| &pair[0]), value),
                Side::of(pairs.iter().map(|pair| &pair[1]), value),
            ];
            let values = pairs.iter().map(|[a, b]| value(a) / value(b)).collect();
            Ratio::of(link, format!("{link}/{name}"), values, target, sides)
        })
        .collect();
    ratios.extend(reference(link, samples));
    ratios
}

/// Our whole traces beside what the reference implementation reaches.
fn reference(link: Link, samples: &[Sample]) -> Option<Ratio> {
    let ours: Vec<Sample> = samples
        .iter()
        .filter(|sample| sample.peer == Kind::Ours && sample.load == Load::Traces.name())
        .copied()
        .collect();
    let value = |sample: &Sample| sample.seen.answered_per_s;
    let values = ours.iter().map(|sample| value(sample) / REFERENCE_TRACES_PER_S).collect();
    let constant = Side { per_s: REFERENCE_TRACES_PER_S, ..Side::default() };
    let sides = [Side::of(&ours, value), constant];
    // On its own kind of port more than it; where the kernel is not on the way, 50 times as much.
    let target = match link {
        Link::AfXdp => Some(1.0),
        Link::Memif | Link::NetRing => Some(50.0),
        Link::Virtio | Link::AfPacket => None,
    };
    let name = match link {
        Link::NetRing => "traces/reference-net_ring".to_owned(),
        _ => format!("{link}/traces/reference"),
    };
    Ratio::of(link, name, values, target, sides)
}

/// Of each round, the two samples that are nearest to each other.
fn pairs(samples: &[Sample], ours: Entry, other: Entry) -> Vec<[Sample; 2]> {
    let is = |sample: &Sample, entry: Entry| {
        (sample.peer, sample.load) == (entry.peer, entry.load.name())
            && sample.seen.packets_per_s > 0.0
    };
    let last = samples.iter().map(|sample| sample.round).max().unwrap_or(0);
    (0..=last)
        .filter_map(|round| {
            let of = |entry| {
                samples.iter().filter(move |sample| sample.round == round && is(sample, entry))
            };
            of(ours)
                .flat_map(|a| of(other).map(move |b| [*a, *b]))
                // The same on both sides: the first against the second.
                .filter(|[a, b]| if ours == other { a.place > b.place } else { true })
                .min_by_key(|[a, b]| a.place.abs_diff(b.place))
        })
        .collect()
}

impl Ratio {
    fn of(
        link: Link,
        name: String,
        mut values: Vec<f64>,
        target: Option<f64>,
        sides: [Side; 2],
    ) -> Option<Self> {
        values.retain(|value| value.is_finite());
        values.sort_unstable_by(f64::total_cmp);
        let at = |part: usize| values.get((values.len() - 1) * part / 4).copied();
        let rounds = values.len();
        if rounds == 0 {
            return None;
        }
        let quartiles = [at(1)?, at(3)?];
        let value = at(2)?;
        let limited = sides.map(|side| side.is_limited(link));
        let verdict = Verdict::of(value, target, limited);
        Some(Self { name, value, target, rounds, quartiles, sides, limited, verdict })
    }
}

impl Side {
    fn of<'a>(
        samples: impl IntoIterator<Item = &'a Sample>,
        value: impl Fn(&Sample) -> f64,
    ) -> Self {
        let samples: Vec<&Sample> = samples.into_iter().collect();
        let median = |value: &dyn Fn(&Sample) -> f64| {
            let mut values: Vec<f64> = samples.iter().map(|sample| value(sample)).collect();
            values.sort_unstable_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(0.0)
        };
        Self {
            per_s: median(&value),
            generator_busy: median(&|sample| sample.seen.generator_busy),
            frames_per_turn: median(&|sample| sample.seen.frames_per_turn),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(round: u32, place: usize, speed: f64) -> Sample {
        let Entry { peer, load } = ROUND[place];
        let seen = Seen { packets_per_s: speed, answered_per_s: speed / 2.0, ..Seen::default() };
        Sample { round, place, peer, load: load.name(), seen }
    }

    #[test]
    fn ratios_are_of_the_same_round_whatever_the_mood() {
        let mut samples = Vec::new();
        for round in 0..9 {
            let mood = 1e6 * f64::from(1 + round % 3);
            for (place, speed) in
                [4.0, 8.0, 6.0, 5.0, 5.5, 9.0, 4.4, 8.8, 2.0].into_iter().enumerate()
            {
                samples.push(sample(round, place, speed * mood));
            }
        }
        let ratios = compare(Link::Memif, &samples);
        let value = |name: &str| {
            ratios.iter().find(|ratio| ratio.name == format!("memif/{name}")).unwrap().value
        };
        for (name, expected) in [
            ("requests/floor", 0.75),
            ("pings/icmpecho", 1.1),
            ("traces/icmpecho", 0.8),
            ("traces/5tswap", 4.4 / 9.0),
            ("traces/software", 0.5),
            ("traces/capsule", 2.2),
            ("traces/traces", 1.1),
        ] {
            assert!((value(name) - expected).abs() < 1e-9, "{name}: {}", value(name));
        }
        let verdicts: Vec<_> = ratios.iter().map(|ratio| ratio.verdict.to_string()).collect();
        assert_eq!(verdicts, ["short", "pass", "short", "-", "-", "-", "-", "short"]);
    }

    #[test]
    fn a_side_that_the_generator_limits_is_not_judged_and_the_report_says_so() {
        let mut samples: Vec<_> =
            (0..5).flat_map(|round| [3, 4].map(|place| sample(round, place, 1e6))).collect();
        let json = |samples: &[Sample]| {
            let ratio = &compare(Link::Virtio, samples)[0];
            assert_eq!(ratio.name, "virtio/pings/icmpecho");
            let value = serde_json::to_value(ratio).unwrap();
            (value["verdict"].clone(), value["limited"].clone())
        };
        assert_eq!(json(&samples), ("pass".into(), vec![false, false].into()));
        for sample in samples.iter_mut().filter(|sample| sample.peer == Kind::Icmpecho) {
            (sample.seen.generator_busy, sample.seen.frames_per_turn) = (0.99, 62.0);
        }
        assert_eq!(json(&samples), ("-".into(), vec![false, true].into()));
    }

    #[test]
    fn what_was_not_measured_is_not_compared() {
        let samples: Vec<_> = (0..3).map(|round| sample(round, 1, 1.0)).collect();
        assert!(compare(Link::Virtio, &samples).is_empty());
        assert_eq!(round(&[Kind::Floor, Kind::Capsule]).len(), 2);
    }
}

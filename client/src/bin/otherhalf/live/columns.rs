//! Figures of a hop, and which of them fit beside its name.

use std::time::Duration;

use otherhalf_client::live::Series;

use super::state::Mode;

/// A column of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    Loss,
    Sent,
    Last,
    Average,
    Best,
    Worst,
    Deviation,
    Jitter,
    AverageJitter,
    WorstJitter,
    P50,
    P90,
    P99,
}

use Figure as F;

/// mtr's, in its order.
pub(super) const TIMES: [Figure; 7] =
    [F::Loss, F::Sent, F::Last, F::Average, F::Best, F::Worst, F::Deviation];

const SPREAD: [Figure; 7] =
    [F::Loss, F::Jitter, F::AverageJitter, F::WorstJitter, F::P50, F::P90, F::P99];

/// What a name gets before the last figure but two is dropped for it.
const LEAST_NAME: usize = 16;

impl Figure {
    pub(super) const fn title(self) -> &'static str {
        match self {
            F::Loss => "Loss%",
            F::Sent => "Snt",
            F::Last => "Last",
            F::Average => "Avg",
            F::Best => "Best",
            F::Worst => "Wrst",
            F::Deviation => "StDev",
            F::Jitter => "Jttr",
            F::AverageJitter => "Javg",
            F::WorstJitter => "Jmax",
            F::P50 => "P50",
            F::P90 => "P90",
            F::P99 => "P99",
        }
    }

    /// With the blank before it.
    pub(super) const fn width(self) -> usize {
        match self {
            F::Sent => 6,
            _ => 7,
        }
    }

    /// The one with the highest is dropped first where the room is short.
    const fn rank(self) -> u8 {
        match self {
            F::Loss => 0,
            F::Average | F::P50 => 1,
            F::Last | F::P99 => 2,
            F::Worst | F::WorstJitter => 3,
            F::Best | F::AverageJitter => 4,
            F::Sent | F::P90 => 5,
            F::Deviation | F::Jitter => 6,
        }
    }

    /// Of round-trip times; those that are counted of probes are not in `series`.
    pub(super) fn of(self, series: &Series) -> Option<Duration> {
        match self {
            F::Loss | F::Sent => None,
            F::Last => series.last(),
            F::Average => series.average(),
            F::Best => series.best(),
            F::Worst => series.worst(),
            F::Deviation => series.deviation(),
            F::Jitter => series.jitter(),
            F::AverageJitter => series.average_jitter(),
            F::WorstJitter => series.worst_jitter(),
            F::P50 => series.percentile(50.0),
            F::P90 => series.percentile(90.0),
            F::P99 => series.percentile(99.0),
        }
    }
}

/// The figures of `mode` that fit into `width` beside a name.
pub(super) fn chosen(mode: Mode, width: usize) -> Vec<Figure> {
    let mut figures = match mode {
        Mode::Times => TIMES.to_vec(),
        Mode::Spread => SPREAD.to_vec(),
        Mode::History => vec![F::Loss],
    };
    let room = width.saturating_sub(LEAST_NAME);
    while figures.len() > 1 && figures.iter().map(|figure| figure.width()).sum::<usize>() > room {
        let least = figures.iter().enumerate().max_by_key(|(_, figure)| figure.rank());
        let Some((place, _)) = least else { break };
        figures.remove(place);
    }
    figures
}

/// Milliseconds in at most 6 characters, up to 999999.
pub(super) fn milliseconds(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    if ms < 9.995 {
        format!("{ms:.2}")
    } else if ms < 999.95 {
        format!("{ms:.1}")
    } else {
        format!("{ms:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_column() {
        for (us, text) in [
            (0, "0.00"),
            (62, "0.06"),
            (9_994, "9.99"),
            (9_996, "10.0"),
            (300_123, "300.1"),
            (999_940, "999.9"),
            (999_960, "1000"),
            (12_345_678, "12346"),
        ] {
            assert_eq!(milliseconds(Duration::from_micros(us)), text);
        }
    }

    #[test]
    fn the_narrower_the_fewer_but_never_none() {
        assert_eq!(chosen(Mode::Times, 80), TIMES);
        assert_eq!(chosen(Mode::Times, 56), [F::Loss, F::Last, F::Average, F::Best, F::Worst]);
        assert_eq!(chosen(Mode::Times, 38), [F::Loss, F::Last, F::Average]);
        for width in 0..100 {
            for mode in [Mode::Times, Mode::Spread, Mode::History] {
                assert_eq!(chosen(mode, width).first(), Some(&F::Loss));
            }
        }
    }
}

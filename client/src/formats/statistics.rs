//! The figures of a hop that mtr and trippy show.

use crate::document::Hop;

/// Of a hop's round-trip times, in milliseconds. All are 0 where there is none, as in mtr.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Statistics {
    pub(super) sent: usize,
    pub(super) received: usize,
    pub(super) last: f64,
    pub(super) average: f64,
    pub(super) best: f64,
    pub(super) worst: f64,
    /// Of a sample: divided by one less than the count.
    pub(super) deviation: f64,
    /// Between the last two.
    pub(super) jitter: f64,
    /// The mean over all received, the first of which has none.
    pub(super) jitter_average: f64,
    pub(super) jitter_worst: f64,
}

impl Statistics {
    pub(super) fn of(hop: &Hop) -> Self {
        let answered: Vec<_> = hop.probes.iter().flatten().collect();
        let times: Vec<f64> = answered.iter().filter_map(|probe| probe.rtt_ms).collect();
        let mut found =
            Self { sent: hop.probes.len(), received: answered.len(), ..Self::default() };
        let (Some(&last), Some(&best), Some(&worst)) = (
            times.last(),
            times.iter().min_by(|a, b| a.total_cmp(b)),
            times.iter().max_by(|a, b| a.total_cmp(b)),
        ) else {
            return found;
        };
        let count = count(times.len());
        found.last = last;
        found.best = best;
        found.worst = worst;
        found.average = times.iter().sum::<f64>() / count;
        if times.len() > 1 {
            let squares = times.iter().map(|time| (time - found.average).powi(2)).sum::<f64>();
            found.deviation = (squares / (count - 1.0)).sqrt();
        }
        let jitters = || times.iter().zip(times.iter().skip(1)).map(|(a, b)| (a - b).abs());
        found.jitter = jitters().next_back().unwrap_or(0.0);
        found.jitter_average = jitters().sum::<f64>() / count;
        found.jitter_worst = jitters().fold(0.0, f64::max);
        found
    }

    /// In percent.
    pub(super) fn loss(&self) -> f64 {
        if self.sent == 0 {
            return 0.0;
        }
        100.0 - 100.0 * count(self.received) / count(self.sent)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a hop has far fewer probes than 2^52")]
const fn count(of: usize) -> f64 {
    of as f64
}

/// `value` to three places: the microsecond, for milliseconds.
pub(super) fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Probe;

    fn hop(times: &[Option<f64>]) -> Hop {
        let probe = |rtt: Option<f64>| {
            let rtt = rtt?;
            serde_json::from_value::<Probe>(serde_json::json!({
                "address": "192.0.2.1", "sent_ms": 0.0, "rtt_ms": rtt, "query_ms": rtt, "reply": null,
            }))
            .ok()
        };
        Hop {
            ttl: 1,
            probes: times.iter().map(|time| probe(*time)).collect(),
            statistics: None,
            responders: Vec::new(),
        }
    }

    #[test]
    fn by_hand() {
        let found = Statistics::of(&hop(&[Some(2.0), None, Some(5.0), Some(4.0)]));
        assert_eq!((found.sent, found.received, found.loss()), (4, 3, 25.0));
        assert_eq!((found.last, found.best, found.worst), (4.0, 2.0, 5.0));
        let three = |value| format!("{:.3}", thousandths(value));
        assert_eq!(three(found.average), "3.667");
        // (1.667² + 1.333² + 0.333²) / 2 = 2.333, whose root is 1.528.
        assert_eq!(three(found.deviation), "1.528");
        assert_eq!((found.jitter, found.jitter_worst), (1.0, 3.0));
        assert_eq!(three(found.jitter_average), "1.333");
        let one = Statistics::of(&hop(&[Some(2.0)]));
        assert_eq!((one.deviation, one.jitter_average, one.loss()), (0.0, 0.0, 0.0));
        let silent = Statistics::of(&hop(&[None]));
        assert_eq!(silent, Statistics { sent: 1, ..Statistics::default() });
        assert_eq!(three(silent.loss()), "100.000");
    }
}

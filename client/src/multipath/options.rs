//! What a multipath trace is asked to do beyond what any trace is.

use std::num::NonZeroU16;

use crate::options;

/// The chance of finding the whole graph that is asked for: more than 0 and less than 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Confidence(f64);

impl Confidence {
    /// `None` unless it is at least 50 % and at most 99.9999 %.
    #[must_use]
    pub fn from_percent(percent: f64) -> Option<Self> {
        (50.0..=99.9999).contains(&percent).then_some(Self(percent / 100.0))
    }

    /// 0 to 1.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl Default for Confidence {
    fn default() -> Self {
        Self(0.95)
    }
}

impl std::fmt::Display for Confidence {
    /// In percent.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // 99.9 / 100 * 100 is not 99.9.
        ((self.0 * 1e8).round() / 1e6).fmt(f)
    }
}

/// The text was no percentage that one can be confident with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a confidence is 50 to 99.9999 percent")]
pub struct NoConfidence;

impl std::str::FromStr for Confidence {
    type Err = NoConfidence;

    fn from_str(text: &str) -> Result<Self, NoConfidence> {
        text.parse().ok().and_then(Self::from_percent).ok_or(NoConfidence)
    }
}

/// How a multipath trace is done.
#[derive(Debug, Clone)]
pub struct Options {
    /// What any trace needs. [`flow`](options::Options::flow) is the first of many, and
    /// [`queries`](options::Options::queries) is not looked at.
    pub trace: options::Options,
    /// The chance of finding the whole graph.
    pub confidence: Confidence,
    /// Flows asked for at one TTL, at most.
    pub max_flows: NonZeroU16,
    /// How often an unanswered query is sent again before silence is believed.
    pub retry: u8,
    /// Whether probes towards other addresses of the target's network, which end before they get there, look for balancers by
    /// destination. Of forward traces alone.
    pub by_destination: bool,
}

impl Options {
    /// 95 %, up to 512 flows, three retries, one destination.
    #[must_use]
    pub fn new(trace: options::Options) -> Self {
        Self {
            trace,
            confidence: Confidence::default(),
            max_flows: const { NonZeroU16::new(512).unwrap() },
            retry: 3,
            by_destination: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages() {
        for text in ["50", "95", "99.9", "99.9999"] {
            assert_eq!(text.parse::<Confidence>().unwrap().to_string(), text);
        }
        for text in ["0", "49.9", "100", "x", "nan", "-5"] {
            assert_eq!(text.parse::<Confidence>(), Err(NoConfidence));
        }
    }
}

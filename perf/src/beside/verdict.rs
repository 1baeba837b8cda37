//! Whether a ratio reaches what it has to, and when that cannot be said: where the generator, not the peer, was
//! what limited a side.

use std::fmt;

use serde::Serialize;

use crate::beside::lane::RECEIVE;
use crate::beside::link::Link;

/// Frames that a peer handles in a turn, testpmd and the floor and ours alike.
const PEER_TURN: f64 = 32.0;
/// A generator with less time left than this could not have brought so much more that a ratio is another.
const BUSY: f64 = 0.95;
/// A generator that finds so many frames whenever it looks has more of them waiting.
const FULL: f64 = 0.9 * RECEIVE as f64;

/// A side of a comparison: medians over all rounds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Side {
    pub(crate) per_s: f64,
    pub(crate) generator_busy: f64,
    pub(crate) frames_per_turn: f64,
}

impl Side {
    /// Whether it shows how fast the generator is, and not how fast the peer.
    ///
    /// A generator that polls memory looks busy at any rate, for it takes what is there, be it a frame or two. What
    /// tells is that it finds its burst full, or whole turns of the peer and no time in which there was none. Where
    /// the kernel carries the frames, each call costs so much that the time left is what tells, whatever a turn brings.
    pub(crate) fn is_limited(&self, link: Link) -> bool {
        let busy = self.generator_busy >= BUSY;
        if link.by_kernel() {
            return busy;
        }
        self.frames_per_turn >= FULL || (busy && self.frames_per_turn >= PEER_TURN)
    }
}

/// What is to be said of a ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Verdict {
    /// The target is reached.
    #[serde(rename = "pass")]
    Pass,
    /// It is not.
    #[serde(rename = "short")]
    Short,
    /// There is none, or the generator limits a side and the bound that this leaves does not decide.
    #[serde(rename = "-")]
    Open,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Short => "short",
            Self::Open => "-",
        })
    }
}

impl Verdict {
    /// Of a ratio of `value` with that `target`; `limited`: the sides that the generator limits.
    ///
    /// A limited side is at least as fast as it looks, so the value is a bound of the ratio. It decides where it lies
    /// on the far side of the target, and nothing where it does not.
    pub(crate) fn of(value: f64, target: Option<f64>, limited: [bool; 2]) -> Self {
        let Some(target) = target else { return Self::Open };
        let reached = value >= target;
        match limited {
            [_, false] if reached => Self::Pass,
            [false, _] if !reached => Self::Short,
            _ => Self::Open,
        }
    }
}

/// What a line says of the sides that the generator limits, and how the ratio of the peers themselves lies to that one.
pub(crate) const fn note(limited: [bool; 2]) -> &'static str {
    match limited {
        [true, true] => ", the generator limits both sides: this is its own ratio",
        [true, false] => ", the generator limits the first side: the ratio is at least this",
        [false, true] => ", the generator limits the second side: the ratio is at most this",
        [false, false] => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(generator_busy: f64, frames_per_turn: f64) -> Side {
        Side { per_s: 1e6, generator_busy, frames_per_turn }
    }

    #[test]
    fn a_generator_that_polls_memory_is_the_limit_with_frames_in_store() {
        for link in [Link::Virtio, Link::Memif] {
            // Its burst is full whenever it looks.
            assert!(side(0.99, 63.0).is_limited(link));
            assert!(side(0.90, 58.0).is_limited(link));
            // Whole turns of the peer, and never none.
            assert!(side(0.98, 40.0).is_limited(link));
            assert!(side(0.96, 32.0).is_limited(link));
            // It waits between them.
            assert!(!side(0.80, 32.0).is_limited(link));
            // It takes each few as they come.
            assert!(!side(0.99, 6.0).is_limited(link));
        }
    }

    #[test]
    fn by_the_kernel_the_time_left_tells() {
        for link in [Link::AfXdp, Link::AfPacket] {
            assert!(side(0.97, 12.0).is_limited(link));
            assert!(side(1.0, 64.0).is_limited(link));
            assert!(!side(0.7, 32.0).is_limited(link));
        }
    }

    #[test]
    fn a_bound_is_judged_as_far_as_it_decides() {
        let of = |value, limited| Verdict::of(value, Some(0.9), limited);
        assert_eq!(of(0.91, [false, false]), Verdict::Pass);
        assert_eq!(of(0.89, [false, false]), Verdict::Short);
        // At least so much.
        assert_eq!(of(0.91, [true, false]), Verdict::Pass);
        assert_eq!(of(0.89, [true, false]), Verdict::Open);
        // At most so much.
        assert_eq!(of(0.91, [false, true]), Verdict::Open);
        assert_eq!(of(0.89, [false, true]), Verdict::Short);
        for value in [0.5, 1.5] {
            assert_eq!(of(value, [true, true]), Verdict::Open);
        }
        assert_eq!(Verdict::of(1.5, None, [false, false]), Verdict::Open);
        for limited in [[true, false], [false, true], [true, true]] {
            assert!(note(limited).starts_with(", the generator limits "));
        }
    }

    #[test]
    fn a_report_says_what_the_line_says() {
        for verdict in [Verdict::Pass, Verdict::Short, Verdict::Open] {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.to_string());
        }
    }
}

//! Where round-trip times rise, and what both directions say together.

use otherhalf_client::analyse::{self, Finding, Rise};
use otherhalf_client::live::Side;
use otherhalf_client::resolve::Names;

use crate::finding::Words;

/// What the latest probes say.
pub(crate) struct Both {
    /// Where it rises in each direction.
    pub(crate) rises: Vec<Option<Rise>>,
    /// What both say together, if both were answered.
    pub(crate) finding: Option<Finding>,
    /// The same in a sentence.
    pub(crate) sentence: Option<String>,
}

impl Both {
    /// Of `sides`, whose target is called `target`.
    pub(crate) fn of(sides: &[Side], names: &Names, numeric: bool, target: &str) -> Self {
        let [forward, reverse] = sides else {
            let rises = sides.iter().map(|side| side.path().rise()).collect();
            return Self { rises, finding: None, sentence: None };
        };
        let same = |a, b| names.get(a).is_some_and(|name| names.get(b) == Some(name));
        let finding = analyse::compare(&forward.path(), &reverse.path(), same);
        let reached = [forward.is_reached(), reverse.is_reached()];
        let words = Words { names, numeric, target, reached };
        // One direction alone says nothing about two.
        let both = forward.is_answered() && reverse.is_answered();
        Self {
            rises: vec![finding.forward().cloned(), finding.reverse().cloned()],
            sentence: both.then(|| words.sentence(&finding)),
            finding: both.then_some(finding),
        }
    }
}

//! What both directions say together.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ms;
use crate::{Ttl, analyse};

/// What both directions say together, see [`analyse::compare`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// In a word.
    pub kind: FindingKind,
    /// In a sentence.
    pub sentence: String,
    /// Where the round-trip time rises in the forward trace.
    pub forward: Option<Rise>,
    /// Where it rises in the reverse trace.
    pub reverse: Option<Rise>,
}

/// [`analyse::Finding`] in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// No link stands out in either.
    Nothing,
    /// One stands out in the forward trace alone.
    ForwardOnly,
    /// One stands out in the reverse trace alone.
    ReverseOnly,
    /// Both rise on one link.
    SameLink,
    /// The delay is on the way back.
    WayBack,
    /// The delay is on the way there.
    WayThere,
    /// Both rise, and nothing ties them together.
    Unrelated,
}

/// A link on which the round-trip time rises for good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rise {
    /// The last place before it that answered.
    pub before: Place,
    /// The first place after it that answered.
    pub after: Place,
    /// By how much, in milliseconds.
    pub rise_ms: f64,
}

/// An end of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// Null for the start of the path, which is no hop.
    pub ttl: Option<u8>,
    /// Who answered there.
    pub addresses: Vec<IpAddr>,
}

impl Finding {
    /// `found` in the words of `sentence`.
    #[must_use]
    pub fn new(found: &analyse::Finding, sentence: String) -> Self {
        use analyse::Finding as F;
        let kind = match found {
            F::Nothing => FindingKind::Nothing,
            F::ForwardOnly(_) => FindingKind::ForwardOnly,
            F::ReverseOnly(_) => FindingKind::ReverseOnly,
            F::SameLink { .. } => FindingKind::SameLink,
            F::WayBack { .. } => FindingKind::WayBack,
            F::WayThere { .. } => FindingKind::WayThere,
            F::Unrelated { .. } => FindingKind::Unrelated,
        };
        Self {
            kind,
            sentence,
            forward: found.forward().map(Rise::from),
            reverse: found.reverse().map(Rise::from),
        }
    }
}

impl From<&analyse::Rise> for Rise {
    fn from(rise: &analyse::Rise) -> Self {
        let place = |place: &analyse::Place| Place {
            ttl: place.ttl.map(Ttl::get),
            addresses: place.addresses.clone(),
        };
        Self { before: place(&rise.before), after: place(&rise.after), rise_ms: ms(rise.by) }
    }
}

//! By what an answer is known to be to a query.

use otherhalf_wire::trace::Request;

use crate::details::{Rewritten, Sent};
use crate::query::Answer;

/// By what an answer is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    Probe(Sent),
    Request { identifier: u16, body: [u8; 4] },
}

impl Name {
    /// Whether `answer` is to the query of this name.
    pub(super) fn is_in(&self, answer: &Answer) -> bool {
        match (self, answer) {
            (Self::Probe(ours), Answer::Probe { identity, details, .. }) => {
                ours.is_answered(identity, details.quoted.as_ref()).is_some()
            }
            (Self::Request { identifier: ours, body }, answer) => match answer {
                Answer::Mirrored { identifier, echoed } => ours == identifier && body == echoed,
                Answer::Result { identifier, .. }
                | Answer::Refused { identifier, .. }
                | Answer::Undelivered { identifier, .. } => ours == identifier,
                Answer::Probe { .. } => false,
            },
            (Self::Probe(_), _) => false,
        }
    }

    /// What `answer` shows to have been written over in the query of this name.
    pub(super) fn rewritten(&self, answer: &Answer) -> Rewritten {
        match (self, answer) {
            (Self::Probe(ours), Answer::Probe { identity, details, .. }) => {
                ours.is_answered(identity, details.quoted.as_ref()).unwrap_or_default()
            }
            _ => Rewritten::default(),
        }
    }
}

/// What follows the ICMP header of `request`, as a host that speaks plain ping sends it back.
pub(crate) const fn body(request: Request) -> [u8; 4] {
    let [high, low] = request.flow.to_be_bytes();
    [request.ttl, request.protocol, high, low]
}

//! A query, and by what an answer is known to be to it.

use std::net::IpAddr;

use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::{Probe, SOURCE_PORT};
use otherhalf_wire::trace::Request;

use crate::details::{Rewritten, Sent};
use crate::options::{Direction, Flow, Options};
use crate::query::{Answer, Extras, Query, Shape};
use crate::secret::Secret;
use crate::ttl::Ttl;

/// What makes a query another than those before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) ttl: Ttl,
    pub(crate) flow: Flow,
    pub(crate) identifier: u16,
    /// Queries before it.
    pub(crate) sent: u64,
    /// Octets that a request is longer than it need be.
    pub(crate) padding: u16,
    /// Where a probe goes instead of to the target.
    pub(crate) instead: Option<IpAddr>,
}

/// The query of a trace that is done by `options`, and its name.
pub(crate) fn query(options: &Options, secret: &Secret, asked: Asked) -> (Query, Name) {
    let Options { protocol, source, target, size, traffic_class, indirect, .. } = *options;
    let Asked { ttl, flow, identifier, sent, padding, instead } = asked;
    match options.direction {
        Direction::Forward => {
            let probe = Probe {
                protocol,
                // The responder's, so that both directions look alike to load balancers.
                source_port: SOURCE_PORT,
                flow: flow.get(),
                identifier,
                cookie: secret.cookie(sent),
            };
            let shape = Shape { size, traffic_class, dont_fragment: false };
            let name = Name::Probe(Sent {
                source,
                destination: instead.unwrap_or(target),
                probe,
                size,
                identification: Some(probe.cookie.identification()),
            });
            (Query::Probe { ttl, probe, shape, instead }, name)
        }
        Direction::Reverse => {
            let request = Request {
                identifier,
                sequence: 0,
                ttl: ttl.get(),
                protocol: protocol.number(Family::of(target)),
                flow: flow.get(),
            };
            let extras = Extras { traffic_class, indirect, padding };
            let body = body(request);
            (Query::Request { request, extras }, Name::Request { identifier, body })
        }
    }
}

/// By what an answer is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    Probe(Sent),
    Request { identifier: u16, body: [u8; 4] },
}

impl Name {
    /// Whether `answer` is to the query of this name.
    pub(crate) fn is_in(&self, answer: &Answer) -> bool {
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
    pub(crate) fn rewritten(&self, answer: &Answer) -> Rewritten {
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

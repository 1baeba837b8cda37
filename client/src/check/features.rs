//! What a responder can do, found by asking.
//!
//! A request of TTL 0 is refused for its TTL whatever else is wrong with it, so it tells nothing. Requests of TTL 1 do: each has the
//! responder send one probe at most, which its first router answers. A refusal says what is not possible. An answer says
//! that it is; and so does silence, less surely: the first router may be one that keeps quiet.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::trace::{Refusal, Request};

use crate::flight::MOST_PADDING;
use crate::network::{Network, TICK};
use crate::options::Flow;
use crate::query::{Answer, Extras, Query};
use crate::secret::Secret;

/// How much longer than the responder itself a probe's answer is waited for.
const PATIENCE: Duration = Duration::from_millis(500);
/// ... and how many of its round trips.
const ROUND_TRIPS: u32 = 2;
/// Where identifiers begin, away from those of the check.
const FIRST: u16 = 0x0100;

/// Whether a responder can do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ability {
    /// It did.
    Yes,
    /// It refuses.
    No(Refusal),
    /// It does not refuse, but nothing came of it.
    Silent,
}

/// What a responder can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Features {
    /// Send UDP probes.
    pub udp: Ability,
    /// Send TCP probes.
    pub tcp: Ability,
    /// Send ICMP probes.
    pub icmp: Ability,
    /// Probe towards another than the requester; asked for with ourselves as the other.
    pub indirect: Ability,
    /// Octets of padding that it demands.
    pub padding: Option<u16>,
}

/// A question and what came of it.
struct Question {
    protocol: Protocol,
    indirect: Option<IpAddr>,
    padding: u16,
    identifier: u16,
    ability: Option<Ability>,
}

/// Asks the responder at `target`, whose answers take `rtt`, on behalf of `source`.
pub fn features<N: Network>(
    network: &mut N,
    [source, target]: [IpAddr; 2],
    rtt: Duration,
    secret: &Secret,
    mut watch: impl FnMut() -> ControlFlow<()>,
) -> Result<Features, N::Error> {
    let question = |number: u16, protocol, indirect| Question {
        protocol,
        indirect,
        padding: 0,
        identifier: secret.first_identifier().wrapping_add(FIRST).wrapping_add(number),
        ability: None,
    };
    let mut questions = [
        question(0, Protocol::Udp, None),
        question(1, Protocol::Tcp, None),
        question(2, Protocol::Icmp, None),
        question(3, Protocol::Udp, Some(source)),
    ];
    for question in &questions {
        network.send(&question.query(target))?;
    }
    let mut padding = None;
    let patience = rtt * ROUND_TRIPS + PATIENCE;
    let mut deadline = network.now() + patience;
    while questions.iter().any(|question| question.ability.is_none()) {
        let now = network.now();
        if now >= deadline || watch().is_break() {
            break;
        }
        let Some((answer, at)) = network.receive(deadline.min(now + TICK))? else { continue };
        let Some((question, ability)) = answered(&mut questions, &answer) else { continue };
        match ability {
            Ability::No(Refusal::Padding(missing))
                if question.padding == 0 && missing <= MOST_PADDING =>
            {
                // Once: what it says to that is about something else.
                padding = padding.max(Some(missing));
                question.padding = missing;
                network.send(&question.query(target))?;
                deadline = deadline.max(at + patience);
            }
            ability => question.ability = Some(ability),
        }
    }
    let [udp, tcp, icmp, indirect] =
        questions.map(|question| question.ability.unwrap_or(Ability::Silent));
    Ok(Features { udp, tcp, icmp, indirect, padding })
}

impl Question {
    fn query(&self, target: IpAddr) -> Query {
        let request = Request {
            identifier: self.identifier,
            sequence: 0,
            ttl: 1,
            protocol: self.protocol.number(Family::of(target)),
            flow: Flow::default_of(self.protocol).get(),
        };
        let extras = Extras { traffic_class: 0, indirect: self.indirect, padding: self.padding };
        Query::Request { request, extras }
    }
}

/// The question that `answer` is to, and what it says.
fn answered<'a>(
    questions: &'a mut [Question],
    answer: &Answer,
) -> Option<(&'a mut Question, Ability)> {
    let (identifier, ability) = match answer {
        Answer::Result { identifier, .. } => (*identifier, Ability::Yes),
        Answer::Refused { identifier, refusal, .. } => (*identifier, Ability::No(*refusal)),
        Answer::Probe { .. } | Answer::Mirrored { .. } | Answer::Undelivered { .. } => return None,
    };
    let question = questions.iter_mut().find(|question| question.identifier == identifier)?;
    Some((question, ability))
}

//! What an unruly network does to a responder: it duplicates packets, and its router may fall silent.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dpdk::Mbuf;
use otherhalf_wire::ethernet::{Link, ethertype};
use otherhalf_wire::ip::Packet;
use otherhalf_wire::probe::{Identity, SOURCE_PORT};

use super::{ASK, Generator};
use crate::addresses;
use crate::extras::Share;
use crate::outbox::Item;
use crate::plan::Transaction;
use crate::wheel::Wheel;

/// Duplicated requests that are remembered at once.
const TWINS: usize = 1024;

/// For how many time-outs they are. The second probe is right whenever it comes: the request may lie in a full queue, or wait for a
/// neighbour, and either program for its CPU.
const REMEMBERED: u64 = 10;

/// A request that came twice. Nobody answers the second probe: it is the same as the first.
#[derive(Debug)]
struct Twin {
    wanted: Transaction,
    /// Until when the second probe may come.
    until: u64,
    /// It came.
    seen: bool,
}

/// What the network does besides what the scenario says.
#[derive(Debug)]
pub(crate) struct Unruly {
    /// The router answers no question for its hardware address.
    mute: Arc<AtomicBool>,
    /// Requests that come twice.
    requests: Share,
    /// Answers that come twice.
    answers: Share,
    /// Requests that came twice, the oldest first.
    twins: VecDeque<Twin>,
    /// Second requests that take longer than the first.
    later: Wheel<(Mbuf, Transaction)>,
    /// How much longer at most, in ticks.
    longest: u64,
    /// What was sent twice: requests, answers.
    pub(crate) repeated: [u64; 2],
    /// Second probes, each right.
    pub(crate) second_probes: u64,
}

impl Unruly {
    /// One that has `share` of all requests and of all answers come twice, half of the requests up to `longest` ticks later than the
    /// first; it is silent while `mute` is set. `now` is the time.
    pub(crate) fn new(share: f64, mute: Arc<AtomicBool>, longest: u64, now: u64) -> Self {
        Self {
            mute,
            later: Wheel::new(TWINS, longest, now),
            longest,
            requests: Share::new(share),
            answers: Share::new(share),
            twins: VecDeque::with_capacity(TWINS),
            repeated: [0, 0],
            second_probes: 0,
        }
    }

    /// Remembers that `wanted` comes twice; false if too many do already.
    fn note(&mut self, wanted: Transaction, now: u64, until: u64) -> bool {
        while self.twins.front().is_some_and(|twin| twin.until < now) {
            self.twins.pop_front();
        }
        let room = self.twins.len() < TWINS;
        if room {
            self.twins.push_back(Twin { wanted, until, seen: false });
            self.repeated[0] += 1;
        }
        room
    }

    /// Whether all that comes twice has.
    pub(super) fn is_quiet(&self) -> bool {
        self.later.is_empty()
    }

    /// Takes the second probe of a duplicated request: the same as the first.
    fn take(&mut self, packet: &Packet<'_>, now: u64) -> bool {
        let family = packet.family();
        let identity = Identity::from_quote(family, packet.protocol, packet.payload);
        let (Some(identity), Some(client)) = (identity, addresses::client_index(packet.dst)) else {
            return false;
        };
        let twin = self.twins.iter_mut().find(|Twin { wanted, until, seen }| {
            !seen
                && *until >= now
                && wanted.family == family
                && wanted.client == client
                && wanted.identifier == identity.identifier
                && wanted.protocol == identity.protocol
                && wanted.ttl == packet.ttl
                && wanted.flow == identity.flow
        });
        let right = packet.upper_layer_sum().verifies()
            && identity.source_port == SOURCE_PORT
            && packet.src == addresses::responder(family);
        match twin {
            Some(twin) if right => {
                twin.seen = true;
                self.second_probes += 1;
                true
            }
            _ => false,
        }
    }
}

impl Generator {
    pub(super) fn is_mute(&self) -> bool {
        self.unruly.as_ref().is_some_and(|unruly| unruly.mute.load(Ordering::Relaxed))
    }

    /// Whether a probe that the ledger does not expect is the second for a request that came twice.
    #[cold]
    pub(super) fn is_of_twin(&mut self, frame: &[u8], now: u64) -> bool {
        let Some(unruly) = &mut self.unruly else { return false };
        let Ok((link, payload)) = Link::parse(frame) else { return false };
        let packet = match link.ethertype {
            ethertype::IPV4 => Packet::parse_v4(payload),
            ethertype::IPV6 => Packet::parse_v6(payload),
            _ => return false,
        };
        packet.is_ok_and(|packet| unruly.take(&packet, now))
    }

    /// A copy of a request, if it is one that the network duplicates at once; to be sent behind it, or it would be the one that counts
    /// should the port take no more. One that takes longer waits for [`send_later`](Self::send_later).
    pub(super) fn second_request(
        &mut self,
        wanted: &Transaction,
        request: &Mbuf,
        now: u64,
    ) -> Option<Mbuf> {
        let until = now + REMEMBERED * self.timeout;
        let unruly = self.unruly.as_mut()?;
        if !unruly.requests.comes() {
            return None;
        }
        let mut second = self.parts.mempool.alloc()?;
        second.write(request.data()).ok()?;
        if !unruly.note(*wanted, now, until) {
            self.keep(second);
            return None;
        }
        self.ledger.comes_twice(wanted);
        let longest = unruly.longest;
        if longest == 0 || self.random_below(2) == 0 {
            return Some(second);
        }
        let due = now + self.random_below(longest);
        if let Some(Err((second, _))) =
            self.unruly.as_mut().map(|unruly| unruly.later.put((second, *wanted), due))
        {
            self.keep(second);
        }
        None
    }

    /// Sends the second requests whose time has come.
    pub(super) fn send_later(&mut self, now: u64) {
        let Some(unruly) = &mut self.unruly else { return };
        while self.out.room() > 3 * ASK
            && let Some((second, wanted)) = unruly.later.take(now)
        {
            self.out.push(self.steer.request(&wanted), second, Item::Second);
        }
    }

    /// The same of the answer to the probe of `wanted`. The responder takes one of the two.
    ///
    /// Not if the request came twice as well: its second probe may be sent when the first answer was taken. The second answer would
    /// then be taken for one to that probe, for nothing in it says otherwise.
    pub(super) fn second_answer(&mut self, wanted: &Transaction, answer: &Mbuf) -> Option<Mbuf> {
        let unruly = self.unruly.as_mut()?;
        if !unruly.answers.comes() || self.ledger.is_twice(wanted) || self.out.room() <= 4 {
            return None;
        }
        let mut second = self.parts.mempool.alloc()?;
        second.write(answer.data()).ok()?;
        unruly.repeated[1] += 1;
        Some(second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::scenario::Scenario;
    use otherhalf_wire::ip::{Family, Fields};
    use otherhalf_wire::probe::{Cookie, Probe};
    use std::path::Path;

    /// The probe for `wanted`, with another TTL by `more`.
    fn second(wanted: &Transaction, more: u8, room: &mut [u8]) -> usize {
        let (src, dst) =
            (addresses::responder(wanted.family), addresses::client(wanted.family, wanted.client));
        let probe = Probe {
            protocol: wanted.protocol,
            source_port: SOURCE_PORT,
            flow: wanted.flow,
            identifier: wanted.identifier,
            cookie: Cookie(0x0123_4567_89ab_cdef),
        };
        let fields = Fields {
            src,
            dst,
            ttl: wanted.ttl + more,
            traffic_class: 0,
            flow_label: 0,
            identification: Some(7),
            protocol: wanted.protocol.number(wanted.family),
        };
        let rest = fields.emit(wanted.protocol.probe_len(), room).unwrap();
        probe.emit(src, dst, rest).unwrap() + wanted.family.header_len()
    }

    fn take(unruly: &mut Unruly, family: Family, packet: &[u8], now: u64) -> bool {
        let packet = match family {
            Family::V4 => Packet::parse_v4(packet),
            Family::V6 => Packet::parse_v6(packet),
        };
        unruly.take(&packet.unwrap(), now)
    }

    #[test]
    fn the_second_probe_of_a_duplicate_is_taken_once_and_nothing_else_is() {
        let text = "about = \"x\"\nfamily = \"mixed\"\nclients = 64";
        let plan = Plan::new(&Scenario::parse(Path::new("x"), text).unwrap());
        for number in (64..20_000).step_by(17) {
            let wanted = plan.transaction(number).unwrap();
            let mut unruly = Unruly::new(0.5, Arc::default(), 0, 0);
            let (mut right, mut wrong) = ([0; 128], [0; 128]);
            let right = {
                let len = second(&wanted, 0, &mut right);
                &right[..len]
            };
            let wrong = {
                let len = second(&wanted, 1, &mut wrong);
                &wrong[..len]
            };
            assert!(!take(&mut unruly, wanted.family, right, 5), "nothing came twice");
            unruly.note(wanted, 5, 100);
            assert!(!take(&mut unruly, wanted.family, wrong, 6), "{wanted:?}");
            assert!(!take(&mut unruly, wanted.family, right, 101), "too late");
            let mut broken = right.to_vec();
            *broken.last_mut().unwrap() ^= 1;
            assert!(!take(&mut unruly, wanted.family, &broken, 6), "a wrong checksum");
            assert!(take(&mut unruly, wanted.family, right, 6), "{wanted:?}");
            assert!(!take(&mut unruly, wanted.family, right, 6), "once");
            assert_eq!(unruly.second_probes, 1);
        }
    }
}

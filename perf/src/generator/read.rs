//! Says what a frame of the responder is, and verifies it.

use otherhalf_wire::ethernet::{Link, ethertype};
use otherhalf_wire::icmp::{self, Kind};
use otherhalf_wire::ip::{Packet, protocol};
use otherhalf_wire::tcp;
use otherhalf_wire::trace::{self, Response};
use zerocopy::FromBytes;

use super::{Generator, Seen};
use crate::addresses;
use crate::aim;
use crate::extras::PING_IDENTIFIER;
use crate::ledger::{Answered, Fault, Latency, Probed};
use crate::neighbour::{self, Neighbour};
use crate::router::Probe;

impl Generator {
    /// Says what a frame of the responder is, and verifies it.
    #[inline]
    pub(super) fn read(&mut self, frame: &[u8], now: u64) -> Result<Seen, Fault> {
        let (link, payload) = Link::parse(frame).map_err(|_| Fault::Malformed)?;
        let packet = match link.ethertype {
            ethertype::IPV4 => Packet::parse_v4(payload),
            ethertype::IPV6 => Packet::parse_v6(payload),
            _ => return self.neighbour(frame),
        };
        let packet = packet.map_err(|_| Fault::Malformed)?;
        let family = packet.family();
        if self.floods.are_expected() && is_to_stranger(&packet) {
            self.floods.hear(&packet);
            self.tally.flood_replies += 1;
            return Ok(Seen::Foreign);
        }
        if packet.protocol == family.icmp() {
            let message =
                icmp::Message::parse(family, packet.payload).map_err(|_| Fault::Malformed)?;
            match (message.kind, message.header.code) {
                (Kind::EchoReply, trace::CODE) => self.response(&packet, &message, now),
                (Kind::EchoReply, 0) => self.ping_reply(&packet, &message),
                (Kind::EchoRequest, 0) => self.probe(&packet, now),
                (Kind::EchoRequest, trace::CODE) if self.parts.mirror => {
                    let identifier = message.header.identifier.get();
                    let took = self.ledger.mirrored(packet.src, identifier, now)?;
                    self.tally.probes += 1;
                    if let Some(took) = took {
                        self.tally.unanswered += 1;
                        let probe = self.clock.ns(took);
                        self.latencies.note(Latency { probe, response: 0, whole: 0 });
                    } else {
                        self.tally.late += 1;
                    }
                    Ok(Seen::Done)
                }
                (Kind::DestinationUnreachable, _) => self.closed_port(&packet),
                (Kind::NeighbourSolicitation | Kind::NeighbourAdvertisement, _) => {
                    self.neighbour(frame)
                }
                _ => Err(Fault::Malformed),
            }
        } else if packet.protocol == protocol::TCP && is_reset(&packet) {
            self.reset(&packet)
        } else {
            self.probe(&packet, now)
        }
    }

    #[inline]
    fn response(
        &mut self,
        packet: &Packet<'_>,
        message: &icmp::Message<'_>,
        now: u64,
    ) -> Result<Seen, Fault> {
        let response = Response::parse(message).map_err(|_| Fault::Malformed)?;
        match self.ledger.response(packet, &response, now)? {
            Answered::Right(latency) => {
                self.tally.responses += 1;
                self.latencies.note(Latency {
                    probe: self.clock.ns(latency.probe),
                    response: self.clock.ns(latency.response),
                    whole: self.clock.ns(latency.whole),
                });
            }
            Answered::Late => self.tally.late += 1,
        }
        Ok(Seen::Done)
    }

    #[inline]
    fn probe(&mut self, packet: &Packet<'_>, now: u64) -> Result<Seen, Fault> {
        if !self.aims.is_empty() && aim::is_aimed(packet.dst) {
            return self.aimed_probe(packet);
        }
        let lose = self.lose_all || self.loss.comes();
        let (probed, latency) = self.ledger.probe(packet, lose, now)?;
        self.tally.probes += 1;
        match probed {
            Probed::Right(wanted) if !lose => {
                let len = packet.header_len + packet.payload.len();
                Ok(Seen::Answer(wanted, Probe { src: packet.src, dst: packet.dst, len }))
            }
            Probed::Right(_) => {
                self.tally.unanswered += 1;
                let probe = self.clock.ns(latency);
                self.latencies.note(Latency { probe, response: 0, whole: 0 });
                Ok(Seen::Done)
            }
            Probed::Late => {
                self.tally.late += 1;
                Ok(Seen::Done)
            }
        }
    }

    /// A probe for a request that was aimed at two buckets: its entry found a place there.
    fn aimed_probe(&mut self, packet: &Packet<'_>) -> Result<Seen, Fault> {
        if !packet.upper_layer_sum().verifies() {
            return Err(Fault::Checksum);
        }
        self.tally.aimed_probes += 1;
        Ok(Seen::Done)
    }

    fn ping_reply(
        &mut self,
        packet: &Packet<'_>,
        message: &icmp::Message<'_>,
    ) -> Result<Seen, Fault> {
        if !packet.upper_layer_sum().verifies() {
            return Err(Fault::Checksum);
        }
        if self.tally.ping_replies >= self.tally.pings
            || message.header.identifier.get() != PING_IDENTIFIER
        {
            return Err(Fault::Unasked);
        }
        self.tally.ping_replies += 1;
        Ok(Seen::Done)
    }

    fn reset(&mut self, packet: &Packet<'_>) -> Result<Seen, Fault> {
        if !packet.upper_layer_sum().verifies() {
            return Err(Fault::Checksum);
        }
        if self.resets_owed == 0 {
            return Err(Fault::Unasked);
        }
        self.resets_owed -= 1;
        self.tally.resets += 1;
        Ok(Seen::Foreign)
    }

    /// Junk may be a datagram to a closed port, which any host says so of.
    fn closed_port(&mut self, packet: &Packet<'_>) -> Result<Seen, Fault> {
        if !packet.upper_layer_sum().verifies() {
            return Err(Fault::Checksum);
        }
        if self.tally.junk_replies >= self.tally.junk {
            return Err(Fault::Unasked);
        }
        self.tally.junk_replies += 1;
        Ok(Seen::Done)
    }

    fn neighbour(&mut self, frame: &[u8]) -> Result<Seen, Fault> {
        match neighbour::read(frame) {
            Some(Neighbour::Asked(question)) => {
                self.tally.neighbours += 1;
                Ok(Seen::Question(question))
            }
            Some(Neighbour::Responder(_)) => Ok(Seen::Done),
            // Somebody made up a station, and the responder looks for it.
            None if self.floods.are_expected() => {
                self.tally.neighbours += 1;
                Ok(Seen::Foreign)
            }
            None => Err(Fault::Malformed),
        }
    }
}

/// Whether a packet is to none of the clients, and neighbour discovery has no part in it.
#[inline]
fn is_to_stranger(packet: &Packet<'_>) -> bool {
    let neighbour = packet.protocol == protocol::ICMPV6
        && icmp::Message::parse(packet.family(), packet.payload).is_ok_and(|message| {
            matches!(message.kind, Kind::NeighbourSolicitation | Kind::NeighbourAdvertisement)
        });
    !neighbour && addresses::client_index(packet.dst).is_none()
}

fn is_reset(packet: &Packet<'_>) -> bool {
    tcp::Header::ref_from_prefix(packet.payload)
        .is_ok_and(|(header, _)| header.flags & tcp::flag::RST != 0)
}

//! Answers to probes (PROTOCOL §1): which probe is it about?

use std::net::IpAddr;

use otherhalf_wire::icmp::Message;
use otherhalf_wire::ip::Packet;
use otherhalf_wire::probe::{Identity, SOURCE_PORT};
use otherhalf_wire::quote::Quote;
use otherhalf_wire::tcp;

use crate::classify::{Found, Task};
use crate::emit::Reset;
use crate::network::Network;
use crate::outcome::Outcome;

/// An answer and the probe that it names. Whether we sent that probe, the pending table knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Match {
    /// The probe's source.
    pub(crate) own: IpAddr,
    /// The probe's destination.
    pub(crate) target: IpAddr,
    pub(crate) identity: Identity,
    /// Who answered.
    pub(crate) hop: IpAddr,
    /// What it will have been.
    pub(crate) outcome: Outcome,
    /// For a SYN+ACK: the sequence number of the RST that it calls for.
    pub(crate) reset: Option<u32>,
}

/// Reads an ICMP error.
#[inline(always)]
pub(crate) fn error(
    network: &Network,
    packet: &Packet<'_>,
    message: &Message<'_>,
    outcome: Outcome,
) -> Found {
    let Ok(quote) = Quote::parse(packet.family(), message.body) else {
        return Err(Outcome::DropBadQuote);
    };
    // The error goes to the sender of what it quotes: us. And no probe of ours went to such as get
    // none: nobody shall make us look for our own or a broadcast address.
    if quote.src != packet.dst || !network.may_be_sent_to(quote.dst) {
        return Err(Outcome::DropNotOurProbe);
    }
    match Identity::from_quote(packet.family(), quote.protocol, quote.transport) {
        Some(identity) if identity.source_port == SOURCE_PORT => Ok(Task::Match(Match {
            own: quote.src,
            target: quote.dst,
            identity,
            hop: packet.src,
            outcome,
            reset: None,
        })),
        _ => Err(Outcome::DropNotOurProbe),
    }
}

/// Reads an echo reply of code 0.
#[inline]
pub(crate) fn echo_reply(packet: &Packet<'_>, message: &Message<'_>) -> Found {
    let identity = Identity::from_echo_reply(packet.family(), message.header)
        .ok_or(Outcome::DropNotOurProbe)?;
    Ok(Task::Match(Match::direct(packet, identity, Outcome::ResponseEchoReply, None)))
}

/// Reads a TCP segment; its checksum is right. `None`: it answers no probe.
#[inline]
pub(crate) fn tcp(packet: &Packet<'_>, header: &tcp::Header) -> Option<Match> {
    let identity =
        Identity::from_tcp_answer(header).filter(|identity| identity.source_port == SOURCE_PORT)?;
    let is_reset = header.flags & tcp::flag::RST != 0;
    let outcome = if is_reset { Outcome::ResponseReset } else { Outcome::ResponseSynAck };
    // RFC 9293 §3.10.7.3: what acknowledges something unexpected gets <SEQ=SEG.ACK><CTL=RST>.
    let reset = (!is_reset).then(|| header.acknowledgement.get());
    Some(Match::direct(packet, identity, outcome, reset))
}

impl Match {
    /// An answer from the target itself.
    const fn direct(
        packet: &Packet<'_>,
        identity: Identity,
        outcome: Outcome,
        reset: Option<u32>,
    ) -> Self {
        let (own, target) = (packet.dst, packet.src);
        Self { own, target, identity, hop: target, outcome, reset }
    }

    /// The RST that the answer calls for, if it is a SYN+ACK.
    pub(crate) fn reset(&self) -> Option<Reset> {
        self.reset.map(|sequence| Reset {
            own: self.own,
            target: self.target,
            own_port: self.identity.source_port,
            target_port: self.identity.flow,
            sequence,
            acknowledgement: None,
        })
    }
}

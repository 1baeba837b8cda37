//! Answers to probes (PROTOCOL §1): which probe is it about?

use otherhalf_pending::{Hash, Prefetch, Table};
use otherhalf_wire::icmp::Message;
use otherhalf_wire::ip::Packet;
use otherhalf_wire::probe::{Cookie, Identity, SOURCE_PORT};
use otherhalf_wire::tcp;

use crate::emit::Reset;
use crate::outcome::Outcome;
use crate::request::name;
use crate::work::{Address, Found, Look};

/// An answer and the probe that it names. Whether we sent that probe, the pending table knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Match<A> {
    /// The probe's source.
    pub(crate) own: A,
    /// The probe's destination.
    pub(crate) target: A,
    pub(crate) identity: Identity,
    /// Who answered.
    pub(crate) hop: A,
    /// What it will have been.
    pub(crate) outcome: Outcome,
    /// For a SYN+ACK: the sequence number of the RST that it calls for.
    pub(crate) reset: Option<u32>,
}

/// Reads an ICMP error with this `body`.
#[inline(always)]
pub(crate) fn error<A: Address, P: Prefetch>(
    look: &mut Look<'_, P>,
    packet: &Packet<'_, A>,
    body: &[u8],
    outcome: Outcome,
) -> Found {
    let Ok(quote) = A::parse_quote(body) else {
        return Err(Outcome::DropBadQuote);
    };
    // The error goes to the sender of what it quotes: us. And no probe of ours went to such as get
    // none: nobody shall make us look for our own or a broadcast address.
    if quote.src != packet.dst || !quote.dst.may_be_sent_to(look.view.network) {
        return Err(Outcome::DropNotOurProbe);
    }
    match Identity::from_quote(A::FAMILY, quote.protocol, quote.transport) {
        Some(identity) if identity.source_port == SOURCE_PORT => look.match_up(Match {
            own: quote.src,
            target: quote.dst,
            identity,
            hop: packet.src,
            outcome,
            reset: None,
        }),
        _ => Err(Outcome::DropNotOurProbe),
    }
}

/// Reads an echo reply of code 0.
#[inline]
pub(crate) fn echo_reply<A: Address, P: Prefetch>(
    look: &mut Look<'_, P>,
    packet: &Packet<'_, A>,
    message: &Message<'_>,
) -> Found {
    let identity =
        Identity::from_echo_reply(A::FAMILY, message.header).ok_or(Outcome::DropNotOurProbe)?;
    look.match_up(Match::direct(packet, identity, Outcome::ResponseEchoReply, None))
}

/// Reads a TCP segment; its checksum is right. `None`: it answers no probe.
#[inline]
pub(crate) fn tcp<A: Address>(packet: &Packet<'_, A>, header: &tcp::Header) -> Option<Match<A>> {
    let identity =
        Identity::from_tcp_answer(header).filter(|identity| identity.source_port == SOURCE_PORT)?;
    let is_reset = header.flags & tcp::flag::RST != 0;
    let outcome = if is_reset { Outcome::ResponseReset } else { Outcome::ResponseSynAck };
    // RFC 9293 §3.10.7.3: what acknowledges something unexpected gets <SEQ=SEG.ACK><CTL=RST>.
    let reset = (!is_reset).then(|| header.acknowledgement.get());
    Some(Match::direct(packet, identity, outcome, reset))
}

impl<A: Address> Match<A> {
    /// An answer from the target itself.
    fn direct(
        packet: &Packet<'_, A>,
        identity: Identity,
        outcome: Outcome,
        reset: Option<u32>,
    ) -> Self {
        let (own, target) = (packet.dst, packet.src);
        Self { own, target, identity, hop: target, outcome, reset }
    }

    /// The place of the probe that it names in the table.
    #[inline(always)]
    pub(crate) fn hash<P: Prefetch>(&self, table: &Table<P>) -> Hash {
        let Identity { protocol, flow, identifier, .. } = self.identity;
        A::key(table, self.own, self.target, name(protocol, flow, identifier))
    }

    /// Whether it lacks the keyed bits of the probe that it names, whose `hash` that is.
    #[inline(always)]
    pub(crate) fn is_forged(&self, hash: Hash) -> bool {
        self.identity.sequence.is_some_and(|sequence| sequence != Cookie(hash.cookie()).sequence())
    }

    /// The RST that the answer calls for, if it is a SYN+ACK.
    #[inline]
    pub(crate) fn reset(&self) -> Option<Reset> {
        self.reset.map(|sequence| Reset {
            own: self.own.into(),
            target: self.target.into(),
            own_port: self.identity.source_port,
            target_port: self.identity.flow,
            sequence,
            acknowledgement: None,
        })
    }
}

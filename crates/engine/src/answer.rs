//! Answers to probes (PROTOCOL §1): which probe is it about?

use otherhalf_pending::{Hash, Prefetch, Table};
use otherhalf_wire::icmp::Message;
use otherhalf_wire::ip::Packet;
use otherhalf_wire::probe::{Cookie, Identity, Protocol, SOURCE_PORT};
use otherhalf_wire::quote::LEAST;
use otherhalf_wire::tcp;

use crate::emit::Reset;
use crate::outcome::Outcome;
use crate::policy::Policy;
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
        Some(identity) if identity.source_port == SOURCE_PORT => {
            let found = Match {
                own: quote.src,
                target: quote.dst,
                identity,
                hop: packet.src,
                outcome,
                reset: None,
            };
            // TCP's has none: what would be random there is in its sequence number.
            let payload = if identity.protocol == Protocol::Tcp {
                &[]
            } else {
                quote.transport.get(LEAST..).unwrap_or_default()
            };
            look.match_up(found, Shown { identification: quote.identification, payload })
        }
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
    // Some targets send another payload back than they got (see the captured packets): it proves nothing.
    look.match_up(
        Match::direct(packet, identity, Outcome::ResponseEchoReply, None),
        Shown::default(),
    )
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

/// What an answer shows of its probe's keyed bits, besides those of the [`Identity`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shown<'a> {
    /// The quoted header's; none in IPv6, and in a direct answer.
    pub(crate) identification: Option<u16>,
    /// As much of the quoted payload as there is, mostly nothing.
    pub(crate) payload: &'a [u8],
}

impl Shown<'_> {
    /// Whether these are the bits of a probe that was made with `cookie`.
    #[inline(always)]
    fn agrees(&self, cookie: Cookie, policy: &Policy) -> bool {
        let identification = self.identification.is_none_or(|quoted| {
            quoted == cookie.identification() || agrees_otherwise(quoted, cookie, policy)
        });
        identification && (self.payload.is_empty() || agrees_in_payload(self.payload, cookie))
    }
}

/// Whether another identification will do: hosts are known that quote the header in their own byte order.
#[cold]
fn agrees_otherwise(quoted: u16, cookie: Cookie, policy: &Policy) -> bool {
    quoted == cookie.identification().swap_bytes() || !policy.check_identification
}

/// Whether a quoted payload is the probe's, or zeros: what a router filled up (RFC 4884 §4.1) says no less than a shorter quote.
#[cold]
fn agrees_in_payload(quoted: &[u8], cookie: Cookie) -> bool {
    let random = cookie.payload();
    let quoted = quoted.get(..random.len()).unwrap_or(quoted);
    quoted.iter().zip(random).all(|(quoted, ours)| *quoted == ours)
        || quoted.iter().all(|octet| *octet == 0)
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

    /// Whether it lacks the keyed bits of the probe that it names, whose `hash` that is, in what it has shown.
    #[inline(always)]
    pub(crate) fn is_forged(&self, shown: &Shown<'_>, hash: Hash, policy: &Policy) -> bool {
        let cookie = Cookie(hash.cookie());
        let sequence = self.identity.sequence.is_none_or(|sequence| sequence == cookie.sequence());
        !(sequence && shown.agrees(cookie, policy))
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

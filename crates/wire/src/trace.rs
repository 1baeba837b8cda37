//! The request and the response of reverse traceroute (PROTOCOL §2 and §4).

use core::net::{IpAddr, Ipv6Addr};

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::checksum::Sum;
use crate::extension::{self, Object, Objects};
use crate::icmp::{self, Kind};
use crate::ip::{self, Address, Family, pseudo_header};
use crate::{Malformed, probe::Protocol};

/// The code that tells requests and responses from ping, which has 0.
pub const CODE: u8 = 1;
/// The TTL and hop limit of a response.
pub const RESPONSE_TTL: u8 = 64;
/// The protocol number with which a requester leaves the choice to the responder.
pub const ANY_PROTOCOL: u8 = 0;
/// The flow with which a requester leaves the choice to the responder.
pub const ANY_FLOW: u16 = 0;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct RequestBytes {
    echo: icmp::Header,
    ttl: u8,
    protocol: u8,
    flow: U16,
}

/// Octets of a request without extensions.
pub const REQUEST_LEN: usize = size_of::<RequestBytes>();

/// A request for one probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Names the query at its client.
    pub identifier: u16,
    /// 0; others are taken as well.
    pub sequence: u16,
    /// The TTL of the probe; 0 asks "do you speak this?".
    pub ttl: u8,
    /// The probe's IP protocol number, or [`ANY_PROTOCOL`].
    pub protocol: u8,
    /// The probe's flow, or [`ANY_FLOW`].
    pub flow: u16,
}

impl Request {
    /// Reads a request from an echo request `message` of code [`CODE`].
    ///
    /// Its checksum is not looked at. Returns the request with what follows it: extensions
    /// ([`Objects::parse`]) or padding.
    #[inline]
    pub fn parse<'a>(message: &icmp::Message<'a>) -> Result<(Self, &'a [u8]), Malformed> {
        if message.kind != Kind::EchoRequest || message.header.code != CODE {
            return Err(Malformed::Field);
        }
        Self::parse_body(message.header, message.body)
    }

    /// The same of a message that is known to be a request: its header and what follows.
    #[inline(always)]
    pub fn parse_body<'a>(
        header: &icmp::Header,
        body: &'a [u8],
    ) -> Result<(Self, &'a [u8]), Malformed> {
        let ([ttl, protocol, high, low], rest) =
            body.split_first_chunk().ok_or(Malformed::Truncated)?;
        let request = Self {
            identifier: header.identifier.get(),
            sequence: header.sequence.get(),
            ttl: *ttl,
            protocol: *protocol,
            flow: u16::from_be_bytes([*high, *low]),
        };
        Ok((request, rest))
    }

    /// Writes the request as an ICMP message, its checksum included, to the front of `out`.
    ///
    /// `objects` follow as an extension structure if there are any. Returns the octets written;
    /// `None` if it does not fit.
    #[must_use]
    pub fn emit(
        &self,
        src: IpAddr,
        dst: IpAddr,
        objects: &[Object<'_>],
        out: &mut [u8],
    ) -> Option<usize> {
        let family = Family::of(src);
        let (request, rest) = RequestBytes::mut_from_prefix(out).ok()?;
        *request = RequestBytes {
            echo: icmp::Header {
                kind: Kind::EchoRequest.number(family),
                code: CODE,
                checksum: 0.into(),
                identifier: self.identifier.into(),
                sequence: self.sequence.into(),
            },
            ttl: self.ttl,
            protocol: self.protocol,
            flow: self.flow.into(),
        };
        let extensions = if objects.is_empty() { 0 } else { extension::emit(objects, rest)? };
        seal(src, dst, REQUEST_LEN.checked_add(extensions)?, out)
    }

    /// The protocol that the probe will have, if the responder knows it.
    #[must_use]
    #[inline]
    pub const fn probe_protocol(&self, family: Family) -> Option<Protocol> {
        match self.protocol {
            ANY_PROTOCOL => Some(Protocol::Icmp),
            number => Protocol::from_number(family, number),
        }
    }
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct ResponseBytes {
    echo: icmp::Header,
    status: u8,
    text_len: u8,
    value: U16,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct ResultBytes {
    address: [u8; 16],
    rtt_ns: U32,
    reserved: U32,
}

/// Octets of a response without result and text.
pub const REFUSAL_LEN: usize = size_of::<ResponseBytes>();
const RESULT_LEN: usize = REFUSAL_LEN.wrapping_add(size_of::<ResultBytes>());

/// Octets of the longest response that a responder sends.
pub const RESPONSE_LEN: usize = RESULT_LEN;

/// A round-trip time as responses carry it: nanoseconds in 32 bits, with all ones for "not known".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rtt(u32);

impl Rtt {
    /// No time was measured.
    pub const UNKNOWN: Self = Self(u32::MAX);
    /// 4.29 seconds, or more.
    pub const LONGEST: Self = Self(u32::MAX - 1);

    /// `ns` nanoseconds, or [`LONGEST`](Self::LONGEST) if they are more.
    #[must_use]
    #[inline]
    pub fn from_ns(ns: u64) -> Self {
        u32::try_from(ns).map_or(Self::LONGEST, |ns| Self(ns).min(Self::LONGEST))
    }

    /// Nanoseconds, unless they are not known.
    #[must_use]
    #[inline]
    pub const fn ns(self) -> Option<u32> {
        if self.0 == u32::MAX { None } else { Some(self.0) }
    }
}

/// Why a responder sends no probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// No probe can have that TTL; the answer to "do you speak this?".
    Ttl,
    /// The responder sends no probes of that protocol.
    Protocol,
    /// The responder sends no probes of that flow.
    Flow,
    /// The responder does not know the extension object, or does not allow it; its class, see [`extension::Class::value`].
    Extension(u16),
    /// The request is smaller than what it would cause; octets missing.
    Padding(u16),
    /// Something that this version does not know: status and value.
    Other(u8, u16),
}

impl Refusal {
    /// The status octet.
    #[must_use]
    pub const fn status(self) -> u8 {
        match self {
            Self::Ttl => 1,
            Self::Protocol => 2,
            Self::Flow => 3,
            Self::Extension(_) => 4,
            Self::Padding(_) => 5,
            Self::Other(status, _) => status,
        }
    }

    /// The status's value.
    #[must_use]
    pub const fn value(self) -> u16 {
        match self {
            Self::Ttl | Self::Protocol | Self::Flow => 0,
            Self::Extension(value) | Self::Padding(value) | Self::Other(_, value) => value,
        }
    }

    /// The refusal of that status and value; status 0, which is none, counts as one that is not known.
    #[must_use]
    pub const fn from_status(status: u8, value: u16) -> Self {
        match status {
            1 => Self::Ttl,
            2 => Self::Protocol,
            3 => Self::Flow,
            4 => Self::Extension(value),
            5 => Self::Padding(value),
            _ => Self::Other(status, value),
        }
    }
}

/// What a response says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// The probe was answered.
    Hop {
        /// Who answered.
        address: IpAddr,
        /// How long it took.
        rtt: Rtt,
    },
    /// No probe was sent.
    Refused {
        /// Why.
        refusal: Refusal,
        /// In the responder's own words; mostly none. Not to be trusted.
        text: &'a [u8],
    },
}

/// The answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response<'a> {
    /// The request's identifier.
    pub identifier: u16,
    /// What came of it.
    pub verdict: Verdict<'a>,
}

impl<'a> Response<'a> {
    /// Reads a response from an echo reply `message` of code [`CODE`]; its checksum is not looked at.
    pub fn parse(message: &icmp::Message<'a>) -> Result<Self, Malformed> {
        if message.kind != Kind::EchoReply || message.header.code != CODE {
            return Err(Malformed::Field);
        }
        let identifier = message.header.identifier.get();
        let ([status, text_len, high, low], rest) =
            message.body.split_first_chunk().ok_or(Malformed::Truncated)?;
        let verdict = if *status == 0 {
            let (result, _) =
                ResultBytes::ref_from_prefix(rest).map_err(|_| Malformed::Truncated)?;
            let address = ip::from_mapped(Ipv6Addr::from(result.address));
            Verdict::Hop { address, rtt: Rtt(result.rtt_ns.get()) }
        } else {
            let text = rest.get(..usize::from(*text_len)).ok_or(Malformed::Truncated)?;
            Verdict::Refused {
                refusal: Refusal::from_status(*status, u16::from_be_bytes([*high, *low])),
                text,
            }
        };
        Ok(Self { identifier, verdict })
    }

    /// Writes the response as an ICMP message, its checksum included, to the front of `out`.
    ///
    /// Returns the octets written; `None` if it does not fit or the text is longer than 255 octets.
    #[must_use]
    #[inline]
    pub fn emit(&self, src: IpAddr, dst: IpAddr, out: &mut [u8]) -> Option<usize> {
        let (refusal, text) = match self.verdict {
            Verdict::Hop { address, rtt } => {
                return emit_result(self.identifier, address, rtt, src, dst, out);
            }
            Verdict::Refused { refusal, text } => (refusal, text),
        };
        let len = REFUSAL_LEN.checked_add(text.len())?;
        let (response, rest) = ResponseBytes::mut_from_prefix(out).ok()?;
        *response = ResponseBytes {
            echo: icmp::Header {
                kind: Kind::EchoReply.number(Family::of(src)),
                code: CODE,
                checksum: 0.into(),
                identifier: self.identifier.into(),
                sequence: 0.into(),
            },
            status: refusal.status(),
            text_len: u8::try_from(text.len()).ok()?,
            value: refusal.value().into(),
        };
        rest.get_mut(..text.len())?.copy_from_slice(text);
        seal(src, dst, len, out)
    }
}

/// Writes a response that says "`hop` answered after `rtt`", see [`Response::emit`].
#[must_use]
#[inline(always)]
pub fn emit_result<A: Address>(
    identifier: u16,
    hop: A,
    rtt: Rtt,
    src: A,
    dst: A,
    out: &mut [u8],
) -> Option<usize> {
    let kind = Kind::EchoReply.number(src.family());
    // Summed up from the fields, not from the octets: those are still on their way to memory.
    // (The prefix of a mapped IPv4 address is 0xffff, which adds nothing.)
    let sum = Sum::ZERO.word(u16::from_be_bytes([kind, CODE])).word(identifier);
    let sum = hop.add_to(sum).bytes(&rtt.0.to_be_bytes());
    let length = u16::try_from(RESULT_LEN).ok()?;
    let sum = sum.add(pseudo_header(src, dst, src.family().icmp(), length));
    let (response, rest) = ResponseBytes::mut_from_prefix(out).ok()?;
    let (result, _) = ResultBytes::mut_from_prefix(rest).ok()?;
    *response = ResponseBytes {
        echo: icmp::Header {
            kind,
            code: CODE,
            checksum: sum.checksum().into(),
            identifier: identifier.into(),
            sequence: 0.into(),
        },
        status: 0,
        text_len: 0,
        value: 0.into(),
    };
    *result =
        ResultBytes { address: hop.to_mapped().octets(), rtt_ns: rtt.0.into(), reserved: 0.into() };
    Some(RESULT_LEN)
}

/// Puts the checksum into the message of `len` octets at the front of `out`; returns `len`.
#[inline(always)]
fn seal(src: IpAddr, dst: IpAddr, len: usize, out: &mut [u8]) -> Option<usize> {
    let message = out.get_mut(..len)?;
    let sum =
        pseudo_header(src, dst, Family::of(src).icmp(), u16::try_from(len).ok()?).bytes(message);
    let (header, _) = icmp::Header::mut_from_prefix(message).ok()?;
    header.checksum.set(sum.checksum());
    Some(len)
}

/// The extension objects behind a request, if there are any; see [`Objects::parse`].
#[must_use]
#[inline]
pub fn extensions(trailer: &[u8]) -> Option<Objects<'_>> {
    Objects::parse(trailer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extension::Class;
    use proptest::prelude::*;

    fn addresses(v6: bool) -> (IpAddr, IpAddr) {
        if v6 {
            ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap())
        } else {
            ("192.0.2.1".parse().unwrap(), "198.51.100.2".parse().unwrap())
        }
    }

    fn verifies(src: IpAddr, dst: IpAddr, message: &[u8]) -> bool {
        let length = u16::try_from(message.len()).unwrap();
        pseudo_header(src, dst, Family::of(src).icmp(), length).bytes(message).verifies()
    }

    fn any_refusal() -> impl Strategy<Value = Refusal> {
        prop_oneof![
            Just(Refusal::Ttl),
            Just(Refusal::Protocol),
            Just(Refusal::Flow),
            any::<u16>().prop_map(Refusal::Extension),
            any::<u16>().prop_map(Refusal::Padding),
            (6u8.., any::<u16>()).prop_map(|(status, value)| Refusal::Other(status, value)),
        ]
    }

    proptest! {
        #[test]
        fn request_emit_then_parse(v6: bool, identifier: u16, sequence: u16, ttl: u8, protocol: u8, flow: u16, padding in 0usize..40) {
            let (src, dst) = addresses(v6);
            let request = Request { identifier, sequence, ttl, protocol, flow };
            let objects = [Object { class: Class::PADDING, payload: &[7; 40][..padding] }];
            let objects = if padding == 0 { &[][..] } else { &objects[..] };
            let mut out = [0; 80];
            let len = request.emit(src, dst, objects, &mut out).unwrap();
            prop_assert_eq!(len, REQUEST_LEN + if padding == 0 { 0 } else { 8 + padding });
            prop_assert!(verifies(src, dst, &out[..len]));
            let message = icmp::Message::parse(Family::of(src), &out[..len]).unwrap();
            let (parsed, trailer) = Request::parse(&message).unwrap();
            prop_assert_eq!(parsed, request);
            prop_assert_eq!(extensions(trailer).is_some(), padding > 0);
            for cut in 8..REQUEST_LEN {
                let message = icmp::Message::parse(Family::of(src), &out[..cut]).unwrap();
                prop_assert_eq!(Request::parse(&message), Err(Malformed::Truncated));
            }
        }

        #[test]
        fn result_emit_then_parse(v6: bool, hop: [u8; 16], rtt: u32, identifier: u16) {
            let (src, dst) = addresses(v6);
            let address = ip::from_mapped(Ipv6Addr::from(hop));
            let response = Response { identifier, verdict: Verdict::Hop { address, rtt: Rtt(rtt) } };
            let mut out = [0; RESPONSE_LEN];
            let len = response.emit(src, dst, &mut out).unwrap();
            prop_assert_eq!(len, 36);
            prop_assert!(verifies(src, dst, &out));
            for cut in 8..=len {
                let message = icmp::Message::parse(Family::of(src), &out[..cut]).unwrap();
                let expected = if cut == len { Ok(response) } else { Err(Malformed::Truncated) };
                prop_assert_eq!(Response::parse(&message), expected);
            }
        }

        #[test]
        fn refusal_emit_then_parse(v6: bool, refusal in any_refusal(), text in proptest::collection::vec(any::<u8>(), 0..256), identifier: u16) {
            let (src, dst) = addresses(v6);
            let response = Response { identifier, verdict: Verdict::Refused { refusal, text: &text } };
            let mut out = [0; 300];
            let len = response.emit(src, dst, &mut out).unwrap();
            prop_assert_eq!(len, 12 + text.len());
            prop_assert!(verifies(src, dst, &out[..len]));
            let message = icmp::Message::parse(Family::of(src), &out[..len]).unwrap();
            prop_assert_eq!(Response::parse(&message), Ok(response));
        }
    }

    #[test]
    fn times_saturate_below_all_ones() {
        assert_eq!(Rtt::from_ns(0).ns(), Some(0));
        assert_eq!(Rtt::from_ns(u64::from(u32::MAX) - 1), Rtt::LONGEST);
        assert_eq!(Rtt::from_ns(u64::from(u32::MAX)), Rtt::LONGEST);
        assert_eq!(Rtt::from_ns(u64::MAX).ns(), Some(u32::MAX - 1));
        assert_eq!(Rtt::UNKNOWN.ns(), None);
    }

    #[test]
    fn ping_is_neither() {
        let ping = [8, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1, 1];
        let message = icmp::Message::parse(Family::V4, &ping).unwrap();
        assert_eq!(Request::parse(&message), Err(Malformed::Field));
        assert_eq!(Response::parse(&message), Err(Malformed::Field));
    }
}

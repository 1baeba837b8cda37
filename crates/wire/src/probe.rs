//! The probe: an ordinary traceroute packet that carries its name in its first 8 octets.
//!
//! Routers quote no more than that, and hash on less: what they hash on is the flow alone, so that
//! one flow keeps to one path (Paris traceroute, Augustin et al. 2006). See PROTOCOL §3:
//!
//! | protocol | flow | identifier |
//! |---|---|---|
//! | UDP | destination port | the checksum; the last two octets of the payload make it right |
//! | TCP | destination port | lower half of the sequence number |
//! | ICMP | the checksum; the last two octets of the payload make it right | identifier |

use core::net::IpAddr;

use zerocopy::FromBytes;

use crate::checksum::{self, Sum};
use crate::icmp::{self, Kind};
use crate::ip::{Address, Family, protocol, pseudo_header};
use crate::{tcp, udp};

/// The responder's source port, by which probes are known as such.
pub const SOURCE_PORT: u16 = 1021;
/// The sequence number of an ICMP probe.
pub const ICMP_SEQUENCE: u16 = 0xffff;
/// The window of a TCP probe.
pub const TCP_WINDOW: u16 = 1024;
/// The data offset of a TCP probe: 6 units of 4 octets, the option included.
const SYN_DATA_OFFSET: u8 = 6 << 4;
/// The maximum segment size that a TCP probe offers, as an option (RFC 9293 §3.7.1).
const MSS_OPTION: [u8; 4] = [2, 4, 0x05, 0xb4];
/// Random octets of a payload; two more balance the checksum.
const RANDOM_LEN: usize = 6;
const PAYLOAD_LEN: usize = 8;

/// What a probe is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Echo request.
    Icmp,
    /// SYN.
    Tcp,
    /// Datagram.
    Udp,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Icmp, Self::Tcp, Self::Udp];

    /// The protocol of IP number `number` in `family`; each family has its own ICMP only.
    #[must_use]
    #[inline]
    pub const fn from_number(family: Family, number: u8) -> Option<Self> {
        match (family, number) {
            (Family::V4, protocol::ICMP) | (Family::V6, protocol::ICMPV6) => Some(Self::Icmp),
            (_, protocol::TCP) => Some(Self::Tcp),
            (_, protocol::UDP) => Some(Self::Udp),
            _ => None,
        }
    }

    /// The IP number in `family`.
    #[must_use]
    #[inline]
    pub const fn number(self, family: Family) -> u8 {
        match self {
            Self::Icmp => family.icmp(),
            Self::Tcp => protocol::TCP,
            Self::Udp => protocol::UDP,
        }
    }

    /// The flow of a probe whose requester has no wish.
    #[must_use]
    pub const fn default_flow(self) -> u16 {
        match self {
            Self::Icmp => 0xbeaf,
            Self::Tcp => 80,
            Self::Udp => 53,
        }
    }

    /// Octets of the probe after the IP header.
    #[must_use]
    #[inline]
    pub const fn probe_len(self) -> usize {
        match self {
            Self::Icmp => icmp::HEADER_LEN.wrapping_add(PAYLOAD_LEN),
            Self::Udp => udp::HEADER_LEN.wrapping_add(PAYLOAD_LEN),
            Self::Tcp => tcp::HEADER_LEN.wrapping_add(MSS_OPTION.len()),
        }
    }
}

impl core::fmt::Display for Protocol {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Icmp => "ICMP",
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

/// The longest probe, in octets after the IP header.
pub const MAX_LEN: usize = Protocol::Tcp.probe_len();

/// The bits of a probe that carry no meaning, chosen so that nobody can guess them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Cookie(pub u64);

impl Cookie {
    /// For the IPv4 identification.
    #[must_use]
    #[inline]
    pub const fn identification(self) -> u16 {
        let [high, low, ..] = self.0.to_be_bytes();
        u16::from_be_bytes([high, low])
    }

    /// For the upper half of TCP's sequence number.
    #[must_use]
    #[inline]
    pub const fn sequence(self) -> u16 {
        let [_, _, high, low, ..] = self.0.to_be_bytes();
        u16::from_be_bytes([high, low])
    }

    /// For the payload.
    #[must_use]
    #[inline]
    pub const fn payload(self) -> [u8; RANDOM_LEN] {
        let [_, _, payload @ ..] = self.0.to_be_bytes();
        payload
    }
}

/// A probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// What it is made of.
    pub protocol: Protocol,
    /// Source port of UDP and TCP; [`SOURCE_PORT`] for a responder.
    pub source_port: u16,
    /// What routers may hash on.
    pub flow: u16,
    /// Its name; never 0 for UDP.
    pub identifier: u16,
    /// Its free bits.
    pub cookie: Cookie,
}

impl Probe {
    /// Writes the probe to the front of `out`; returns the octets written.
    ///
    /// `None` if it does not fit, or for UDP with the identifier 0, which as a checksum means
    /// "none" in IPv4 (RFC 768) and is forbidden in IPv6 (RFC 8200 §8.1).
    #[must_use]
    #[inline(always)]
    pub fn emit<A: Address>(&self, src: A, dst: A, out: &mut [u8]) -> Option<usize> {
        let len = self.protocol.probe_len();
        let out = out.get_mut(..len)?;
        let sum =
            pseudo_header(src, dst, self.protocol.number(src.family()), u16::try_from(len).ok()?);
        match self.protocol {
            Protocol::Icmp => {
                let (header, payload) = icmp::Header::mut_from_prefix(out).ok()?;
                let kind = Kind::EchoRequest.number(src.family());
                *header = icmp::Header {
                    kind,
                    code: 0,
                    checksum: self.flow.into(),
                    identifier: self.identifier.into(),
                    sequence: ICMP_SEQUENCE.into(),
                };
                let sum = sum
                    .word(u16::from_be_bytes([kind, 0]))
                    .word(self.flow)
                    .word(self.identifier)
                    .word(ICMP_SEQUENCE);
                self.balance(sum, payload)?;
            }
            Protocol::Udp if self.identifier == 0 => return None,
            Protocol::Udp => {
                let (header, payload) = udp::Header::mut_from_prefix(out).ok()?;
                let length = u16::try_from(len).ok()?;
                *header = udp::Header {
                    src_port: self.source_port.into(),
                    dst_port: self.flow.into(),
                    length: length.into(),
                    checksum: self.identifier.into(),
                };
                let sum =
                    sum.word(self.source_port).word(self.flow).word(length).word(self.identifier);
                self.balance(sum, payload)?;
            }
            Protocol::Tcp => {
                let (header, options) = tcp::Header::mut_from_prefix(out).ok()?;
                let sum = sum
                    .word(self.source_port)
                    .word(self.flow)
                    .word(self.cookie.sequence())
                    .word(self.identifier)
                    .word(u16::from_be_bytes([SYN_DATA_OFFSET, tcp::flag::SYN]))
                    .word(TCP_WINDOW)
                    .bytes(&MSS_OPTION);
                *header = tcp::Header {
                    src_port: self.source_port.into(),
                    dst_port: self.flow.into(),
                    sequence: self.sequence().into(),
                    acknowledgement: 0.into(),
                    data_offset: SYN_DATA_OFFSET,
                    flags: tcp::flag::SYN,
                    window: TCP_WINDOW.into(),
                    checksum: sum.checksum().into(),
                    urgent: 0.into(),
                };
                *options.first_chunk_mut()? = MSS_OPTION;
            }
        }
        Some(len)
    }

    /// The same with zeros behind it, `len` octets in all; its name and its flow stay what they are.
    ///
    /// `None` also if `len` is less than [`Protocol::probe_len`], or more than 65535.
    #[must_use]
    pub fn emit_padded(
        &self,
        src: IpAddr,
        dst: IpAddr,
        len: usize,
        out: &mut [u8],
    ) -> Option<usize> {
        let out = out.get_mut(..len)?;
        let short = self.emit(src, dst, out)?;
        let (probe, padding) = out.split_at_mut_checked(short)?;
        padding.fill(0);
        // Zeros add nothing to a sum; the lengths do.
        let [old, new] = [u16::try_from(short).ok()?, u16::try_from(len).ok()?];
        let counted = Family::of(src) == Family::V6 || self.protocol != Protocol::Icmp;
        match self.protocol {
            Protocol::Icmp => {
                let (_, payload) = icmp::Header::mut_from_prefix(probe).ok()?;
                rebalance(payload, |checksum| {
                    if counted { checksum::update(checksum, old, new) } else { checksum }
                })?;
            }
            Protocol::Udp => {
                let (header, payload) = udp::Header::mut_from_prefix(probe).ok()?;
                header.length.set(new);
                // In the pseudo header and in the header.
                rebalance(payload, |checksum| {
                    checksum::update(checksum::update(checksum, old, new), old, new)
                })?;
            }
            Protocol::Tcp => {
                let (header, _) = tcp::Header::mut_from_prefix(probe).ok()?;
                header.checksum.set(checksum::update(header.checksum.get(), old, new));
            }
        }
        Some(len)
    }

    /// The sequence number of a TCP probe.
    #[must_use]
    #[inline]
    pub const fn sequence(&self) -> u32 {
        (self.cookie.sequence() as u32) << 16 | self.identifier as u32
    }

    /// Fills the payload so that all words, with those already summed up, verify.
    ///
    /// Sums are made of fields, not of the octets written: those are still on their way to memory.
    #[inline(always)]
    fn balance(&self, sum: Sum, payload: &mut [u8]) -> Option<()> {
        let random = self.cookie.payload();
        let (place, rest) = payload.split_first_chunk_mut::<RANDOM_LEN>()?;
        *place = random;
        *rest.first_chunk_mut()? = sum.bytes(&random).checksum().to_be_bytes();
        Some(())
    }
}

/// Changes the octets that make a payload's probe verify as `change` says.
fn rebalance(payload: &mut [u8], change: impl Fn(u16) -> u16) -> Option<()> {
    let (_, rest) = payload.split_first_chunk_mut::<RANDOM_LEN>()?;
    let place = rest.first_chunk_mut()?;
    *place = change(u16::from_be_bytes(*place)).to_be_bytes();
    Some(())
}

/// The name of a probe, as its answers carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// What the probe was made of.
    pub protocol: Protocol,
    /// Its source port; [`SOURCE_PORT`] for ICMP, which has none.
    pub source_port: u16,
    /// Its flow; ICMP's 0xffff reads as 0, which is the same number in one's complement.
    pub flow: u16,
    /// Its identifier.
    pub identifier: u16,
    /// The upper half of its TCP sequence number, where the answer carries it.
    pub sequence: Option<u16>,
}

impl Identity {
    /// The probe that `transport`, quoted by an ICMP error, is the beginning of.
    ///
    /// `None` if no probe looks like that. `transport` has at least [`crate::quote::LEAST`] octets.
    #[must_use]
    #[inline(always)]
    pub fn from_quote(family: Family, number: u8, transport: &[u8]) -> Option<Self> {
        let identity = Self::from_padded_quote(family, number, transport)?;
        if identity.protocol == Protocol::Udp {
            let (header, _) = udp::Header::ref_from_prefix(transport).ok()?;
            if usize::from(header.length.get()) != Protocol::Udp.probe_len() {
                return None;
            }
        }
        Some(identity)
    }

    /// The same, where the probe may be padded ([`Probe::emit_padded`]).
    #[must_use]
    #[inline(always)]
    pub fn from_padded_quote(family: Family, number: u8, transport: &[u8]) -> Option<Self> {
        let protocol = Protocol::from_number(family, number)?;
        match protocol {
            Protocol::Icmp => {
                let (header, _) = icmp::Header::ref_from_prefix(transport).ok()?;
                let ours = header.kind == Kind::EchoRequest.number(family)
                    && header.code == 0
                    && header.sequence.get() == ICMP_SEQUENCE;
                ours.then_some(Self::icmp(header.checksum.get(), header.identifier.get()))
            }
            Protocol::Udp => {
                let (header, _) = udp::Header::ref_from_prefix(transport).ok()?;
                (usize::from(header.length.get()) >= protocol.probe_len()).then_some(Self {
                    protocol,
                    source_port: header.src_port.get(),
                    flow: header.dst_port.get(),
                    identifier: header.checksum.get(),
                    sequence: None,
                })
            }
            Protocol::Tcp => {
                let (start, _) = tcp::Start::ref_from_prefix(transport).ok()?;
                let [high, low] = halves(start.sequence.get());
                Some(Self {
                    protocol,
                    source_port: start.src_port.get(),
                    flow: start.dst_port.get(),
                    identifier: low,
                    sequence: Some(high),
                })
            }
        }
    }

    /// The ICMP probe that an echo reply answers; `None` if it answers something else.
    ///
    /// The reply's checksum differs from the probe's by the type alone (RFC 1624).
    #[must_use]
    #[inline]
    pub fn from_echo_reply(family: Family, reply: &icmp::Header) -> Option<Self> {
        let ours = reply.kind == Kind::EchoReply.number(family)
            && reply.code == 0
            && reply.sequence.get() == ICMP_SEQUENCE;
        let [old, new] = [Kind::EchoReply, Kind::EchoRequest]
            .map(|kind| u16::from_be_bytes([kind.number(family), 0]));
        ours.then_some(Self::icmp(
            checksum::update(reply.checksum.get(), old, new),
            reply.identifier.get(),
        ))
    }

    /// The TCP probe that a RST or a SYN+ACK answers; `None` if it answers no SYN.
    #[must_use]
    #[inline]
    pub fn from_tcp_answer(answer: &tcp::Header) -> Option<Self> {
        use tcp::flag::{ACK, RST, SYN};
        // Both acknowledge the SYN (RFC 9293 §3.10.7.1); without that there is nothing to know it by.
        if answer.flags & ACK == 0 || answer.flags & (RST | SYN) == 0 {
            return None;
        }
        let [high, low] = halves(answer.acknowledgement.get().wrapping_sub(1));
        Some(Self {
            protocol: Protocol::Tcp,
            source_port: answer.dst_port.get(),
            flow: answer.src_port.get(),
            identifier: low,
            sequence: Some(high),
        })
    }

    /// The identity that answers to `probe` will carry.
    #[must_use]
    #[inline]
    pub const fn of(probe: &Probe) -> Self {
        match probe.protocol {
            Protocol::Icmp => Self::icmp(probe.flow, probe.identifier),
            Protocol::Udp => Self {
                protocol: Protocol::Udp,
                source_port: probe.source_port,
                flow: probe.flow,
                identifier: probe.identifier,
                sequence: None,
            },
            Protocol::Tcp => Self {
                protocol: Protocol::Tcp,
                source_port: probe.source_port,
                flow: probe.flow,
                identifier: probe.identifier,
                sequence: Some(probe.cookie.sequence()),
            },
        }
    }

    const fn icmp(flow: u16, identifier: u16) -> Self {
        let flow = if flow == 0xffff { 0 } else { flow };
        Self {
            protocol: Protocol::Icmp,
            source_port: SOURCE_PORT,
            flow,
            identifier,
            sequence: None,
        }
    }
}

/// Upper and lower half of a sequence number.
const fn halves(sequence: u32) -> [u16; 2] {
    let [a, b, c, d] = sequence.to_be_bytes();
    [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quote::LEAST;
    use proptest::prelude::*;

    fn addresses(family: Family) -> (IpAddr, IpAddr) {
        match family {
            Family::V4 => ("192.0.2.1".parse().unwrap(), "198.51.100.2".parse().unwrap()),
            Family::V6 => ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap()),
        }
    }

    fn any_probe() -> impl Strategy<Value = (Family, Probe)> {
        (
            prop_oneof![Just(Family::V4), Just(Family::V6)],
            0..3usize,
            any::<u16>(),
            any::<u16>(),
            any::<u64>(),
        )
            .prop_map(|(family, protocol, flow, identifier, cookie)| {
                let protocol = Protocol::ALL[protocol];
                (
                    family,
                    Probe {
                        protocol,
                        source_port: SOURCE_PORT,
                        flow,
                        identifier,
                        cookie: Cookie(cookie),
                    },
                )
            })
    }

    proptest! {
        #[test]
        fn every_probe_verifies_and_is_known_by_8_octets((family, probe) in any_probe()) {
            let (src, dst) = addresses(family);
            let mut out = [0; MAX_LEN];
            let Some(len) = probe.emit(src, dst, &mut out) else {
                prop_assert_eq!((probe.protocol, probe.identifier), (Protocol::Udp, 0));
                return Ok(());
            };
            let number = probe.protocol.number(family);
            let sum = pseudo_header(src, dst, number, u16::try_from(len).unwrap()).bytes(&out[..len]);
            prop_assert!(sum.verifies());
            prop_assert_eq!(Identity::from_quote(family, number, &out[..LEAST]), Some(Identity::of(&probe)));
            prop_assert_eq!(Identity::from_quote(family, number, &out[..LEAST - 1]), None);
        }

        #[test]
        fn padding_changes_neither_name_nor_flow((family, probe) in any_probe(), more in 0..1500usize) {
            let (src, dst) = addresses(family);
            let len = probe.protocol.probe_len() + more;
            let mut out = std::vec![9; len + 1];
            let Some(written) = probe.emit_padded(src, dst, len, &mut out) else {
                prop_assert_eq!((probe.protocol, probe.identifier), (Protocol::Udp, 0));
                return Ok(());
            };
            prop_assert_eq!(written, len);
            prop_assert_eq!(out[len], 9, "behind it nothing is written");
            let number = probe.protocol.number(family);
            let sum = pseudo_header(src, dst, number, u16::try_from(len).unwrap()).bytes(&out[..len]);
            prop_assert!(sum.verifies());
            let identity = Identity::of(&probe);
            prop_assert_eq!(Identity::from_padded_quote(family, number, &out[..LEAST]), Some(identity));
            let as_short = (more == 0 || probe.protocol != Protocol::Udp).then_some(identity);
            prop_assert_eq!(Identity::from_quote(family, number, &out[..LEAST]), as_short);
            prop_assert_eq!(probe.emit_padded(src, dst, probe.protocol.probe_len() - 1, &mut out), None);
        }

        #[test]
        fn an_echo_reply_names_its_probe((family, probe) in any_probe()) {
            let probe = Probe { protocol: Protocol::Icmp, ..probe };
            let (src, dst) = addresses(family);
            let mut out = [0; MAX_LEN];
            let len = probe.emit(src, dst, &mut out).unwrap();
            // What any host does: change the type, sum up anew.
            out[0] = Kind::EchoReply.number(family);
            out[2..4].fill(0);
            let sum = pseudo_header(dst, src, family.icmp(), u16::try_from(len).unwrap()).bytes(&out[..len]);
            out[2..4].copy_from_slice(&sum.checksum().to_be_bytes());
            let (reply, _) = icmp::Header::ref_from_prefix(&out).unwrap();
            prop_assert_eq!(Identity::from_echo_reply(family, reply), Some(Identity::of(&probe)));
        }

        #[test]
        fn a_tcp_answer_names_its_probe((_, probe) in any_probe(), rst: bool) {
            let probe = Probe { protocol: Protocol::Tcp, ..probe };
            let answer = tcp::Header {
                src_port: probe.flow.into(),
                dst_port: probe.source_port.into(),
                sequence: 9.into(),
                acknowledgement: probe.sequence().wrapping_add(1).into(),
                data_offset: tcp::NO_OPTIONS,
                flags: tcp::flag::ACK | if rst { tcp::flag::RST } else { tcp::flag::SYN },
                window: 0.into(),
                checksum: 0.into(),
                urgent: 0.into(),
            };
            prop_assert_eq!(Identity::from_tcp_answer(&answer), Some(Identity::of(&probe)));
            let bare = tcp::Header { flags: answer.flags & !tcp::flag::ACK, ..answer };
            prop_assert_eq!(Identity::from_tcp_answer(&bare), None);
        }
    }

    #[test]
    fn what_is_no_probe_has_no_identity() {
        assert_eq!(Identity::from_quote(Family::V4, 58, &[0; 16]), None);
        assert_eq!(Identity::from_quote(Family::V6, 1, &[0; 16]), None);
        assert_eq!(
            Identity::from_quote(Family::V4, 1, &[8, 0, 1, 2, 3, 4, 0, 0]),
            None,
            "an ordinary ping"
        );
        assert_eq!(
            Identity::from_quote(Family::V4, 17, &[0; 8]),
            None,
            "a datagram of another length"
        );
    }
}

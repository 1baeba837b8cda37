//! What an answer to a probe tells beside who answered, and how that differs from what was sent.

use std::net::IpAddr;

use otherhalf_wire::extension;
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::{Identity, Probe, Protocol};
use otherhalf_wire::quote::Quote;

pub use otherhalf_wire::extension::Label;

/// What an answer tells, as far as it does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    /// TTL or hop limit with which the answer came: how far back it had to go.
    pub ttl: Option<u8>,
    /// Identification of the answer's own packet; none in IPv6. Routers number all that they send by one counter, or did.
    pub identification: Option<u16>,
    /// The probe as the answer quotes it: as it was where it was given up.
    pub quoted: Option<Quoted>,
    /// Extension objects, in their order (RFC 4884).
    pub objects: Vec<Object>,
}

/// A quoted packet. What names the probe is the answer's [`Identity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoted {
    /// Its source: ours, unless somebody translates addresses.
    pub source: IpAddr,
    /// Its destination.
    pub destination: IpAddr,
    /// Its TTL, mostly 1 (or 0); more behind a router that does not count hops, as MPLS tunnels do.
    pub ttl: u8,
    /// Type of service or traffic class.
    pub traffic_class: u8,
    /// Octets of the whole packet, as its header says.
    pub length: u16,
    /// Identification; none in IPv6.
    pub identification: Option<u16>,
}

impl From<&Quote<'_>> for Quoted {
    fn from(quote: &Quote<'_>) -> Self {
        Self {
            source: quote.src,
            destination: quote.dst,
            ttl: quote.ttl,
            traffic_class: quote.traffic_class,
            length: quote.length,
            identification: quote.identification,
        }
    }
}

/// An extension object (RFC 4884).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Class number.
    pub class: u8,
    /// Type within the class.
    pub kind: u8,
    /// What it says.
    pub payload: Vec<u8>,
}

impl From<extension::Object<'_>> for Object {
    fn from(object: extension::Object<'_>) -> Self {
        let extension::Class { class, kind } = object.class;
        Self { class, kind, payload: object.payload.to_vec() }
    }
}

impl Object {
    /// Whether it is an MPLS label stack, see [`Details::labels`].
    #[must_use]
    pub fn is_label_stack(&self) -> bool {
        self.as_ref().class == extension::Class::MPLS_STACK
    }

    fn as_ref(&self) -> extension::Object<'_> {
        let class = extension::Class { class: self.class, kind: self.kind };
        extension::Object { class, payload: &self.payload }
    }
}

impl Details {
    /// The MPLS label stack with which the probe came, the outermost label first (RFC 4950).
    #[must_use]
    pub fn labels(&self) -> Vec<Label> {
        self.objects
            .iter()
            .flat_map(|object| object.as_ref().labels().collect::<Vec<_>>())
            .collect()
    }
}

/// What somebody on the way wrote over in a probe: an address translator (NAT), mostly. Each as it was quoted, if it differs from
/// what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rewritten {
    /// The source address.
    pub source: Option<IpAddr>,
    /// The destination address.
    pub destination: Option<IpAddr>,
    /// The source port, of UDP and TCP.
    pub source_port: Option<u16>,
    /// The destination port, of UDP and TCP.
    pub destination_port: Option<u16>,
    /// The checksum of UDP and ICMP: a translator that changes addresses must change it, and many do not change it back
    /// in what is quoted.
    pub checksum: Option<u16>,
    /// The identification of IPv4.
    pub identification: Option<u16>,
    /// ICMP's identifier.
    pub identifier: Option<u16>,
}

/// A probe as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// From where.
    pub source: IpAddr,
    /// To where.
    pub destination: IpAddr,
    /// What.
    pub probe: Probe,
    /// Octets of the whole packet, if that is more than the probe needs.
    pub size: Option<u16>,
    /// Its identification, if it has one.
    pub identification: Option<u16>,
}

impl Sent {
    /// What was written over, if an answer that says `identity`, and quotes `quoted`, is about this probe; `None` if it is not.
    ///
    /// As long as one of the addresses is still there, any of these names a probe: its ports and identifier, its
    /// TCP sequence number, the identification of its IPv4 packet. Somebody who rewrites packets leaves one of them alone.
    #[must_use]
    pub fn is_answered(&self, identity: &Identity, quoted: Option<&Quoted>) -> Option<Rewritten> {
        let ours = Identity::of(&self.probe);
        let Some(quoted) = quoted else {
            let named = ours == *identity || self.after_payload() == Some(*identity);
            return named.then(Rewritten::default);
        };
        let ends = [quoted.source == self.source, quoted.destination == self.destination];
        let same_packet = self.identification.is_some_and(|sent| sent != 0)
            && self.identification == quoted.identification;
        let same_sequence = identity.sequence.is_some()
            && (ours.sequence, ours.identifier) == (identity.sequence, identity.identifier);
        let named = ours == *identity || same_sequence || same_packet;
        if ours.protocol != identity.protocol || ends == [false; 2] || !named {
            return None;
        }
        Some(self.difference(&ours, identity, quoted))
    }

    /// What a RST names that acknowledges a padded SYN with its payload (RFC 9293 §3.10.7.1).
    fn after_payload(&self) -> Option<Identity> {
        let probe = self.probe;
        if probe.protocol != Protocol::Tcp {
            return None;
        }
        let plain = Family::of(self.source).header_len() + probe.protocol.probe_len();
        let payload = usize::from(self.size?).checked_sub(plain)?;
        let [a, b, c, d] =
            probe.sequence().wrapping_add(u32::try_from(payload).ok()?).to_be_bytes();
        let identifier = u16::from_be_bytes([c, d]);
        let sequence = Some(u16::from_be_bytes([a, b]));
        Some(Identity { identifier, sequence, ..Identity::of(&probe) })
    }

    fn difference(&self, ours: &Identity, identity: &Identity, quoted: &Quoted) -> Rewritten {
        let differs = |ours: u16, quoted: u16| (ours != quoted).then_some(quoted);
        let mut rewritten = Rewritten {
            source: (quoted.source != self.source).then_some(quoted.source),
            destination: (quoted.destination != self.destination).then_some(quoted.destination),
            // The kernel fills a 0 in.
            identification: self
                .identification
                .filter(|sent| *sent != 0)
                .and_then(|sent| differs(sent, quoted.identification?)),
            ..Rewritten::default()
        };
        match ours.protocol {
            Protocol::Icmp => {
                rewritten.checksum = differs(ours.flow, identity.flow);
                rewritten.identifier = differs(ours.identifier, identity.identifier);
            }
            Protocol::Udp => {
                rewritten.checksum = differs(ours.identifier, identity.identifier);
            }
            Protocol::Tcp => {}
        }
        if ours.protocol != Protocol::Icmp {
            rewritten.source_port = differs(ours.source_port, identity.source_port);
            rewritten.destination_port = differs(ours.flow, identity.flow);
        }
        rewritten
    }
}

impl Rewritten {
    /// Whether nothing was.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Whether that is a translator's work: other than addresses, ports, identifier and checksum are rewritten by others, too.
    #[must_use]
    pub const fn is_translated(&self) -> bool {
        self.source.is_some()
            || self.destination.is_some()
            || self.source_port.is_some()
            || self.destination_port.is_some()
            || self.checksum.is_some()
            || self.identifier.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use otherhalf_wire::probe::{Cookie, SOURCE_PORT};

    const US: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const TARGET: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 2));
    const OUTER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));

    fn sent(protocol: Protocol) -> (Sent, Identity, Quoted) {
        let probe = Probe {
            protocol,
            source_port: SOURCE_PORT,
            flow: 33434,
            identifier: 7,
            cookie: Cookie(0x1234_5678_9abc_def0),
        };
        let identification = Some(probe.cookie.identification());
        let sent = Sent { source: US, destination: TARGET, probe, size: None, identification };
        let quoted = Quoted {
            source: US,
            destination: TARGET,
            ttl: 1,
            traffic_class: 0,
            length: 36,
            identification,
        };
        (sent, Identity::of(&probe), quoted)
    }

    #[test]
    fn what_came_as_it_was_sent() {
        for protocol in Protocol::ALL {
            let (sent, identity, quoted) = sent(protocol);
            assert_eq!(sent.is_answered(&identity, None), Some(Rewritten::default()));
            assert_eq!(sent.is_answered(&identity, Some(&quoted)), Some(Rewritten::default()));
        }
    }

    #[test]
    fn a_translator_that_does_not_translate_back() {
        for protocol in Protocol::ALL {
            let (sent, identity, quoted) = sent(protocol);
            let quoted = Quoted { source: OUTER, ..quoted };
            let rewritten = sent.is_answered(&identity, Some(&quoted)).unwrap();
            assert_eq!(rewritten, Rewritten { source: Some(OUTER), ..Rewritten::default() });
            assert!(rewritten.is_translated());
            // Ports, and with them the checksum, or ICMP's identifier and its checksum.
            let identity = Identity { source_port: 4000, flow: 50, identifier: 9, ..identity };
            let rewritten = sent.is_answered(&identity, Some(&quoted)).unwrap();
            let ports = (rewritten.source_port, rewritten.destination_port);
            match protocol {
                Protocol::Icmp => {
                    assert_eq!((rewritten.checksum, rewritten.identifier), (Some(50), Some(9)));
                    assert_eq!(ports, (None, None));
                }
                Protocol::Udp => assert_eq!((rewritten.checksum, ports.0), (Some(9), Some(4000))),
                Protocol::Tcp => assert_eq!((rewritten.checksum, ports.1), (None, Some(50))),
            }
        }
    }

    #[test]
    fn a_padded_syn_may_be_acknowledged_with_its_payload() {
        let (sent, identity, _) = sent(Protocol::Tcp);
        let padded = Sent { size: Some(20 + 24 + 100), ..sent };
        let after = Identity { identifier: identity.identifier + 100, ..identity };
        assert_eq!(padded.is_answered(&after, None), Some(Rewritten::default()));
        assert_eq!(padded.is_answered(&identity, None), Some(Rewritten::default()));
        assert_eq!(sent.is_answered(&after, None), None);
    }

    #[test]
    fn another_packet_is_not_taken_for_a_rewritten_one() {
        for protocol in Protocol::ALL {
            let (sent, identity, quoted) = sent(protocol);
            let elsewhere = Quoted { source: OUTER, destination: OUTER, ..quoted };
            assert_eq!(sent.is_answered(&identity, Some(&elsewhere)), None);
            let other = Identity { identifier: 8, ..identity };
            let unnamed = Quoted { identification: Some(1), ..quoted };
            assert_eq!(sent.is_answered(&other, Some(&unnamed)), None);
            assert_eq!(sent.is_answered(&other, None), None);
            let of_another = Identity {
                protocol: Protocol::ALL[usize::from(protocol == Protocol::Icmp)],
                ..identity
            };
            assert_eq!(sent.is_answered(&of_another, Some(&quoted)), None);
        }
    }

    #[test]
    fn an_identification_alone_is_no_translators_work() {
        let (sent, identity, quoted) = sent(Protocol::Udp);
        let quoted = Quoted { identification: Some(1), ..quoted };
        let rewritten = sent.is_answered(&identity, Some(&quoted)).unwrap();
        assert_eq!(rewritten.identification, Some(1));
        assert!(!rewritten.is_translated() && !rewritten.is_nothing());
    }

    #[test]
    fn labels_of_all_stacks() {
        let object =
            |class, kind, payload: &[u8]| Object { class, kind, payload: payload.to_vec() };
        let objects =
            vec![object(1, 1, &[0, 1, 1, 9]), object(2, 0, &[1]), object(1, 1, &[0, 2, 1, 8])];
        let labels: Vec<_> = Details { objects, ..Details::default() }
            .labels()
            .iter()
            .map(|label| label.label)
            .collect();
        assert_eq!(labels, [16, 32]);
    }
}

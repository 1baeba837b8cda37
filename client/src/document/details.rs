//! What an answer tells beside who answered and when.

use std::fmt::Write as _;
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Rewritten, Sample, details};

/// What an answer tells, as far as it does. All of it is of forward traces: responses of reverse ones say none of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Details {
    /// TTL or hop limit with which the answer came: how far back it had to go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_ttl: Option<u8>,
    /// TTL or hop limit of the probe as the answer quotes it, mostly 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoted_ttl: Option<u8>,
    /// Type of service or traffic class of the probe as the answer quotes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoted_tos: Option<u8>,
    /// Octets of the probe's packet as the answer quotes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoted_size: Option<u16>,
    /// The MPLS label stack with which the probe came, the outermost label first (RFC 4950).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mpls: Vec<Label>,
    /// The other extension objects of the answer (RFC 4884).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Extension>,
    /// What somebody on the way wrote over in the probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nat: Option<Nat>,
}

/// An entry of an MPLS label stack (RFC 3032).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Label {
    /// The label itself, 20 bits.
    pub label: u32,
    /// Traffic class, 3 bits.
    pub tc: u8,
    /// Hops to live, as MPLS counts them.
    pub ttl: u8,
    /// Whether it is the last of the stack.
    pub bottom: bool,
}

/// An extension object (RFC 4884).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Extension {
    /// Class number.
    pub class: u8,
    /// Type within the class.
    #[serde(rename = "type")]
    pub kind: u8,
    /// What it says, in hexadecimal digits.
    pub payload: String,
}

/// What somebody on the way wrote over in a probe, mostly an address translator (NAT). Each as the answer quotes it, if that
/// differs from what was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Nat {
    /// The source address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// The destination address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<IpAddr>,
    /// The source port of UDP and TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_port: Option<u16>,
    /// The destination port of UDP and TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_port: Option<u16>,
    /// The checksum of UDP and ICMP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<u16>,
    /// The identification of IPv4. It alone is no sign of a translator: some filters rewrite it as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identification: Option<u16>,
    /// The identifier of ICMP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<u16>,
}

impl Extension {
    /// The octets that the digits of the payload stand for, as far as they are digits.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        let digits: Vec<u8> = self
            .payload
            .chars()
            .map_while(|digit| digit.to_digit(16))
            .filter_map(|digit| u8::try_from(digit).ok())
            .collect();
        digits
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0, |octet, digit| octet << 4 | digit))
            .collect()
    }
}

impl Details {
    pub(super) fn of(sample: &Sample) -> Self {
        let details = &sample.details;
        let quoted = details.quoted.as_ref();
        Self {
            reply_ttl: details.ttl,
            quoted_ttl: quoted.map(|quoted| quoted.ttl),
            quoted_tos: quoted.map(|quoted| quoted.traffic_class),
            quoted_size: quoted.map(|quoted| quoted.length),
            mpls: details.labels().into_iter().map(Label::from).collect(),
            extensions: details
                .objects
                .iter()
                .filter(|object| !object.is_label_stack())
                .map(Extension::from)
                .collect(),
            nat: (!sample.rewritten.is_nothing()).then(|| sample.rewritten.into()),
        }
    }
}

impl From<details::Label> for Label {
    fn from(label: details::Label) -> Self {
        Self { label: label.label, tc: label.traffic_class, ttl: label.ttl, bottom: label.bottom }
    }
}

impl From<&details::Object> for Extension {
    fn from(object: &details::Object) -> Self {
        let payload = object.payload.iter().fold(String::new(), |mut digits, octet| {
            // Writing to a String cannot fail.
            let _ = write!(digits, "{octet:02x}");
            digits
        });
        Self { class: object.class, kind: object.kind, payload }
    }
}

impl From<Nat> for Rewritten {
    fn from(nat: Nat) -> Self {
        let Nat {
            source,
            destination,
            source_port,
            destination_port,
            checksum,
            identification,
            identifier,
        } = nat;
        Self {
            source,
            destination,
            source_port,
            destination_port,
            checksum,
            identification,
            identifier,
        }
    }
}

impl From<Rewritten> for Nat {
    fn from(rewritten: Rewritten) -> Self {
        let Rewritten {
            source,
            destination,
            source_port,
            destination_port,
            checksum,
            identification,
            identifier,
        } = rewritten;
        Self {
            source,
            destination,
            source_port,
            destination_port,
            checksum,
            identification,
            identifier,
        }
    }
}

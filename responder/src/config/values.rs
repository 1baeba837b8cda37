//! The values of keys that are more than numbers and texts.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::IpNet;
use otherhalf_wire::ethernet::VlanId;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// Addresses with the lengths of their prefixes.
pub(super) fn addresses<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| address(text).map_err(de::Error::custom)).collect()
}

fn address(text: &str) -> Result<IpNet, String> {
    text.parse().map_err(|_| match text.parse::<IpAddr>() {
        Ok(ip) if ip.is_ipv4() => {
            format!("{text} lacks the length of its prefix: write it as {text}/24")
        }
        Ok(_) => format!("{text} lacks the length of its prefix: write it as {text}/64"),
        Err(_) => {
            format!("{text:?} is no address with the length of its prefix, such as 192.0.2.2/24")
        }
    })
}

/// A VLAN, if the key is there.
pub(super) fn vlan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<VlanId>, D::Error> {
    let id = u16::deserialize(deserializer)?;
    VlanId::new(id)
        .map(Some)
        .ok_or_else(|| de::Error::custom(format!("{id} is no VLAN: they are 1 to 4094")))
}

/// A file's mode: three octal digits, in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(pub u32);

impl Default for Mode {
    fn default() -> Self {
        Self(0o660)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match u32::from_str_radix(&text, 8) {
            Ok(mode @ 0..=0o777) if text.chars().all(|c| c.is_ascii_digit()) => Ok(Self(mode)),
            _ => Err(de::Error::custom(format!("{text:?} is no file mode: write it as \"0660\""))),
        }
    }
}

/// From which level on events are logged, or a filter by modules as in `RUST_LOG`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Level(pub String);

impl Default for Level {
    fn default() -> Self {
        Self("info".into())
    }
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        crate::logs::filter(&text).map_err(de::Error::custom)?;
        Ok(Self(text))
    }
}

/// The VLAN as a number.
#[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
pub(super) fn vlan_number<S: Serializer>(
    vlan: &Option<VlanId>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match vlan {
        Some(vlan) => serializer.serialize_some(&vlan.get()),
        None => serializer.serialize_none(),
    }
}

/// A secret of 128 bits. Never shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u64; 2]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // `from_str_radix` takes a sign.
        let digits = text.len() == 32 && text.chars().all(|c| c.is_ascii_hexdigit());
        match u128::from_str_radix(&text, 16) {
            // What anybody would try first, and what an example might show.
            Ok(0) if digits => Err(de::Error::custom(
                "a secret of zeros is known to everybody: make one with `openssl rand -hex 16`",
            )),
            Ok(value) if digits => {
                let (high, low) = (value >> 64, value & u128::from(u64::MAX));
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "the halves of 128 bits have 64"
                )]
                Ok(Self([high as u64, low as u64]))
            }
            _ => Err(de::Error::custom(
                "a secret has 32 hexadecimal digits: make one with `openssl rand -hex 16`",
            )),
        }
    }
}

/// A number, or a range such as "33434-33534".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowRange(pub RangeInclusive<u16>);

impl FromStr for FlowRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| {
            part.trim()
                .parse::<u16>()
                .map_err(|_| format!("{part:?} in {text:?} is no flow: they are 0 to 65535"))
        };
        let (from, to) = match text.split_once('-') {
            Some((from, to)) => (number(from)?, number(to)?),
            None => (number(text)?, number(text)?),
        };
        if from > to {
            Err(format!("the range {text:?} runs backwards"))
        } else {
            Ok(Self(from..=to))
        }
    }
}

impl Serialize for FlowRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (from, to) = (self.0.start(), self.0.end());
        if from == to {
            serializer.serialize_u16(*from)
        } else {
            serializer.collect_str(&format_args!("{from}-{to}"))
        }
    }
}

impl<'de> Deserialize<'de> for FlowRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrRange;
        impl Visitor<'_> for NumberOrRange {
            type Value = FlowRange;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number from 0 to 65535 or a range such as \"33434-33534\"")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<FlowRange, E> {
                let flow = u16::try_from(value)
                    .map_err(|_| E::custom(format!("{value} is no flow: they are 0 to 65535")))?;
                Ok(FlowRange(flow..=flow))
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<FlowRange, E> {
                value.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(NumberOrRange)
    }
}

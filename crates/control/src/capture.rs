//! A capture as client and daemon speak of it: what is wanted, each frame, and how it ended.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use data_encoding::BASE64;

/// What is to be captured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// Frames of which outcomes, by the names of their counters; `drop_` may be left out.
    pub outcomes: Vec<String>,
    /// Frames, at most.
    pub limit: u64,
    /// Seconds, at most; none: until there are `limit` frames.
    #[serde(default)]
    pub seconds: Option<u64>,
    /// Octets of each frame, at most; none: as many as the daemon can keep.
    #[serde(default)]
    pub snap_len: Option<usize>,
}

/// A captured frame, as it was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// When, in nanoseconds since 1970 (UTC).
    pub at_ns: u64,
    /// By which port, by its place in the configuration.
    pub port: u16,
    /// By which worker.
    pub worker: usize,
    /// What became of it: the name of its counter.
    pub outcome: std::borrow::Cow<'static, str>,
    /// Octets that were received.
    pub whole_len: u32,
    /// The first of them, or all.
    pub octets: Octets,
}

/// How a capture ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Frames captured.
    pub packets: u64,
    /// Frames that were wanted, and came faster than they were taken.
    pub lost: u64,
    /// Why it ended.
    pub reason: Reason,
}

/// Why a capture ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// There were as many frames as wanted.
    Limit,
    /// The time was over.
    Time,
    /// The daemon ends.
    Stopping,
}

/// Octets, in JSON as base64 (RFC 4648 §4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Octets(pub Vec<u8>);

impl Serialize for Octets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&BASE64.encode_display(&self.0))
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64.decode(text.as_bytes()).map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_come_back_as_they_were() {
        let all = Octets((0..=255).collect());
        let text = serde_json::to_string(&all).unwrap();
        assert!(text.starts_with("\"AAECAwQF"), "{text}");
        assert_eq!(serde_json::from_str::<Octets>(&text).unwrap(), all);
        for wrong in ["\"AAE\"", "\"A!==\"", "7"] {
            assert!(serde_json::from_str::<Octets>(wrong).is_err(), "{wrong}");
        }
    }
}

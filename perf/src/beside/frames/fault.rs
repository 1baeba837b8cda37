//! What can be wrong with a peer's frame, and how often it was.

use std::fmt;

use serde::{Serialize, Serializer};

/// The first check that a frame failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Too short for what it is to be.
    Length,
    /// A length or checksum within it, of those that are verified.
    Checksum,
    /// From another than the responder, or to no client of ours.
    Address,
    /// Another protocol, type or code than what was asked for.
    Kind,
    /// Neither the identifier of this client's question, nor that of an earlier round's.
    Identifier,
    /// A probe of another TTL or flow.
    Probe,
    /// A response that names another router than the one that answered.
    Hop,
    /// A response that refuses.
    Refused,
    /// Right for a round that is over, of which nothing is missing.
    Unasked,
}

impl Fault {
    /// All of them.
    const ALL: [Self; 9] = [
        Self::Length,
        Self::Checksum,
        Self::Address,
        Self::Kind,
        Self::Identifier,
        Self::Probe,
        Self::Hop,
        Self::Refused,
        Self::Unasked,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Checksum => "checksum",
            Self::Address => "address",
            Self::Kind => "kind",
            Self::Identifier => "identifier",
            Self::Probe => "probe",
            Self::Hop => "hop",
            Self::Refused => "refused",
            Self::Unasked => "unasked",
        }
    }
}

/// How many frames failed each check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Faults([u64; Fault::ALL.len()]);

impl Faults {
    /// One more.
    pub(crate) const fn note(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    /// Those of `other` besides.
    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum += count;
        }
    }

    /// Frames in all.
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// What there was, by name.
    fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Fault::ALL.iter().zip(self.0).filter(|(_, count)| *count > 0).map(|(f, n)| (f.name(), n))
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, count)) in self.named().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}{name} {count}")?;
        }
        Ok(())
    }
}

/// A map of what there was.
impl Serialize for Faults {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.named())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_by_name_and_add_up() {
        let mut faults = Faults::default();
        assert_eq!((faults.total(), faults.to_string()), (0, String::new()));
        for fault in Fault::ALL {
            faults.note(fault);
        }
        let mut more = Faults::default();
        more.note(Fault::Hop);
        more.add(&faults);
        assert_eq!(more.total(), 1 + Fault::ALL.len() as u64);
        assert!(more.to_string().ends_with("probe 1, hop 2, refused 1, unasked 1"), "{more}");
        assert_eq!(serde_json::to_value(more).unwrap()["hop"], 2);
    }
}

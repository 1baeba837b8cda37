//! The number of routers that a packet may pass.

/// A TTL or hop limit that a probe can have: 1 to 255.
///
/// 0 is none: a packet with it goes nowhere, and in a request it asks something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl(u8);

impl Ttl {
    /// The nearest router.
    pub const MIN: Self = Self(1);
    /// As far as the field goes.
    pub const MAX: Self = Self(255);
    /// What a packet gets that shall arrive (RFC 1700's default).
    pub const ORDINARY: Self = Self(64);

    /// `None` for 0.
    #[must_use]
    pub const fn new(ttl: u8) -> Option<Self> {
        if ttl == 0 { None } else { Some(Self(ttl)) }
    }

    /// The number, 1 to 255.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// This one plus `hops`, or [`MAX`](Self::MAX).
    #[must_use]
    pub const fn saturating_add(self, hops: u8) -> Self {
        Self(self.0.saturating_add(hops))
    }
}

impl std::fmt::Display for Ttl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The text was no number from 1 to 255.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a TTL is a number from 1 to 255")]
pub struct NoTtl;

impl std::str::FromStr for Ttl {
    type Err = NoTtl;

    fn from_str(text: &str) -> Result<Self, NoTtl> {
        text.parse().ok().and_then(Self::new).ok_or(NoTtl)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        assert_eq!("0".parse::<Ttl>(), Err(NoTtl));
        assert_eq!("256".parse::<Ttl>(), Err(NoTtl));
        assert_eq!("1".parse(), Ok(Ttl::MIN));
        assert_eq!("255".parse(), Ok(Ttl::MAX));
        assert_eq!(Ttl(250).saturating_add(10), Ttl::MAX);
    }
}

//! Bits that nobody can guess.

use std::hash::Hasher;

use otherhalf_wire::probe::Cookie;
use siphasher::sip::SipHasher24;

/// The key of a trace, from which the free bits of its probes come: whoever forges an answer must guess them.
#[derive(Clone)]
pub struct Secret([u8; 16]);

impl Secret {
    /// A secret that is known; for tests and simulated networks.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// A secret from the system.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The free bits of the `number`th probe.
    #[must_use]
    pub fn cookie(&self, number: u64) -> Cookie {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write_u64(number);
        Cookie(hasher.finish())
    }

    /// The secret of round `number` of a trace that is done again and again.
    #[must_use]
    pub(crate) fn of_round(&self, number: u64) -> Self {
        let half = |which: u64| {
            let mut hasher = SipHasher24::new_with_key(&self.0);
            // Three words, where a cookie's name is one: none is another's.
            for word in [number, which, 0] {
                hasher.write_u64(word);
            }
            hasher.finish().to_be_bytes()
        };
        let mut bytes = [0; 16];
        let (high, low) = bytes.split_at_mut(8);
        high.copy_from_slice(&half(0));
        low.copy_from_slice(&half(1));
        Self(bytes)
    }

    /// Where identifiers begin, so that two clients on a host seldom use the same.
    #[must_use]
    pub fn first_identifier(&self) -> u16 {
        self.cookie(u64::MAX).identification()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

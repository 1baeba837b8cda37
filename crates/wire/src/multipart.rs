//! ICMP errors that say more than they quote (RFC 4884): the quote in front, extension objects behind.

use crate::extension::Objects;
use crate::icmp::{self, Kind, Message};
use crate::ip::Family;

/// Where extensions begin if the message does not say so: routers of before RFC 4884 padded the quote to this (§5.5).
const LEGACY_QUOTE_LEN: usize = 128;

/// The quote in an ICMP error, and the extension objects behind it, if there are any.
///
/// A length that makes no sense is ignored: then all is quote, as before RFC 4884.
#[must_use]
pub fn split<'a>(family: Family, message: &Message<'a>) -> (&'a [u8], Option<Objects<'a>>) {
    let whole = (message.body, None);
    if !may_have_extensions(family, message.kind) {
        return whole;
    }
    let said = said(family, *message.header);
    let at = if said == 0 { LEGACY_QUOTE_LEN } else { said };
    match message.body.split_at_checked(at) {
        Some((quote, rest)) if !rest.is_empty() => match Objects::parse(rest) {
            Some(objects) => (quote, Some(objects)),
            None => whole,
        },
        _ => whole,
    }
}

/// RFC 4884 §4: these have a place for the length.
const fn may_have_extensions(family: Family, kind: Kind) -> bool {
    match kind {
        Kind::TimeExceeded | Kind::DestinationUnreachable => true,
        // Parameter problem.
        Kind::Other(12) => matches!(family, Family::V4),
        _ => false,
    }
}

/// Octets of the quote as the header says: in IPv4 its sixth octet counts 4 of them, in IPv6 its fifth 8 (RFC 4884 §4.1 to §4.5).
fn said(family: Family, header: icmp::Header) -> usize {
    let [first, second] = header.identifier.get().to_be_bytes();
    match family {
        Family::V4 => usize::from(second).wrapping_mul(4),
        Family::V6 => usize::from(first).wrapping_mul(8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extension::{self, Class, Object};
    use std::vec::Vec;

    fn error(family: Family, kind: Kind, said: u8, quote: usize, objects: &[u8]) -> Vec<u8> {
        let mut bytes = std::vec![kind.number(family), 0, 0, 0, 0, 0, 0, 0];
        bytes[if family == Family::V4 { 5 } else { 4 }] = said;
        bytes.resize(8 + quote, 7);
        bytes.extend_from_slice(objects);
        bytes
    }

    fn objects() -> Vec<u8> {
        let mut out = [0; 64];
        let object = Object { class: Class::MPLS_STACK, payload: &[0, 1, 0x21, 9] };
        let len = extension::emit(&[object], &mut out).unwrap();
        out[..len].to_vec()
    }

    #[test]
    fn a_length_that_is_said_and_one_that_is_not() {
        for (family, unit) in [(Family::V4, 4), (Family::V6, 8)] {
            for kind in [Kind::TimeExceeded, Kind::DestinationUnreachable] {
                for (said, quote) in [(128 / unit, 128), (160 / unit, 160), (0, 128)] {
                    let bytes = error(family, kind, said, quote, &objects());
                    let message = Message::parse(family, &bytes).unwrap();
                    let (quoted, found) = split(family, &message);
                    assert_eq!(quoted.len(), quote);
                    let found: Vec<_> = found.unwrap().map(Result::unwrap).collect();
                    assert_eq!(found.len(), 1);
                    assert_eq!(found[0].class, Class::MPLS_STACK);
                }
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_all_quote() {
        let v4 = Family::V4;
        let broken = {
            let mut objects = objects();
            objects[6] ^= 1;
            objects
        };
        for (kind, said, quote, behind) in [
            (Kind::TimeExceeded, 200, 128, objects()),
            (Kind::TimeExceeded, 32, 128, broken),
            (Kind::TimeExceeded, 0, 100, objects()),
            (Kind::TimeExceeded, 32, 128, Vec::new()),
            (Kind::Other(5), 32, 128, objects()),
        ] {
            let bytes = error(v4, kind, said, quote, &behind);
            let message = Message::parse(v4, &bytes).unwrap();
            let (quoted, found) = split(v4, &message);
            assert_eq!((quoted.len(), found), (quote + behind.len(), None));
        }
    }
}

//! Frames besides requests: pings, and junk that is none of the responder's business.

use std::net::IpAddr;

use otherhalf_wire::checksum::Sum;
use otherhalf_wire::ethernet::{Link, Mac, ethertype};
use otherhalf_wire::icmp::{self, Kind};
use otherhalf_wire::ip::{Family, Fields, protocol, pseudo_header};
use zerocopy::{FromBytes, IntoBytes};

use crate::addresses;

/// The identifier of all our pings.
pub const PING_IDENTIFIER: u16 = 0x7067;
/// Octets that a ping carries: as many as `ping` sends.
const PING_PAYLOAD: usize = 56;

/// How often something comes besides something else: a share as a sum that overflows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Share {
    step: u64,
    sum: u64,
}

impl Share {
    /// `share` of 1; more is 1.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 2^32"
    )]
    pub fn new(share: f64) -> Self {
        Self { step: (share.clamp(0.0, 1.0) * f64::from(2u32.pow(31)) * 2.0) as u64, sum: 0 }
    }

    /// Whether it comes this time.
    #[inline]
    pub fn comes(&mut self) -> bool {
        self.sum += self.step;
        let over = self.sum >> 32 != 0;
        self.sum &= 0xffff_ffff;
        over
    }
}

/// Pings and junk, made beforehand and sent in turn.
#[derive(Debug, Clone)]
pub struct Extras {
    pings: Vec<Vec<u8>>,
    junk: Vec<Vec<u8>>,
    next_ping: usize,
    next_junk: usize,
}

impl Extras {
    /// From `own` to `responder`, in both families.
    #[must_use]
    pub fn new(own: Mac, responder: Mac) -> Self {
        let frame =
            |family, protocol, payload: &[u8]| frame(own, responder, family, protocol, payload);
        let echo = |family, code, sequence: u16, content: &[u8]| {
            let mut message = icmp::Header {
                kind: Kind::EchoRequest.number(family),
                code,
                checksum: 0.into(),
                identifier: PING_IDENTIFIER.into(),
                sequence: sequence.into(),
            }
            .as_bytes()
            .to_vec();
            message.extend_from_slice(content);
            seal(family, &mut message);
            message
        };
        let families = [Family::V4, Family::V6];
        let pings = families
            .map(|family| frame(family, family.icmp(), &echo(family, 0, 1, &[0x55; PING_PAYLOAD])));
        let mut junk = Vec::new();
        for family in families {
            // A datagram to a port of the responder, and one of a protocol that it has not.
            junk.push(frame(family, protocol::UDP, &[0x30, 0x39, 0, 53, 0, 8, 0, 0]));
            junk.push(frame(family, 132, &[0; 12]));
            // A request that is too short to be one, and one whose checksum is wrong.
            junk.push(frame(family, family.icmp(), &echo(family, 1, 0, &[3, 17])));
            let mut wrong = echo(family, 1, 0, &[3, 17, 0, 53]);
            wrong[2] ^= 0x40;
            junk.push(frame(family, family.icmp(), &wrong));
            // A time exceeded about a packet that is nobody's.
            let mut error = echo(family, 0, 0, &[0; 48]);
            error[0] = Kind::TimeExceeded.number(family);
            seal(family, &mut error);
            junk.push(frame(family, family.icmp(), &error));
        }
        // Half a packet, a packet for another station, a frame of another kind.
        let half = |whole: &[u8]| whole[..30].to_vec();
        let (mut other, mut kind) = (pings[0].clone(), pings[1].clone());
        other[5] ^= 0x0f;
        kind[12..14].copy_from_slice(&[0x88, 0xcc]);
        junk.extend([half(&pings[0]), half(&pings[1]), other, kind]);
        Self { pings: pings.to_vec(), junk, next_ping: 0, next_junk: 0 }
    }

    /// The next ping.
    #[inline]
    pub fn ping(&mut self) -> &[u8] {
        self.next_ping = (self.next_ping + 1) % self.pings.len();
        &self.pings[self.next_ping]
    }

    /// The next piece of junk.
    #[inline]
    pub fn junk(&mut self) -> &[u8] {
        self.next_junk = (self.next_junk + 1) % self.junk.len();
        &self.junk[self.next_junk]
    }
}

fn ends(family: Family) -> (IpAddr, IpAddr) {
    (addresses::client(family, 1), addresses::responder(family))
}

/// Puts the checksum into an ICMP message.
fn seal(family: Family, message: &mut [u8]) {
    let (src, dst) = ends(family);
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    message[2..4].fill(0);
    let sum: Sum = pseudo_header(src, dst, family.icmp(), length).bytes(message);
    if let Ok((header, _)) = icmp::Header::mut_from_prefix(message) {
        header.checksum.set(sum.checksum());
    }
}

fn frame(own: Mac, responder: Mac, family: Family, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let (src, dst) = ends(family);
    let fields = Fields {
        src,
        dst,
        ttl: 64,
        traffic_class: 0,
        flow_label: 0,
        identification: None,
        protocol,
    };
    let ethertype = match family {
        Family::V4 => ethertype::IPV4,
        Family::V6 => ethertype::IPV6,
    };
    let mut out = vec![0; 14 + family.header_len() + payload.len()];
    Link { dst: responder, src: own, vlan: None, ethertype }
        .emit(&mut out)
        .and_then(|rest| fields.emit(payload.len(), rest))
        .expect("the frame is large enough")
        .copy_from_slice(payload);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_exact_in_the_long_run() {
        for (share, expected) in [(0.0, 0), (0.05, 50_000), (0.5, 500_000), (1.0, 1_000_000)] {
            let mut counter = Share::new(share);
            let came = (0..1_000_000).filter(|_| counter.comes()).count();
            assert!(came.abs_diff(expected) <= 1, "{share}: {came}");
        }
    }

    #[test]
    fn there_is_junk_of_many_kinds_and_pings_of_both_families() {
        let mut extras = Extras::new(Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        let all: std::collections::HashSet<Vec<u8>> =
            (0..100).map(|_| extras.junk().to_vec()).collect();
        assert_eq!(all.len(), 14);
        assert_ne!(extras.ping().len(), extras.ping().len());
    }
}

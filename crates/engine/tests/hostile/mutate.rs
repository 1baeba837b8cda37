//! What is done to frames on their way: bits turned, ends cut off, lengths and addresses made up.

use otherhalf_wire::checksum::Sum;
use otherhalf_wire::ethernet::{Link, ethertype};
use otherhalf_wire::ip::{Packet, protocol};

use crate::generate::LONGEST;
use crate::random::Random;

/// Lengths, offsets and protocols that mean something somewhere.
const TELLING: [u8; 20] =
    [0, 1, 3, 4, 6, 7, 8, 17, 19, 20, 40, 43, 44, 50, 58, 59, 60, 0x7f, 0xfe, 0xff];

/// Places of an IPv4, IPv6 or ARP header, and of the upper layer behind one, that say how the rest is read.
const PLACES: [usize; 16] = [0, 2, 3, 4, 5, 6, 7, 8, 9, 20, 21, 30, 31, 34, 40, 41];

/// Source or destination addresses that nobody may have, or that are ours.
const ADDRESSES: [[u8; 4]; 8] = [
    [0, 0, 0, 0],
    [127, 0, 0, 1],
    [224, 0, 0, 1],
    [255, 255, 255, 255],
    [192, 0, 2, 255],
    [192, 0, 2, 2],
    [203, 0, 113, 2],
    [240, 0, 0, 1],
];

/// Does something to `frame`, once to four times; makes its checksums right again half of the time.
pub(crate) fn mutate(random: &mut Random, frame: &mut Vec<u8>) {
    for _ in 0..=random.below(4) {
        once(random, frame);
    }
    if random.one_in(2) {
        repair(frame);
    }
}

fn once(random: &mut Random, frame: &mut Vec<u8>) {
    let at = if frame.is_empty() { 0 } else { random.below(frame.len()) };
    let network = network_layer(frame);
    match random.below(9) {
        0 | 1 => set(frame, at, |octet| octet ^ (1 << random.below(8))),
        2 => set(frame, at, |_| random.octet()),
        3 => frame.truncate(at),
        4 => {
            let more = random.below(64);
            frame.extend(random.octets(more));
            frame.truncate(LONGEST);
        }
        5 | 6 => {
            let place = network + random.pick(&PLACES);
            set(frame, place, |_| random.pick(&TELLING));
        }
        7 => {
            let place = network + random.pick(&[12, 16, 8, 24]);
            if let Some(octets) = frame.get_mut(place..place + 4) {
                octets.copy_from_slice(&random.pick(&ADDRESSES));
            }
        }
        _ => {
            let end = (at + random.below(16)).min(frame.len());
            let len = end - at;
            frame[at..end].copy_from_slice(&random.octets(len));
        }
    }
}

fn set(frame: &mut [u8], at: usize, change: impl FnOnce(u8) -> u8) {
    if let Some(octet) = frame.get_mut(at) {
        *octet = change(*octet);
    }
}

/// Where the network layer of `frame` starts.
fn network_layer(frame: &[u8]) -> usize {
    Link::parse(frame).map_or(0, |(_, rest)| frame.len() - rest.len())
}

/// Makes the checksums of `frame` right, as far as its lengths can be believed.
fn repair(frame: &mut [u8]) {
    let Ok((link, _)) = Link::parse(frame) else { return };
    let at = network_layer(frame);
    let packet = &mut frame[at..];
    if link.ethertype == ethertype::IPV4 && packet.len() >= 20 {
        let len = usize::from(packet[0] & 0x0f) * 4;
        packet[10..12].fill(0);
        if let Some(header) = packet.get(..len) {
            let checksum = Sum::ZERO.bytes(header).checksum();
            packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        }
    }
    let parsed = match link.ethertype {
        ethertype::IPV4 => Packet::parse_v4(packet),
        ethertype::IPV6 => Packet::parse_v6(packet),
        _ => return,
    };
    let Ok(parsed) = parsed else { return };
    let field = match parsed.protocol {
        protocol::TCP => 16,
        protocol::ICMP | protocol::ICMPV6 => 2,
        _ => return,
    };
    let (start, pseudo) = (parsed.header_len, parsed.pseudo_header());
    let end = start + parsed.payload.len();
    let upper = &mut packet[start..end];
    if upper.len() >= field + 2 {
        upper[field..field + 2].fill(0);
        let checksum = pseudo.bytes(upper).checksum();
        upper[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
    }
}

//! Frames out of capture files, sent to the responder of the run instead of the one that they were captured at.

use std::collections::HashMap;
use std::fs::File;
use std::net::IpAddr;
use std::path::Path;

use otherhalf_wire::checksum::{Sum, update};
use otherhalf_wire::ethernet::{Header, Link, Mac, ethertype};
use otherhalf_wire::ip::{Family, Packet, protocol};
use pcap_file::pcap::PcapReader;
use zerocopy::FromBytes;

use super::Error;
use crate::addresses;

/// Octets of an Ethernet header.
const LINK: usize = size_of::<Header>();

/// The frames of the capture file (pcap) at `path`.
pub fn frames(path: &Path) -> Result<Vec<Vec<u8>>, Error> {
    let broken = |source| Error::Capture { path: path.to_owned(), source };
    let file = File::open(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let mut reader = PcapReader::new(file).map_err(broken)?;
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet() {
        frames.push(packet.map_err(broken)?.data.into_owned());
    }
    Ok(frames)
}

/// Makes `frames` ones from `own` to `responder`: of each family, the address to which most of them went becomes the
/// responder's, and its checksums are mended, so that what was wrong stays wrong.
pub fn readdress(frames: &mut [Vec<u8>], own: Mac, responder: Mac) {
    let old = [Family::V4, Family::V6].map(|family| most_asked(frames, family));
    for frame in frames {
        if let Some(new) = target(frame).filter(|target| old.contains(&Some(*target)))
            && let Some((_, packet)) = frame.split_at_mut_checked(LINK)
        {
            redirect(packet, new);
        }
        if let Ok((header, _)) = Header::mut_from_prefix(frame.as_mut_slice()) {
            let to_all = header.dst.0[0] & 1 != 0;
            header.dst = if to_all { header.dst } else { responder };
            header.src = own;
        }
    }
}

/// The destination of a frame's packet, if its link-layer header has nothing besides.
fn target(frame: &[u8]) -> Option<IpAddr> {
    let (link, payload) = Link::parse(frame).ok()?;
    let packet = match (link.vlan, link.ethertype) {
        (None, ethertype::IPV4) => Packet::parse_v4(payload),
        (None, ethertype::IPV6) => Packet::parse_v6(payload),
        _ => return None,
    };
    packet.ok().map(|packet| packet.dst)
}

fn most_asked(frames: &[Vec<u8>], family: Family) -> Option<IpAddr> {
    let mut counts: HashMap<IpAddr, usize> = HashMap::new();
    let targets = frames.iter().filter_map(|frame| target(frame));
    for target in targets.filter(|target| target.is_ipv4() == (family == Family::V4)) {
        *counts.entry(target).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(target, _)| target)
}

/// Makes the responder the destination of `packet`, which goes to `old`.
fn redirect(packet: &mut [u8], old: IpAddr) {
    let (upper, transport, family) = match old {
        IpAddr::V4(_) => {
            let header = usize::from(packet[0] & 0xf) * 4;
            (header, packet[9], Family::V4)
        }
        IpAddr::V6(_) => (40, packet[6], Family::V6),
    };
    let (mut was, mut is) = ([0; 16], [0; 16]);
    let at = match (old, addresses::responder(family)) {
        (IpAddr::V4(old), IpAddr::V4(new)) => {
            was[..4].copy_from_slice(&old.octets());
            is[..4].copy_from_slice(&new.octets());
            mend(packet, 10, &was, &is);
            packet[16..20].copy_from_slice(&is[..4]);
            upper
        }
        (IpAddr::V6(old), IpAddr::V6(new)) => {
            (was, is) = (old.octets(), new.octets());
            packet[24..40].copy_from_slice(&is);
            upper
        }
        _ => return,
    };
    let checksum = match transport {
        protocol::TCP => 16,
        protocol::UDP => 6,
        protocol::ICMPV6 => 2,
        // ICMP over IPv4 has no pseudo header.
        _ => return,
    };
    mend(packet, at + checksum, &was, &is);
}

/// Mends the checksum at `at`, of which `was` became `is`.
fn mend(packet: &mut [u8], at: usize, was: &[u8; 16], is: &[u8; 16]) {
    let Some(field) = packet.get_mut(at..at + 2) else { return };
    let [was, is] = [was, is].map(|octets| Sum::ZERO.bytes(octets).fold());
    let sum = update(u16::from_be_bytes([field[0], field[1]]), was, is);
    field.copy_from_slice(&sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const RESPONDER: Mac = Mac([2, 0, 0, 0, 0, 2]);

    #[test]
    fn captures_go_to_the_responder_with_checksums_as_right_as_before() {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../responder/tests/golden");
        for name in ["v4-traces", "v6-traces", "v4-requests", "v6-answers", "v4-answers"] {
            let path = golden.join(name).with_extension("in.pcap");
            let before = frames(&path).unwrap();
            let mut after = before.clone();
            readdress(&mut after, OWN, RESPONDER);
            let mut redirected = 0;
            for (before, after) in before.iter().zip(&after) {
                let read = |frame: &[u8]| {
                    let (link, payload) = Link::parse(frame).unwrap();
                    let packet = match link.ethertype {
                        ethertype::IPV4 => Packet::parse_v4(payload),
                        ethertype::IPV6 => Packet::parse_v6(payload),
                        _ => return None,
                    };
                    packet.ok().map(|p| (p.dst, p.upper_layer_sum().verifies()))
                };
                assert_eq!(before.len(), after.len());
                let (Some((_, was)), Some((dst, is))) = (read(before), read(after)) else {
                    continue;
                };
                assert_eq!(was, is, "{name}: {before:02x?}");
                redirected +=
                    usize::from([Family::V4, Family::V6].map(addresses::responder).contains(&dst));
            }
            assert!(redirected * 10 > before.len() * 9, "{name}: {redirected} of {}", before.len());
        }
    }

    #[test]
    fn what_is_no_capture_is_named() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert!(matches!(frames(&path), Err(Error::Capture { .. })));
        assert!(matches!(frames(Path::new("/nowhere")), Err(Error::Read { .. })));
    }
}

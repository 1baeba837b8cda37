//! What the client reads of a packet from the network.

use std::net::IpAddr;

use otherhalf_client::packet::Codec;
use otherhalf_client::{Answer, printable};

use crate::common::{FAMILIES, ends};

/// Reads `octets` as raw sockets of every kind deliver them; nothing that it tells may order a terminal about.
///
/// # Panics
///
/// If a text that is fit to be shown has a control character.
pub fn run(octets: &[u8]) {
    for family in FAMILIES {
        let ends = ends(family);
        let codec = Codec { source: ends.own, target: ends.client };
        let froms: [IpAddr; 2] = [ends.client, ends.hop];
        let icmp = froms.map(|from| codec.decode_icmp(from, Some(64), octets));
        let tcp = froms.map(|from| codec.decode_tcp(from, None, octets));
        let answers = icmp.into_iter().chain(tcp).chain([codec.decode_v4(octets)]);
        for answer in answers.flatten() {
            if let Answer::Refused { text, .. } = &answer {
                assert!(!printable(text).chars().any(char::is_control));
            }
        }
    }
}

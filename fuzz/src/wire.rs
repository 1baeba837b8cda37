//! Every parser of `otherhalf-wire`: on any octets at all, and what was read is written and read again.

use otherhalf_wire::arp::Arp;
use otherhalf_wire::ethernet::{Link, ethertype};
use otherhalf_wire::extension::{self, Class, Objects};
use otherhalf_wire::icmp::Message;
use otherhalf_wire::ip::{Family, Packet};
use otherhalf_wire::ndp;
use otherhalf_wire::probe::Identity;
use otherhalf_wire::quote::Quote;
use otherhalf_wire::trace::{Request, Response, extensions};
use otherhalf_wire::{ipv4, ipv6, multipart};

/// Reads `octets` as whatever it may be, from every layer on.
///
/// # Panics
///
/// If what was read and written again is not the same.
pub fn run(octets: &[u8]) {
    if let Ok((link, payload)) = Link::parse(octets) {
        assert!(payload.len() < octets.len());
        let mut room = [0; 64];
        // A second tag behind a priority tag, which is not written, would come to be the first.
        let hidden_tag = link.vlan.is_none() && link.ethertype == ethertype::VLAN;
        if let Some(rest) = link.emit(&mut room).filter(|_| !hidden_tag) {
            let len = 64 - rest.len();
            assert_eq!(Link::parse(&room[..len]).map(|(again, _)| again), Ok(link));
        }
        network(payload);
    }
    network(octets);
    if let Ok(arp) = Arp::parse(octets) {
        let mut room = [0; 64];
        let len = arp.emit(&mut room).unwrap();
        assert_eq!(Arp::parse(&room[..len]), Ok(arp));
    }
    for family in [Family::V4, Family::V6] {
        message(family, octets);
        quote(family, octets);
    }
    objects(octets);
    let _ = extensions(octets);
    let _ = ipv6::upper_layer(octets.first().copied().unwrap_or_default(), octets);
}

/// An IP packet.
fn network(octets: &[u8]) {
    let plain = (ipv4::Packet::parse_plain(octets, false), ipv6::Packet::parse_plain(octets));
    let parsed = (Packet::parse_v4(octets), Packet::parse_v6(octets));
    // What the short way takes, the long one takes as well.
    assert!(plain.0.is_none() || parsed.0.is_ok());
    assert!(plain.1.is_none() || parsed.1.is_ok());
    for packet in [parsed.0.ok(), parsed.1.ok()].into_iter().flatten() {
        assert!(packet.payload.len() <= octets.len());
        let _ = packet.upper_layer_sum().verifies();
        message(packet.family(), packet.payload);
        if let (std::net::IpAddr::V6(_), Ok(message)) =
            (packet.src, ndp::Message::parse(packet.payload))
        {
            let _ = format!("{message:?}");
        }
    }
}

/// An ICMP message.
fn message(family: Family, octets: &[u8]) {
    let Ok(message) = Message::parse(family, octets) else { return };
    if let Ok((request, trailer)) = Request::parse(&message) {
        let _ = (request.probe_protocol(family), extensions(trailer).into_iter().flatten().count());
    }
    if let Ok(response) = Response::parse(&message) {
        let _ = format!("{response:?}");
    }
    let (quoted, rest) = multipart::split(family, &message);
    quote(family, quoted);
    let _ = rest.into_iter().flatten().count();
    let _ = Identity::from_echo_reply(family, message.header);
}

fn quote(family: Family, octets: &[u8]) {
    for quote in
        [Quote::parse(family, octets), Quote::parse_first(family, octets)].into_iter().flatten()
    {
        let one = Identity::from_quote(family, quote.protocol, quote.transport);
        let other = Identity::from_padded_quote(family, quote.protocol, quote.transport);
        // Padding can only make more of it readable.
        assert!(one.is_none() || other.is_some());
    }
}

fn objects(octets: &[u8]) {
    let Some(objects) = Objects::parse(octets) else { return };
    let good: Vec<_> = objects.map_while(Result::ok).collect();
    for object in &good {
        let _ = (object.indirect_target(), object.labels().count());
    }
    let mut room = vec![0; octets.len() + 8];
    // An indirect target that is no address can be read, but not be written.
    let Some(len) = extension::emit(&good, &mut room) else {
        assert!(
            good.iter().any(|o| o.class == Class::INDIRECT_TARGET && o.indirect_target().is_none())
        );
        return;
    };
    let again: Vec<_> = Objects::parse(&room[..len]).unwrap().map_while(Result::ok).collect();
    assert_eq!(again.len(), good.len());
}

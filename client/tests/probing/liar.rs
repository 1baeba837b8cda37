//! A responder that lies without end: who asked it once is sent, for as long as the test lasts, what nobody asked for.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use otherhalf_lab::{Family, Lab};
use otherhalf_wire::checksum::Sum;
use otherhalf_wire::icmp::Message;
use otherhalf_wire::ip;
use otherhalf_wire::trace::{Refusal, Request, Response, Rtt, Verdict};
use rustix::net::{SendFlags, sendto};

use super::responder::{instead_of_www, next};

/// What a terminal must not be told: it clears the screen, sets the title and the colour, starts a line of its own and turns its order round.
const ORDERS: &[u8] = b"\x1b[2J\x1b]0;t\x07\xc2\x9b31m\x9b\r\nx\xe2\x80\xae\0\x7f";

/// Octets before the ICMP message in a request as it came: an IPv4 header without options.
const HEADER: usize = 20;

/// What it says of what was asked; other lies, about what nobody asked, come besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Routers, a new one each time.
    Hops,
    /// Refusals, whose texts are orders to a terminal, and demands for padding.
    Refusals,
    /// That the request never arrived.
    Undelivered,
    /// The request itself, as a host returns it that knows ping only.
    Mirrors,
}

/// A request as it came, from its IP header on, and what it asks.
struct Asked {
    packet: Vec<u8>,
    request: Request,
    by: Ipv4Addr,
}

/// Runs `test` while www says such a `lie`, over IPv4; `test` is given how many packets it has sent so far.
pub(crate) fn with_liar(lab: &Lab, lie: Lie, test: impl FnOnce(&AtomicU64)) {
    let www = lab.address("www", Family::V4);
    let sent = AtomicU64::new(0);
    let mut buffer = [0; 4096];
    let mut asked = None;
    let mut round = 0u16;
    instead_of_www(
        lab,
        |socket| {
            if let Some(new) = next(socket, Duration::from_millis(1), &mut buffer).and_then(parse) {
                asked = Some(new);
            }
            let Some(asked) = &asked else { return };
            round = round.wrapping_add(1);
            let to = SocketAddr::from((asked.by, 0));
            for message in lies(lie, www, asked, round).iter().chain(&noise(www, asked, round)) {
                // Its own queue may be full: one lie less.
                if sendto(socket, message, SendFlags::empty(), &to).is_ok() {
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            }
        },
        || test(&sent),
    );
}

fn parse(packet: &[u8]) -> Option<Asked> {
    let parsed = ip::Packet::parse_v4(packet).ok()?;
    let message = Message::parse(ip::Family::V4, parsed.payload).ok()?;
    let (request, _) = Request::parse(&message).ok()?;
    let IpAddr::V4(by) = parsed.src else { return None };
    Some(Asked { packet: packet.to_vec(), request, by })
}

/// The lies about the request.
fn lies(lie: Lie, www: IpAddr, asked: &Asked, round: u16) -> Vec<Vec<u8>> {
    let identifier = asked.request.identifier;
    match lie {
        Lie::Hops => vec![response(www, asked, identifier, hop(round))],
        Lie::Refusals => {
            let refusals = [Refusal::Other(9, round), Refusal::Ttl, Refusal::Padding(round)];
            let refused = |refusal| Verdict::Refused { refusal, text: ORDERS };
            // A demand first: what refuses for good would end the trace before it is heard.
            refusals.map(|refusal| response(www, asked, identifier, refused(refusal))).into()
        }
        Lie::Undelivered => [3, 11, 12].map(|kind| error(kind, 0, &asked.packet)).into(),
        Lie::Mirrors => {
            let mut mirror = asked.packet[HEADER..].to_vec();
            mirror[0] = 0;
            vec![sealed(mirror)]
        }
    }
}

/// What answers no question, and what is no answer.
fn noise(www: IpAddr, asked: &Asked, round: u16) -> Vec<Vec<u8>> {
    let identifier = asked.request.identifier;
    // Guesses.
    let mut all: Vec<_> = (0..8u16)
        .map(|place| {
            response(www, asked, round.wrapping_mul(8).wrapping_add(place) | 0x8000, hop(round))
        })
        .collect();
    // Cut off anywhere, with the checksum of what is left.
    let whole = response(www, asked, identifier, hop(round));
    all.extend((8..whole.len()).step_by(3).map(|len| sealed(whole[..len].to_vec())));
    // With more text than there is, in a result and in a refusal.
    for status in [0, 9] {
        let mut longer = whole.clone();
        (longer[8], longer[9]) = (status, 255);
        all.push(sealed(longer));
    }
    // About probes that were never sent: the quote's own lengths lie, so does that of RFC 4884, and so do the objects'.
    for (first, said) in [(0x45, 0), (0x4f, 0), (0x40, 0), (0x65, 0), (0x45, 8), (0x45, 255)] {
        let mut quote = vec![0xff; 200];
        quote[..HEADER].copy_from_slice(&asked.packet[..HEADER]);
        quote[0] = first;
        quote[9] = ip::protocol::UDP;
        let [high, low] = round.to_be_bytes();
        quote[HEADER..HEADER + 8].copy_from_slice(&[3, 253, 0, 53, 0, 16, high, low]);
        quote[32..36].copy_from_slice(&[0x20, 0, 0, 0]);
        for kind in [3, 11] {
            all.push(error(kind, said, &quote));
            all.push(error(kind, said, &quote[..usize::from(round % 200)]));
        }
    }
    // Longer than any buffer for answers: the kernels cut it to pieces and put it together again.
    if round.is_multiple_of(16) {
        let mut long = whole;
        long.resize(60_000, b'\x1b');
        all.push(sealed(long));
    }
    all
}

/// A router that nobody has, which answered after as long as `round` says.
fn hop(round: u16) -> Verdict<'static> {
    let [_, low] = round.to_be_bytes();
    let address = Ipv4Addr::new(203, 0, 113, low).into();
    Verdict::Hop { address, rtt: Rtt::from_ns(u64::from(round) << 16) }
}

fn response(www: IpAddr, asked: &Asked, identifier: u16, verdict: Verdict<'_>) -> Vec<u8> {
    let mut out = vec![0; 512];
    let len = Response { identifier, verdict }.emit(www, asked.by.into(), &mut out).unwrap();
    out.truncate(len);
    out
}

/// An ICMP error of type `kind` that quotes `quote`, of which it says that it has `said` words.
fn error(kind: u8, said: u8, quote: &[u8]) -> Vec<u8> {
    sealed([&[kind, 0, 0, 0, 0, said, 0, 0], quote].concat())
}

/// An ICMP `message` with its checksum.
fn sealed(mut message: Vec<u8>) -> Vec<u8> {
    message[2..4].fill(0);
    let checksum = Sum::ZERO.bytes(&message).checksum().to_be_bytes();
    message[2..4].copy_from_slice(&checksum);
    message
}

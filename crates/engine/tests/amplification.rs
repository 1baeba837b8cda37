//! What is sent for what is received: the limit, and the figures in docs/security.md, which are the engine's own.

mod common;

use std::fmt::Write as _;
use std::sync::Arc;

use common::{
    Done, Ends, FAMILIES, Responder, echo_reply_packet, ends, error_packet, for_each, icmp_packet,
    packet_of, request, request_packet, request_with, routed, tcp_answer_packet, time_exceeded,
};
use otherhalf_engine::{Indirect, LeastRequest, Outcome, Verdict};
use otherhalf_policy::Prefixes;
use otherhalf_wire::extension::{self, Class, Object};
use otherhalf_wire::icmp::Kind;
use otherhalf_wire::ip::{self, Family, pseudo_header};
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::tcp;
use otherhalf_wire::trace::{self, Refusal};

/// Octets of probe and response, with their IP headers.
fn caused(family: Family, protocol: Protocol) -> usize {
    family.header_len() * 2 + protocol.probe_len() + trace::RESPONSE_LEN
}

/// Padding as an extension structure of `octets`, which are at least 8.
fn padding(octets: usize) -> Vec<u8> {
    let payload = vec![7; octets - 8];
    let mut out = vec![0; octets];
    let object = Object { class: Class::PADDING, payload: &payload };
    assert_eq!(extension::emit(&[object], &mut out), Some(octets));
    out
}

#[test]
fn a_request_must_be_as_large_as_what_it_causes() {
    for percent in [50, 100, 150, 280] {
        for_each(|ours, family, protocol| {
            ours.policy.least_request = LeastRequest::at_most(percent);
            let bare = request_packet(ends(family), request(family, protocol, 9, 4321));
            let least = (caused(family, protocol) * 100).div_ceil(percent as usize);
            for len in bare.len()..least.max(bare.len()) + 12 {
                let trailer = vec![0; len - bare.len()];
                let packet =
                    request_with(ends(family), request(family, protocol, 9, 4321), &trailer);
                let done = ours.play(&routed(&packet));
                if len >= least {
                    assert!(is_probe(done.fate.outcome), "{len} of {least}: {done:?}");
                    ours.now += 20_000_000_000;
                    continue;
                }
                assert_eq!(done.fate.outcome, Outcome::RefusedPadding);
                let missing = u16::try_from(least - len).unwrap();
                let verdict =
                    trace::Verdict::Refused { refusal: Refusal::Padding(missing), text: &[] };
                assert_eq!(done.response(), trace::Response { identifier: 9, verdict });
                assert!(packet_of(&done.frame).len() <= len, "a refusal larger than its request");
            }
        });
    }
}

fn is_probe(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::ProbeIcmp | Outcome::ProbeTcp | Outcome::ProbeUdp)
}

/// A client that pads by what the refusal said is served at once, by object of the extension structure as by plain octets.
#[test]
fn who_adds_what_was_missing_is_served() {
    for_each(|ours, family, protocol| {
        ours.policy.least_request = LeastRequest::at_most(100);
        let asked = request(family, protocol, 9, 4321);
        let refused = ours.play(&routed(&request_packet(ends(family), asked)));
        let trace::Verdict::Refused { refusal: Refusal::Padding(missing), .. } =
            refused.response().verdict
        else {
            panic!("{refused:?}");
        };
        for trailer in [padding(missing.into()), vec![0; missing.into()]] {
            let packet = request_with(ends(family), asked, &trailer);
            assert!(is_probe(ours.play(&routed(&packet)).fate.outcome));
            let short = request_with(ends(family), asked, &trailer[..trailer.len() - 1]);
            let refused = ours.play(&routed(&short));
            let verdict = trace::Verdict::Refused { refusal: Refusal::Padding(1), text: &[] };
            assert_eq!(refused.response().verdict, verdict);
        }
    });
}

/// The frame's padding to 60 octets is none of the packet's.
#[test]
fn what_ethernet_pads_does_not_count() {
    let mut ours = Responder::new();
    ours.policy.least_request = LeastRequest::at_most(100);
    let asked = request(Family::V4, Protocol::Udp, 9, 4321);
    let mut frame = routed(&request_packet(ends(Family::V4), asked));
    frame.resize(400, 0);
    assert_eq!(ours.play(&frame).fate.outcome, Outcome::RefusedPadding);
}

#[test]
fn by_default_no_client_need_pad() {
    for_each(|ours, family, protocol| {
        let packet = request_packet(ends(family), request(family, protocol, 9, 4321));
        assert!(is_probe(ours.play(&routed(&packet)).fate.outcome));
        let percent = caused(family, protocol) * 100 / packet.len();
        assert!(percent <= LeastRequest::DEFAULT_PERCENT as usize, "{family:?} {protocol:?}");
    });
}

#[test]
fn some_need_not_pad() {
    for family in FAMILIES {
        let mut ours = Responder::new();
        ours.policy.least_request = LeastRequest::at_most(100);
        let asked = request(family, Protocol::Udp, 9, 4321);
        let frame = routed(&request_packet(ends(family), asked));
        assert_eq!(ours.play(&frame).fate.outcome, Outcome::RefusedPadding);
        let friends = ["10.1.0.0/24", "2001:db8:f1::/48"].map(|text| (text.parse().unwrap(), 1));
        ours.policy.unpadded = Arc::new(Prefixes::new(0, friends));
        assert_eq!(ours.play(&frame).fate.outcome, Outcome::ProbeUdp);
        let stranger = match family {
            Family::V4 => "10.1.1.9",
            Family::V6 => "2001:db8:f2::9",
        };
        let stranger = Ends { client: common::address(stranger), ..ends(family) };
        let frame = routed(&request_packet(stranger, asked));
        assert_eq!(ours.play(&frame).fate.outcome, Outcome::RefusedPadding);
    }
}

/// One row: what was sent for the packet received, in octets from the IP header on.
struct Row {
    family: Family,
    received: usize,
    outcome: Outcome,
    sent: Vec<usize>,
}

fn row(family: Family, ours: &mut Responder, frame: &[u8]) -> (Row, Done) {
    let done = ours.play(frame);
    let mut sent = Vec::new();
    if !matches!(done.fate.verdict, Verdict::Drop) {
        sent.push(packet_of(&done.frame).len());
    }
    if matches!(done.fate.verdict, Verdict::SendAndReset(..)) {
        sent.push(packet_of(&done.reset()).len());
    }
    let received = packet_of(frame).len();
    (Row { family, received, outcome: done.fate.outcome, sent }, done)
}

/// The smallest packet of each kind that makes the engine send, and what it sends.
fn rows(family: Family) -> Vec<Row> {
    let mut rows = Vec::new();
    let ours = &mut Responder::new();
    let Ends { own, client, hop } = ends(family);
    let mut seen = |ours: &mut Responder, frame: &[u8]| {
        let (row, done) = row(family, ours, frame);
        rows.push(row);
        done
    };
    let asked =
        |protocol| routed(&request_packet(ends(family), request(family, protocol, 9, 4321)));
    let short = |error: Kind, code: u8, probe: &[u8]| {
        let quoted = &packet_of(probe)[..family.header_len() + 8];
        routed(&error_packet(hop, error, code, quoted))
    };
    let probe = seen(ours, &asked(Protocol::Icmp)).frame;
    seen(ours, &routed(&echo_reply_packet(&probe)));
    let probe = seen(ours, &asked(Protocol::Tcp)).frame;
    let answer = tcp_answer_packet(&probe, tcp::flag::SYN | tcp::flag::ACK);
    seen(ours, &routed(&answer));
    seen(ours, &routed(&answer));
    let probe = ours.play(&asked(Protocol::Tcp)).frame;
    seen(ours, &routed(&tcp_answer_packet(&probe, tcp::flag::RST | tcp::flag::ACK)));
    let probe = seen(ours, &asked(Protocol::Udp)).frame;
    seen(ours, &short(Kind::TimeExceeded, 0, &probe));
    let probe = ours.play(&asked(Protocol::Udp)).frame;
    seen(ours, &short(Kind::DestinationUnreachable, 3, &probe));
    let base = request(family, Protocol::Udp, 9, 4321);
    let refused = |request, trailer: &[u8]| routed(&request_with(ends(family), request, trailer));
    seen(ours, &refused(trace::Request { ttl: 0, ..base }, &[]));
    seen(ours, &refused(trace::Request { protocol: 99, ..base }, &[]));
    seen(ours, &refused(base, &[0x20, 0, 0, 0, 0, 4, 9, 9]));
    let target = ip::to_mapped(hop).octets();
    let target = Object { class: Class::INDIRECT_TARGET, payload: &target };
    ours.policy.indirect = Some(Arc::new(Indirect::new([], true)));
    seen(ours, &refused(base, &common::extensions(&[target])));
    ours.policy.least_request = LeastRequest::at_most(100);
    seen(ours, &refused(base, &[]));
    let mut udp = vec![0x80, 0, 0x80, 0, 0, 8, 0, 0];
    let sum = pseudo_header(client, own, 17, 8).bytes(&udp);
    udp[6..].copy_from_slice(&sum.checksum().to_be_bytes());
    seen(ours, &routed(&common::ip(client, own, 17, &udp)));
    let syn = tcp::Header {
        src_port: 4000.into(),
        dst_port: 80.into(),
        sequence: 1.into(),
        acknowledgement: 0.into(),
        data_offset: tcp::NO_OPTIONS,
        flags: tcp::flag::SYN,
        window: 1.into(),
        checksum: 0.into(),
        urgent: 0.into(),
    };
    seen(ours, &routed(&common::tcp_packet(client, own, syn)));
    seen(ours, &routed(&icmp_packet(client, own, (Kind::EchoRequest, 0, [1, 1]), &[])));
    rows
}

const BEGIN: &str =
    "<!-- amplification: crates/engine/tests/amplification.rs writes this table -->\n";
const END: &str = "<!-- /amplification -->";

/// The table of docs/security.md. `UPDATE_GOLDEN=1` writes it.
#[test]
fn the_figures_in_the_documentation_are_the_engines() {
    let mut table = String::from(
        "| outcome | IPv4: bytes in | packets out | bytes out | out for each in | IPv6: bytes in | packets out | bytes out | out for each in |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    let (v4, v6) = (rows(Family::V4), rows(Family::V6));
    assert_eq!(v4.len(), v6.len());
    for pair in v4.iter().zip(&v6) {
        let (one, other) = pair;
        assert_eq!(one.outcome, other.outcome);
        write!(table, "| `{}` ", one.outcome.name()).unwrap();
        for row in [one, other] {
            let packets = row.sent.len();
            let most = if row.outcome == Outcome::ResponseSynAck { 2 } else { 1 };
            assert_eq!(packets, most, "{:?} of {}", row.family, row.outcome.name());
            let bytes: usize = row.sent.iter().sum();
            let hundredths = (bytes * 100).div_ceil(row.received);
            let factor = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            write!(table, "| {} | {packets} | {bytes} | {factor} ", row.received).unwrap();
        }
        table.push_str("|\n");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/security.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the table's beginning");
    let (documented, after) = rest.split_once(END).expect("the table's end");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(
        documented, table,
        "UPDATE_GOLDEN=1 cargo test -p otherhalf-engine --test amplification"
    );
}

/// Nothing is ever sent for what did not cause it: an answer is taken once.
#[test]
fn one_probe_has_one_response() {
    for_each(|ours, family, protocol| {
        let probe = ours.probe(family, request(family, protocol, 9, 4321));
        let answer = time_exceeded(family, &probe, 8);
        assert_eq!(ours.play(&answer).fate.outcome, Outcome::ResponseTimeExceeded);
        for _ in 0..10 {
            assert_eq!(ours.dropped(&answer), Outcome::DropUnmatched);
        }
    });
}

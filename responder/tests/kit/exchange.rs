//! The exchanges that work alike on every port: each protocol and family, each kind of answer.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use otherhalf_engine::Outcome;
use otherhalf_lab::{Family, Lab};
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::trace::Refusal;

use super::bench::{Bench, Probe};
use super::client::Client;
use super::output;

/// Each protocol with a flow, and what the client's own kernel makes of its probe.
pub(crate) const PROTOCOLS: [(Protocol, u16, Outcome); 3] = [
    // Nothing listens at these ports: traceroute's first, and one for experiments (RFC 4727).
    (Protocol::Udp, 33434, Outcome::ResponseUnreachable),
    (Protocol::Tcp, 1022, Outcome::ResponseReset),
    (Protocol::Icmp, 0x1234, Outcome::ResponseEchoReply),
];

/// A line of R2, R1 and the client: every hop of every trace, and TTLs that go beyond.
#[track_caller]
pub(crate) fn every_answer(bench: &mut Bench) {
    for family in Family::ALL {
        for (protocol, flow, at_client) in PROTOCOLS {
            let hops = [
                (1, "R2", Outcome::ResponseTimeExceeded),
                (2, "R1", Outcome::ResponseTimeExceeded),
                (3, "client", at_client),
                (30, "client", at_client),
                (255, "client", at_client),
            ];
            for (ttl, node, outcome) in hops {
                bench.hop(family, Probe { protocol, ttl, flow }, node, outcome);
            }
        }
        open_port(bench, family, "client", |bench, probe, outcome| {
            bench.hop(family, Probe { ttl: 3, ..probe }, "client", outcome);
        });
    }
}

/// A TCP port of `node` that is open, which `hop` has probed: its SYN+ACK is an answer, and the connection is reset before anybody accepts it.
#[track_caller]
pub(crate) fn open_port(
    bench: &mut Bench,
    family: Family,
    node: &str,
    hop: impl FnOnce(&mut Bench, Probe, Outcome),
) {
    let address = bench.address(node, family);
    let listener = bench.lab.within(node, || TcpListener::bind((address, 0))).unwrap().unwrap();
    listener.set_nonblocking(true).unwrap();
    let flow = listener.local_addr().unwrap().port();
    let resets = resets_of_half_open_connections(&bench.lab, node);
    hop(bench, Probe { protocol: Protocol::Tcp, ttl: 30, flow }, Outcome::ResponseSynAck);
    // The reset left the responder before the answer to this.
    bench.barrier(family);
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(resets_of_half_open_connections(&bench.lab, node), resets + 1);
    let sockets =
        output(bench.lab.command(node, "ss").args(["-Htan", &format!("sport = :{flow}")]));
    let states: Vec<_> =
        sockets.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(states, ["LISTEN"], "{sockets}");
}

/// How many connections a RST ended at `node` before they were open (`EmbryonicRsts` of the kernel's netstat).
fn resets_of_half_open_connections(lab: &Lab, node: &str) -> u64 {
    let read = || fs::read_to_string("/proc/thread-self/net/netstat");
    let text = lab.within(node, read).unwrap().unwrap();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let mut counters = names.split_whitespace().zip(values.split_whitespace());
    let (_, value) = counters.find(|(name, _)| *name == "EmbryonicRsts").unwrap();
    value.parse().unwrap()
}

/// What the responder chooses, and what it refuses.
#[track_caller]
pub(crate) fn choices_and_refusals(bench: &mut Bench) {
    for family in Family::ALL {
        for (protocol, _, at_client) in PROTOCOLS {
            // The protocol's own flow: the ports 53 and 80, which nothing listens at.
            bench.hop(family, Probe { protocol, ttl: 3, flow: 0 }, "client", at_client);
        }
        // The responder's own choice of a protocol, which is ICMP.
        let probe = Probe { protocol: Protocol::Icmp, ttl: 1, flow: 0 };
        let request = bench.client(family).request(0, probe.ttl, probe.flow);
        let answer = Outcome::ResponseTimeExceeded;
        bench.hop_by(family, probe, "R2", answer, request, Client::send);

        for protocol in [0, 1, 6, 17, 58, 99] {
            bench.refused(family, (protocol, 0, 0), Refusal::Ttl, Outcome::RefusedTtl);
        }
        let other_icmp = if family == Family::V4 { 58 } else { 1 };
        for protocol in [99, other_icmp, 255] {
            let refused = Outcome::RefusedProtocol;
            bench.refused(family, (protocol, 1, 0), Refusal::Protocol, refused);
        }
    }
}

/// What forward traces end with: ports of the responder that nothing listens at.
#[track_caller]
pub(crate) fn closed_ports(bench: &mut Bench) {
    let limit = Duration::from_secs(5);
    for family in Family::ALL {
        let (client, www) = (bench.address("client", family), bench.address("www", family));
        let www = SocketAddr::new(www, 1022);
        let connect = || TcpStream::connect_timeout(&www, limit);
        let error = bench.lab.within("client", connect).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        bench.expect(Outcome::ClosedTcpReset, 1);

        let socket = bench.lab.within("client", || UdpSocket::bind((client, 0))).unwrap().unwrap();
        socket.connect(www).unwrap();
        socket.set_read_timeout(Some(limit)).unwrap();
        socket.send(b"?").unwrap();
        let error = socket.recv(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        bench.expect(Outcome::ClosedUdpUnreachable, 1);
    }
}

/// The system's ping: `count` times with `size` octets of data. After the first reply, it waits for the last no longer than two of the
/// round trips that it has seen: that every one was answered, the responder's counters show.
#[track_caller]
pub(crate) fn ping(bench: &mut Bench, to: IpAddr, count: u32, size: u32, options: &[&str]) {
    let (count_text, size) = (count.to_string(), size.to_string());
    let mut command = bench.lab.command("client", "ping");
    command.args(["-n", "-q", "-W", "3", "-c", &count_text, "-s", &size]).args(options);
    let text = output(command.arg(to.to_string()));
    let received = text
        .split_once(&format!("{count} packets transmitted, "))
        .and_then(|(_, rest)| rest.split_once(" received"))
        .and_then(|(received, _)| received.parse::<u32>().ok());
    assert!(received.is_some_and(|received| received > count / 2), "{text}");
    bench.expect(Outcome::PingReply, count.into());
    // The responder may have some of them still before it. The replies came to the client's socket, too, and must not fill it.
    let family = if to.is_ipv4() { Family::V4 } else { Family::V6 };
    let heard = bench.client(family).receive_within(Duration::ZERO);
    assert!(heard.is_none(), "{heard:?}");
    bench.barrier(family);
}

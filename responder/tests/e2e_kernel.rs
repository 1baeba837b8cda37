//! The exception path: BIRD beside `otherhalfd`, on the same ports and hardware addresses, announces the responder's
//! service address to routers by BGP. Needs root and Debian's BIRD (`scripts/setup --test`).

mod kit;

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use kit::bench::{build, file_prefix, topology};
use kit::bird::{Bird, routes, until};
use kit::client::{Client, Said};
use kit::counters::Counters;
use kit::exchange::PROTOCOLS;
use kit::packet::syn;
use kit::process::Process;
use kit::{of, output};
use otherhalf_engine::Outcome;
use otherhalf_lab::{Family, Lab};
use tempfile::TempDir;

/// The address that requests are sent to, which BGP alone makes known.
const SERVICE: [&str; 2] = ["198.51.100.77", "2001:db8:5::77"];
const LENGTH: [&str; 2] = ["/32", "/128"];
/// Private AS numbers for documentation (RFC 5398): the responder, R1, R2, R3.
const AS: [u32; 4] = [64500, 64501, 64502, 64503];
/// How soon sessions are up, and how soon a dead neighbour is noticed.
const TIMERS: &str =
    "hold time 6; connect delay time 1; connect retry time 2; error wait time 1, 2;";
const TAP_LIMIT: Duration = Duration::from_secs(10);
/// Half of the digits of a secret that is none.
const SECRET: &str = "000102030405060708090a0b0c0d0e0f";

/// A port of a responder.
struct PortOf<'a> {
    /// The node whose link it is on.
    node: &'a str,
    number: u8,
    /// `[port.kernel]`, without the interface.
    kernel: &'a str,
}

impl PortOf<'_> {
    /// The kernel's interface.
    fn interface(&self) -> String {
        format!("oh{}", self.number)
    }

    fn configuration(&self, lab: &Lab, service: bool) -> String {
        let (number, interface, kernel) = (self.number, self.interface(), self.kernel);
        let mut addresses = Family::ALL.map(|family| own(lab, self.node, family)).to_vec();
        if service {
            addresses
                .extend(SERVICE.iter().zip(LENGTH).map(|(address, len)| format!("{address}{len}")));
        }
        format!(
            r#"
[[port]]
device = "net_tap{number},iface=dtap{number},mac=02:00:00:00:00:8{number}"

[[port.interface]]
addresses = {addresses:?}

[port.kernel]
interface = "{interface}"
{kernel}
"#
        )
    }
}

/// The address of a responder's node with the length of its link's prefix.
fn own(lab: &Lab, node: &str, family: Family) -> String {
    format!("{}{}", lab.address(node, family), of(family, &["/24", "/64"]))
}

/// A responder with `ports`, the first one with the service address; and each port's routes as `default_of` has them.
#[track_caller]
fn respond(lab: &Lab, folder: &Path, ports: &[PortOf<'_>]) -> Process {
    let home = ports[0].node;
    let cpu = thread::available_parallelism().map_or(1, std::num::NonZero::get) - 1;
    let mut text = format!(
        r#"
[eal]
huge_pages = false
memory_mb = 96
file_prefix = "{}"

[workers]
cpus = [{cpu}]
idle_sleep_us = 50

[pending]
entries = 4096
secret = "{SECRET}"

[drain]
grace_ms = 3000
deadline_ms = 10000
"#,
        file_prefix()
    );
    for port in ports {
        text += &port.configuration(lab, port.node == home);
    }
    for (family, to) in Family::ALL.into_iter().zip(["0.0.0.0/0", "::/0"]) {
        let via = lab.gateway(home, family);
        write!(text, "\n[[route]]\nto = \"{to}\"\nvia = \"{via}\"\n").unwrap();
    }
    let file = folder.join(format!("otherhalfd-{home}.toml"));
    fs::write(&file, text).unwrap();
    let mut command = lab.command(home, env!("CARGO_BIN_EXE_otherhalfd"));
    command.arg("--config").arg(&file).env_remove("RUST_LOG");
    let mut responder = Process::start(lab, &mut command);
    responder.wait_for(" ready");
    for port in ports {
        if port.node != home {
            let there = [
                "link",
                "set",
                &format!("dtap{}", port.number),
                "netns",
                &lab.namespace(port.node),
            ];
            output(lab.command(home, "ip").args(there));
        }
        lab.attach(port.node, TAP_LIMIT).unwrap_or_else(|error| panic!("{error}"));
    }
    responder
}

/// Two responders with one address and one secret, each behind a router of its own, with a BIRD beside it that has an
/// address of its own; and R1, which balances over both.
struct Pair {
    birds: Vec<Bird>,
    responders: [Process; 2],
    _folder: TempDir,
    lab: Lab,
}

const PAIR: [(&str, &str, u32); 2] = [("www", "R2", AS[2]), ("www2", "R3", AS[3])];
/// Clients that ask a pair: all at one of them would be a chance of one in eight millions.
const CLIENTS: u16 = 24;
/// R1 notes by which router a probe came, and has all that belongs to it, errors as well, go back there: docs/kernel-path.md.
const TRACKING: &str = r#"
nft -f - <<END
table inet responders {
    chain note {
        type filter hook prerouting priority mangle;
        iifname "to-R2" ct mark set 2
        iifname "to-R3" ct mark set 3
        iifname "to-client" meta mark set ct mark
    }
    chain back {
        type route hook output priority mangle;
        meta l4proto { icmp, icmpv6 } meta mark set ct mark
    }
}
END
for family in -4 -6; do
    ip $family rule add fwmark 2 table 2
    ip $family rule add fwmark 3 table 3
done
ip -4 route add 198.51.100.77 table 2 via 192.0.2.1 dev to-R2
ip -6 route add 2001:db8:5::77 table 2 via 2001:db8:b::1 dev to-R2
ip -4 route add 198.51.100.77 table 3 via 203.0.113.1 dev to-R3
ip -6 route add 2001:db8:5::77 table 3 via 2001:db8:c::1 dev to-R3
"#;
/// What BIRD has beside each.
const BESIDE: [[&str; 2]; 2] =
    [["192.0.2.81", "2001:db8:b::81"], ["203.0.113.81", "2001:db8:c::81"]];

impl Pair {
    /// `policy` is how R1 balances: Linux's `fib_multipath_hash_policy`.
    #[track_caller]
    fn start(policy: &str) -> Self {
        let lab = build(&topology("exchange.toml"));
        let folder = TempDir::new().unwrap();
        let set = "for f in 4 6; do echo $0 > /proc/sys/net/ipv$f/fib_multipath_hash_policy; done";
        output(lab.command("R1", "sh").args(["-ec", set, policy]));
        let mut responders = Vec::new();
        let mut birds = vec![Bird::start(&lab, "R1", folder.path(), &core(&lab))];
        for (number, ((node, router, system), beside)) in (0..).zip(PAIR.into_iter().zip(BESIDE)) {
            let kernel = format!("addresses = {beside:?}");
            let port = PortOf { node, number, kernel: &kernel };
            responders.push(respond(&lab, folder.path(), std::slice::from_ref(&port)));
            let addresses =
                [0, 1].map(|family| format!("{}{}", beside[family], ["/24", "/64"][family]));
            address(&lab, node, &port.interface(), &addresses);
            let beside = beside.map(|text| text.parse().unwrap());
            let text = border(&lab, router, system, beside);
            birds.push(Bird::start(&lab, router, folder.path(), &text));
            let text = announcer(&lab, beside[0], &[(router, system, beside)]);
            birds.push(Bird::start(&lab, node, folder.path(), &text));
        }
        let Ok(responders) = responders.try_into() else { panic!("two") };
        await_routes(&lab, &["R2", "R3"]);
        Self { birds, responders, _folder: folder, lab }
    }

    /// Has many clients ask for probes of every protocol to each hop. Returns how many; with `heard`, each must be answered.
    #[track_caller]
    fn ask(&self, family: Family, heard: bool) -> u64 {
        let service = of(family, &SERVICE).parse().unwrap();
        let node = |name| self.lab.address(name, family);
        let mut asked = 0;
        for own in kit::crowd::addresses(&self.lab, family, CLIENTS) {
            let mut client = Client::open(&self.lab, own, service);
            let right = [vec![node("R2"), node("R3")], vec![node("R1")], vec![own]];
            for (protocol, flow, _) in PROTOCOLS {
                for (ttl, right) in (1..).zip(&right) {
                    let request = client.request(client.number(protocol), ttl, flow);
                    client.send(request);
                    asked += 1;
                    let what = format!("{protocol:?} to {own} with TTL {ttl}");
                    if heard {
                        let heard = client.receive();
                        let Said::Hop(hop, _) = heard.said else { panic!("{what}: {heard:?}") };
                        assert!(right.contains(&hop), "{what}: {heard:?}");
                    }
                }
            }
        }
        asked
    }

    /// Ends both, which must have shared the work.
    #[track_caller]
    fn end(self, asked: u64) -> [Counters; 2] {
        let counters = self.responders.map(end);
        let probes = counters.each_ref().map(|all| all.sum(|o| o.name().starts_with("probe_")));
        assert_eq!(probes.iter().sum::<u64>(), asked, "{counters:?}");
        assert!(probes.iter().all(|probes| *probes > 0), "{counters:?}");
        counters
    }
}

#[test]
fn behind_a_router_that_hashes_addresses_and_looks_into_errors() {
    // Linux's policy 0 takes the addresses alone, in either order, and of an ICMP error those within. Over IPv6 it takes the
    // flow label and the protocol as well, which are not the same in request and answer.
    let pair = Pair::start("0");
    let asked = pair.ask(Family::V4, true);
    // One of both withdrawn, the other gets all.
    let [_, _, first, ..] = &pair.birds[..] else { panic!("five") };
    for family in ["4", "6"] {
        first.ask(&format!("disable service_{family}"));
    }
    await_routes(&pair.lab, &["R3"]);
    trace(&pair.lab, &["R3", "R1"]);
    for family in ["4", "6"] {
        first.ask(&format!("enable service_{family}"));
    }
    await_routes(&pair.lab, &["R2", "R3"]);
    for counters in pair.end(asked + 18) {
        assert_eq!(counters.outcome(Outcome::DropUnmatched), 0, "{counters:?}");
    }
}

#[test]
fn behind_a_router_that_hashes_ports() {
    // An error goes by the ports or the address of whoever sends it, so to either responder. The one that has sent no such
    // probe drops it, by its right name: with one secret, what is not ours looks like ours.
    let pair = Pair::start("1");
    let asked: u64 = Family::ALL.map(|family| pair.ask(family, false)).iter().sum();
    let counters = pair.end(asked);
    let sum = |wanted: &dyn Fn(Outcome) -> bool| -> u64 {
        counters.iter().map(|all| all.sum(wanted)).sum()
    };
    let answered = sum(&|outcome| outcome.name().starts_with("response_"));
    let strayed = sum(&|outcome| outcome == Outcome::DropUnmatched);
    assert_eq!(answered + strayed, asked, "{counters:?}");
    assert!(answered > 0 && strayed > 0, "{counters:?}");
    assert_eq!(sum(&|outcome| outcome == Outcome::DropForged), 0, "{counters:?}");
}

#[test]
fn behind_a_router_that_keeps_track_of_probes() {
    let pair = Pair::start("1");
    output(pair.lab.command("R1", "sh").args(["-ec", TRACKING]));
    let asked: u64 = Family::ALL.map(|family| pair.ask(family, true)).iter().sum();
    for counters in pair.end(asked) {
        assert_eq!(counters.outcome(Outcome::DropUnmatched), 0, "{counters:?}");
    }
}

/// Gives the kernel's interface `addresses`.
#[track_caller]
fn address(lab: &Lab, node: &str, interface: &str, addresses: &[String]) {
    let mut script = format!(
        "set -e\necho 0 > /proc/sys/net/ipv6/conf/{interface}/disable_ipv6\nip link set {interface} up\n"
    );
    for address in addresses {
        let nodad = if address.contains(':') { "nodad" } else { "" };
        writeln!(script, "ip address add {address} dev {interface} {nodad}").unwrap();
    }
    output(lab.command(node, "sh").args(["-c", &script]));
}

/// A BGP session of one family; `what` is its channel's filters.
fn session(
    name: &str,
    family: Family,
    [own, peer]: [(IpAddr, u32); 2],
    options: &str,
    what: &str,
) -> String {
    let (channel, suffix) = of(family, &[("ipv4", "4"), ("ipv6", "6")]);
    format!(
        "protocol bgp {name}_{suffix} {{\nlocal {} as {};\nneighbor {} as {};\n{options}\n{TIMERS}\n{channel} {{ {what} }};\n}}\n",
        own.0, own.1, peer.0, peer.1
    )
}

/// What every BIRD begins with.
fn beginning(id: IpAddr) -> String {
    format!("router id {id};\nlog stderr all;\nprotocol device {{ scan time 1; }}\n")
}

/// BIRD beside a responder, which announces the service address to `peers`: their nodes and AS numbers, each by the
/// address that the kernel has there.
fn announcer(lab: &Lab, id: IpAddr, peers: &[(&str, u32, [IpAddr; 2])]) -> String {
    let mut text = beginning(id);
    for (family, service) in Family::ALL.into_iter().zip(SERVICE) {
        let (channel, suffix) = of(family, &[("ipv4", "4"), ("ipv6", "6")]);
        let length = of(family, &LENGTH);
        writeln!(
            text,
            "protocol static service_{suffix} {{ {channel}; route {service}{length} blackhole; }}"
        )
        .unwrap();
        for (peer, number, own) in peers {
            let ends = [(*of(family, own), AS[0]), (lab.address(peer, family), *number)];
            text += &session(
                peer,
                family,
                ends,
                "",
                "import none; export where source = RTS_STATIC; next hop self;",
            );
        }
    }
    text
}

/// BIRD on R2 or R3: hears of the service address from the responder's kernel and tells R1.
fn border(lab: &Lab, node: &str, number: u32, responder: [IpAddr; 2]) -> String {
    let mut text = beginning(lab.address(node, Family::V4)) + &to_the_kernel("");
    for family in Family::ALL {
        let own = (lab.address(node, family), number);
        let ends = [own, (*of(family, &responder), AS[0])];
        text += &session("responder", family, ends, "", "import all; export none;");
        let ends = [own, (lab.address("R1", family), AS[1])];
        text += &session(
            "R1",
            family,
            ends,
            "multihop 2;",
            "import none; export where source = RTS_BGP; next hop self;",
        );
    }
    text
}

/// BIRD on R1: takes both ways.
fn core(lab: &Lab) -> String {
    let mut text = beginning(lab.address("R1", Family::V4)) + &to_the_kernel("merge paths on;");
    for family in Family::ALL {
        let (channel, suffix) = of(family, &[("ipv4", "4"), ("ipv6", "6")]);
        writeln!(text, "protocol static links_{suffix} {{ {channel};").unwrap();
        for node in ["R2", "R3"] {
            let (address, length) = (lab.address(node, family), of(family, &LENGTH));
            writeln!(text, "route {address}{length} via \"to-{node}\";").unwrap();
        }
        text += "}\n";
        for (node, number) in [("R2", AS[2]), ("R3", AS[3])] {
            let ends = [(lab.address("R1", family), AS[1]), (lab.address(node, family), number)];
            text += &session(node, family, ends, "multihop 2;", "import all; export none;");
        }
    }
    text
}

/// What BGP told becomes the kernel's routes.
fn to_the_kernel(options: &str) -> String {
    let kernel = |channel| {
        format!(
            "protocol kernel {{ scan time 1; {options} {channel} {{ import none; export where source = RTS_BGP; }}; }}\n"
        )
    };
    kernel("ipv4") + &kernel("ipv6")
}

/// Routes of `node` to the service address, both families.
fn service_routes(lab: &Lab, node: &str) -> [String; 2] {
    SERVICE.map(|service| routes(lab, node, service))
}

/// Waits until R1's routes to the service address lead by `routers` alone.
#[track_caller]
fn await_routes(lab: &Lab, routers: &[&str]) {
    let right = || {
        service_routes(lab, "R1").iter().all(|route| {
            ["R2", "R3"]
                .iter()
                .all(|node| route.contains(&format!("to-{node}")) == routers.contains(node))
        })
    };
    until(right, || format!("R1 does not lead by {routers:?}: {:?}", service_routes(lab, "R1")));
}

/// A reverse trace from the service address to the client by every protocol: `hops`, and the client itself.
#[track_caller]
fn trace(lab: &Lab, hops: &[&str]) {
    for (family, service) in Family::ALL.into_iter().zip(SERVICE) {
        let own = lab.address("client", family);
        let mut client = Client::open(lab, own, service.parse().unwrap());
        for (protocol, flow, _) in PROTOCOLS {
            for (ttl, node) in (1..).zip(hops.iter().chain(&["client"])) {
                let request = client.request(client.number(protocol), ttl, flow);
                let start = Instant::now();
                client.send(request);
                let what = format!("{family:?} {protocol:?} to be answered by {node}");
                client.receive_hop(request.identifier, lab.address(node, family), start, &what);
            }
        }
    }
}

/// Ends a responder, which must account for every frame.
#[track_caller]
fn end(responder: Process) -> Counters {
    let ended = responder.stop();
    assert_eq!(ended.status.code(), Some(0), "{}\n{}", ended.stdout, ended.stderr);
    let counters = Counters::parse(&ended.stdout);
    counters.check_sums();
    counters
}

#[test]
fn the_service_address_is_announced_to_two_routers() {
    let lab = build(&topology("exchange.toml"));
    let folder = TempDir::new().unwrap();
    // The kernel shares the responder's addresses.
    let kernel = "tcp = [179, 22]\nframes_per_second = 1000";
    let ports = [("www", 0), ("www2", 1)].map(|(node, number)| PortOf { node, number, kernel });
    let responder = respond(&lab, folder.path(), &ports);
    for port in &ports {
        let addresses = Family::ALL.map(|family| own(&lab, port.node, family));
        address(&lab, "www", &port.interface(), &addresses);
    }
    let shared = |node| Family::ALL.map(|family| lab.address(node, family));
    let (www, www2) = (shared("www"), shared("www2"));
    let start = |node: &str, text: &str| Bird::start(&lab, node, folder.path(), text);
    let _core = start("R1", &core(&lab));
    let r2 = start("R2", &border(&lab, "R2", AS[2], www));
    let _r3 = start("R3", &border(&lab, "R3", AS[3], www2));
    let beside = announcer(&lab, www[0], &[("R2", AS[2], www), ("R3", AS[3], www2)]);
    let beside = start("www", &beside);
    beside.await_sessions(4);
    await_routes(&lab, &["R2", "R3"]);
    trace(&lab, &["R2", "R1"]);

    a_connection_from_afar(&lab);
    a_flood_for_the_kernel(&lab);
    beside.await_sessions(4);
    trace(&lab, &["R2", "R1"]);

    // Withdrawn by BIRD, the sessions stay.
    for family in ["4", "6"] {
        beside.ask(&format!("disable service_{family}"));
    }
    await_routes(&lab, &[]);
    assert_eq!(r2.ask("show protocols").matches("Established").count(), 4);
    for family in ["4", "6"] {
        beside.ask(&format!("enable service_{family}"));
    }
    await_routes(&lab, &["R2", "R3"]);
    // Without the responder there is no interface, so no session, and in the end no route.
    let counters = end(responder);
    await_routes(&lab, &[]);
    assert!(counters.outcome(Outcome::KernelPassed) > 100, "{counters:?}");
    assert!(counters.get("kernel_told") > 0 && counters.get("kernel_refused") == 0, "{counters:?}");
    assert!(counters.outcome(Outcome::DropKernelBudget) > 0, "{counters:?}");
    assert_eq!(counters.outcome(Outcome::DropKernelFull), 0, "{counters:?}");
}

/// A TCP connection of the client with a port of the responder's address that is the kernel's, as SSH has.
#[track_caller]
fn a_connection_from_afar(lab: &Lab) {
    const LEN: usize = 200_000;
    for family in Family::ALL {
        let www = SocketAddr::new(lab.address("www", family), 22);
        let via = lab.gateway("www", family).to_string();
        output(lab.command("www", "ip").args([
            family.flag(),
            "route",
            "add",
            "default",
            "via",
            &via,
            "dev",
            "oh0",
        ]));
        let listener = lab.within("www", || TcpListener::bind(www)).unwrap().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut room = vec![0; LEN];
            stream.read_exact(&mut room).unwrap();
            stream.write_all(&room).unwrap();
        });
        let connect = || TcpStream::connect_timeout(&www, Duration::from_secs(10));
        let mut stream = lab.within("client", connect).unwrap().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let sent: Vec<u8> = (0..LEN).map(|n| u8::try_from(n % 251).unwrap()).collect();
        stream.write_all(&sent).unwrap();
        let mut back = vec![0; LEN];
        stream.read_exact(&mut back).unwrap();
        assert!(back == sent, "what came back is not what was sent");
        server.join().unwrap();
    }
}

/// More segments for BGP than the budget allows, from somebody who is no neighbour.
#[track_caller]
fn a_flood_for_the_kernel(lab: &Lab) {
    const SEGMENTS: u16 = 3000;
    let www = lab.address("www", Family::V4);
    let client = Client::open(lab, lab.address("client", Family::V4), www);
    for number in 0..SEGMENTS {
        client.send_packet(&syn(client.own, www, [1024 + number, 179]));
    }
}

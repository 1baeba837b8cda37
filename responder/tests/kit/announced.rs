//! A service address that BGP announces: responders with a kernel's interface, BIRD beside each and on the routers of the
//! topology `exchange.toml`.

use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use otherhalf_lab::{Family, Lab};
use rustix::process::Signal;

use super::bench::file_prefix;
use super::bird::{routes, until};
use super::client::Client;
use super::counters::Counters;
use super::exchange::PROTOCOLS;
use super::process::Process;
use super::{of, output};

/// The address that requests are sent to, which BGP alone makes known.
pub(crate) const SERVICE: [&str; 2] = ["198.51.100.77", "2001:db8:5::77"];
const LENGTH: [&str; 2] = ["/32", "/128"];
/// Private AS numbers for documentation (RFC 5398): the responder, R1, R2, R3.
pub(crate) const AS: [u32; 4] = [64500, 64501, 64502, 64503];
/// How soon sessions are up. A dead neighbour is noticed by BFD, long before the hold time is over.
const TIMERS: &str =
    "hold time 240; connect delay time 1; connect retry time 2; error wait time 1, 2;";
const TAP_LIMIT: Duration = Duration::from_secs(10);
/// Half of the digits of a secret that is none.
const SECRET: &str = "000102030405060708090a0b0c0d0e0f";

/// A port of a responder.
pub(crate) struct PortOf<'a> {
    /// The node whose link it is on.
    pub(crate) node: &'a str,
    pub(crate) number: u8,
    /// `[port.kernel]`, without the interface.
    pub(crate) kernel: &'a str,
}

impl PortOf<'_> {
    /// The kernel's interface.
    pub(crate) fn interface(&self) -> String {
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

/// The control socket of the responder in `node`.
pub(crate) fn socket(folder: &Path, node: &str) -> PathBuf {
    folder.join(format!("otherhalfd-{node}.sock"))
}

/// The address of a responder's node with the length of its link's prefix.
pub(crate) fn own(lab: &Lab, node: &str, family: Family) -> String {
    format!("{}{}", lab.address(node, family), of(family, &["/24", "/64"]))
}

/// A responder with `ports`, the first one with the service address; and each port's routes as `default_of` has them.
#[track_caller]
pub(crate) fn respond(lab: &Lab, folder: &Path, ports: &[PortOf<'_>]) -> Process {
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

[control]
socket = "{}"

[drain]
grace_ms = 600000
"#,
        file_prefix(),
        socket(folder, home).display(),
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
            lead_on(lab, home, port);
        }
        lab.attach(port.node, TAP_LIMIT).unwrap_or_else(|error| panic!("{error}"));
    }
    responder
}

/// Makes a cable from a tap in `home` to the node that it is for, and ends it there by the tap's name. The tap itself stays:
/// the link of one that was moved to another namespace reads down, and the responder would not be ready.
#[track_caller]
fn lead_on(lab: &Lab, home: &str, port: &PortOf<'_>) {
    let (tap, there) = (format!("dtap{}", port.number), lab.namespace(port.node));
    let script = format!(
        r#"
ip link add cable type veth peer name {tap} netns {there}
ip link set {tap} up
ip link set cable up
nft -f - <<END
table netdev cable {{
    chain there {{
        type filter hook ingress device "{tap}" priority 0
        fwd to "cable"
    }}
    chain back {{
        type filter hook ingress device "cable" priority 0
        fwd to "{tap}"
    }}
}}
END
"#
    );
    output(lab.command(home, "sh").args(["-ec", &script]));
}

/// Slow enough for a busy machine not to end sessions.
const BFD: &str = "protocol bfd { interface \"*\" { min rx interval 1 s; min tx interval 1 s; multiplier 10; }; }";

/// Gives the kernel's interface `addresses`.
#[track_caller]
pub(crate) fn address(lab: &Lab, node: &str, interface: &str, addresses: &[String]) {
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
    format!("router id {id};\nlog stderr all;\nprotocol device {{ scan time 1; }}\n{BFD}\n")
}

/// BIRD beside a responder, which announces the service address to `peers`: their nodes and AS numbers, each by the
/// address that the kernel has there.
pub(crate) fn announcer(lab: &Lab, id: IpAddr, peers: &[(&str, u32, [IpAddr; 2])]) -> String {
    let mut text = beginning(id);
    for (family, service) in Family::ALL.into_iter().zip(SERVICE) {
        let (channel, suffix) = of(family, &[("ipv4", "4"), ("ipv6", "6")]);
        let length = of(family, &LENGTH);
        writeln!(
            text,
            "protocol static service_{suffix} {{ disabled; {channel}; route {service}{length} blackhole; }}"
        )
        .unwrap();
        for (peer, number, own) in peers {
            let ends = [(*of(family, own), AS[0]), (lab.address(peer, family), *number)];
            text += &session(
                peer,
                family,
                ends,
                "bfd on;",
                "import none; export where source = RTS_STATIC; next hop self;",
            );
        }
    }
    text
}

/// BIRD on R2 or R3: hears of the service address from the responder's kernel and tells R1.
pub(crate) fn border(lab: &Lab, node: &str, number: u32, responder: [IpAddr; 2]) -> String {
    let mut text = beginning(lab.address(node, Family::V4)) + &to_the_kernel("");
    for family in Family::ALL {
        let own = (lab.address(node, family), number);
        let ends = [own, (*of(family, &responder), AS[0])];
        text += &session("responder", family, ends, "bfd on;", "import all; export none;");
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
pub(crate) fn core(lab: &Lab) -> String {
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
pub(crate) fn await_routes(lab: &Lab, routers: &[&str]) {
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
pub(crate) fn trace(lab: &Lab, hops: &[&str]) {
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
pub(crate) fn end(mut responder: Process) -> Counters {
    responder.signal(Signal::INT);
    let ended = responder.stop();
    assert_eq!(ended.status.code(), Some(0), "{}\n{}", ended.stdout, ended.stderr);
    let counters = Counters::parse(&ended.stdout);
    counters.check_sums();
    counters
}

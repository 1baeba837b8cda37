//! The exception path: BIRD beside `otherhalfd`, on the same ports and hardware addresses, announces the responder's
//! service address to routers by BGP. Needs root and Debian's BIRD (`scripts/setup --test`).

mod kit;

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use kit::announced::{
    AS, PortOf, SERVICE, address, announcer, await_routes, border, core, end, own, respond, socket,
    trace,
};
use kit::bench::{build, program, topology};
use kit::bird::{self, Bird, until};
use kit::client::{Client, Said};
use kit::counters::Counters;
use kit::exchange::PROTOCOLS;
use kit::packet::syn;
use kit::process::Process;
use kit::{of, output};
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use otherhalf_engine::Outcome;
use otherhalf_lab::{Family, Lab};
use otherhalf_wire::probe::Protocol;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

/// Two responders with one address and one secret, each behind a router of its own, with a BIRD beside it that has an
/// address of its own; and R1, which balances over both.
struct Pair {
    birds: Vec<Bird>,
    responders: [Process; 2],
    folder: TempDir,
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
        for bird in birds.iter().skip(2).step_by(2) {
            for family in ["4", "6"] {
                bird.ask(&format!("enable service_{family}"));
            }
        }
        await_routes(&lab, &["R2", "R3"]);
        Self { birds, responders, folder, lab }
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

    /// How many frames have ended by now as `wanted`.
    #[track_caller]
    fn count(&self, wanted: impl Fn(&str) -> bool) -> u64 {
        let count = |(node, ..): &(&str, &str, u32)| {
            let text = ctl(&socket(self.folder.path(), node), &["--json", "stats"]);
            let stats: Value = serde_json::from_str(&text).unwrap();
            let outcomes = stats["outcomes"].as_object().unwrap();
            let counts = outcomes.iter().filter(|(name, _)| wanted(name));
            counts.map(|(_, count)| count.as_u64().unwrap()).sum::<u64>()
        };
        PAIR.iter().map(count).sum()
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
    for counters in pair.end(asked + 18) {
        assert_eq!(counters.outcome(Outcome::DropUnmatched), 0, "{counters:?}");
    }
}

#[test]
fn bird_takes_the_example() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dpdk-config/bird/bird.conf");
    output(Command::new(bird::program("bird")).arg("-p").arg("-c").arg(file));
}

#[test]
fn a_responder_that_dies_is_left_out() {
    let pair = Pair::start("0");
    let Pair { responders: [first, second], lab, birds: _birds, folder: _folder } = pair;
    // By SIGKILL: the interface of the kernel is gone, BIRD beside it can tell nobody, and BFD ends the session.
    drop(first);
    await_routes(&lab, &["R3"]);
    trace(&lab, &["R3", "R1"]);
    end(second);
}

#[test]
fn a_thread_of_the_kernels_interfaces_that_hangs_ends_the_program() {
    let lab = build(&topology("exchange.toml"));
    let folder = TempDir::new().unwrap();
    let mut responder =
        respond(&lab, folder.path(), &[PortOf { node: "www", number: 0, kernel: "" }]);
    let tasks = fs::read_dir(format!("/proc/{}/task", responder.id())).unwrap();
    let is_it =
        |task: &PathBuf| fs::read_to_string(task.join("comm")).unwrap().trim() == "kernel-ferry";
    let task = tasks.map(|task| task.unwrap().path()).find(is_it).expect("the thread");
    let thread = Pid::from_raw(task.file_name().unwrap().to_str().unwrap().parse().unwrap());
    // Stops this thread and no other; one that has panicked makes no turns either.
    ptrace::seize(thread, ptrace::Options::empty()).unwrap();
    ptrace::interrupt(thread).unwrap();
    let start = Instant::now();
    responder.wait_for("the thread of the kernel's interfaces hangs or has panicked: ");
    // 800 ms, and a machine that is busy.
    assert!(start.elapsed() < Duration::from_secs(5), "after {:?}", start.elapsed());
    // A traced thread ends when its tracer has seen it.
    while !matches!(
        waitpid(thread, Some(WaitPidFlag::__WALL)),
        Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(_)
    ) {}
    assert_eq!(responder.end().status.code(), Some(1));
}

#[test]
fn behind_a_router_that_hashes_ports() {
    // An error goes by the ports or the address of whoever sends it, so to either responder. The one that has sent no such
    // probe drops it, by its right name: with one secret, what is not ours looks like ours.
    let pair = Pair::start("1");
    let asked: u64 = Family::ALL.map(|family| pair.ask(family, false)).iter().sum();
    let ended = |name: &str| name.starts_with("response_") || name == "drop_unmatched";
    until(|| pair.count(ended) == asked, || format!("{} of {asked}", pair.count(ended)));
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

#[test]
fn the_service_address_is_announced_to_two_routers() {
    let lab = build(&topology("exchange.toml"));
    let folder = TempDir::new().unwrap();
    // The kernel shares the responder's addresses.
    let kernel = "tcp = [179, 22]\nudp = [3784]\nframes_per_second = 1000";
    let ports = [("www", 0), ("www2", 1)].map(|(node, number)| PortOf { node, number, kernel });
    let mut responder = respond(&lab, folder.path(), &ports);
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
    await_routes(&lab, &[]);
    let socket = socket(folder.path(), "www");
    a_stranger_is_refused(folder.path(), &socket);
    let mut follower = follow(&lab, "www", &socket, &beside);
    follower.wait_for("enabled");
    await_routes(&lab, &["R2", "R3"]);
    trace(&lab, &["R2", "R1"]);

    a_connection_from_afar(&lab);
    a_flood_for_the_kernel(&lab);
    beside.await_sessions(4);
    trace(&lab, &["R2", "R1"]);

    // Withdrawn while it drains: the sessions stay.
    ctl(&socket, &["drain"]);
    await_routes(&lab, &[]);
    assert_eq!(r2.sessions(), 4);
    ctl(&socket, &["undrain"]);
    await_routes(&lab, &["R2", "R3"]);
    trace(&lab, &["R2", "R1"]);
    // The same for an end by the service manager, before the responder ends; it still answers whoever comes.
    responder.signal(Signal::TERM);
    await_routes(&lab, &[]);
    assert_eq!(r2.sessions(), 4);
    let counters = end(responder);
    assert_eq!(counters.outcome(Outcome::DropDraining), 0, "{counters:?}");
    // A follower that ends withdraws as well.
    assert_eq!(follower.stop().status.code(), Some(0));
    assert!(counters.outcome(Outcome::KernelPassed) > 100, "{counters:?}");
    assert!(counters.get("kernel_told") > 0 && counters.get("kernel_refused") == 0, "{counters:?}");
    assert!(counters.outcome(Outcome::DropKernelBudget) > 0, "{counters:?}");
    assert_eq!(counters.outcome(Outcome::DropKernelFull), 0, "{counters:?}");
}

/// Has BIRD in `node` follow the responder there, as `dpdk-config/bird/announce` does it.
#[track_caller]
fn follow(lab: &Lab, node: &str, socket: &Path, bird: &Bird) -> Process {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dpdk-config/bird/announce");
    let [ctl, birdcl] = [program("otherhalfctl", "otherhalf-control"), bird::program("birdcl")];
    let folders = [ctl, birdcl].map(|program| program.parent().unwrap().display().to_string());
    let path = format!("{}:{}", folders.join(":"), std::env::var("PATH").unwrap_or_default());
    let mut command = lab.command(node, script.to_str().unwrap());
    command.arg("-s").arg(socket).arg("-b").arg(bird.socket());
    command.args(["service_4", "service_6"]).env("PATH", path);
    Process::start(lab, &mut command)
}

/// Another user is refused by the file mode of the control socket, and by nothing else: with another mode, he is served.
#[track_caller]
fn a_stranger_is_refused(folder: &Path, socket: &Path) {
    const NOBODY: u32 = 65534;
    // Where he may read: the program, and the way to the socket.
    let own = folder.join("otherhalfctl");
    fs::copy(program("otherhalfctl", "otherhalf-control"), &own).unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let before = fs::metadata(folder).unwrap().permissions();
    mode(folder, 0o755);
    let ask = || {
        let mut command = Command::new(&own);
        command.uid(NOBODY).gid(NOBODY).arg("--socket").arg(socket).arg("pending");
        command.output().unwrap()
    };
    let refused = ask();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(
        said.contains("not allowed to talk to otherhalfd") && refused.stdout.is_empty(),
        "{said}"
    );
    mode(socket, 0o666);
    let served = ask();
    assert!(served.status.success(), "{}", String::from_utf8_lossy(&served.stderr));
    mode(socket, 0o660);
    assert_eq!(ask().status.code(), Some(1));
    fs::set_permissions(folder, before).unwrap();
}

/// What `otherhalfctl` says.
#[track_caller]
fn ctl(socket: &Path, arguments: &[&str]) -> String {
    let program = program("otherhalfctl", "otherhalf-control");
    output(Command::new(program).arg("--socket").arg(socket).args(arguments))
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

/// More segments for BGP than the budget allows, from somebody who is no neighbour; and requests among them, each answered.
#[track_caller]
fn a_flood_for_the_kernel(lab: &Lab) {
    const SEGMENTS: u16 = 200;
    let (www, own) = (lab.address("www", Family::V4), lab.address("client", Family::V4));
    let mut client = Client::open(lab, own, www);
    for wave in 0..20 {
        for number in 0..SEGMENTS {
            client.send_packet(&syn(own, www, [1024 + wave * SEGMENTS + number, 179]));
        }
        let request = client.request(client.number(Protocol::Udp), 1, 33434);
        let start = Instant::now();
        client.send(request);
        let hop = lab.address("R2", Family::V4);
        client.receive_hop(request.identifier, hop, start, "a request in a flood");
    }
}

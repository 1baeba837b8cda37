//! Real networks, measured by the system's own tools. Needs root; fails without.

use std::fs;
use std::io;
use std::net::{Shutdown, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use otherhalf_lab::{Error, Family, Filter, Kind, Lab, Protocol, Topology};
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

/// More than a few milliseconds, as this may run beside builds; far less than the delay.
const NEAR_MS: f64 = 290.0;
const DELAY_MS: f64 = 300.0;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lab").join(name)
}

/// The lab, or a failed test with the sentence that says why, such as a missing sudo.
#[track_caller]
fn told(lab: otherhalf_lab::Result<Lab>) -> Lab {
    lab.unwrap_or_else(|error| panic!("{error}"))
}

/// The topology with a kernel host in the place of the responder.
fn with_kernel_www(name: &str) -> Topology {
    let mut topology = Topology::read(file(name)).unwrap();
    topology.node_mut("www").unwrap().kind = Kind::Host;
    topology
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// The hops of the system's traceroute: the name and address, or what it prints instead, and the time.
fn trace(lab: &Lab, from: &str, to: &str, arguments: &[&str]) -> Vec<(String, Option<f64>)> {
    let mut command = lab.command(from, "traceroute");
    command.args(["-q", "1", "-w", "2", "-m", "8"]).args(arguments).arg(to);
    let hop = |line: &str| {
        let words: Vec<_> = line.split_whitespace().skip(1).collect();
        match words[..] {
            [name, address, time, "ms", ..] => (format!("{name} {address}"), time.parse().ok()),
            _ => (words.join(" "), None),
        }
    };
    output(&mut command).lines().skip(1).map(hop).collect()
}

/// The hops by the nodes' names, checked to carry the nodes' addresses, with the times.
fn trace_nodes(lab: &Lab, from: &str, to: &str, family: Family) -> Vec<(String, f64)> {
    let nodes = &lab.topology().nodes;
    let to = nodes.iter().find(|node| node.name == to).unwrap().display_name();
    let hops = trace(lab, from, to, &[family.flag()]);
    hops.into_iter()
        .map(|(shown, time)| {
            let node = nodes
                .iter()
                .find(|n| shown == format!("{} ({})", n.display_name(), n.address(family)))
                .unwrap_or_else(|| panic!("no node is shown as {shown}"));
            (node.name.clone(), time.unwrap())
        })
        .collect()
}

#[track_caller]
fn assert_trace(hops: &[(String, f64)], near: &[&str], far: &[&str]) {
    let names: Vec<_> = hops.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, [near, far].concat());
    for (name, time) in hops {
        let expected =
            if near.contains(&name.as_str()) { 0.0..NEAR_MS } else { DELAY_MS..DELAY_MS + NEAR_MS };
        assert!(expected.contains(time), "{name} at {time} ms, not in {expected:?}: {hops:?}");
    }
}

#[test]
fn the_way_there_and_the_way_back_differ_and_the_delay_is_where_the_file_says() {
    let lab = told(Lab::build(&with_kernel_www("asymmetric.toml")));
    for family in Family::ALL {
        assert_trace(&trace_nodes(&lab, "client", "www", family), &["A", "B", "C"], &["D", "www"]);
        assert_trace(&trace_nodes(&lab, "www", "client", family), &["D", "E"], &["F", "client"]);
    }
}

#[test]
fn all_nodes_reach_each_other_at_once() {
    // Not vlan.toml: a kernel without VLANs takes no tagged frames.
    for name in ["asymmetric.toml", "line.toml", "direct.toml"] {
        let mut topology = with_kernel_www(name);
        topology.links.iter_mut().for_each(|link| link.delay_ms = 0);
        let lab = told(Lab::build(&topology));
        for from in &topology.nodes {
            let targets = topology.nodes.iter().flat_map(|n| Family::ALL.map(|f| n.address(f)));
            for target in targets {
                let target = target.to_string();
                output(lab.command(&from.name, "ping").args(["-c", "1", "-W", "2", &target]));
            }
        }
    }
}

#[test]
fn no_frame_crosses_the_delayed_link_early() {
    let lab = told(Lab::up(file("asymmetric.toml")));
    for family in Family::ALL {
        let target = lab.address("F", family).to_string();
        let text = output(lab.command("E", "ping").args(["-c", "20", "-i", "0.1", &target]));
        let times: Vec<f64> = text
            .lines()
            .filter_map(|line| line.split_once("time=")?.1.split(' ').next()?.parse().ok())
            .collect();
        assert_eq!(times.len(), 20, "{text}");
        // There and back; a thread of ours carries them, and may have to wait for its core.
        let least = times.iter().copied().fold(f64::MAX, f64::min);
        assert!((2.0 * DELAY_MS..2.0 * DELAY_MS + NEAR_MS).contains(&least), "{text}");
    }
}

#[test]
fn a_filtering_router_answers_admin_prohibited_and_a_silent_one_nothing() {
    let mut topology = with_kernel_www("line.toml");
    topology.node_mut("R2").unwrap().silent = true;
    let filter = |protocol| Filter { protocol, to: "client".to_owned() };
    topology.node_mut("R1").unwrap().filter = [Protocol::Udp, Protocol::Tcp].map(filter).into();
    let lab = told(Lab::build(&topology));
    for family in Family::ALL {
        for (method, expected) in [("-U", "!X"), ("-T", "!X"), ("-I", "")] {
            let text = output(
                lab.command("www", "traceroute")
                    .args(["-n", "-q", "1", "-w", "1", "-m", "4"])
                    .args([family.flag(), method, "client"]),
            );
            let hops: Vec<_> = text.lines().skip(1).collect();
            assert!(hops[0].trim_end().ends_with('*'), "R2 is silent: {text}");
            assert!(hops[1].contains(&lab.address("R1", family).to_string()), "{text}");
            // Traceroute's own marks: time exceeded comes first, then the refusal one hop on.
            let last = hops.last().unwrap();
            let answered = if expected.is_empty() { "client" } else { "R1" };
            assert!(last.contains(&lab.address(answered, family).to_string()), "{text}");
            assert!(
                last.trim_end().ends_with(if expected.is_empty() { "ms" } else { expected }),
                "{text}"
            );
        }
        // What is refused is only what goes to the client.
        let to_www = trace(&lab, "client", "www", &["-n", family.flag()]);
        assert_eq!(to_www.len(), 3, "{to_www:?}");
    }
}

#[test]
fn a_socket_opened_within_a_node_is_there() {
    let lab = told(Lab::build(&with_kernel_www("line.toml")));
    for family in Family::ALL {
        let address = lab.address("client", family);
        let listener = lab.within("client", || TcpListener::bind((address, 0))).unwrap().unwrap();
        let open = listener.local_addr().unwrap();
        let connect = || std::net::TcpStream::connect_timeout(&open, Duration::from_secs(2));
        lab.within("www", connect).unwrap().unwrap().shutdown(Shutdown::Both).unwrap();
        drop(listener);
        let refused = lab.within("www", connect).unwrap().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }
}

/// Makes the interface that a DPDK program would make, in the responder's namespace.
fn make_tap(lab: &Lab, mac: [u8; 6]) -> SyncDevice {
    let make = || DeviceBuilder::new().name("dtap0").layer(Layer::L2).mac_addr(mac).build_sync();
    let tap = lab.within("www", make).unwrap().unwrap();
    tap.set_nonblocking(true).unwrap();
    tap
}

/// The first frame to `destination` that the tap's program gets within two seconds.
fn frame_to(tap: &SyncDevice, destination: [u8; 6]) -> Option<Vec<u8>> {
    let deadline = Instant::now() + Duration::from_secs(2);
    let mut buffer = [0; 2048];
    while Instant::now() < deadline {
        match tap.recv(&mut buffer) {
            Ok(len) if buffer[..6] == destination => return Some(buffer[..len].to_vec()),
            Ok(_) => {}
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
    None
}

#[test]
fn the_tap_of_a_program_is_the_neighbour_of_the_last_router() {
    // The kernel's end has the same address as the program's, as with DPDK's net_tap.
    let mac = [0x02, 0, 0, 0, 0, 0x02];
    for (name, offset) in [("line.toml", 0), ("vlan.toml", 4)] {
        let lab = told(Lab::up(file(name)));
        // Twice: the program may end and start again.
        for _ in 0..2 {
            let tap = make_tap(&lab, mac);
            lab.attach("www", Duration::from_secs(1)).unwrap();
            let www = lab.address("www", Family::V4).to_string();
            let neighbour =
                ["neighbour", "replace", &www, "lladdr", "02:00:00:00:00:02", "dev", "to-www"];
            output(lab.command("R2", "ip").args(neighbour));
            let _ping = lab
                .spawn(lab.command("client", "ping").args(["-c", "1", "-W", "1", &www]))
                .unwrap();
            let mut frame = frame_to(&tap, mac).expect("the ping reaches the tap");
            assert_eq!(frame.len(), 14 + offset + 84, "{frame:?}");
            if offset > 0 {
                assert_eq!(frame[12..16], [0x81, 0x00, 0, 100]);
            }
            // Back as a ping from www: swapping the addresses leaves the checksums as they are.
            let ip = 14 + offset;
            let (destination, source) = frame[..12].split_at_mut(6);
            destination.swap_with_slice(source);
            let (source, destination) = frame[ip + 12..ip + 20].split_at_mut(4);
            source.swap_with_slice(destination);
            let answers = || icmp_received(&lab);
            let before = answers();
            tap.send(&frame).unwrap();
            let deadline = Instant::now() + Duration::from_secs(2);
            while answers() == before && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(5));
            }
            assert!(answers() > before, "the frame from the tap reaches the client");
        }
    }
}

/// ICMP messages that the client's kernel received.
fn icmp_received(lab: &Lab) -> u64 {
    let snmp =
        lab.within("client", || fs::read_to_string("/proc/thread-self/net/snmp")).unwrap().unwrap();
    let values = snmp.lines().filter(|line| line.starts_with("Icmp: ")).nth(1).unwrap();
    values.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn attaching_what_does_not_come_is_bounded() {
    let lab = told(Lab::up(file("direct.toml")));
    let error = lab.attach("www", Duration::from_millis(50)).unwrap_err();
    assert!(matches!(error, Error::NoInterface { .. }), "{error}");
    let error = lab.attach("client", Duration::from_millis(50)).unwrap_err();
    assert!(matches!(error, Error::NotResponder(_)), "{error}");
}

fn traces_of(lab: &str) -> Vec<PathBuf> {
    let begins =
        |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(lab));
    ["/run/netns", "/etc/netns", "/run/otherhalf-lab"]
        .iter()
        .flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .filter(begins)
        .collect()
}

#[test]
fn a_panic_takes_the_network_down_with_its_processes() {
    let lab = told(Lab::up(file("asymmetric.toml")));
    let name = lab.name().to_owned();
    assert!(!traces_of(&name).is_empty());
    let mut sleep = lab.command("A", "sleep").arg("100").spawn().unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        let _lab = lab;
        panic!("as a failing test does");
    }));
    assert!(panicked.is_err());
    assert_eq!(traces_of(&name), Vec::<PathBuf>::new());
    assert!(!sleep.wait().unwrap().success());
}

#[test]
fn a_failure_half_way_is_undone() {
    let mut topology = with_kernel_www("asymmetric.toml");
    // Sound to us, refused by the kernel once all the rest is there: the same route twice.
    let own = topology.node("www").unwrap().address(Family::V4).into();
    topology.networks.insert("own".to_owned(), vec![own, own]);
    topology.node_mut("www").unwrap().routes.insert("own".to_owned(), "D".into());
    let name = format!("half{}", std::process::id());
    let program = Path::new(env!("CARGO_BIN_EXE_otherhalf-lab"));
    let error = Lab::start(&topology, &name, program).unwrap_err();
    assert!(matches!(&error, Error::Command { .. }), "{error}");
    assert_eq!(traces_of(&name), Vec::<PathBuf>::new());
}

#[test]
fn two_labs_stand_side_by_side_and_a_name_is_taken_once() {
    let topology = Topology::read(file("line.toml")).unwrap();
    let first = told(Lab::build(&topology));
    let second = told(Lab::build(&topology));
    assert_ne!(first.name(), second.name());
    let program = Path::new(env!("CARGO_BIN_EXE_otherhalf-lab"));
    let error = Lab::start(&topology, first.name(), program).unwrap_err();
    assert!(matches!(error, Error::Exists(_)), "{error}");
    drop(second);
    let r1 = first.address("R1", Family::V6).to_string();
    output(first.command("client", "ping").args(["-c", "1", "-W", "2", &r1]));
}

//! Questions to a real name server (dnsmasq) in a network of kernel routers. Needs root; fails without.

use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use otherhalf_client::names::{Names, Sources, Systems};
use otherhalf_lab::{Guard, Kind, Lab, Topology};
use serde_json::Value;

const OTHERHALF: &str = env!("CARGO_BIN_EXE_otherhalf");
const WWW: &str = "www.example.com";
const SERVER: &str = "127.0.0.1:53";

/// client, R1, R2, www in a row, and a name server at the client.
struct Network {
    lab: Lab,
    log: PathBuf,
    _server: Guard,
    _folder: tempfile::TempDir,
}

/// The name server's records. It makes two strings of a text with a comma: they belong together.
const RECORDS: &[&str] = &[
    "--ptr-record=1.100.51.198.in-addr.arpa,ae1.r1.example.net",
    "--ptr-record=1.2.0.192.in-addr.arpa,ae2.r2.example.net",
    "--ptr-record=1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.b.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa,six.r2.example.net",
    "--txt-record=1.100.51.198.origin.asn.cymru.com,64500 | 198.51.100.0/24 | ZZ | iana | 2010-01-01",
    "--txt-record=1.2.0.192.origin.asn.cymru.com,64999 | 192.0.0.0/16 | ZZ | iana | 2010-01-01",
    "--txt-record=1.2.0.192.origin.asn.cymru.com,64501 64502 | 192.0.2.0/24 | ZZ | iana | 2010-01-01",
    "--txt-record=1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.b.0.0.0.8.b.d.0.1.0.0.2.origin6.asn.cymru.com,64501 | 2001:db8::/32 | ZZ | iana | 2010-01-01",
    "--txt-record=AS64500.asn.cymru.com,64500 | ZZ | iana | 2010-01-01 | EXAMPLE-A, ZZ",
    "--txt-record=AS64501.asn.cymru.com,64501 | ZZ | iana | 2010-01-01 | EXAMPLE-B, ZZ",
];

impl Network {
    fn up() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/line.toml");
        let mut topology = Topology::read(file).unwrap();
        topology.node_mut("www").unwrap().kind = Kind::Host;
        let lab = Lab::build(&topology).unwrap_or_else(|error| panic!("{error}"));
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("queries");
        let mut command = lab.command("client", "dnsmasq");
        command.args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
        ]);
        command.args(["--listen-address=127.0.0.1", "--bind-interfaces", "--user=root"]);
        command.args(["--pid-file=", "--local=/#/", "--log-queries"]);
        command.arg(format!("--log-facility={}", log.display()));
        command.args(RECORDS);
        let server = lab.spawn(command.stderr(Stdio::inherit())).unwrap();
        let network = Self { lab, log, _server: server, _folder: folder };
        network.etc("hosts", &format!("192.0.2.80 {WWW}\n2001:db8:b::80 {WWW}\n"));
        network.etc("resolv.conf", "nameserver 127.0.0.1\n");
        network.await_server();
        network
    }

    /// Replaces a file of the client's `/etc`.
    fn etc(&self, file: &str, text: &str) {
        let folder = Path::new("/etc/netns").join(self.lab.namespace("client"));
        fs::write(folder.join(file), text).unwrap();
    }

    /// Asks until the server answers.
    fn await_server(&self) {
        let answered = self.lab.within("client", || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(SERVER).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            // The root's name servers: a header that asks one question, an empty name, NS, IN.
            let question = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\0\0\x02\0\x01";
            (0..100).any(|_| {
                let sent = socket.send(question).is_ok();
                if !(sent && socket.recv(&mut [0; 512]).is_ok()) {
                    thread::sleep(Duration::from_millis(50));
                    return false;
                }
                true
            })
        });
        assert!(answered.unwrap(), "dnsmasq does not answer: is dnsmasq-base installed?");
    }

    fn otherhalf(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } =
            self.lab.command("client", OTHERHALF).args(arguments).output().unwrap();
        let [out, err] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
        assert_eq!(status.code(), Some(0), "{out}{err}");
        out
    }

    /// What the server was asked so far.
    fn asked(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

#[test]
fn names_by_reverse_dns_and_the_hosts_file_first() {
    let network = Network::up();
    let text = network.otherhalf(&["forward", "-q", "1", "-4", WWW]);
    for (ttl, who) in [
        (1, "ae1.r1.example.net (198.51.100.1)"),
        (2, "ae2.r2.example.net (192.0.2.1)"),
        (3, "www.example.com (192.0.2.80)"),
    ] {
        let begin = format!("{ttl:2}  {who}  ");
        assert!(text.lines().nth(ttl).unwrap().starts_with(&begin), "{text}");
    }
    let text = network.otherhalf(&["forward", "-q", "1", "-6", WWW]);
    // No name for R1's address: twice the address, as traceroute has it.
    assert!(text.contains(" 1  2001:db8:a::1 (2001:db8:a::1)  "), "{text}");
    assert!(text.contains(" 2  six.r2.example.net (2001:db8:b::1)  "), "{text}");
    let asked = network.asked();
    assert!(asked.contains("1.2.0.192.in-addr.arpa"), "{asked}");
    assert!(!asked.contains("80.2.0.192.in-addr.arpa"), "the hosts file knows it: {asked}");
    network.otherhalf(&["forward", "-q", "1", "-4", "-n", WWW]);
    assert_eq!(network.asked(), asked, "-n asks nobody");
}

#[test]
fn systems_by_team_cymrus_zone() {
    let network = Network::up();
    let sources = Sources {
        systems: Systems::Cymru,
        servers: Some(vec![SERVER.parse().unwrap()]),
        // Documentation addresses stand for the Internet's.
        is_asked: |_| true,
        ..Sources::default()
    };
    let [r1, r2, six, www]: [IpAddr; 4] =
        ["198.51.100.1", "192.0.2.1", "2001:db8:b::1", "192.0.2.80"].map(|a| a.parse().unwrap());
    let names = network.lab.within("client", || {
        let mut names = Names::of(sources);
        for address in [r1, r2, six, www] {
            names.look_up(address);
        }
        let start = Instant::now();
        names.wait(Duration::from_secs(10));
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "a server that answers is not waited for"
        );
        names
    });
    let names = names.unwrap();
    for (address, name, asn, called) in [
        (r1, "ae1.r1.example.net", 64500, "EXAMPLE-A ZZ"),
        (r2, "ae2.r2.example.net", 64501, "EXAMPLE-B ZZ"),
        (six, "six.r2.example.net", 64501, "EXAMPLE-B ZZ"),
    ] {
        let host = names.host(address).unwrap();
        assert_eq!(host.name.as_deref(), Some(name));
        assert_eq!((host.asn, host.as_name.as_deref()), (Some(asn), Some(called)));
    }
    assert_eq!(names.tag(r2), "[AS64501]");
    assert_eq!((names.host(www), names.tag(www).as_str()), (None, "[*]"));
    let asked = network.asked();
    let questions = asked.matches("query[TXT] AS64501.asn.cymru.com").count();
    assert_eq!(questions, 1, "each system is asked for once: {asked}");
}

#[test]
fn nobody_is_asked_about_private_and_documentation_addresses() {
    let network = Network::up();
    let text = network.otherhalf(&["forward", "-q", "1", "-4", "--asn", WWW]);
    assert!(text.contains("ae2.r2.example.net (192.0.2.1) [*]  "), "{text}");
    assert!(!network.asked().contains("cymru"), "{}", network.asked());
}

#[test]
fn systems_and_exchanges_by_files_in_text_and_json() {
    let network = Network::up();
    let folder = tempfile::tempdir().unwrap();
    let [systems, exchanges] =
        ["systems.tsv", "exchanges.csv"].map(|file| folder.path().join(file));
    fs::write(&systems, "192.0.2.0\t192.0.2.255\t64500\tZZ\tEXAMPLE Network\n").unwrap();
    fs::write(&exchanges, "192.0.2.0/28,Example-IX\n").unwrap();
    let [as_file, ixp_file] = [&systems, &exchanges].map(|path| path.to_str().unwrap());
    let files = ["--as-file", as_file, "--ixp-file", ixp_file, WWW];
    let text = network.otherhalf(&[&["forward", "-q", "1", "-4", "-n"], &files[..]].concat());
    let lines: Vec<_> = text.lines().skip(1).collect();
    assert!(lines[0].starts_with(" 1  198.51.100.1 [*]  "), "{text}");
    assert!(lines[1].starts_with(" 2  192.0.2.1 [AS64500] [Example-IX]  "), "{text}");
    assert!(lines[2].starts_with(" 3  192.0.2.80 [AS64500]  "), "{text}");
    assert_eq!(
        network.asked().matches("query[").count(),
        network.asked().matches("query[NS]").count()
    );

    let text = network.otherhalf(&[&["forward", "-q", "1", "-4", "--json"], &files[..]].concat());
    let document: Value = serde_json::from_str(&text).unwrap();
    let host = &document["hosts"]["192.0.2.1"];
    assert_eq!(host["name"], "ae2.r2.example.net");
    assert_eq!(host["asn"], 64500);
    assert_eq!(host["as_name"], "EXAMPLE Network");
    assert_eq!(host["ixp"], "Example-IX");
}

#[test]
fn a_broken_resolver_costs_the_names_and_a_second() {
    let network = Network::up();
    // Nobody there; nothing listens; no such file form.
    for resolv_conf in ["nameserver 192.0.2.99\n", "nameserver 127.0.0.9\n", "", "nameserver\n"] {
        network.etc("resolv.conf", resolv_conf);
        let start = Instant::now();
        let text = network.otherhalf(&["forward", "-q", "1", "-4", WWW]);
        let took = start.elapsed();
        assert!(took < Duration::from_millis(4500), "{resolv_conf:?}: {took:?}");
        assert!(text.contains(" 2  192.0.2.1 (192.0.2.1)  "), "{text}");
        assert!(text.contains(" 3  www.example.com (192.0.2.80)  "), "{text}");
    }
}

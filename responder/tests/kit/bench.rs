//! A network with a responder in it, and what is expected of the responder's counters.

use std::fs;
use std::net::IpAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use otherhalf_engine::Outcome;
use otherhalf_lab::{Family, Lab, Topology};
use otherhalf_wire::ethernet::Mac;
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::trace::{Refusal, Request};
use rustix::process::Signal;
use tempfile::TempDir;

use super::client::{Client, Said};
use super::counters::{Counters, Tally};
use super::packet::RESPONDER_MAC;
use super::process::Process;
use super::{of, output};

/// The interface of the second port.
const SECOND_TAP: &str = "dtap1";
const SECOND_MAC: Mac = Mac([2, 0, 0, 0, 0, 0x82]);

/// How long the responder's tap may take to appear.
const TAP_LIMIT: Duration = Duration::from_secs(10);

/// A second port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Second {
    /// There is none.
    None,
    /// A tap, in the namespace of `www2`. The program, in another one, can't see its link.
    TapThere,
    /// A tap, in the namespace of the program, where the cable of `www2` is brought.
    TapHere,
    /// That cable itself, with one queue.
    Cable,
}

/// How a responder is configured.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Its port, without the hardware address.
    pub(crate) device: String,
    pub(crate) huge_pages: bool,
    pub(crate) vlan: Option<u16>,
    /// A second port, which has the addresses of the node `www2`.
    pub(crate) second: Second,
    /// The node whose default routes it has.
    pub(crate) routes_of: Option<&'static str>,
    /// `reply.path`.
    pub(crate) reply_path: &'static str,
    pub(crate) workers: usize,
    /// `drain.deadline_ms`: most tests wait for all answers themselves, and leave probes that get none.
    pub(crate) drain_ms: u64,
    /// Keys of its `[eal]`.
    pub(crate) eal_keys: &'static str,
    /// Keys of its first port.
    pub(crate) port_keys: &'static str,
    /// Whatever else its configuration has.
    pub(crate) more: &'static str,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            device: "net_tap0,iface=dtap0".to_owned(),
            huge_pages: false,
            vlan: None,
            second: Second::None,
            routes_of: Some("www"),
            reply_path: "route",
            workers: 1,
            drain_ms: 0,
            eal_keys: "",
            port_keys: "",
            more: "",
        }
    }
}

/// A network that is up, with a responder and both clients.
pub(crate) struct Bench {
    clients: [Client; 2],
    expected: Tally,
    // In this order they end: the responder, its configuration, the network around it.
    responder: Process,
    folder: TempDir,
    pub(crate) lab: Lab,
}

/// A topology of the project.
pub(crate) fn topology(name: &str) -> Topology {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab").join(name);
    Topology::read(file).unwrap_or_else(|error| panic!("{error}"))
}

/// Brings a network up; the sentence says why it can't, such as a missing sudo.
#[track_caller]
pub(crate) fn build(topology: &Topology) -> Lab {
    Lab::build(topology).unwrap_or_else(|error| panic!("{error}"))
}

/// The program of another package, which must have been built to the same folder.
#[track_caller]
pub(crate) fn program(name: &str, package: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_otherhalfd")).with_file_name(name);
    assert!(path.exists(), "there is no {}: run cargo build -p {package} first", path.display());
    path
}

/// A name that no other DPDK process of this machine has.
pub(crate) fn file_prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("oh-e2e-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Bench {
    /// A responder on a tap in a new network.
    #[track_caller]
    pub(crate) fn on_tap(topology: &Topology, settings: &Settings) -> Self {
        Self::start(build(topology), settings)
    }

    /// A responder with `settings` in the node `www` of `lab`.
    #[track_caller]
    pub(crate) fn start(lab: Lab, settings: &Settings) -> Self {
        if settings.second == Second::Cable {
            move_second_cable(&lab);
        }
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("otherhalfd.toml");
        fs::write(&path, configuration(&lab, settings)).unwrap();
        let mut command = lab.command("www", env!("CARGO_BIN_EXE_otherhalfd"));
        command.arg("--config").arg(&path).env_remove("RUST_LOG");
        let mut responder = Process::start(&lab, &mut command);
        responder.wait_for(" ready");
        lab.attach("www", TAP_LIMIT).unwrap_or_else(|error| panic!("{error}"));
        match settings.second {
            Second::None | Second::Cable => {}
            Second::TapHere => second_cable_here(&lab),
            Second::TapThere => {
                let there = ["link", "set", SECOND_TAP, "netns", &lab.namespace("www2")];
                output(lab.command("www", "ip").args(there));
                lab.attach("www2", TAP_LIMIT).unwrap_or_else(|error| panic!("{error}"));
            }
        }
        Self::around(lab, responder, folder)
    }

    /// Around a responder that is ready in the node `www`: `responder` prints at its end what that counted. `folder` has its
    /// files.
    #[track_caller]
    pub(crate) fn around(lab: Lab, responder: Process, folder: TempDir) -> Self {
        let clients = clients(&lab, "www");
        Self { clients, expected: Tally::default(), responder, folder, lab }
    }

    /// Writes a file beside the responder's configuration.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Has the configuration read again, and does not wait for it.
    pub(crate) fn begin_reload(&mut self) {
        self.responder.signal(Signal::HUP);
    }

    /// Adds `text` to the responder's configuration, and has that read again.
    #[track_caller]
    pub(crate) fn reload(&mut self, text: &str) {
        self.rewrite(|configuration| configuration + text);
    }

    /// Writes `new` for `old`, which must be there, in the responder's configuration, and has that read again.
    #[track_caller]
    pub(crate) fn change(&mut self, old: &str, new: &str) {
        self.rewrite(|configuration| {
            assert!(configuration.contains(old), "{configuration}");
            configuration.replace(old, new)
        });
    }

    #[track_caller]
    fn rewrite(&mut self, edit: impl FnOnce(String) -> String) {
        let path = self.folder.path().join("otherhalfd.toml");
        fs::write(&path, edit(fs::read_to_string(&path).unwrap())).unwrap();
        self.responder.signal(Signal::HUP);
        self.responder.wait_for("configuration read again");
    }

    /// What `otherhalfd explain` says of a request from `from` to `at`, by the configuration as it is now.
    #[track_caller]
    pub(crate) fn explain(&self, from: IpAddr, at: IpAddr) -> String {
        self.explain_towards(from, at, None)
    }

    /// The same for a probe towards `target`.
    #[track_caller]
    pub(crate) fn explain_towards(
        &self,
        from: IpAddr,
        at: IpAddr,
        target: Option<IpAddr>,
    ) -> String {
        let mut command = self.lab.command("www", env!("CARGO_BIN_EXE_otherhalfd"));
        let config = self.folder.path().join("otherhalfd.toml");
        command.args(["explain", "--protocol", "udp", &from.to_string(), "--at", &at.to_string()]);
        command.args(target.map(|target| format!("--towards={target}")));
        output(command.arg("--config").arg(config))
    }

    /// Tells the responder to drain and end.
    #[track_caller]
    pub(crate) fn drain(&mut self) {
        self.responder.signal(Signal::TERM);
        self.responder.wait_for("requests are dropped from now on");
    }

    /// Checks that the responder, told to drain, ends by itself and counted what was expected.
    #[track_caller]
    pub(crate) fn finish_drained(self) -> String {
        let ended = self.responder.end();
        assert_eq!(ended.status.code(), Some(0), "{}\n{}", ended.stdout, ended.stderr);
        let counters = Counters::parse(&ended.stdout);
        counters.check_sums();
        counters.check(&self.expected);
        ended.stderr
    }

    /// From now on the clients ask at the address of `responder`.
    #[track_caller]
    pub(crate) fn ask_at(&mut self, responder: &str) {
        self.clients = clients(&self.lab, responder);
    }

    /// Waits for a line with `text` in the responder's log.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        self.responder.wait_for(text);
    }

    pub(crate) fn address(&self, node: &str, family: Family) -> IpAddr {
        self.lab.address(node, family)
    }

    pub(crate) fn client(&mut self, family: Family) -> &mut Client {
        let [v4, v6] = &mut self.clients;
        match family {
            Family::V4 => v4,
            Family::V6 => v6,
        }
    }

    /// From now on `times` frames more are expected to end as `outcome`.
    pub(crate) fn expect(&mut self, outcome: Outcome, times: u64) {
        self.expected.add(outcome, times);
    }

    /// Asks for a probe and checks that `node` answers it, in the way that `outcome` says.
    #[track_caller]
    pub(crate) fn hop(&mut self, family: Family, probe: Probe, node: &str, outcome: Outcome) {
        let request = self.request(family, probe);
        self.hop_by(family, probe, node, outcome, request, Client::send);
    }

    /// The same for a probe towards `target`.
    #[track_caller]
    pub(crate) fn hop_towards(
        &mut self,
        family: Family,
        probe: Probe,
        target: IpAddr,
        node: &str,
        outcome: Outcome,
    ) {
        let request = self.request(family, probe);
        self.hop_by(family, probe, node, outcome, request, |client, request| {
            client.send_towards(request, target);
        });
    }

    /// The same for a request that is sent by `send`.
    #[track_caller]
    pub(crate) fn hop_by(
        &mut self,
        family: Family,
        probe: Probe,
        node: &str,
        outcome: Outcome,
        request: Request,
        send: impl FnOnce(&Client, Request),
    ) {
        let what = format!("{family:?} {probe:?} to be answered by {node}");
        let client = of(family, &self.clients);
        let start = Instant::now();
        send(client, request);
        client.receive_hop(request.identifier, self.address(node, family), start, &what);
        self.expect(probe.outcome(), 1);
        self.expect(outcome, 1);
    }

    /// Asks for a probe and checks that there is no response.
    #[track_caller]
    pub(crate) fn silence(&mut self, family: Family, probe: Probe) {
        let request = self.request(family, probe);
        of(family, &self.clients).send(request);
        self.expect(probe.outcome(), 1);
        self.barrier(family);
    }

    /// A request that is refused, so that nothing but its refusal can follow it. Checks that what
    /// was sent before had no response: the responder does one thing after the other, and a router
    /// that answers at all has done so long before the next request has come by it.
    #[track_caller]
    pub(crate) fn barrier(&mut self, family: Family) {
        self.refused(family, (17, 0, 0), Refusal::Ttl, Outcome::RefusedTtl);
    }

    /// Asks for protocol, TTL and flow, and checks that it is refused.
    #[track_caller]
    pub(crate) fn refused(
        &mut self,
        family: Family,
        (protocol, ttl, flow): (u8, u8, u16),
        refusal: Refusal,
        outcome: Outcome,
    ) {
        let client = self.client(family);
        let request = client.request(protocol, ttl, flow);
        client.send(request);
        self.hear_refusal(family, request, refusal, outcome);
    }

    /// Checks that `request`, which was sent, is refused.
    #[track_caller]
    pub(crate) fn hear_refusal(
        &mut self,
        family: Family,
        request: Request,
        refusal: Refusal,
        outcome: Outcome,
    ) {
        let heard = self.client(family).receive();
        assert_eq!(heard.identifier, request.identifier, "{heard:?} to {request:?}");
        assert_eq!(heard.said, Said::Refused(refusal), "{request:?}");
        self.expect(outcome, 1);
    }

    /// A new request for `probe`.
    pub(crate) fn request(&mut self, family: Family, probe: Probe) -> Request {
        let client = self.client(family);
        let number = client.number(probe.protocol);
        client.request(number, probe.ttl, probe.flow)
    }

    /// Stops the responder and checks that it counted what was expected, and nothing else.
    /// The network is still up.
    #[track_caller]
    pub(crate) fn finish(self) -> (Counters, Lab) {
        let expected = self.expected.clone();
        let (counters, lab) = self.stop();
        counters.check(&expected);
        (counters, lab)
    }

    /// The same where the port's link was not there from the start, so that not all that was sent could leave.
    #[track_caller]
    pub(crate) fn finish_after_losses(self) {
        let expected = self.expected.clone();
        let (counters, _) = self.stop_after_losses();
        counters.check(&expected);
    }

    /// Stops the responder, which must end well; what it counted must add up.
    #[track_caller]
    pub(crate) fn stop(self) -> (Counters, Lab) {
        let (counters, lab) = self.stop_after_losses();
        counters.check_sums();
        (counters, lab)
    }

    /// The same where links were down, so that not all that was sent could leave.
    #[track_caller]
    pub(crate) fn stop_after_losses(self) -> (Counters, Lab) {
        let ended = self.responder.stop();
        assert_eq!(ended.status.code(), Some(0), "{}\n{}", ended.stdout, ended.stderr);
        let counters = Counters::parse(&ended.stdout);
        counters.check_received();
        (counters, self.lab)
    }
}

/// The interface of the node `www2`.
fn second_cable(lab: &Lab) -> String {
    let link = lab.topology().links_of("www2").next().expect("it has a link");
    format!("to-{}", link.peer_of("www2").expect("another end"))
}

/// Moves it into the namespace of `www`.
#[track_caller]
fn move_second_cable(lab: &Lab) {
    let cable = second_cable(lab);
    output(lab.command("www2", "ip").args(["link", "set", &cable, "netns", &lab.namespace("www")]));
    output(lab.command("www", "ip").args(["link", "set", &cable, "up"]));
}

/// Joins the second tap to the cable of the node `www2`, in the namespace of `www`.
#[track_caller]
fn second_cable_here(lab: &Lab) {
    move_second_cable(lab);
    let cable = second_cable(lab);
    for interface in [cable.as_str(), SECOND_TAP] {
        output(lab.command("www", "ip").args(["link", "set", interface, "up"]));
    }
    splice(lab, "second", &cable, SECOND_TAP);
}

/// Makes one cable of two interfaces in the namespace of `www`.
#[track_caller]
fn splice(lab: &Lab, table: &str, first: &str, second: &str) {
    let chain = |from: &str, to: &str| {
        format!(
            "chain {from} {{\ntype filter hook ingress device \"{from}\" priority 0\nfwd to \"{to}\"\n}}\n"
        )
    };
    let (there, back) = (chain(first, second), chain(second, first));
    output(lab.command("www", "nft").arg(format!("table netdev {table} {{\n{there}{back}}}")));
}

#[track_caller]
fn clients(lab: &Lab, responder: &str) -> [Client; 2] {
    Family::ALL.map(|family| {
        let own = lab.address("client", family);
        Client::open(lab, own, lab.address(responder, family))
    })
}

/// A probe that is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    pub(crate) protocol: Protocol,
    pub(crate) ttl: u8,
    pub(crate) flow: u16,
}

/// What the router beside the responder answers.
pub(crate) const ICMP_TO_R2: Probe = Probe { protocol: Protocol::Icmp, ttl: 1, flow: 0x1234 };

impl Probe {
    pub(crate) const fn outcome(self) -> Outcome {
        match self.protocol {
            Protocol::Icmp => Outcome::ProbeIcmp,
            Protocol::Tcp => Outcome::ProbeTcp,
            Protocol::Udp => Outcome::ProbeUdp,
        }
    }
}

/// The configuration of a responder in the node `www`.
fn configuration(lab: &Lab, settings: &Settings) -> String {
    let Settings { device, huge_pages, vlan, routes_of, reply_path, workers, drain_ms, .. } =
        settings;
    // From the last core on; a machine may have fewer than workers.
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let cpus: Vec<usize> = (0..*workers).map(|worker| cores - 1 - worker % cores).collect();
    let memory_mb = 64 * workers;
    let eal_keys = settings.eal_keys;
    let mut text = format!(
        r#"
[eal]
huge_pages = {huge_pages}
memory_mb = {memory_mb}
file_prefix = "{}"
{eal_keys}

[workers]
cpus = {cpus:?}
idle_sleep_us = 50

[pending]
entries = 4096

[drain]
deadline_ms = {drain_ms}

[reply]
path = "{reply_path}"
"#,
        file_prefix(),
    );
    // A cable has its own, which whoever makes it sets.
    let device = if device.starts_with("net_af_packet") {
        device.clone()
    } else {
        format!("{device},mac={RESPONDER_MAC}")
    };
    text += &port(lab, "www", &device, *vlan, settings.port_keys);
    let second = match settings.second {
        Second::None => None,
        Second::TapHere | Second::TapThere => {
            Some(format!("net_tap1,iface={SECOND_TAP},mac={SECOND_MAC}"))
        }
        Second::Cable => Some(format!("net_af_packet1,iface={},qpairs=1", second_cable(lab))),
    };
    if let Some(device) = second {
        text += &port(lab, "www2", &device, None, "");
    }
    for (family, to) in Family::ALL.into_iter().zip(["0.0.0.0/0", "::/0"]) {
        if let Some(node) = routes_of {
            let via = lab.gateway(node, family);
            let route = format!("\n[[route]]\nto = \"{to}\"\nvia = \"{via}\"\n");
            text.push_str(&route);
        }
    }
    text + settings.more
}

/// A port with the addresses of `node`.
fn port(lab: &Lab, node: &str, device: &str, vlan: Option<u16>, keys: &str) -> String {
    let link = lab.topology().links_of(node).next().expect("a responder has a link");
    let addresses = Family::ALL.map(|family| {
        let subnet = link.subnets.iter().find(|subnet| family.holds(subnet.addr())).unwrap();
        format!("{}/{}", lab.address(node, family), subnet.prefix_len())
    });
    let vlan = vlan.map(|id| format!("vlan = {id}")).unwrap_or_default();
    format!(
        r#"
[[port]]
device = "{device}"
{keys}

[[port.interface]]
addresses = {addresses:?}
{vlan}
"#
    )
}

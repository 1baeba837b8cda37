//! What would happen to a request: it is made, and given to the very engine that workers ask, on the network and by the policy of a
//! configuration. What the engine decides is then put into words, with the key that it goes by.

mod indirect;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use otherhalf_engine::frame::LEAST_ROOM;
use otherhalf_engine::{
    Clock, Engine, Fate, Frame, InterfaceId, Neighbours, Network, NextHop, Notice, Outcome, Policy,
    Verdict, View, network,
};
use otherhalf_pending::{Settings, Table};
use otherhalf_wire::ethernet::{Link, Mac, ethertype};
use otherhalf_wire::extension::{Class, Object};
use otherhalf_wire::ip::{Family, Fields, to_mapped};
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::trace::{ANY_FLOW, Request};

use crate::config::{Config, Invalid};
use crate::lists::{Deciding, Purpose, Sources};

/// The neighbours' hardware addresses, which do not matter: whoever sent the request, and who is next.
const SENDER: Mac = Mac([2, 0, 0, 0, 2, 1]);
const NEXT: Mac = Mac([2, 0, 0, 0, 2, 2]);
/// A tick of the engine's clock is a nanosecond.
const HZ: u64 = 1_000_000_000;

/// A request whose fate is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// Who asks.
    pub from: IpAddr,
    /// The own address that is asked; none: the first of the family.
    pub at: Option<IpAddr>,
    /// The protocol of the probe that is asked for.
    pub protocol: Protocol,
    /// Its flow; none: no wish.
    pub flow: Option<u16>,
    /// Its TTL.
    pub ttl: u8,
    /// Whom it shall go to; none: to who asks.
    pub towards: Option<IpAddr>,
}

/// Why a question can't be answered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration makes no network.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Nobody to ask.
    #[error("there is no own {0} address that could be asked: give an interface one")]
    NoAddress(&'static str),
    /// Not an own address.
    #[error("{address} is no address of this responder; it has {own}")]
    NotOwn {
        /// What was to be asked.
        address: IpAddr,
        /// What can be.
        own: String,
    },
    /// The engine did not say, or the request can't be written: a mistake of ours.
    #[error("the engine says nothing of this request; please report it")]
    Silent,
}

/// What happens to a request, and why.
#[derive(Debug)]
pub struct Explanation {
    /// What is decided, one after the other: a word, and a sentence with the key in it.
    pub steps: Vec<(&'static str, String)>,
    /// What becomes of it.
    pub outcome: Outcome,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (word, sentence) in &self.steps {
            writeln!(f, "{word:<9} {sentence}")?;
        }
        writeln!(f, "{:<9} {}: {}", "outcome", self.outcome.name(), self.outcome.help())
    }
}

/// What would happen to the request `question` if `config` were in effect, with its `lists`, and the next hop's hardware address known.
pub fn explain(
    config: &Config,
    lists: &Sources,
    question: &Question,
) -> Result<Explanation, Error> {
    let macs: Vec<Mac> = (0..).take(config.port.len()).map(|n| Mac([2, 0, 0, 0, 1, n])).collect();
    let network = config.network(&macs)?;
    let policy = lists.lists().policy(config)?;
    let (at, ingress, key) = asked(config, question)?;
    let case = Case { config, lists, network: &network, policy: &policy, question, ingress };
    let (fate, hops) = case.decide(at)?;
    let mut steps = vec![("request", case.request(at, &key))];
    case.why(fate, &mut steps);
    if !matches!(fate.verdict, Verdict::Drop | Verdict::Kernel) {
        case.ways(fate.outcome, &hops, &mut steps);
    }
    Ok(Explanation { steps, outcome: fate.outcome })
}

/// The own address that is asked, its interface, and its key.
fn asked(config: &Config, question: &Question) -> Result<(IpAddr, InterfaceId, String), Error> {
    let interfaces = config.port.iter().enumerate().flat_map(|(port_place, port)| {
        let interfaces = port.interface.iter().enumerate();
        interfaces.map(move |(place, interface)| {
            (format!("port[{port_place}].interface[{place}]"), interface)
        })
    });
    let own: Vec<_> = (0u16..)
        .map(InterfaceId)
        .zip(interfaces)
        .flat_map(|(id, (key, interface))| {
            let addresses = interface.addresses.iter().enumerate();
            addresses.map(move |(place, prefix)| {
                (prefix.addr(), id, format!("{key}.addresses[{place}]"))
            })
        })
        .collect();
    let family = |address: &IpAddr| Family::of(*address);
    let wanted = |address: &IpAddr| match question.at {
        Some(at) => *address == at,
        None => family(address) == family(&question.from),
    };
    let found = own.iter().find(|(address, ..)| wanted(address));
    found.cloned().ok_or_else(|| match question.at {
        Some(address) => {
            let own: Vec<String> = own.iter().map(|(address, ..)| address.to_string()).collect();
            Error::NotOwn { address, own: own.join(", ") }
        }
        None => Error::NoAddress(if question.from.is_ipv4() { "IPv4" } else { "IPv6" }),
    })
}

/// A request and what it meets.
struct Case<'a> {
    config: &'a Config,
    lists: &'a Sources,
    network: &'a Network,
    policy: &'a Policy,
    question: &'a Question,
    /// The interface that it comes in by.
    ingress: InterfaceId,
}

impl Case<'_> {
    /// Has the engine decide on the request to `at`. Whom it sends to, now and later, it says by asking for their hardware addresses first.
    fn decide(&self, at: IpAddr) -> Result<(Fate, Vec<NextHop>), Error> {
        let settings = Settings { entries: 64, timeout_ticks: HZ, secret: [1, 2] };
        let table = Table::new(settings).map_err(|_| Error::Silent)?;
        let clock = Clock::new(HZ).ok_or(Error::Silent)?;
        let engine = Engine::new(Arc::new(table), clock);
        let mut hops = Vec::new();
        loop {
            let known = Neighbours::new(hops.iter().map(|hop| (*hop, NEXT)));
            match self.offer(&engine, at, &known)? {
                Fate { verdict: Verdict::Hold, notice: Some(Notice::Wanted(hop)), .. }
                    if !hops.contains(&hop) =>
                {
                    hops.push(hop);
                }
                fate => return Ok((fate, hops)),
            }
        }
    }

    fn offer(&self, engine: &Engine, at: IpAddr, neighbours: &Neighbours) -> Result<Fate, Error> {
        let interface = self.network.interface(self.ingress).ok_or(Error::Silent)?;
        let mut room = [0; LEAST_ROOM];
        let len = self.write(at, interface, &mut room).ok_or(Error::Silent)?;
        let frame = Frame::new(&mut room, len, interface.port).ok_or(Error::Silent)?;
        let view = View { network: self.network, neighbours, policy: self.policy };
        let mut fate = None;
        engine.process(&view, HZ, &mut [frame], |_, done| fate = Some(done));
        fate.ok_or(Error::Silent)
    }

    /// Writes the request as it comes in; its length.
    fn write(&self, at: IpAddr, interface: &network::Interface, out: &mut [u8]) -> Option<usize> {
        let Question { from, protocol, flow, ttl, towards, .. } = *self.question;
        let family = Family::of(at);
        let target = towards.map(|target| to_mapped(target).octets());
        let target =
            target.as_ref().map(|payload| Object { class: Class::INDIRECT_TARGET, payload });
        let objects = target.as_slice();
        let request = Request {
            identifier: 1,
            sequence: 0,
            ttl,
            protocol: protocol.number(family),
            flow: flow.unwrap_or(ANY_FLOW),
        };
        let ethertype = match family {
            Family::V4 => ethertype::IPV4,
            Family::V6 => ethertype::IPV6,
        };
        let link = Link { dst: interface.mac, src: SENDER, vlan: interface.vlan, ethertype };
        let fields = Fields {
            src: from,
            dst: at,
            ttl: 64,
            traffic_class: 0,
            flow_label: 0,
            identification: Some(0),
            protocol: family.icmp(),
        };
        let packet = link.emit(out)?;
        let mut message = [0; LEAST_ROOM];
        let len = request.emit(from, at, objects, &mut message)?;
        fields.emit(len, packet)?.get_mut(..len)?.copy_from_slice(message.get(..len)?);
        Some(link.len() + family.header_len() + len)
    }

    fn request(&self, at: IpAddr, key: &str) -> String {
        let Question { from, protocol, ttl, flow, towards, .. } = self.question;
        let flow = flow.map_or("no wish for a flow".to_owned(), |flow| format!("flow {flow}"));
        let name = self.interface_name(self.ingress);
        let protocol = word(*protocol);
        let towards = towards.map(|target| format!(" towards {target}")).unwrap_or_default();
        format!(
            "from {from} for a probe by {protocol}{towards}, TTL {ttl}, {flow}; to {at}, in by {name:?} ({key})"
        )
    }

    /// Why the engine decided as it did, in the order in which it looks.
    fn why(&self, fate: Fate, steps: &mut Vec<(&'static str, String)>) {
        let Question { from, ttl, flow, protocol, .. } = *self.question;
        let (name, section) = (word(protocol), section(protocol));
        let outcome = fate.outcome;
        if outcome == Outcome::DropBadSource {
            steps.push(("source", self.never_sent_to(from)));
            return;
        }
        if !self.may_ask(steps) {
            return;
        }
        let probe = is_probe(outcome);
        match outcome {
            Outcome::DropBogon => {
                let key = self.config.requests.said("bogons");
                let sentence = format!("{from} is no address of the Internet: {key}");
                steps.push(("source", sentence));
            }
            Outcome::DropWrongPort => {
                let key = self.config.requests.said("strict_source");
                let sentence = format!("{from} is routed by another interface: {key}");
                steps.push(("source", sentence));
            }
            Outcome::RefusedPadding => {
                steps.push(("protocol", format!("{name} is served: {section}.enabled = true")));
                let least = self.policy.least_request.of(Family::of(from), protocol);
                let [key, exempt] =
                    ["max_amplification", "unpadded"].map(|key| self.config.requests.said(key));
                let sentence = format!(
                    "without padding it is too small, with its IP header it must have {least} octets: {key}; {exempt}"
                );
                steps.push(("size", sentence));
            }
            Outcome::RefusedTtl => {
                let sentence =
                    format!("{ttl} is refused: it only asks whether traces are answered here");
                steps.push(("TTL", sentence));
            }
            Outcome::RefusedProtocol => {
                steps.push(("protocol", format!("{name} is refused: {section}.enabled = false")));
            }
            Outcome::RefusedFlow => {
                steps.push(("protocol", format!("{name} is served: {section}.enabled = true")));
                let flow = flow.unwrap_or_default();
                steps
                    .push(("flow", format!("{flow} is refused: it is not within {section}.flows")));
            }
            Outcome::RefusedExtension | Outcome::RefusedIndirect => {
                self.refused_target(outcome, steps);
            }
            _ if probe || outcome == Outcome::DropNoRoute => {
                steps.push(("source", format!("{from} may be answered: it is one host elsewhere")));
                steps.push(("protocol", format!("{name} is served: {section}.enabled = true")));
                let default = self.policy.flows(protocol).map_or(0, |flows| flows.default);
                let sentence = flow.map_or_else(
                    || format!("{default}, by {section}.default_flow"),
                    |flow| format!("{flow} is within {section}.flows"),
                );
                steps.push(("flow", sentence));
                self.taken_target(steps);
                if !probe {
                    let to = self.without_route();
                    steps.push(("way", format!("no route leads to {to}: add a [[route]]")));
                }
            }
            other => steps.push(("advice", other.advice().to_owned())),
        }
    }

    /// Whether the lists of prefixes let the request pass, and which of their lines say so.
    fn may_ask(&self, steps: &mut Vec<(&'static str, String)>) -> bool {
        let from = self.question.from;
        let by = |Deciding { prefix, place, .. }: &Deciding| format!("{prefix}, by {place}");
        let access = self.lists.deciding(Purpose::Access, from);
        match &access {
            Some(line) if line.denied => {
                steps.push(("access", format!("{from} may not ask: it is in {}", by(line))));
                return false;
            }
            Some(line) => steps.push(("access", format!("{from} may ask: it is in {}", by(line)))),
            None => steps.push(("access", format!("{from} may ask: no prefix of access holds it"))),
        }
        let opted_out = self.opted_out(from);
        let may_be_probed = opted_out.is_none();
        steps.extend(opted_out.map(|sentence| ("opt-out", sentence)));
        may_be_probed
    }

    /// That `address` is never probed, and which line says so, if one does.
    fn opted_out(&self, address: IpAddr) -> Option<String> {
        let by = |held: IpAddr| {
            let Deciding { prefix, place, .. } = self.lists.deciding(Purpose::OptOut, held)?;
            Some(format!("is in {prefix}, by {place}"))
        };
        let told = by(address).map(|held| format!("it {held}")).or_else(|| {
            let IpAddr::V6(v6) = address else { return None };
            let v4 = otherhalf_engine::embedded_v4(v6)?;
            Some(format!("it stands for {v4}, which {}", by(v4.into())?))
        });
        told.map(|why| format!("{address} is never probed: {why}"))
    }

    /// Why nothing is ever sent to `address`.
    fn never_sent_to(&self, address: IpAddr) -> String {
        if let Some(sentence) = self.own(address) {
            return sentence;
        }
        if network::is_unicast(address) {
            format!("{address} is a link-local address of this responder itself")
        } else {
            format!(
                "{address} is never answered: it is not the address of one host (unspecified, loopback, multicast, broadcast or reserved)"
            )
        }
    }

    /// Which key makes `address` one of this machine, or of its networks as a whole.
    fn own(&self, address: IpAddr) -> Option<String> {
        for (port_place, port) in self.config.port.iter().enumerate() {
            let mut kernel = port.kernel.iter().flat_map(|kernel| &kernel.addresses);
            if let Some(place) = kernel.position(|own| *own == address) {
                let key = format!("port[{port_place}].kernel.addresses[{place}]");
                return Some(format!("{address} is the kernel's: {key}"));
            }
            for (place, interface) in port.interface.iter().enumerate() {
                for (address_place, prefix) in interface.addresses.iter().enumerate() {
                    let key =
                        format!("port[{port_place}].interface[{place}].addresses[{address_place}]");
                    if prefix.addr() == address {
                        return Some(format!(
                            "{address} is an address of this responder itself: {key}"
                        ));
                    }
                    let all = [prefix.broadcast(), prefix.network()];
                    if address.is_ipv4() && all.contains(&address) {
                        return Some(format!(
                            "{address} is the network or the broadcast address of {key}"
                        ));
                    }
                }
            }
        }
        None
    }

    /// Which way goes what is sent now and later, and how much of it may be asked for; `hops` are whom the engine asked for.
    fn ways(&self, outcome: Outcome, hops: &[NextHop], steps: &mut Vec<(&'static str, String)>) {
        let Question { from, towards, .. } = *self.question;
        let (what, apart) = match towards {
            _ if !is_probe(outcome) => ("the refusal", None),
            None => ("probe and replies", None),
            Some(target) => ("the response", Some(target)),
        };
        if let Some(target) = apart {
            steps.push(("way", self.way("the probe", target, hops)));
        }
        steps.push(("way", self.way(what, from, hops)));
        for address in apart.into_iter().chain([from]) {
            steps.push(("rate", self.config.rate.explain(address)));
        }
    }

    /// Which way `what` goes to `address`.
    fn way(&self, what: &str, address: IpAddr, hops: &[NextHop]) -> String {
        let next = self.network.next_hop(address, self.ingress);
        let Some(hop) = next.filter(|hop| hops.contains(hop)) else {
            return format!(
                "{what} by the neighbour that the request came from: reply.path = \"hairpin\""
            );
        };
        let name = self.interface_name(hop.interface);
        let route = self.network.routes().find(|route| route.to.contains(&address));
        // A link-local address is a neighbour whatever the routes say.
        let route = route.filter(|route| route.via.unwrap_or(address) == hop.address);
        let by = match route {
            Some(network::Route { to, via: Some(via), .. }) => self.routes_to(to, via),
            Some(network::Route { to, .. }) => format!("{to} is on the link"),
            None => format!("{address} is link-local"),
        };
        format!(
            "{what} by {name:?} and its neighbour {}: {by} (reply.path = \"route\")",
            hop.address
        )
    }

    /// The route to `to` by the router `via`, and those that stand in for it.
    fn routes_to(&self, to: IpNet, via: IpAddr) -> String {
        let key = |via: IpAddr| {
            let mut routes = self.config.route.iter();
            let place = routes.position(|route| route.to.trunc() == to && route.via == via);
            place.map_or(via.to_string(), |place| format!("route[{place}]"))
        };
        let others = self.network.all_routes().iter().filter(|route| route.to == to);
        let others: Vec<String> =
            others.filter_map(|route| route.via).filter(|other| *other != via).map(key).collect();
        let first = format!("{}, to {to}", key(via));
        if others.is_empty() {
            first
        } else {
            format!("{first}, and while its router is silent {}", others.join(", then "))
        }
    }

    fn interface_name(&self, id: InterfaceId) -> String {
        self.config.interface_names().get(usize::from(id.0)).cloned().unwrap_or_default()
    }
}

const fn is_probe(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::ProbeIcmp | Outcome::ProbeTcp | Outcome::ProbeUdp)
}

const fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Icmp => "ICMP",
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
    }
}

const fn section(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Icmp => "probe.icmp",
        Protocol::Tcp => "probe.tcp",
        Protocol::Udp => "probe.udp",
    }
}

#[cfg(test)]
mod tests;

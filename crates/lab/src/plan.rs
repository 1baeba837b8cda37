//! From a topology to what is said to `ip`, `nft` and the hosts files. No I/O.

use std::fmt::Write as _;

use ipnet::IpNet;

use crate::topology::{Family, Kind, Link, Node, Protocol, Topology};

/// Kernel settings of every namespace; those that a kernel lacks per namespace are left out.
/// Forwarding comes first, since it resets others.
const SYSCTLS: &[(&str, &str)] = &[
    // A trace asks one router for many errors at once; by default it gives 1 a second and target.
    ("ipv4/icmp_ratelimit", "0"),
    ("ipv4/icmp_msgs_per_sec", "1000000"),
    ("ipv4/icmp_msgs_burst", "1000000"),
    ("ipv6/icmp/ratelimit", "0"),
    // No kind of error is limited at all: two CPUs that fill the first bucket of a namespace at once make the kernel
    // believe, for an instant, that it is empty.
    ("ipv4/icmp_ratemask", "0"),
    ("ipv6/icmp/ratemask", "\n"),
    // Where routes balance, ports count (IPv6 likewise), so that a flow is what a trace takes it for.
    ("ipv4/fib_multipath_hash_policy", "1"),
    ("ipv6/fib_multipath_hash_policy", "1"),
    // Asymmetric routing is the point.
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    // Up at once, with the addresses of the file and no others.
    ("ipv6/conf/all/accept_dad", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/all/accept_ra", "0"),
    ("ipv6/conf/default/accept_ra", "0"),
];

/// Paths under `/proc/sys/net` and their values for the node of that number.
pub(crate) fn sysctls(node: &Node, number: usize) -> Vec<(&'static str, String)> {
    let forwarding = if node.kind == Kind::Router { "1" } else { "0" };
    // The kernel of a responder is a cable and no more: not even a link-local address of its own.
    let disable_ipv6 = if node.kind == Kind::Responder { "1" } else { "0" };
    let mut all = vec![
        ("ipv4/ip_forward", forwarding),
        ("ipv6/conf/all/forwarding", forwarding),
        ("ipv6/conf/default/forwarding", forwarding),
        ("ipv6/conf/all/disable_ipv6", disable_ipv6),
        ("ipv6/conf/default/disable_ipv6", disable_ipv6),
    ];
    all.extend_from_slice(SYSCTLS);
    let mut all: Vec<_> = all.into_iter().map(|(key, value)| (key, value.to_owned())).collect();
    // All namespaces share one secret otherwise, and balancers in a row would choose alike (Linux 6.11). 0 means none of its own.
    all.push(("ipv4/fib_multipath_hash_seed", (number + 1).to_string()));
    all
}

/// The name of the interface towards `peer`.
pub(crate) fn interface(peer: &str) -> String {
    format!("to-{peer}")
}

/// A locally administered address, the same in every lab: link number, then end.
pub(crate) fn mac(link: usize, end: usize) -> String {
    let [.., high, low] = link.to_be_bytes();
    format!("02:0f:00:{high:02x}:{low:02x}:{:02x}", end + 1)
}

/// Interface indices that differ at the two ends: for a veth whose peer in another namespace has
/// its own index, the kernel notices only a second later that it is plugged in.
fn index(link: usize, end: usize) -> usize {
    100 + 2 * link + end
}

/// The hosts file of all namespaces: every node by its display name first.
pub(crate) fn hosts(topology: &Topology) -> String {
    let mut text = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
    for node in &topology.nodes {
        let mut names = node.names.clone();
        if !names.contains(&node.name) {
            names.push(node.name.clone());
        }
        for family in Family::ALL {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{} {}", node.address(family), names.join(" "));
        }
    }
    text
}

/// The batch, in the lab's first namespace, that makes the kernel's own cables.
/// `namespace` gives a node's namespace.
pub(crate) fn cables(topology: &Topology, namespace: impl Fn(&str) -> String) -> String {
    let kernel_links = topology.links.iter().enumerate().filter(|(_, link)| !link.in_userspace());
    kernel_links.fold(String::new(), |mut batch, (number, link)| {
        let [first, second] = &link.between;
        let _ = writeln!(
            batch,
            "link add {} index {} netns {} address {} type veth peer name {} index {} netns {} address {}",
            interface(second),
            index(number, 0),
            namespace(first),
            mac(number, 0),
            interface(first),
            index(number, 1),
            namespace(second),
            mac(number, 1),
        );
        batch
    })
}

/// The first batch of a node, once its cables are there: all its interfaces, up.
pub(crate) fn interfaces(topology: &Topology, node: &Node) -> String {
    let mut batch = "link set lo up\n".to_owned();
    for interface in
        topology.links_of(&node.name).filter_map(|l| l.peer_of(&node.name)).map(interface)
    {
        let _ = writeln!(batch, "link set {interface} up");
    }
    batch
}

/// The second batch of a node, once both ends of its cables are up, before which IPv6 takes no
/// routes over them: addresses, then routes.
pub(crate) fn addresses(topology: &Topology, node: &Node) -> String {
    let mut batch = String::new();
    if node.kind == Kind::Responder {
        return batch;
    }
    for (number, link) in topology.links.iter().enumerate() {
        if let Some(peer) = link.peer_of(&node.name).and_then(|peer| topology.node(peer).ok()) {
            link_end(&mut batch, node, peer, link, number);
        }
    }
    routes(&mut batch, topology, node);
    batch
}

fn link_end(batch: &mut String, node: &Node, peer: &Node, link: &Link, number: usize) {
    let interface = interface(&peer.name);
    for family in Family::ALL {
        let address = node.address(family);
        let nodad = if family == Family::V6 { " nodad" } else { "" };
        let subnet = link.subnets.iter().find(|subnet| family.holds(subnet.addr()));
        match subnet.map(IpNet::prefix_len) {
            Some(prefix_len) => {
                let _ =
                    writeln!(batch, "address add {address}/{prefix_len} dev {interface}{nodad}");
            }
            // Not `address add … peer …`, whose IPv6 route comes only some time after.
            None => {
                let _ = writeln!(
                    batch,
                    "address add {address} dev {interface}{nodad}\nroute add {} dev {interface}",
                    peer.address(family),
                );
            }
        }
        // Else the first packet waits for two crossings of the delayed link, and traces show that.
        if link.delay_ms > 0 && peer.kind != Kind::Responder {
            let peer_end = usize::from(link.between[1] == peer.name);
            let _ = writeln!(
                batch,
                "neighbour replace {} lladdr {} dev {interface} nud permanent",
                peer.address(family),
                mac(number, peer_end),
            );
        }
    }
}

fn routes(batch: &mut String, topology: &Topology, node: &Node) {
    for (destination, via) in &node.routes {
        let hops: Vec<_> = via.names().iter().filter_map(|via| topology.node(via).ok()).collect();
        for prefix in topology.destinations(destination).unwrap_or_default() {
            let family = if prefix.addr().is_ipv4() { Family::V4 } else { Family::V6 };
            let _ = write!(batch, "route add {prefix}");
            for via in &hops {
                let nexthop = if hops.len() > 1 { " nexthop" } else { "" };
                let (address, interface) = (via.address(family), interface(&via.name));
                let _ = write!(batch, "{nexthop} via {address} dev {interface}");
            }
            batch.push('\n');
        }
    }
}

/// The nftables rules of a node, if it has any.
pub(crate) fn rules(topology: &Topology, node: &Node) -> Option<String> {
    let mut chains = String::new();
    if node.silent {
        chains += "chain silent {\ntype filter hook output priority 0;\n\
            icmp type { echo-reply, destination-unreachable, time-exceeded, parameter-problem } drop\n\
            icmpv6 type { echo-reply, destination-unreachable, packet-too-big, time-exceeded, parameter-problem } drop\n}\n";
    }
    if let Some(to) = &node.masquerade {
        let _ = writeln!(
            chains,
            "chain translate {{\ntype nat hook postrouting priority srcnat;\noifname \"{}\" masquerade\n}}",
            interface(to)
        );
    }
    if !node.filter.is_empty() {
        chains += "chain filter {\ntype filter hook forward priority 0;\n";
        for filter in &node.filter {
            let Ok(to) = topology.node(&filter.to) else { continue };
            let [v4, v6] = match filter.protocol {
                Protocol::Udp => ["meta l4proto udp"; 2],
                Protocol::Tcp => ["meta l4proto tcp"; 2],
                Protocol::Icmp => ["icmp type echo-request", "icmpv6 type echo-request"],
            };
            let _ =
                writeln!(chains, "ip daddr {} {v4} reject with icmpx type admin-prohibited", to.v4);
            let _ = writeln!(
                chains,
                "ip6 daddr {} {v6} reject with icmpx type admin-prohibited",
                to.v6
            );
        }
        chains += "}\n";
    }
    (!chains.is_empty()).then(|| format!("table inet lab {{\n{chains}}}\n"))
}

/// The nftables rules that make one cable of two interfaces in a namespace, replacing earlier ones.
/// Not a bridge, which keeps frames for the address of one of its ports to itself: the kernel's
/// end of a DPDK tap has the very address that the program answers for.
pub(crate) fn splice(first: &str, second: &str) -> String {
    let chain = |from: &str, to: &str| {
        format!(
            "chain {from} {{\ntype filter hook ingress device \"{from}\" priority 0;\nfwd to \"{to}\"\n}}\n"
        )
    };
    let (there, back) = (chain(first, second), chain(second, first));
    format!(
        "table netdev splice\ndelete table netdev splice\ntable netdev splice {{\n{there}{back}}}\n"
    )
}

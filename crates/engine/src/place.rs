//! Where a probe waits in the pending table, told from outside: for harnesses and debugging.

use std::net::IpAddr;

use otherhalf_pending::{Hash, Prefetch, Table};
use otherhalf_wire::probe::Protocol;

use crate::request;
use crate::work::Address;

/// The hash under `table`'s secret of the probe from `own` to `target`. `None` for addresses of two families.
///
/// `identifier` is the probe's own, which is the request's unless that is taken, or 0 for UDP; `flow` that of the probe.
/// With [`Table::buckets_of`] it says which buckets the probe's entry may lie in.
#[must_use]
pub fn probe_hash<P: Prefetch>(
    table: &Table<P>,
    [own, target]: [IpAddr; 2],
    protocol: Protocol,
    flow: u16,
    identifier: u16,
) -> Option<Hash> {
    let name = request::name(protocol, flow, identifier);
    match (own, target) {
        (IpAddr::V4(own), IpAddr::V4(target)) => Some(Address::key(table, own, target, name)),
        (IpAddr::V6(own), IpAddr::V6(target)) => Some(Address::key(table, own, target, name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Ask;
    use otherhalf_pending::Settings;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn ask<A: Address>(own: A, target: A, protocol: Protocol) -> Ask<A> {
        let (identifier, flow) = (77, 33_434);
        let (ttl, traffic_class, flow_label) = (3, 0, 0);
        Ask { own, target, identifier, ttl, protocol, flow, traffic_class, flow_label, bits: 0 }
    }

    #[test]
    fn a_probe_is_told_to_lie_where_the_engine_puts_it() {
        let settings = Settings { entries: 4096, timeout_ticks: 9, secret: [5, 6] };
        let table = Table::new(settings).unwrap();
        let v4 = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 7)];
        let v6 = [1, 2].map(|host| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host));
        let told = |ends, protocol| probe_hash(&table, ends, protocol, 33_434, 77);
        for protocol in [Protocol::Icmp, Protocol::Udp, Protocol::Tcp] {
            let hash = ask(v4[0], v4[1], protocol).hash(&table, 77);
            assert_eq!(told(v4.map(IpAddr::from), protocol), Some(hash));
            let hash = ask(v6[0], v6[1], protocol).hash(&table, 77);
            assert_eq!(told(v6.map(IpAddr::from), protocol), Some(hash));
        }
        assert_eq!(told([v4[0].into(), v6[0].into()], Protocol::Udp), None);
    }
}

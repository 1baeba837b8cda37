//! A list of prefixes for access, and the set that is made of it: for each address the longest prefix decides.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use otherhalf_policy::Prefixes;
use otherhalf_policy::list::List;

/// Longer lists show nothing new, but the set is compared with all of their prefixes, one by one.
const LONGEST: usize = 4096;
/// Mistakes that are told.
const MISTAKES: usize = 3;

/// Reads `octets` as such a list.
///
/// # Panics
///
/// If a line is lost, a mistake has no words, or the set says anything else than a look at all prefixes.
pub fn run(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    if text.len() > LONGEST {
        return;
    }
    let list = List::read(text, MISTAKES);
    assert_eq!(list.mistakes.len(), list.wrong.min(MISTAKES));
    assert!(list.entries.len() + list.wrong <= text.lines().count());
    for mistake in &list.mistakes {
        let said = format!("{} {}", mistake.problem, mistake.problem.hint());
        assert!(!said.chars().any(char::is_control), "{said:?}");
    }
    let all: Vec<(IpNet, u8)> =
        list.entries.iter().map(|entry| (entry.prefix, value(entry.line))).collect();
    let set = Prefixes::new(0, all.iter().copied());
    for (net, _) in &all {
        for address in edges(net) {
            assert_eq!(set.get(address), longest(&all, address), "{address}");
        }
    }
}

/// Different for lines that are near.
fn value(line: u32) -> u8 {
    u8::try_from(line % 255).unwrap_or(0) + 1
}

/// The first and the last address of `net`, and those beside it.
fn edges(net: &IpNet) -> [IpAddr; 4] {
    match net {
        IpNet::V4(net) => {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            [first, last, first.wrapping_sub(1), last.wrapping_add(1)]
                .map(|bits| Ipv4Addr::from_bits(bits).into())
        }
        IpNet::V6(net) => {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            [first, last, first.wrapping_sub(1), last.wrapping_add(1)]
                .map(|bits| Ipv6Addr::from_bits(bits).into())
        }
    }
}

/// The value of the longest prefix that holds `address`; of equal ones the greatest.
fn longest(all: &[(IpNet, u8)], address: IpAddr) -> u8 {
    let holding = all.iter().filter(|(net, _)| net.contains(&address));
    holding.map(|(net, value)| (net.prefix_len(), *value)).max().map_or(0, |(_, value)| value)
}

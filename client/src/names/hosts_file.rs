//! What `/etc/hosts` says (hosts(5)).
//!
//! Not by the resolver library, which knows the file too, but forgets the case of its names and which of them is the first: the
//! canonical one, and so the one that getnameinfo(3), traceroute and ping show.

use std::collections::HashMap;
use std::net::IpAddr;

/// Where it is.
const PATH: &str = "/etc/hosts";

/// The first name of each address; none if there is no such file.
pub(super) fn read() -> HashMap<IpAddr, String> {
    std::fs::read(PATH).map(|bytes| parse(&String::from_utf8_lossy(&bytes))).unwrap_or_default()
}

fn parse(text: &str) -> HashMap<IpAddr, String> {
    let mut names = HashMap::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        if let (Some(address), Some(name)) = (words.next(), words.next())
            && let Ok(address) = address.parse()
        {
            // The first line of an address counts.
            names.entry(address).or_insert_with(|| name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_the_first_line() {
        let names = parse(
            "# 192.0.2.9 comment\n192.0.2.1\tR1.example.net R1 # more\n192.0.2.1 other\n\
             2001:db8::1 six\nnonsense\n192.0.2.2\n",
        );
        assert_eq!(names.len(), 2);
        assert_eq!(names[&"192.0.2.1".parse::<IpAddr>().unwrap()], "R1.example.net");
        assert_eq!(names[&"2001:db8::1".parse::<IpAddr>().unwrap()], "six");
    }
}

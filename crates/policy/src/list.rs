//! Lists of prefixes: one a line, both families in one, and comments behind `#`.
//!
//! ```text
//! # hosts that flooded us
//! 192.0.2.0/24
//! 2001:db8::/32   # a note
//! 198.51.100.7    # the same as 198.51.100.7/32
//! ```

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

/// Characters of a wrong line that are shown.
const SHOWN: usize = 60;

/// A prefix, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The prefix; no bits are set behind its length.
    pub prefix: IpNet,
    /// Its line, from 1.
    pub line: u32,
}

/// What a list says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// Its prefixes, in their order.
    pub entries: Vec<Entry>,
    /// What is wrong in it, in the order of the lines: the first of them.
    pub mistakes: Vec<Mistake>,
    /// How many lines are wrong in all.
    pub wrong: usize,
}

/// A line that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1.
    pub line: u32,
    /// What.
    pub problem: Problem,
}

/// Why a text is no prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It is nothing of the kind.
    NoPrefix(String),
    /// An address, with a length that its family does not have.
    Length {
        /// The text.
        text: String,
        /// The longest that there is.
        longest: u8,
    },
    /// An IPv4 prefix in IPv6's clothes (RFC 4291 §2.5.5.2). No packet has such an address.
    Mapped {
        /// The text.
        text: String,
        /// The prefix that it stands for.
        network: IpNet,
    },
    /// Bits are set behind the length.
    HostBits {
        /// The text.
        text: String,
        /// The prefix that it would be without.
        network: IpNet,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPrefix(text) => write!(f, "{text:?} is no prefix"),
            Self::Length { text, longest } => {
                write!(f, "{text:?} has a length that is none: they are 0 to {longest}")
            }
            Self::Mapped { text, .. } => {
                write!(f, "{text:?} is an IPv4-mapped prefix, which no packet's address is in")
            }
            Self::HostBits { text, .. } => {
                write!(f, "{text:?} has bits set behind its prefix length")
            }
        }
    }
}

impl std::error::Error for Problem {}

impl Problem {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NoPrefix(_) => {
                "write it as 192.0.2.0/24 or 2001:db8::/32; comments stand behind #".into()
            }
            Self::Length { longest, .. } => {
                format!("a host is a prefix of the length {longest}")
            }
            Self::Mapped { network, .. } => format!("write {network}"),
            Self::HostBits { network, .. } => {
                format!("write {network}, or the length that was meant")
            }
        }
    }
}

impl List {
    /// Reads all lines of `text`. Of what is wrong, the first `most` are told one by one.
    #[must_use]
    pub fn read(text: &str, most: usize) -> Self {
        let mut list = Self::default();
        for (line, text) in (1..=u32::MAX).zip(text.lines()) {
            let text = text.split_once('#').map_or(text, |(before, _)| before).trim();
            if text.is_empty() {
                continue;
            }
            match prefix(text) {
                Ok(prefix) => list.entries.push(Entry { prefix, line }),
                Err(problem) => {
                    list.wrong = list.wrong.saturating_add(1);
                    if list.mistakes.len() < most {
                        list.mistakes.push(Mistake { line, problem });
                    }
                }
            }
        }
        list
    }
}

/// The prefix that `text` is; an address without a length is a host.
pub fn prefix(text: &str) -> Result<IpNet, Problem> {
    let shown = || text.chars().take(SHOWN).collect::<String>();
    let (address, length) =
        text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let Ok(address) = address.parse::<IpAddr>() else {
        return Err(Problem::NoPrefix(shown()));
    };
    let Some(length) = length else { return unmapped(address.into(), shown) };
    let longest = if address.is_ipv4() { 32 } else { 128 };
    // A number's own reader takes a sign.
    if length.is_empty() || !length.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(Problem::NoPrefix(shown()));
    }
    let length = length.parse().ok();
    let Some(net) = length.and_then(|length| IpNet::new(address, length).ok()) else {
        return Err(Problem::Length { text: shown(), longest });
    };
    let network = net.trunc();
    if network != net {
        return Err(Problem::HostBits { text: shown(), network });
    }
    unmapped(net, shown)
}

/// `net`, unless it is an IPv4 prefix that was written as one of IPv6, as `shown`.
fn unmapped(net: IpNet, shown: impl Fn() -> String) -> Result<IpNet, Problem> {
    let IpNet::V6(v6) = net else { return Ok(net) };
    let v4 = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    let network = v4.and_then(|(address, length)| IpNet::new(address.into(), length).ok());
    network.map_or(Ok(net), |network| Err(Problem::Mapped { text: shown(), network }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_both_families_and_comments() {
        let text = "\u{20}# who flooded us\n\n192.0.2.0/24\r\n  2001:db8::/32 # note\n198.51.100.7\n\
            2001:db8::7#\n0.0.0.0/0\n::/0";
        let list = List::read(text, 9);
        assert_eq!((list.wrong, &list.mistakes[..]), (0, &[][..]));
        let told: Vec<_> =
            list.entries.iter().map(|e| format!("{} {}", e.line, e.prefix)).collect();
        let expected = [
            "3 192.0.2.0/24",
            "4 2001:db8::/32",
            "5 198.51.100.7/32",
            "6 2001:db8::7/128",
            "7 0.0.0.0/0",
            "8 ::/0",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn all_mistakes_are_told_with_a_hint() {
        for (text, what, hint) in [
            ("192.0.2.1/24", "has bits set behind its prefix length", "write 192.0.2.0/24, or"),
            ("2001:db8::1/32", "has bits set behind", "write 2001:db8::/32, or"),
            ("::ffff:192.0.2.0/120", "is an IPv4-mapped prefix", "write 192.0.2.0/24"),
            ("::ffff:192.0.2.7", "is an IPv4-mapped prefix", "write 192.0.2.7/32"),
            ("::ffff:0:0/96", "is an IPv4-mapped prefix", "write 0.0.0.0/0"),
            ("192.0.2.0/33", "they are 0 to 32", "length 32"),
            ("2001:db8::/129", "they are 0 to 128", "length 128"),
            ("192.0.2.0/4294967296", "they are 0 to 32", "length 32"),
            ("192.0.2.0/", "is no prefix", "write it as"),
            ("192.0.2.0/+8", "is no prefix", "write it as"),
            ("192.0.2/24", "is no prefix", "write it as"),
            ("192.0.2.0/24 2001:db8::/32", "is no prefix", "behind #"),
            ("www.example.com", "is no prefix", "write it as"),
            ("fe80::1%eth0", "is no prefix", "write it as"),
        ] {
            let problem = prefix(text).unwrap_err();
            assert!(problem.to_string().contains(what), "{problem}");
            assert!(problem.hint().contains(hint), "{}", problem.hint());
        }
    }

    #[test]
    fn mistakes_are_counted_and_the_first_are_kept() {
        let list = List::read(&"a\n192.0.2.0/24\n".repeat(50), 3);
        assert_eq!((list.entries.len(), list.wrong), (50, 50));
        let lines: Vec<u32> = list.mistakes.iter().map(|mistake| mistake.line).collect();
        assert_eq!(lines, [1, 3, 5]);
    }

    #[test]
    fn what_is_shown_of_a_line_is_short_and_harmless() {
        let told = prefix(&format!("\u{1b}[2J{}", "x".repeat(10_000))).unwrap_err().to_string();
        assert!(told.len() < 100 && !told.contains('\u{1b}'), "{told}");
    }
}

//! Routers by the names of their interfaces: operators mostly write the interface first and the router behind it
//! (`ae1.cr2.ams.example.net`, `xe-0-0-1.cr2.ams.example.net`).

/// What the first letters of an interface's name are, in the conventions of Juniper, Cisco, Nokia, Arista and Linux.
const KINDS: [&str; 34] = [
    "ae",
    "be",
    "bundle",
    "bvi",
    "ce",
    "ci",
    "eth",
    "ethernet",
    "et",
    "fa",
    "fe",
    "fo",
    "ge",
    "gi",
    "gige",
    "hu",
    "hundredgige",
    "ie",
    "irb",
    "lag",
    "lo",
    "loopback",
    "pc",
    "po",
    "pos",
    "reth",
    "so",
    "te",
    "tengige",
    "ten",
    "tu",
    "vl",
    "vlan",
    "xe",
];

/// The router in the name of an interface; `None` where the name has no interface part that we know, or nothing
/// behind it that could be a router.
#[must_use]
pub fn router(name: &str) -> Option<String> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let (first, rest) = name.split_once('.')?;
    // A domain alone ("example.net") is no router, nor is what is not told from others by a number.
    let labels: Vec<&str> = rest.split('.').collect();
    let numbered =
        labels.iter().rev().skip(2).any(|label| label.contains(|c: char| c.is_ascii_digit()));
    (is_interface(first) && labels.len() >= 3 && numbered).then(|| rest.to_owned())
}

/// Letters of a known kind, then numbers with separators: `xe-0-0-1`, `ae12`, `be-2345`, `hu0_1_0_3`, `lo0`.
fn is_interface(label: &str) -> bool {
    let letters = label.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(label.len());
    let (kind, numbers) = label.split_at(letters);
    KINDS.contains(&kind)
        && numbers.contains(|c: char| c.is_ascii_digit())
        && numbers.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_part_is_left_out() {
        for (name, of) in [
            ("ae1.cr2.ams.example.net", "cr2.ams.example.net"),
            ("XE-0-0-1.CR2.ams.example.net.", "cr2.ams.example.net"),
            ("hu0_1_0_3.edge5.example.net", "edge5.example.net"),
            ("be-2345.r01.fra.example.net", "r01.fra.example.net"),
        ] {
            assert_eq!(router(name).as_deref(), Some(of), "{name}");
        }
    }

    #[test]
    fn other_names_tell_nothing() {
        for name in [
            "R1",
            "www.example.com",
            // No interface, no number, nothing behind it, no router but a town.
            "cr2.ams.example.net",
            "ae.cr2.ams.example.net",
            "ae1.example.net",
            "ae1.ams.example.net",
            "ae1-customer.cr2.ams.example.net",
            "192-0-2-1.dsl4.example.net",
        ] {
            assert_eq!(router(name), None, "{name}");
        }
    }
}

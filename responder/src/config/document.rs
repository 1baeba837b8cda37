//! Where keys stand in a file: from paths such as `port[1].interface[0].addresses[2]` to spans.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// Where `path` stands in the file `root`: its value, or its header for a section. If it does not stand there, the header of the
/// innermost section that would have it; `None` if that is the file itself.
pub(super) fn find(root: &DeTable<'_>, path: &str) -> Option<Range<usize>> {
    let mut table = root;
    let mut found = None;
    for part in path.split('.') {
        let mut places = part.split('[');
        let Some(value) = places.next().and_then(|name| table.get(name)) else { break };
        let mut value = value;
        found = Some(value.span());
        for place in places {
            let place = place.trim_end_matches(']').parse::<usize>();
            let Some(element) = place.ok().and_then(|place| value.get_ref().get(place)) else {
                return found;
            };
            value = element;
            found = Some(value.span());
        }
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_paths_to_places() {
        let text = "[eal]\nmemory_mb = 5\n[[port]]\nmtu = 9\n[[port]]\nx = [1, 22]\n[[port.interface]]\nvlan = 3\n";
        let document = DeTable::parse(text).unwrap();
        for (path, at) in [
            ("eal.memory_mb", "5"),
            ("eal.extra", "[eal]"),
            ("port[0].mtu", "9"),
            ("port[1].mtu", "[[port]]"),
            ("port[1].x", "[1, 22]"),
            ("port[1].x[1]", "22"),
            ("port[1].x[2]", "[1, 22]"),
            ("port[1].interface[0].vlan", "3"),
            ("port[1].interface[0].name", "[[port.interface]]"),
        ] {
            let span = find(document.get_ref(), path);
            assert_eq!(span.and_then(|span| text.get(span)), Some(at), "{path}");
        }
        assert_eq!(find(document.get_ref(), "workers.cpus"), None);
    }
}

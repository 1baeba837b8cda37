//! Where keys stand in a file: from paths such as `port[1].interface[0].addresses[2]` to spans.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::Mistake;

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

/// The path of the key that stands on the line on which `mistake` begins: the one whose value is no TOML.
pub(super) fn at_line_of(root: &DeTable<'_>, text: &str, mistake: &Mistake) -> Option<String> {
    let (before, after) = text.split_at_checked(mistake.start())?;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let end = after.find('\n').map_or(text.len(), |newline| before.len() + newline);
    within(root, &(start..end))
}

/// The path, from `table` on, of the innermost key that begins within `line`.
fn within(table: &DeTable<'_>, line: &Range<usize>) -> Option<String> {
    table.iter().find_map(|(name, value)| {
        let rest = match value.get_ref() {
            DeValue::Table(inner) => within(inner, line).map(|rest| format!(".{rest}")),
            DeValue::Array(array) => {
                (0..).zip(array.iter()).find_map(|(place, value): (usize, _)| {
                    let rest = within(value.get_ref().as_table()?, line)?;
                    Some(format!("[{place}].{rest}"))
                })
            }
            _ => None,
        };
        let rest = rest.or_else(|| line.contains(&name.span().start).then(String::new))?;
        Some(format!("{}{rest}", name.get_ref()))
    })
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
        for (word, path) in [
            ("5", "eal.memory_mb"),
            ("9", "port[0].mtu"),
            ("22", "port[1].x"),
            ("3", "port[1].interface[0].vlan"),
        ] {
            let start = text.find(word).unwrap();
            let mistake = Mistake::new("", Some(start..start + 1), "no TOML");
            assert_eq!(at_line_of(document.get_ref(), text, &mistake).as_deref(), Some(path));
        }
    }
}

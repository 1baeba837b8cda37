//! What is known of each key besides its type: read from the commented default file, `responder/otherhalfd.toml`, which is the one place
//! where it stands. Mistakes, the reload, the reference page and the manual pages go by it.
//!
//! Of the file, a line `# text` is prose about what follows it, `#key = value` a key that is left out, `#[section]` a section that is. The
//! last lines of a key's prose are its facts, sentences in this order: `Value: ….`, then `Default: ….` or `Required.` where the value below
//! is an example, then `Change: reload.` or `Change: restart.`

use std::sync::LazyLock;

/// The commented default file.
pub const DEFAULT_FILE: &str = include_str!("../../otherhalfd.toml");

/// When a change of a key is taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// When the file is read again.
    Reload,
    /// At the next start.
    Restart,
}

/// What a key is if it is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absent {
    /// The value that stands in the file.
    Value,
    /// What these words say; the value that stands in the file is an example.
    Words(String),
    /// It can't be left out; the value that stands in the file is an example.
    Wrong,
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its path without places, such as `port.interface.vlan`.
    pub path: String,
    /// What it is.
    pub about: String,
    /// Which values it takes, in which unit.
    pub value: String,
    /// The value that stands in the file, as TOML.
    pub shown: String,
    /// If it is left out.
    pub absent: Absent,
    /// When a change is taken up.
    pub change: Change,
}

impl Key {
    /// Its name, the last part of its path.
    #[must_use]
    pub fn name(&self) -> &str {
        last(&self.path)
    }
}

/// A section: a table, or one of an array of tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its path without places, such as `port.interface`.
    pub path: String,
    /// Whether there may be several: `[[path]]`.
    pub several: bool,
    /// What it is.
    pub about: String,
    /// Its keys, in the file's order.
    pub keys: Vec<Key>,
}

impl Section {
    /// Its header, as it stands in a file.
    #[must_use]
    pub fn header(&self) -> String {
        if self.several { format!("[[{}]]", self.path) } else { format!("[{}]", self.path) }
    }
}

/// All sections, in the file's order.
///
/// # Panics
///
/// If the default file that is built in lacks its form. A test reads it.
#[must_use]
pub fn sections() -> &'static [Section] {
    static SECTIONS: LazyLock<Vec<Section>> = LazyLock::new(|| {
        parse(DEFAULT_FILE).unwrap_or_else(|line| panic!("otherhalfd.toml, this line: {line}"))
    });
    &SECTIONS
}

/// The section `path`.
#[must_use]
pub fn section(path: &str) -> Option<&'static Section> {
    sections().iter().find(|section| section.path == path)
}

/// The key `path`; places in it do not matter.
#[must_use]
pub fn key(path: &str) -> Option<&'static Key> {
    let path = without_places(path);
    let (section, _) = path.rsplit_once('.')?;
    self::section(section)?.keys.iter().find(|key| key.path == path)
}

/// When a change of `path` is taken up, which is a key or a section: that, if a reload takes up all of its keys.
#[must_use]
pub fn change_of(path: &str) -> Change {
    let path = without_places(path);
    if let Some(key) = key(&path) {
        return key.change;
    }
    let within =
        |key: &&Key| key.path.strip_prefix(&path).is_some_and(|rest| rest.starts_with('.'));
    let keys = sections().iter().flat_map(|section| &section.keys);
    let mut changes = keys.filter(within).map(|key| key.change).peekable();
    if changes.peek().is_some() && changes.all(|change| change == Change::Reload) {
        Change::Reload
    } else {
        Change::Restart
    }
}

/// The names that may stand in the section `path` (the whole file: an empty path), sections within it included.
pub fn names(path: &str) -> impl Iterator<Item = &'static str> {
    let keys = section(path).into_iter().flat_map(|section| &section.keys).map(Key::name);
    let within = sections().iter().filter_map(move |section| {
        let (parent, name) = section.path.rsplit_once('.').unwrap_or(("", &section.path));
        (parent == path).then_some(name)
    });
    keys.chain(within)
}

/// `path` without places: `port.mtu` of `port[0].mtu`.
#[must_use]
pub fn without_places(path: &str) -> String {
    let mut within = false;
    let outside = path.chars().filter(|c| {
        let place = within || *c == '[';
        within = place && *c != ']';
        !place
    });
    outside.collect()
}

/// The last part of `path`.
fn last(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, name)| name)
}

/// Reads a default file; the first line that lacks the form is the error.
fn parse(file: &str) -> Result<Vec<Section>, String> {
    let mut sections: Vec<Section> = Vec::new();
    let mut prose: Vec<&str> = Vec::new();
    for line in file.lines() {
        if line.is_empty() {
            prose.clear();
        } else if let Some(text) = line.strip_prefix("# ") {
            prose.push(text);
        } else if line != "#" {
            let about = std::mem::take(&mut prose).join(" ");
            let code = line.strip_prefix('#').unwrap_or(line);
            if let Some(path) = code.strip_prefix('[') {
                let several = path.starts_with('[');
                let path = path.trim_matches(['[', ']']).to_owned();
                sections.push(Section { path, several, about, keys: Vec::new() });
            } else {
                let section = sections.last_mut().ok_or(line)?;
                section.keys.push(parse_key(&section.path, code, &about).ok_or(line)?);
            }
        }
    }
    Ok(sections)
}

fn parse_key(section: &str, code: &str, about: &str) -> Option<Key> {
    let (name, shown) = code.split_once(" = ")?;
    let (about, facts) = about.split_once(" Value: ")?;
    let (facts, change) = facts.rsplit_once(" Change: ")?;
    let change = match change {
        "reload." => Change::Reload,
        "restart." => Change::Restart,
        _ => return None,
    };
    let (value, absent) = if let Some(value) = facts.strip_suffix(" Required.") {
        (value, Absent::Wrong)
    } else if let Some((value, words)) = facts.split_once(" Default: ") {
        (value, Absent::Words(words.strip_suffix('.')?.to_owned()))
    } else {
        (facts, Absent::Value)
    };
    Some(Key {
        path: format!("{section}.{name}"),
        about: about.to_owned(),
        value: value.strip_suffix('.')?.to_owned(),
        shown: shown.to_owned(),
        absent,
        change,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_left_out() {
        assert_eq!(without_places("port[0].interface[12].vlan"), "port.interface.vlan");
        assert_eq!(without_places("eal.extra"), "eal.extra");
    }

    #[test]
    fn a_key_has_its_facts() {
        let mtu = key("port[3].mtu").unwrap();
        assert_eq!((mtu.name(), mtu.shown.as_str()), ("mtu", "1500"));
        assert_eq!(mtu.value, "bytes, 1280 to 65000");
        assert_eq!(mtu.absent, Absent::Words("what the device has".into()));
        assert_eq!(mtu.change, Change::Restart);
        assert_eq!(key("port.device").unwrap().absent, Absent::Wrong);
        assert_eq!(key("drain.grace_ms").unwrap().change, Change::Reload);
        assert!(names("probe").eq(["check_identification", "icmp", "tcp", "udp"]));
        assert!(names("").any(|name| name == "pending"));
    }

    #[test]
    fn a_key_without_its_facts_is_refused() {
        let file = "# Of it.\n[a]\n# What. Value: bytes. Change: reload.\n#b = 1\n";
        assert_eq!(parse(file).unwrap().len(), 1);
        for (from, to) in [("Value: ", ""), ("reload", "sometimes"), (" = ", ": "), ("[a]", "")] {
            assert!(parse(&file.replace(from, to)).is_err(), "{from}");
        }
    }
}

//! Reads each key of a file on its own, so that one that is wrong hides no other.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, Absent};
use super::mistake::{MOST, Mistake};
use super::{Config, document};

/// A key or section of a file, with its value.
type Entry<'a, 'i> = (&'a Spanned<std::borrow::Cow<'i, str>>, &'a Spanned<DeValue<'i>>);

/// Mistakes after which no more are looked for. More than are told, for they are found in the order of their names.
const ENOUGH: usize = 10 * MOST;

/// What a file says, read as far as it goes.
pub(super) struct Reading {
    /// All that could be read; the rest is as if it were left out.
    pub(super) config: Config,
    /// What could not be read.
    pub(super) mistakes: Vec<Mistake>,
}

/// Reads the file `root`.
pub(super) fn read(root: &DeTable<'_>) -> Reading {
    let mut reader = Reader { root, mistakes: Vec::new() };
    let good = reader.table("", "", root);
    let config = Config::deserialize(whole(good)).unwrap_or_else(|error| {
        // Each key was good on its own. Said all the same, for whatever is wrong must not be taken for good.
        let span = error.span().unwrap_or(0..0);
        reader.mistakes.push(Mistake::new("", Some(span), error.message()));
        Config::default()
    });
    Reading { config, mistakes: reader.mistakes }
}

struct Reader<'a, 'i> {
    root: &'a DeTable<'i>,
    mistakes: Vec<Mistake>,
}

impl<'i> Reader<'_, 'i> {
    /// What of the section `path` can be read. `schema` is its path without places.
    fn table(&mut self, path: &str, schema: &str, table: &DeTable<'i>) -> DeTable<'i> {
        let mut good = DeTable::new();
        let mut mistaken = Vec::new();
        for entry @ (name, value) in table {
            if self.mistakes.len() > ENOUGH {
                break;
            }
            let path = join(path, name.get_ref());
            let schema = join(schema, name.get_ref());
            let read = if let Some(section) = keys::section(&schema) {
                self.section(&path, section, value)
            } else if keys::key(&schema).is_some() {
                self.value(&path, &schema, entry)
            } else {
                mistaken.extend(self.unknown(&path, &schema, name));
                None
            };
            if let Some(value) = read {
                good.insert(name.clone(), Spanned::new(value_span(entry), value));
            }
        }
        let required = keys::section(schema).into_iter().flat_map(|section| &section.keys);
        for key in required.filter(|key| key.absent == Absent::Wrong) {
            // One that is misspelt is not missing besides.
            if !table.contains_key(key.name()) && !mistaken.contains(&key.name()) {
                let path = join(path, key.name());
                let span = document::find(self.root, &path);
                self.mistakes.push(
                    Mistake::new(&path, span, "it is missing, and can't be left out")
                        .hint(format!("add {} = {}", key.name(), key.shown)),
                );
            }
        }
        good
    }

    /// What of the section at `path` can be read.
    fn section(
        &mut self,
        path: &str,
        section: &'static keys::Section,
        value: &Spanned<DeValue<'i>>,
    ) -> Option<DeValue<'i>> {
        let header = section.header();
        match (value.get_ref(), section.several) {
            (DeValue::Table(table), false) => {
                Some(DeValue::Table(self.table(path, &section.path, table)))
            }
            (DeValue::Array(tables), true)
                if tables.iter().all(|table| table.get_ref().is_table()) =>
            {
                let tables = tables.iter().enumerate().filter_map(|(place, value)| {
                    let table = value.get_ref().as_table()?;
                    let path = format!("{path}[{place}]");
                    let read = DeValue::Table(self.table(&path, &section.path, table));
                    Some(Spanned::new(value.span(), read))
                });
                Some(DeValue::Array(tables.collect()))
            }
            (other, several) => {
                let wanted = if several { "there may be several of it" } else { "it is a section" };
                let what = format!("{wanted}, not a {}", other.type_str());
                let hint = format!("write {header} on a line of its own, and its keys below");
                self.mistakes.push(Mistake::new(path, Some(value.span()), what).hint(hint));
                None
            }
        }
    }

    /// The value of the key at `path`, if it can be read.
    fn value(&mut self, path: &str, schema: &str, entry: Entry<'_, 'i>) -> Option<DeValue<'i>> {
        let (_, value) = entry;
        let Err(error) = try_value(schema, value.clone()) else {
            return Some(value.get_ref().clone());
        };
        // Each element on its own; if none is wrong so, the whole is.
        let mut elements = Vec::new();
        if let DeValue::Array(array) = value.get_ref() {
            for (place, element) in array.iter().enumerate().take(ENOUGH) {
                let one = DeValue::Array([element.clone()].into_iter().collect());
                if let Err(error) = try_value(schema, Spanned::new(element.span(), one)) {
                    let span = error.span().unwrap_or(element.span());
                    elements.push(wrong_type(&format!("{path}[{place}]"), span, error.message()));
                }
            }
        }
        if elements.is_empty() {
            let span = error.span().unwrap_or(value.span());
            elements.push(wrong_type(path, span, error.message()));
        }
        self.mistakes.append(&mut elements);
        None
    }

    /// A key that does not exist; returns the one that is probably meant.
    fn unknown(
        &mut self,
        path: &str,
        schema: &str,
        name: &Spanned<std::borrow::Cow<'i, str>>,
    ) -> Option<&'static str> {
        let parent = schema.strip_suffix(name.get_ref().as_ref()).unwrap_or_default();
        let parent = parent.trim_end_matches('.');
        let (name, span) = (name.get_ref().as_ref(), name.span());
        let near = nearest(name, keys::names(parent));
        let hint = if let Some(near) = near {
            format!("did you mean {near}?")
        } else if let Some(section) = home(name) {
            format!("{name} is a key of {}", section.header())
        } else {
            let mut names: Vec<&str> = keys::names(parent).collect();
            names.sort_unstable();
            let place = keys::section(parent).map_or("a file".to_owned(), keys::Section::header);
            format!("{place} has {}", names.join(", "))
        };
        let within = path.rsplit_once('.').map_or("", |(within, _)| within);
        let meant = near.map(|near| join(within, near));
        self.mistakes
            .push(Mistake::new(path, Some(span), "there is no such key").meant(meant).hint(hint));
        near
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn value_span((_, value): Entry<'_, '_>) -> Range<usize> {
    value.span()
}

/// What is wrong with the value of the key `path`, of serde's words.
fn wrong_type(path: &str, span: Range<usize>, message: &str) -> Mistake {
    // What serde expects are types of Rust; what a person needs to know is the key's data.
    let typed = message.starts_with("invalid type: ") || message.starts_with("invalid value: ");
    let what =
        message.split_once(", expected ").filter(|_| typed).map_or(message, |(what, _)| what);
    let mistake = Mistake::new(path, Some(span), what);
    // Our own sentences say so themselves.
    let foreign = message.starts_with("invalid ") || message.starts_with("unknown ");
    match keys::key(path).filter(|_| foreign) {
        Some(key) => mistake.hint(format!("{} takes {}", key.name(), key.value)),
        None => mistake,
    }
}

/// Whether a file of nothing but the key `schema` with `value` can be read.
fn try_value(schema: &str, value: Spanned<DeValue<'_>>) -> Result<(), toml::de::Error> {
    let mut inner = value;
    let mut path = schema;
    loop {
        let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
        let span = inner.span();
        let mut table = DeTable::new();
        table.insert(Spanned::new(span.clone(), name.to_owned().into()), inner);
        if parent.is_empty() {
            return Config::deserialize(whole(table)).map(drop);
        }
        let table = Spanned::new(span.clone(), DeValue::Table(table));
        inner = if keys::section(parent).is_some_and(|section| section.several) {
            Spanned::new(span, DeValue::Array([table].into_iter().collect()))
        } else {
            table
        };
        path = parent;
    }
}

fn whole(table: DeTable<'_>) -> toml::Deserializer<'_> {
    Spanned::new(0..0, table).into()
}

/// Of `names`, the one that `name` is probably meant to be.
fn nearest(name: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let distances =
        names.map(|known| (strsim::damerau_levenshtein(&name.to_lowercase(), known), known));
    let (distance, known) = distances.min()?;
    // A third of it may be wrong.
    (distance <= (name.len().max(known.len()) / 3).max(1)).then_some(known)
}

/// The one section that has a key `name`.
fn home(name: &str) -> Option<&'static keys::Section> {
    let has = |section: &&keys::Section| section.keys.iter().any(|key| key.name() == name);
    let mut homes = keys::sections().iter().filter(has);
    homes.next().filter(|_| homes.next().is_none())
}

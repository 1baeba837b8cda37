//! `responder/otherhalfd.toml`: it has every key of the configuration, with the defaults that the program has.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use otherhalf_responder::config::keys::{self, Absent, DEFAULT_FILE, Section};
use otherhalf_responder::config::{Config, pages};

fn parse(text: &str) -> Config {
    Config::parse(text, Path::new("otherhalfd.toml")).unwrap_or_else(|error| panic!("{error}"))
}

/// The file with nothing left out for which `shown` holds.
fn file(shown: impl Fn(&keys::Key) -> bool) -> String {
    let mut text = String::new();
    for section in keys::sections() {
        writeln!(text, "{}", section.header()).unwrap();
        for key in section.keys.iter().filter(|key| shown(key)) {
            writeln!(text, "{} = {}", key.name(), key.shown).unwrap();
        }
    }
    text
}

/// The fields that serde knows of the section `path`, by what it says of one that it does not.
fn fields(path: &str) -> BTreeSet<String> {
    let (mut text, mut prefix) = (String::new(), String::new());
    for part in path.split('.').filter(|part| !part.is_empty()) {
        prefix = if prefix.is_empty() { part.to_owned() } else { format!("{prefix}.{part}") };
        writeln!(text, "{}", keys::section(&prefix).unwrap().header()).unwrap();
    }
    text += "no_such_field = 1";
    let error = toml::from_str::<Config>(&text).unwrap_err();
    let (_, expected) = error.message().split_once(", expected ").unwrap();
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn it_has_every_key_and_no_other() {
    let sections = keys::sections().iter().map(|section| section.path.as_str());
    for path in sections.chain([""]) {
        let names: BTreeSet<String> = keys::names(path).map(str::to_owned).collect();
        assert_eq!(names, fields(path), "[{path}] of responder/otherhalfd.toml");
    }
}

#[test]
fn what_it_shows_as_default_is_the_default() {
    let required = file(|key| key.absent == Absent::Wrong);
    let defaults = file(|key| matches!(key.absent, Absent::Wrong | Absent::Value));
    assert!(defaults.len() > required.len());
    assert_eq!(parse(&required), parse(&defaults));
}

#[test]
fn it_and_its_examples_are_good() {
    let config = parse(DEFAULT_FILE);
    assert!(config.route.is_empty(), "sections behind a # are left out");
    let all = file(|_| true);
    // The example of a secret is one that nobody may use.
    let example = format!("\"{}\"", "0".repeat(32));
    let error = Config::parse(&all, Path::new("otherhalfd.toml")).unwrap_err().to_string();
    assert!(error.contains("pending.secret: a secret of zeros is known to everybody"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    let all = parse(&all.replace(&example, "\"00112233445566778899aabbccddeeff\""));
    assert_ne!(all, config);
    assert_eq!((all.route.len(), all.port[0].mtu), (1, Some(1500)));
}

#[test]
fn the_reference_page_is_of_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = std::fs::read_to_string(path).unwrap();
    assert!(
        page == pages::markdown(),
        "otherhalfd generate reference > docs/configuration.md, and look at what changed"
    );
}

#[test]
fn the_manual_page_has_every_key() {
    let page = pages::manual("1.2.3");
    assert!(page.starts_with(".ie") || page.starts_with(".TH"), "{page}");
    let mut rest = page.as_str();
    for section in keys::sections() {
        let header = format!("{}\n", section.header());
        let place = rest.find(&header).unwrap_or_else(|| panic!("no {header}"));
        rest = &rest[place..];
        for key in &section.keys {
            // Roff wants hyphens escaped.
            let line = format!("\\fB{}\\fR\n", key.name().replace('-', "\\-"));
            let place = rest.find(&line).unwrap_or_else(|| panic!("no {}", key.path));
            rest = &rest[place..];
        }
    }
}

/// Each range of numbers that the file tells is the one that is checked.
#[test]
fn its_ranges_are_those_that_are_checked() {
    let mut ranges = 0;
    for section in keys::sections() {
        for key in &section.keys {
            let Some((low, high)) = range(&key.value) else { continue };
            let list = key.shown.starts_with('[') || key.value.starts_with("a list");
            for (value, good) in [(low, true), (high, true), (low - 1, false), (high + 1, false)] {
                let value = if list { format!("[{value}]") } else { value.to_string() };
                let text = with(section, key, &value);
                let said = Config::parse(&text, Path::new("a.toml"));
                let about = |text: String| {
                    text.contains(&format!("{}: ", key.name()))
                        || text.contains(&format!("{}[0]: ", key.name()))
                };
                let refused = said.err().is_some_and(|error| about(error.to_string()));
                assert_eq!(refused, !good, "{} = {value}", key.path);
            }
            ranges += 1;
        }
    }
    assert!(ranges >= 15, "{ranges}");
}

/// The numbers of "A to B" in `text`.
fn range(text: &str) -> Option<(i64, i64)> {
    let (before, after) = text.split_once(" to ")?;
    let low = before.rsplit(' ').next()?.parse().ok()?;
    let high = after.split([',', ' ']).next()?.parse().ok()?;
    Some((low, high))
}

/// A file of what is required, but for `key` of `section`, which has `value`.
fn with(section: &Section, key: &keys::Key, value: &str) -> String {
    let header = section.header();
    let line = format!("{header}\n{} = {value}", key.name());
    file(|other| other.absent == Absent::Wrong && other.path != key.path)
        .replacen(&header, &line, 1)
}

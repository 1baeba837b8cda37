//! The table of all ratios that scripts/bench writes: as Markdown for the documentation, and as one HTML page.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// A line of ratios.ndjson.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Row {
    /// The step of scripts/bench that measured it.
    pub step: String,
    /// Its name.
    pub name: String,
    /// Its value; none: it could not be told.
    pub value: Option<f64>,
    /// What it is to be: at most, at least, or the one that it may differ from.
    pub target: Option<f64>,
    /// `pass`, `short`, or `-`.
    pub verdict: String,
}

/// What ratios are of, from perf/ratios.toml.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Legend {
    /// The steps, in the order of the table.
    #[serde(rename = "step")]
    steps: Vec<Measured>,
    /// Ratios by their names, or patterns of them.
    #[serde(rename = "ratio")]
    ratios: Vec<Meaning>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Measured {
    name: String,
    about: String,
    command: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Meaning {
    name: String,
    about: String,
    best: Best,
}

/// Which values are good ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Best {
    /// Small ones.
    Low,
    /// Large ones.
    High,
    /// Those near 1.
    One,
}

/// Rows with their meanings, step by step.
#[derive(Debug, Clone)]
pub struct Table {
    groups: Vec<(Measured, Vec<Line>)>,
}

/// A row, what is compared in it, and what is best.
pub(crate) type Line = (Row, String, Option<Best>);

/// Whether `name` fits `pattern`, part by part between slashes, each with one `*` at most.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = [pattern, name].map(|text| text.split('/'));
    loop {
        match parts.each_mut().map(Iterator::next) {
            [None, None] => return true,
            [Some(pattern), Some(part)] => {
                let fits = match pattern.split_once('*') {
                    None => pattern == part,
                    Some((before, after)) => {
                        part.strip_prefix(before).is_some_and(|rest| rest.ends_with(after))
                    }
                };
                if !fits {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

impl Table {
    /// Of the lines in `ratios` and the legend in `legend`.
    pub fn load(ratios: &Path, legend: &Path) -> Result<Self> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))
        };
        let legend: Legend = toml::from_str(&read(legend)?)?;
        let rows = read(ratios)?;
        let rows = rows.lines().map(serde_json::from_str).collect::<Result<Vec<Row>, _>>();
        Ok(Self::new(&rows.with_context(|| format!("in {}", ratios.display()))?, &legend))
    }

    /// Of `rows`. Steps that `legend` does not name stand at the end, under their names.
    #[must_use]
    pub fn new(rows: &[Row], legend: &Legend) -> Self {
        let mut steps = legend.steps.clone();
        for row in rows {
            if !steps.iter().any(|step| step.name == row.step) {
                let (name, about) = (row.step.clone(), row.step.clone());
                steps.push(Measured { name, about, command: String::new() });
            }
        }
        let meant = |row: &Row| {
            let meaning = legend.ratios.iter().find(|meaning| fits(&meaning.name, &row.name));
            let about = meaning.map_or_else(String::new, |meaning| meaning.about.clone());
            (row.clone(), about, meaning.map(|meaning| meaning.best))
        };
        let of =
            |step: &Measured| rows.iter().filter(|row| row.step == step.name).map(meant).collect();
        let groups =
            steps.into_iter().map(|step| (of(&step), step)).map(|(rows, step)| (step, rows));
        Self { groups: groups.filter(|(_, rows): &(Measured, Vec<_>)| !rows.is_empty()).collect() }
    }

    /// How many pass, are short, and have no target or are undecided.
    #[must_use]
    pub fn verdicts(&self) -> [usize; 3] {
        let count = |verdict: &str| {
            let rows = self.groups.iter().flat_map(|(_, rows)| rows);
            rows.filter(|(row, ..)| row.verdict == verdict).count()
        };
        [count("pass"), count("short"), count("-")]
    }

    /// As Markdown.
    #[must_use]
    pub fn markdown(&self, notes: &[String]) -> String {
        let [pass, short, open] = self.verdicts();
        let mut out =
            format!("{pass} pass, {short} are short, {open} have no target or are undecided.\n");
        for note in notes {
            let _ = writeln!(out, "{note}.");
        }
        for (step, rows) in &self.groups {
            let _ = write!(out, "\n{}", step.about);
            if !step.command.is_empty() {
                let _ = write!(out, ": `{}`", step.command);
            }
            out.push_str("\n\n| name | what is compared | value | target |\n|---|---|---|---|\n");
            for (row, about, best) in rows {
                let verdict = match row.verdict.as_str() {
                    "short" => ", **short**",
                    "pass" => ", pass",
                    _ if row.target.is_some() => ", undecided",
                    _ => "",
                };
                let (value, target) = (value(row), target(row, *best));
                let _ = writeln!(out, "| `{}` | {about} | {value}{verdict} | {target} |", row.name);
            }
        }
        out
    }

    /// As a page, with `links` to other pages beside it.
    #[must_use]
    pub fn page(&self, notes: &[String], links: &[String]) -> String {
        crate::html::table::page(self, notes, links)
    }

    /// Its groups: what a step is, its command, its rows, each with what is compared and what is best.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&str, &str, &[Line])> {
        self.groups
            .iter()
            .map(|(step, rows)| (step.about.as_str(), step.command.as_str(), rows.as_slice()))
    }
}

/// A row's value as text.
pub(crate) fn value(row: &Row) -> String {
    row.value.map_or_else(|| "none".to_owned(), |value| format!("{value:.3}"))
}

/// A row's target as text.
pub(crate) fn target(row: &Row, best: Option<Best>) -> String {
    let Some(target) = row.target else { return String::new() };
    match best {
        Some(Best::Low) => format!("at most {target}"),
        Some(Best::High) => format!("at least {target}"),
        // What a control may differ from 1.
        Some(Best::One) => format!("1 ± {target}"),
        None => format!("{target}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(step: &str, name: &str, value: Option<f64>, target: Option<f64>, verdict: &str) -> Row {
        let [step, name, verdict] = [step, name, verdict].map(str::to_owned);
        Row { step, name, value, target, verdict }
    }

    #[test]
    fn names_fit_their_patterns_part_by_part() {
        for (pattern, name) in [("a/*/c", "a/bb/c"), ("path-*/*", "path-174/x"), ("x", "x")] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a/*/c", "a/c"), ("a/*", "a/b/c"), ("*", "a/b"), ("a*c", "ab")] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn the_legend_knows_the_ratios_and_the_table_has_all_rows() {
        let legend: Legend = toml::from_str(include_str!("../ratios.toml")).unwrap();
        let rows = [
            row("load", "overload-open", Some(0.7), Some(0.9), "-"),
            row("engine", "path/requests-v4/floor", Some(2.0764), Some(1.5), "short"),
            row("engine", "path/control", Some(1.006), Some(0.05), "pass"),
            row("load", "latency-p999-null", None, None, "-"),
            row("new", "never/seen", Some(1.0), None, "-"),
        ];
        let table = Table::new(&rows, &legend);
        assert_eq!(table.verdicts(), [1, 1, 3]);
        let text = table.markdown(&["two cores".to_owned()]);
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(
            lines,
            [
                "| `path/requests-v4/floor` | the worker to the floor, bare C that does far less | 2.076, **short** | at most 1.5 |",
                "| `path/control` | something with itself: how far it is from 1 is what not to believe | 1.006, pass | 1 ± 0.05 |",
                "| `overload-open` | goodput at four times the peak's rate, to the peak | 0.700, undecided | at least 0.9 |",
                "| `latency-p999-null` | the same of a null server as busy, on the same core: what the host and the harness make of it | none |  |",
                "| `never/seen` |  | 1.000 |  |",
            ]
        );
        assert!(text.contains("two cores.") && text.contains("`target/release/otherhalf-ab`"));
        let page = table.page(&["two <cores>".to_owned()], &["load/report.html".to_owned()]);
        assert!(page.contains("two &lt;cores&gt;") && page.contains("href=\"load/report.html\""));
        assert_eq!(page.matches("<tr class=").count(), rows.len());
    }
}

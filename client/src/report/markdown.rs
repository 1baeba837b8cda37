//! A report as Markdown that reads well as plain text.

use std::fmt::{self, Write};

use super::ABOUT;
use super::facts::{COLUMNS, FIGURES, Row, command, head, rows, title, way};
use crate::document::Document;
use crate::picture::label::columns;
use crate::printable;

/// `documents` as one Markdown text.
#[must_use]
pub fn markdown(documents: &[Document]) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(documents, &mut out);
    out
}

fn write_all(documents: &[Document], out: &mut String) -> fmt::Result {
    for document in documents {
        writeln!(out, "# {}\n", escaped(&title(document)))?;
        for (name, value) in head(document) {
            writeln!(out, "- {name}: {}", escaped(&value))?;
        }
        if let Some(finding) = &document.finding {
            writeln!(out, "\n{}", escaped(&printable(&finding.sentence)))?;
        }
        for (direction, path) in document.paths() {
            writeln!(out, "\n## {}\n", escaped(&way(document, direction)))?;
            table(&rows(document, path), out)?;
        }
        writeln!(out, "\n## Trace it again\n\n    {}\n", command(document))?;
    }
    writeln!(out, "{ABOUT}")
}

/// Columns as wide as their widest text; without those that are empty.
fn table(rows: &[Row], out: &mut String) -> fmt::Result {
    let rows: Vec<Row> = rows.iter().map(|row| row.clone().map(|text| escaped(&text))).collect();
    let kept: Vec<usize> =
        (0..COLUMNS.len()).filter(|at| rows.iter().any(|row| !row[*at].is_empty())).collect();
    if kept.is_empty() {
        return writeln!(out, "No hop was traced.");
    }
    let width =
        |at: usize| rows.iter().map(|row| columns(&row[at])).fold(columns(COLUMNS[at]), usize::max);
    let line = |texts: &dyn Fn(usize) -> String, out: &mut String| {
        for at in &kept {
            let text = texts(*at);
            let space = " ".repeat(width(*at).saturating_sub(columns(&text)));
            let (before, after) =
                if FIGURES[*at] { (space.as_str(), "") } else { ("", space.as_str()) };
            write!(out, "| {before}{text}{after} ")?;
        }
        writeln!(out, "|")
    };
    line(&|at| COLUMNS[at].to_owned(), out)?;
    line(
        &|at| {
            let dashes = "-".repeat(width(at).saturating_sub(1));
            if FIGURES[at] { format!("{dashes}:") } else { format!("{dashes}-") }
        },
        out,
    )?;
    rows.iter().try_for_each(|row| line(&|at| row[at].clone(), out))
}

/// `text` with those characters escaped that Markdown or HTML in it would take as its own.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '&' | '~' | '#' | '!')
        {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_markup() {
        assert_eq!(escaped("a|b<img>[x](y)"), r"a\|b\<img\>\[x\](y)");
    }
}

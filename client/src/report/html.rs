//! A report as an HTML page that needs nothing beside it.

use maud::{DOCTYPE, Markup, html};

use super::ABOUT;
use super::facts::{COLUMNS, FIGURES, Row, command, head, rows, title, way};
use crate::document::Document;
use crate::picture::page;
use crate::printable;

const FIXED: &str = "table{border-collapse:collapse;font-size:.88rem}\
th,td{padding:.28rem .7rem;text-align:left;white-space:nowrap}\
th{font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1.1rem;margin:.8rem 0}dd{margin:0}dt{font-weight:600}\
pre{padding:.7rem .9rem;border-radius:6px;overflow-x:auto;width:fit-content;max-width:calc(100% - 1.8rem);font-size:.88rem}\
.found{padding:.6rem .9rem;border-radius:0 6px 6px 0;border-left:4px solid}\
td:last-child{white-space:normal;min-width:15rem}article{max-width:110rem;margin:0 auto 3rem}";

const RULES: &str = "th{border-bottom:2px solid @line}td{border-bottom:1px solid @line}\
pre,.found{background:@panel}.found{border-color:@hot}dt{color:@quiet}";

/// `documents` as one page.
#[must_use]
pub fn html(documents: &[Document]) -> String {
    let whole = documents.first().map_or_else(|| "otherhalf".to_owned(), title);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (page::head(&whole, FIXED, RULES))
            body {
                @for document in documents { (article(document)) }
                article { p class="note" { (ABOUT) } }
            }
        }
    };
    page.into_string() + "\n"
}

fn article(document: &Document) -> Markup {
    html! {
        article {
            h1 { (title(document)) }
            dl { @for (name, value) in head(document) { dt { (name) } dd { (value) } } }
            @if let Some(finding) = &document.finding { p class="found" { (printable(&finding.sentence)) } }
            (page::framed(document))
            @for (direction, path) in document.paths() {
                h2 { (way(document, direction)) }
                (table(&rows(document, path)))
            }
            h2 { "Trace it again" }
            pre { (command(document)) }
        }
    }
}

fn table(rows: &[Row]) -> Markup {
    let kept: Vec<usize> =
        (0..COLUMNS.len()).filter(|at| rows.iter().any(|row| !row[*at].is_empty())).collect();
    let class = |at: usize| if FIGURES[at] { "n" } else { "t" };
    html! {
        @if kept.is_empty() { p { "No hop was traced." } } @else {
            div class="wide" {
                table {
                    thead { tr { @for at in &kept { th class=(class(*at)) { (COLUMNS[*at]) } } } }
                    tbody {
                        @for row in rows {
                            tr { @for at in &kept { td class=(class(*at)) { (row[*at]) } } }
                        }
                    }
                }
            }
        }
    }
}

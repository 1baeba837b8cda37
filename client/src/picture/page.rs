//! The HTML page around a picture.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{draw, style};
use crate::document::Document;
use crate::printable;

const FIXED: &str = "body{font:15px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;\
margin:0 auto;padding:1.5rem 1.25rem 3rem}\
h1{font-size:1.45rem;line-height:1.25;margin:.2rem 0 .3rem}h2{font-size:1.15rem;margin:2.2rem 0 .5rem}\
p{max-width:46rem;margin:.5rem 0}.wide{overflow-x:auto;margin:1rem 0}.oh-frame{width:fit-content;max-width:100%}.wide svg{display:block}\
.note{font-size:.9rem}";

const RULES: &str = "body{background:@ground;color:@text}.note{color:@quiet}a{color:@forward}\
.oh-frame{border:1px solid @line;border-radius:8px}";

/// What every page of ours begins with. Nothing is loaded and no script runs, and the browser is told so.
pub(crate) fn head(title: &str, fixed: &str, rules: &str) -> Markup {
    let fixed = format!("{FIXED}{fixed}");
    let sheet = style::themed(&fixed, &format!("{RULES}{rules}")) + &style::picture();
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
            title { (title) }
            // Our own text; a style sheet knows no entities.
            style { (PreEscaped(sheet)) }
        }
    }
}

/// A picture in a frame that scrolls if it is wider than the page.
pub(crate) fn framed(document: &Document) -> Markup {
    html! { div class="wide oh-frame" { (draw(document, false)) } }
}

/// The page of a picture.
pub(crate) fn whole(document: &Document) -> String {
    let title =
        printable(&format!("otherhalf {} {}", document.head.command, document.head.target.name));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (head(&title, "", ""))
            body {
                h1 { (title) }
                p class="note" {
                    (document.head.started.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
                    ", otherhalf " (printable(&document.head.version))
                }
                @if let Some(finding) = &document.finding { p { (printable(&finding.sentence)) } }
                (framed(document))
            }
        }
    };
    page.into_string() + "\n"
}

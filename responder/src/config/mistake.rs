//! A mistake in a file, and how it is shown.

use std::ops::Range;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

/// Something that is wrong in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The path of the key, such as `route[0].via`, counted from 0; empty if the file itself can't be read.
    pub key: String,
    /// The path of the key that is probably meant, if there is none of that name.
    pub meant: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: Option<String>,
    /// The line, from 1.
    pub line: usize,
    /// The column, in characters from 1.
    pub column: usize,
    /// Where in the file, in octets; none: what is missing would stand in no section that is there.
    span: Option<Range<usize>>,
}

impl Mistake {
    /// `what` is wrong with `key`, at `span`.
    pub(super) fn new(key: &str, span: Option<Range<usize>>, what: impl Into<String>) -> Self {
        let (key, what) = (key.to_owned(), what.into());
        Self { key, meant: None, what, hint: None, line: 1, column: 1, span }
    }

    /// Whether it is about `key`, a part of it, or what it is a part of.
    pub(super) fn concerns(&self, key: &str) -> bool {
        let within = |inner: &str, outer: &str| {
            inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let mut own = [Some(&self.key), self.meant.as_ref()].into_iter().flatten();
        own.any(|own| within(own, key) || within(key, own))
    }

    pub(super) fn meant(self, meant: Option<String>) -> Self {
        Self { meant, ..self }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Whether it is about one of the first `limit` octets of the file.
    pub(super) fn is_before(&self, limit: usize) -> bool {
        self.start() < limit
    }

    /// Whether both begin at the same place.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        self.start() == other.start()
    }

    /// What is wrong, and with which key.
    fn title(&self) -> String {
        if self.key.is_empty() { self.what.clone() } else { format!("{}: {}", self.key, self.what) }
    }

    fn start(&self) -> usize {
        self.span.as_ref().map_or(0, |span| span.start)
    }
}

impl std::fmt::Display for Mistake {
    /// `LINE:COLUMN: KEY: WHAT (HINT)`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.title())?;
        self.hint.iter().try_for_each(|hint| write!(f, " ({hint})"))
    }
}

/// Sorts `mistakes` by their places in `file`, and notes their lines and columns.
pub(super) fn locate(mistakes: &mut Vec<Mistake>, file: &str) {
    for mistake in mistakes.iter_mut() {
        let before = file.get(..mistake.start()).unwrap_or(file);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        mistake.line = before.matches('\n').count() + 1;
        mistake.column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        if is_secret(mistake, file) && mistake.what.starts_with("invalid ") {
            // Of a value of another type, serde's words have the value.
            mistake.what = "this is no secret".into();
        }
    }
    mistakes.sort_by(|a, b| (a.start(), &a.key).cmp(&(b.start(), &b.key)));
    mistakes.dedup();
}

/// All `mistakes` of `file`, which stands at `path`, for a person: each with its line, unless that may hold a secret, which must not get
/// into a log.
pub(super) fn render(mistakes: &[Mistake], path: &Path, file: &str) -> String {
    let path = path.display().to_string();
    let renderer = Renderer::plain();
    let mut text = String::new();
    for mistake in mistakes {
        let title = Level::ERROR.primary_title(mistake.title());
        let at = Origin::path(path.as_str()).line(mistake.line).char_column(mistake.column);
        let mut group: Group<'_> = match &mistake.span {
            Some(span) if !is_secret(mistake, file) => {
                let span = first_line(span, file);
                let mark = AnnotationKind::Primary.span(span);
                title.element(Snippet::source(file).path(path.as_str()).annotation(mark))
            }
            Some(_) => {
                let note = Level::NOTE.message("the line is not shown, it may be secret");
                title.element(at).element(note)
            }
            None => title.element(at),
        };
        if let Some(hint) = &mistake.hint {
            group = group.element(Level::HELP.message(hint.as_str()));
        }
        text += &renderer.render(&[group]);
        text += "\n\n";
    }
    text
}

/// The part of `span` that is in its first line: of a long array, its beginning says enough.
fn first_line(span: &Range<usize>, file: &str) -> Range<usize> {
    let (start, end) = (span.start.min(file.len()), span.end.min(file.len()));
    let text = file.get(start..end).unwrap_or_default();
    start..text.find('\n').map_or(end, |newline| start + newline)
}

/// Whether what `mistake` is about may hold a secret.
fn is_secret(mistake: &Mistake, file: &str) -> bool {
    let start = mistake.start().min(file.len());
    let (before, after) = file.split_at_checked(start).unwrap_or((file, ""));
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = after.find('\n').map_or(file.len(), |newline| start + newline);
    let line = file.get(line_start..line_end).unwrap_or_default();
    // Where the file can't be read, a secret of several lines may be just what can't.
    let unread = mistake.key.is_empty() && before.lines().any(is_open_secret);
    unread || [mistake.key.as_str(), line].iter().any(|text| text.contains("secret"))
}

/// Whether `line` has a secret that does not end on it.
fn is_open_secret(line: &str) -> bool {
    let Some((_, value)) = line.split_once("secret") else { return false };
    let Some((_, value)) = value.split_once('=') else { return false };
    let value = value.trim_start();
    let closed = ['"', '\''].into_iter().any(|quote| {
        let text = value.strip_prefix(quote).and_then(|value| value.split_once(quote));
        text.is_some_and(|(text, behind)| !text.is_empty() && !behind.starts_with(quote))
    });
    !closed
}

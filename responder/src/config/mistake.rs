//! A mistake in a file, and how it is shown.

use std::ops::Range;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

/// Something that is wrong in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The path of the key, such as `route[0].via`, counted from 0; empty if the file itself can't be read.
    pub key: String,
    /// The path of the key that is probably meant, if there is none of that name, or whose value is no TOML.
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

    pub(super) fn start(&self) -> usize {
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

/// Mistakes that are told at most. Who has more has the wrong file, and it must not take long to say so.
pub(super) const MOST: usize = 100;
/// Lines are shown up to so many octets.
const LONGEST_LINE: usize = 1000;

/// Sorts `mistakes` by their places in `file`, and notes their lines and columns. Keeps the first [`MOST`], and says so.
pub(super) fn locate(mistakes: &mut Vec<Mistake>, file: &str) {
    mistakes.sort_by(|a, b| (a.start(), &a.key).cmp(&(b.start(), &b.key)));
    mistakes.dedup();
    let more = mistakes.len() > MOST;
    mistakes.truncate(MOST);
    let (mut seen, mut lines) = (0, 0);
    for mistake in mistakes.iter_mut() {
        let start = mistake.start();
        lines += file.get(seen..start).map_or(0, |between| between.matches('\n').count());
        seen = start;
        let before = file.get(..start).unwrap_or(file);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        mistake.line = lines + 1;
        mistake.column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        // Of a value of another type, serde's words have the value; our own sentences have some.
        if is_secret(mistake, file) && mistake.what.starts_with("invalid ") {
            mistake.what = "this is no secret".into();
        } else if looks_secret(&mistake.what) {
            mistake.what = "this value can't stand here".into();
        }
    }
    if let Some(last) = mistakes.last().filter(|_| more) {
        let said = "there are more mistakes than these: is it the right file?";
        let Mistake { line, column, span, .. } = last.clone();
        mistakes.push(Mistake { line, column, ..Mistake::new("", span, said) });
    }
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
            Some(_) if is_secret(mistake, file) => {
                let note = Level::NOTE.message("the line is not shown, it may be secret");
                title.element(at).element(note)
            }
            Some(span) => match line_of(span, file) {
                (line, span) if line.len() <= LONGEST_LINE => {
                    let mark = AnnotationKind::Primary.span(span);
                    let line = Snippet::source(line).line_start(mistake.line);
                    title.element(line.path(path.as_str()).annotation(mark))
                }
                _ => title.element(at),
            },
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

/// The first line of `span`, and the part of it that is in that line: of a long array, its beginning says enough.
fn line_of<'a>(span: &Range<usize>, file: &'a str) -> (&'a str, Range<usize>) {
    let start = span.start.min(file.len());
    let (before, after) = file.split_at_checked(start).unwrap_or((file, ""));
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = after.find('\n').map_or(file.len(), |newline| start + newline);
    let line = file.get(line_start..line_end).unwrap_or_default();
    let (from, to) = (start - line_start, span.end.min(line_end).max(start) - line_start);
    (line, from..to)
}

/// Whether what `mistake` is about may hold a secret.
fn is_secret(mistake: &Mistake, file: &str) -> bool {
    let (line, _) = line_of(&(mistake.start()..mistake.start()), file);
    let before = file.get(..mistake.start()).unwrap_or(file);
    // Where the file can't be read, a secret of several lines may be just what can't.
    let unread = mistake.key.is_empty() && before.lines().any(is_open_secret);
    let named = [Some(&mistake.key), mistake.meant.as_ref()].into_iter().flatten();
    unread
        || named.map(String::as_str).chain([line]).any(|text| text.contains("secret"))
        || looks_secret(line)
}

/// Whether `text` has more hexadecimal digits in a row than anything else in a configuration has: a secret whose key is misspelt.
fn looks_secret(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_hexdigit()).any(|digits| digits.len() >= 16)
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

//! Text from others, the network or another program, made fit for a terminal.

use std::fmt::Write as _;

/// `text` with everything escaped that a terminal would obey rather than show: control characters, and
/// the invisible ones that reorder or hide what stands around them.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_shown(c) {
            out.push(c);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "{}", c.escape_unicode());
        }
    }
    out
}

/// The same for a `text` of several lines, whose ends stay as they are.
#[must_use]
pub fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// Whether a terminal shows `c`, rather than to obey it or to hide it.
#[must_use]
pub fn is_shown(c: char) -> bool {
    !c.is_control() && !is_invisible(c)
}

/// Zero-width characters, separators, direction marks (Unicode's `Bidi_Control`), tags, and the two noncharacters that
/// XML forbids.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}'..='\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_given_no_orders() {
        assert_eq!(printable("zu wenig Fülle, 日本"), "zu wenig Fülle, 日本");
        assert_eq!(printable("\x1b[2Jgone\r\n\u{9b}m"), r"\u{1b}[2Jgone\u{d}\u{a}\u{9b}m");
        assert_eq!(printable("a\u{202e}b"), r"a\u{202e}b");
        assert_eq!(printable("\u{ffff}"), r"\u{ffff}");
        assert_eq!(printable_lines("a\x1bc\r\n\nb\n"), "a\\u{1b}c\\u{d}\n\nb\n");
        assert_eq!(printable_lines(""), "");
    }
}

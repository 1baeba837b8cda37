//! JSON for whoever reads it, which may be a terminal.
//!
//! JSON itself makes escapes of the control characters below U+0020 alone (RFC 8259 §7). A terminal obeys others as well (U+009B is ESC and
//! `[` in one), so all that [`printable`](crate::printable) would not show is written as an escape, which readers of JSON take for the
//! character that it is.

use std::fmt::Write as _;

use serde::Serialize;

use otherhalf_printable::is_shown;

/// `value` over several lines.
pub fn pretty(value: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string_pretty(value).map(escaped)
}

/// `value` on one line.
pub fn line(value: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(value).map(escaped)
}

/// `json` with escapes for what is not to be shown. Such characters stand in texts alone, but for the ends of lines.
fn escaped(json: String) -> String {
    let fits = |c: char| c == '\n' || is_shown(c);
    if json.chars().all(fits) {
        return json;
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if fits(c) {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_escapes_that_read_as_what_they_are() {
        let text = "a\u{1b}[2J\u{9b}1m\u{7f}\u{202e}\u{e0041}ü\n";
        let written = line(&text).unwrap();
        assert_eq!(written, r#""a\u001b[2J\u009b1m\u007f\u202e\udb40\udc41ü\n""#);
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        assert_eq!(pretty(&["b"]).unwrap(), "[\n  \"b\"\n]");
    }
}

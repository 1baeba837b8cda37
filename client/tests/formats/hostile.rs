//! Documents whose every text is an order to a terminal, or to whoever reads the format: nothing of it comes out as such.

use otherhalf_client::difference::Difference;
use otherhalf_client::{Document, Format, document, report};
use serde_json::Value;

use crate::golden::documents;

/// Clears the screen, sets the window's title, by one octet and by two; reverses the direction of writing; breaks the line; and ends
/// whatever a format quotes texts by.
const ORDERS: &str = "\u{1b}[2J\u{1b}]0;t\u{7}\u{9b}31m\u{202e}\r\nx\u{0}\u{7f}\"><script>alert(1)</script>]]>-->=1|`,;";

/// Puts [`ORDERS`] in the place of each text that may be anything; says of how many.
fn poison(text: &str) -> (Document, usize) {
    let mut value: Value = serde_json::from_str(text).unwrap();
    let mut places = Vec::new();
    find(&value, &mut String::new(), &mut places);
    let mut poisoned = 0;
    for place in places {
        let before = std::mem::replace(value.pointer_mut(&place).unwrap(), ORDERS.into());
        if document::read(&value.to_string()).is_ok() {
            poisoned += 1;
        } else {
            *value.pointer_mut(&place).unwrap() = before;
        }
    }
    (document::read(&value.to_string()).unwrap(), poisoned)
}

/// The places of all texts.
fn find(value: &Value, place: &mut String, places: &mut Vec<String>) {
    let len = place.len();
    let mut enter = |step: String, below: &Value| {
        *place += "/";
        *place += &step.replace('~', "~0").replace('/', "~1");
        find(below, place, places);
        place.truncate(len);
    };
    match value {
        Value::String(_) => places.push(place.clone()),
        Value::Array(all) => {
            all.iter().enumerate().for_each(|(at, below)| enter(at.to_string(), below));
        }
        Value::Object(all) => all.iter().for_each(|(key, below)| enter(key.clone(), below)),
        _ => {}
    }
}

/// What a terminal would obey in `text`.
fn orders(text: &str) -> Option<char> {
    text.chars().find(|c| (c.is_control() && *c != '\n') || matches!(c, '\u{202a}'..='\u{202e}'))
}

#[test]
fn no_format_hands_on_what_a_terminal_would_obey() {
    for (name, text) in documents() {
        let (document, poisoned) = poison(&text);
        assert!(poisoned >= 3, "{name}: {poisoned} texts");
        for format in Format::ALL.into_iter().filter(|format| format.is_text()) {
            let written = String::from_utf8(format.render(&document, None).unwrap()).unwrap();
            assert_eq!(orders(&written), None, "{name}, {format}: {written:?}");
            if matches!(format, Format::Svg | Format::Html) {
                assert!(!written.contains("<script>alert"), "{name}, {format}");
            }
        }
        let documents = [document];
        let page = report::html(&documents);
        assert!(orders(&page).is_none() && !page.contains("<script>alert"), "{name}");
        assert_eq!(orders(&report::markdown(&documents)), None, "{name}");
        let [document] = documents;
        if let Ok(same) = Difference::new(&document, &document) {
            assert_eq!(orders(&same.lines(&document, &document).join("\n")), None, "{name}");
        }
    }
}

#[test]
fn our_own_json_still_says_all() {
    for (name, text) in documents() {
        let (document, _) = poison(&text);
        let written = Format::Json.render(&document, None).unwrap();
        assert_eq!(
            document::read(std::str::from_utf8(&written).unwrap()).unwrap(),
            document,
            "{name}"
        );
    }
}

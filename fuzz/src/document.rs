//! A saved trace from who knows where: what is made of it never panics, and JSON of it is read again as the same.

use otherhalf_client::difference::Difference;
use otherhalf_client::document::{self, Document};
use otherhalf_client::formats::Format;
use otherhalf_client::report;

/// Longer ones show nothing new, but take the layout's time.
const LONGEST: usize = 8192;

/// Reads `octets` as a document and makes everything of it that can be made.
///
/// # Panics
///
/// If the document that was written is not the one that is read again.
pub fn run(octets: &[u8]) {
    let Some(text) = std::str::from_utf8(octets).ok().filter(|text| text.len() <= LONGEST) else {
        return;
    };
    let Ok(document) = document::read(text) else { return };
    for format in Format::ALL {
        let rendered = format.render(&document, None);
        if let (Format::Json, Ok(json)) = (format, rendered) {
            let again: Document = document::read(std::str::from_utf8(&json).unwrap()).unwrap();
            assert_eq!(again, document);
        }
    }
    let documents = [document];
    let _ = (report::html(&documents), report::markdown(&documents));
    let [document] = documents;
    let _ = report::redact(&document, 2);
    if let Ok(difference) = Difference::new(&document, &document) {
        assert!(!difference.is_path_changed());
    }
}

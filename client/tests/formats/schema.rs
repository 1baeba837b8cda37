//! The published schema is that of the types, and documents are as it says.

use std::fs;
use std::path::Path;

use otherhalf_client::document;

/// Where it is published.
const FILE: &str = "../docs/trace.schema.json";

#[test]
fn the_published_schema_is_that_of_this_version() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let published = fs::read_to_string(file).unwrap();
    let schema = serde_json::to_string_pretty(&document::schema()).unwrap() + "\n";
    assert!(
        published == schema,
        "write it anew: cargo run -p otherhalf-client -- generate schema > docs/trace.schema.json"
    );
}

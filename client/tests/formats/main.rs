//! Documents as JSON and as what other programs read.

mod schema;

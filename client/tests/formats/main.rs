//! Documents as JSON and as what other programs read.

mod golden;
mod packets;
mod schema;

//! Documents as JSON and as what other programs read.

mod golden;
mod hostile;
mod packets;
mod schema;

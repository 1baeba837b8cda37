//! Saved traces as a page that is sent to somebody: to a network operator, to a mailing list.
//!
//! It says who traced what and when, shows both directions, and how to trace it again. [`redact`] takes out what is
//! nobody's business.

mod facts;
mod html;
mod markdown;
mod redact;

pub use html::html;
pub use markdown::markdown;
pub use redact::redact;

/// What reverse traceroute is, for those who have not met it.
const ABOUT: &str = "A traceroute shows the way to a host, but its round-trip times have the way back in them, which it does not show. \
    Reverse traceroute shows that as well: a responder at the other end sends the probes from there, and reports who answered.";

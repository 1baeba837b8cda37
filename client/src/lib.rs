//! otherhalf: traceroute in both directions.
//!
//! *Forward* is what traceroute shows: the routers from us to a target. *Reverse* is what it cannot
//! show: the routers from the target to us, found by a responder at the target that sends the
//! probes and reports who answered (`otherhalfd` is one).
//!
//! The probing core does no I/O and reads no clock: a [`Trace`] says which [`Query`] to send next and
//! takes each [`Answer`] with the time of its arrival. [`network::run`] connects any number of traces with a
//! [`Network`]; [`RawNetwork`] is the real one. Nothing in the library writes to a terminal.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use otherhalf_client::{Direction, Options, RawNetwork, Trace, network, resolve};
//! use otherhalf_wire::probe::Protocol;
//!
//! let target = resolve::target("www.example.com", None)?;
//! let mut network = RawNetwork::open(target, &[Protocol::Udp])?;
//! let options = Options::new(Direction::Reverse, Protocol::Udp, network.source(), target.ip());
//! let mut traces = [Trace::new(options, network.secret()?)];
//! network::run(&mut network, &mut traces, |_, _| ControlFlow::Continue(()))?;
//! for hop in traces[0].hops() {
//!     println!("{} {:?}", hop.ttl(), hop.addresses());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod ttl;
pub mod options;
pub mod details;
pub mod query;
pub mod identifiers;
pub mod secret;
mod flight;
pub mod hop;
mod repetition;
pub mod trace;
pub mod multipath;
pub mod network;
pub mod packet;
pub mod raw;
pub mod check;
pub mod mtu;
pub mod resolve;
pub mod names;
pub mod alias;
pub mod endpoints;
pub mod json;
pub mod analyse;
pub mod live;
pub mod document;
pub mod picture;
pub mod record;
pub mod formats;
pub mod stream;
pub mod report;
pub mod difference;

pub use check::{Check, Speaks};
pub use details::{Details, Quoted, Rewritten};
pub use document::Document;
pub use formats::Format;
pub use hop::{Hop, Outcome, Sample};
pub use names::Names;
pub use network::Network;
pub use options::{Direction, Flow, Options, Queries, Rate};
pub use otherhalf_printable::printable;
pub use query::{Answer, Extras, Query, Reply, Shape, Unreachable};
pub use raw::RawNetwork;
pub use secret::Secret;
pub use trace::{End, Trace};
pub use ttl::Ttl;

//! Networks that are not there, for the client to be traced over: no root, no sockets, no waiting.
//!
//! A [`Topology`] is a TOML file (see `topologies/`): nodes, who sends to whom in each direction, and all that may go wrong:
//! load balancers, silence, rate limits, filters, loops, loss, reordering, duplicates, address translators.
//! [`SimNetwork`] is the client's [`Network`](otherhalf_client::Network) over one: its clock stands still until somebody waits,
//! and with the same seed the same happens.
//!
//! ```
//! use std::ops::ControlFlow;
//! use otherhalf_client::{Direction, Options, Secret, Trace, network};
//! use otherhalf_simnet::{SimNetwork, Topology};
//! use otherhalf_wire::{ip::Family, probe::Protocol};
//!
//! let topology = Topology::parse(
//!     r#"
//!     client = "us"
//!     server = "www"
//!     [node.us]
//!     to_server = ["r"]
//!     [node.r]
//!     to_server = ["www"]
//!     to_client = ["us"]
//!     [node.www]
//!     to_client = ["r"]
//!     "#,
//! )?;
//! let mut network = SimNetwork::new(topology, Family::V4, 1);
//! let [us, www] = [network.source(), network.target()];
//! let options = Options::new(Direction::Reverse, Protocol::Udp, us, www);
//! let mut traces = [Trace::new(options, Secret::from_bytes([1; 16]))];
//! network::run(&mut network, &mut traces, |_, _| ControlFlow::Continue(()))?;
//! assert!(traces[0].is_reached());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod topology;
mod truth;
mod dice;
mod bucket;
mod walk;
mod network;

pub use error::{Error, Result};
pub use network::{Endless, SimNetwork};
pub use topology::{Balance, Link, Next, Node, Rate, Responder, Server, Topology, Weather};
pub use truth::Truth;

//! Networks of kernel routers in network namespaces, for the demo and the tests.
//!
//! A TOML file in `lab/` describes nodes, the links between them and their routes
//! ([`Topology`] has the format); [`Lab`] brings it up and takes it down. All needs root.
//!
//! ```no_run
//! use otherhalf_lab::{Family, Lab};
//!
//! let lab = Lab::up("lab/line.toml")?;
//! let r1 = lab.address("R1", Family::V4).to_string();
//! let status = lab.command("client", "ping").args(["-c", "1", &r1]).status();
//! # Ok::<(), otherhalf_lab::Error>(())
//! ```

mod error;
mod lab;
mod link_request;
mod namespace;
mod plan;
mod process;
mod state;
mod topology;
mod userspace_link;

pub use error::{Error, Result, program};
pub use lab::{Guard, Lab};
pub use link_request::LinkRequest;
pub use topology::{Family, Filter, Kind, Link, Node, Protocol, Topology, Via};
pub use userspace_link::LinkCounters;

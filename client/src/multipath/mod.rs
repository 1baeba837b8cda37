//! All paths of a direction: the Multipath Detection Algorithm (Augustin, Friedman and Teixeira 2007; Veitch, Augustin,
//! Friedman and Teixeira 2009), hop by hop with node control, many probes at once as in Diamond-Miner (Vermeulen et al. 2020).
//!
//! A load balancer chooses by flow, so [`Search`] asks for many flows. Of each node it asks how many flows that pass it are
//! known at the next TTL too; as long as these are fewer than the [`stopping`] point of the next hops seen so far, it asks for
//! more, first flows that are known to pass the node (node control), then new ones. A flow is asked for once at a
//! TTL, so the ways of flows, and with them the links, are seen and not inferred.
//!
//! - What a *lost* query would have shown is not silence: it is asked again, and a TTL that loses many is asked more slowly, as
//!   routers limit their errors. Flows that stay unanswered where others answer are a silent node only if mere loss, as the
//!   answered ones suffered it, would hardly have taken so many.
//! - One flow of each balancer is sent again and again: if its packets take several next hops, the balancer goes by packet.
//! - A balancer that goes by destination alone shows one next hop to one target, as a router does that does not balance. It is found by probes
//!   towards others of the target's network, forward only, if [`Options::by_destination`] asks for that.
//!   Other addresses beside the target would have to be asked to tell them apart; that is not done.
//!
//! The chance of missing anything holds for balancers that spread flows evenly; an uneven one takes more flows to see.

pub mod stopping;
mod options;
mod flow;
mod layer;
mod graph;
mod plan;
mod beside;
mod ends;
mod search;
mod report;

pub use options::{Confidence, NoConfidence, Options};
pub use search::Search;

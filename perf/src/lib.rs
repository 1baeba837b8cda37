//! `otherhalf-perf`: loads a reverse traceroute responder, plays the routers, verifies every response.
//!
//! What is asked is a [`scenario`], how the two are connected a [`profile`]. In the order in which a
//! transaction passes them:
//!
//! - [`pace`] says when a request is to be sent, [`plan`] what it asks, [`mod@request`] writes it;
//! - [`aim`] finds requests that all need the same place in the responder's table;
//! - [`flood`] makes what attackers send beside;
//! - [`router`] writes the answer to the probe, [`wheel`] holds it back;
//! - [`ledger`] knows what is under way, and verifies probe and response;
//! - [`tally`], [`window`] and [`latency`] count and measure; [`generator`] is the loop around all this,
//!   [`step`] what it does for a bounded time;
//! - [`attack`] is the course of a run under floods, [`gauges`] what it reads off the responder meanwhile;
//! - [`session`] starts responder and generator, and ends them;
//! - [`figures`], [`report`], [`html`] and [`compare`] say what was seen, [`mood`] what to think of it.
//!
//! [`beside`] measures other programs on the same ports, by a leaner loop; [`overload`] goodput under overload, by another. [`soak`] loads the responder for long, while things go wrong around it.
#![forbid(unsafe_code)]
#![allow(clippy::cast_precision_loss, reason = "figures for people have three digits")]

pub mod addresses;
pub mod scenario;
pub mod profile;
pub mod pace;
pub mod plan;
pub mod aim;
pub mod request;
pub mod extras;
pub mod neighbour;
pub mod flood;
pub mod router;
pub mod wheel;
pub mod steering;
pub mod outbox;
pub mod ledger;
pub mod tally;
pub mod window;
pub mod witness;
pub mod latency;
pub mod generator;
pub mod step;
pub mod course;
pub mod search;
pub mod proof;
pub mod goodput;
pub mod gauges;
pub mod attack;
pub mod workers;
pub mod null;
pub mod veth;
pub mod child;
pub mod session;
pub mod figures;
pub mod mood;
pub mod report;
pub mod html;
pub mod table;
pub mod compare;
pub mod beside;
pub mod overload;
pub mod soak;

/// The exit code that says that something was not as it has to be.
pub const EXIT_WRONG: u8 = 3;

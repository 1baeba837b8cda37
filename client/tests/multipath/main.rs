//! Multipath traces over simulated networks: what is found is there, and what is there is found as often as promised.

mod kit;
mod shapes;
mod statistics;
mod weather;
mod kinds;
mod properties;
mod ends;

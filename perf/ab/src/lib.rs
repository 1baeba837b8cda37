//! Times the engine against C that does the very same work.
//!
//! On a shared machine absolute figures move by a factor of two with the host's mood. What can be trusted is the
//! ratio of two variants that alternate in one process, in windows of half a millisecond: the mood
//! is the same for neighbours. [`windows`] does that; [`traffic`] makes the frames, [`path`] has the
//! variants, which [`alone`] and [`port`] set to work, [`case`] names the pairs that are worth comparing.
//!
//! Beside that, figures of the pending table: [`lookups`], and what more threads add ([`lockstep`]), to the table alone
//! ([`threads`]) and to engines on one table ([`workers`]).
#![forbid(unsafe_code)]

pub mod traffic;
pub mod pages;
pub mod path;
pub mod policed;
pub mod alone;
pub mod port;
pub mod windows;
pub mod case;
pub mod lookups;
pub mod lockstep;
pub mod threads;
pub mod workers;
pub mod line;

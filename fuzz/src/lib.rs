//! What input from outside can do to otherhalf, as functions of octets.
//!
//! Each target takes any octets and must return: a panic is a finding, and so is a failed check. libFuzzer makes up the octets
//! (`scripts/fuzz`, by the programs in `fuzz_targets`); `tests/replay.rs` throws those that were worth keeping, in `corpus`, and all that
//! once was a finding, in `crashes`, on every run of the tests, without a fuzzer.

#[path = "../../crates/engine/tests/common/mod.rs"]
mod common;
#[path = "../../crates/engine/tests/hostile/check.rs"]
mod check;
#[path = "../../crates/engine/tests/hostile/generate.rs"]
mod generate;
#[path = "../../crates/engine/tests/hostile/mutate.rs"]
mod mutate;
#[path = "../../crates/engine/tests/hostile/siege.rs"]
mod siege;
mod random;

pub mod answers;
pub mod as_file;
pub mod capture_file;
pub mod config;
pub mod control;
pub mod document;
pub mod endpoints;
pub mod engine;
pub mod ixp_file;
pub mod prefix_list;
pub mod topology;
pub mod trace;
pub mod wire;

/// A target: its name, which is that of its folder in `corpus` and of its program, and what it does with octets.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("answers", answers::run),
    ("as_file", as_file::run),
    ("capture_file", capture_file::run),
    ("config", config::run),
    ("control", control::run),
    ("document", document::run),
    ("endpoints", endpoints::run),
    ("engine", engine::run),
    ("ixp_file", ixp_file::run),
    ("prefix_list", prefix_list::run),
    ("topology", topology::run),
    ("trace", trace::run),
    ("wire", wire::run),
];

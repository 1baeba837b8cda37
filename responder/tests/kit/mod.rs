//! What the end-to-end tests share: networks with a responder, the client's end of the exchange,
//! packets built by hand, and the exchanges that work alike on every port.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod announced;
pub(crate) mod bench;
pub(crate) mod bird;
pub(crate) mod client;
pub(crate) mod crowd;
pub(crate) mod counters;
pub(crate) mod drops;
pub(crate) mod exchange;
pub(crate) mod flood;
pub(crate) mod indirect;
pub(crate) mod injector;
pub(crate) mod machine;
pub(crate) mod packet;
pub(crate) mod process;
pub(crate) mod refusals;
pub(crate) mod routers;
pub(crate) mod traces;

use std::process::Command;

use otherhalf_lab::Family;

/// Runs a command to its end, which must be a good one; what it wrote on its standard output.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}:\n{text}{errors}", output.status);
    text
}

/// An array of one value per family is in the order of [`Family::ALL`].
pub(crate) fn of<T>(family: Family, values: &[T; 2]) -> &T {
    let [v4, v6] = values;
    match family {
        Family::V4 => v4,
        Family::V6 => v6,
    }
}

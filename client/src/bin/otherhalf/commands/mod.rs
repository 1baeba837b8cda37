//! What the commands do, one file each.

mod aliases;
mod check;
mod convert;
mod diff;
mod endpoints;
mod generate;
mod live;
mod mtu;
mod multipath;
mod names;
mod report;
mod saved;
mod sink;
mod trace;
mod watch;

use std::io::{self, Write};
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::cli::{Arguments, Command};
use crate::failure::{Code, Failure};

/// Does what the arguments say; the exit code.
pub(crate) fn run(arguments: &Arguments) -> Result<Code, Failure> {
    match &arguments.command {
        Command::Forward(what) => trace::forward(what),
        Command::Reverse(what) => trace::reverse(what),
        Command::TwoWay(what) => trace::two_way(what),
        Command::Check(what) => check::run(what),
        Command::Endpoints(what) => endpoints::run(what),
        Command::Convert(what) => convert::run(what),
        Command::Report(what) => report::run(what),
        Command::Diff(what) => diff::run(what),
        Command::Watch(what) => watch::run(what),
        Command::Generate(what) => generate::run(what),
    }
}

/// Set when the user wants to stop.
fn interruption() -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The second time ends the program at once.
        signal_hook::flag::register_conditional_shutdown(
            signal,
            Code::Interrupted as i32,
            Arc::clone(&flag),
        )?;
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
}

fn proceed(interrupted: &AtomicBool) -> ControlFlow<()> {
    // Relaxed: the flag says all there is to know.
    if interrupted.load(Ordering::Relaxed) {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

fn write_json(document: &impl Serialize, out: &mut impl Write) -> Result<(), Failure> {
    writeln!(out, "{}", otherhalf_client::json::pretty(document)?)?;
    Ok(out.flush()?)
}

/// What there is to say beside the output.
fn tell(sentence: Option<&str>) {
    if let Some(sentence) = sentence {
        // A reader that has gone wants no more.
        let _ = writeln!(io::stderr(), "otherhalf: {sentence}");
    }
}

/// `name (address)`, or the address alone if that is the name.
fn shown(name: &str, address: IpAddr) -> String {
    if name == address.to_string() { name.to_owned() } else { format!("{name} ({address})") }
}

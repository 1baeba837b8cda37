//! `check`: does the target answer ping, and does it speak reverse traceroute?

use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;

use jiff::Timestamp;
use otherhalf_client::document::CheckDocument;
use otherhalf_client::{Check, RawNetwork, check, printable, resolve};

use super::{interruption, proceed, shown, tell, write_json};
use crate::failure::{Code, Failure};
use crate::{cli, json, verdict};

/// Asks and says what came of it.
pub(super) fn run(arguments: &cli::Check) -> Result<Code, Failure> {
    let common = &arguments.common;
    let started = Timestamp::now();
    let target = resolve::target(&arguments.target, common.family())?;
    let mut network = RawNetwork::open(target, &[])?;
    let interrupted = interruption()?;
    let found = check_target(&mut network, target.ip(), common, &interrupted)?;
    let name = printable(&arguments.target);
    let (mut code, [ping, speaks]) = verdict::of_check(&found, &shown(&name, target.ip()));
    if proceed(&interrupted).is_break() {
        code = Code::Interrupted;
    }
    let mut out = io::stdout().lock();
    if common.json {
        let target = (name.as_str(), target.ip());
        let head = json::head("check", started, target, network.source(), code as u8);
        write_json(&CheckDocument::new(head, &found), &mut out)?;
        return Ok(code);
    }
    writeln!(out, "{ping}")?;
    if code == Code::Reached {
        writeln!(out, "{speaks}")?;
    } else {
        out.flush()?;
        tell(Some(if code == Code::Interrupted { "interrupted" } else { &speaks }));
    }
    out.flush()?;
    Ok(code)
}

/// Asks `target` both questions.
pub(super) fn check_target(
    network: &mut RawNetwork,
    target: IpAddr,
    common: &cli::Common,
    interrupted: &AtomicBool,
) -> Result<Check, Failure> {
    let secret = network.secret()?;
    let options = check::Options { target, attempts: common.queries, wait: common.wait };
    Ok(check::check(network, &options, &secret, || proceed(interrupted))?)
}

//! `check`: does the target answer ping, and does it speak reverse traceroute?

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicBool;

use jiff::Timestamp;
use otherhalf_client::document::CheckDocument;
use otherhalf_client::{Check, RawNetwork, Speaks, check, printable, resolve};
use otherhalf_wire::ip::Family;

use super::{interruption, proceed, shown, tell, write_json};
use crate::failure::{Code, Failure};
use crate::{cli, json, privileges, verdict};

/// Asks and says what came of it.
pub(super) fn run(arguments: &cli::Check) -> Result<Code, Failure> {
    let common = &arguments.common;
    let started = Timestamp::now();
    let target = resolve::target(&arguments.target, common.family())?;
    let mut network = RawNetwork::open_by(target, &[], &common.route())?;
    let other = other_family(arguments, target);
    privileges::drop_all();
    let interrupted = interruption()?;
    let found = examine(&mut network, target.ip(), common, &interrupted)?;
    let other = match other {
        Some((address, mut network)) => {
            // No route there is no reason to say nothing about here.
            examine(&mut network, address, common, &interrupted).ok().map(|found| (address, found))
        }
        None => None,
    };
    let name = printable(&arguments.target);
    let (mut code, lines) = verdict::of_check(&found, &shown(&name, target.ip()));
    if proceed(&interrupted).is_break() {
        code = Code::Interrupted;
    }
    let mut out = io::stdout().lock();
    if common.json {
        let target = (name.as_str(), target.ip());
        let head = json::head("check", started, target, network.source(), code as u8);
        let other = other.as_ref().map(|(address, found)| (*address, found));
        write_json(&CheckDocument::new(head, &found, other), &mut out)?;
        return Ok(code);
    }
    write(code, &lines, &mut out)?;
    if let Some((address, found)) = other
        && code != Code::Interrupted
    {
        let (code, lines) = verdict::of_check(&found, &shown(&name, address));
        write(code, &lines, &mut out)?;
    }
    Ok(code)
}

/// What was found goes to stdout, what is missing to stderr.
fn write(code: Code, [ping, speaks]: &[String; 2], out: &mut impl Write) -> Result<(), Failure> {
    writeln!(out, "{ping}")?;
    if code == Code::Reached {
        writeln!(out, "{speaks}")?;
    }
    out.flush()?;
    match code {
        Code::Reached => {}
        Code::Interrupted => tell(Some("interrupted")),
        _ => tell(Some(speaks)),
    }
    Ok(())
}

/// The target's address of the other family than `target`, and the way there, if there are both and the user has no wish.
fn other_family(arguments: &cli::Check, target: SocketAddr) -> Option<(IpAddr, RawNetwork)> {
    let family = match (arguments.common.family(), Family::of(target.ip())) {
        (None, Family::V4) => Family::V6,
        (None, Family::V6) => Family::V4,
        (Some(_), _) => return None,
    };
    let other = resolve::target(&arguments.target, Some(family)).ok()?;
    let network = RawNetwork::open_by(other, &[], &arguments.common.route()).ok()?;
    Some((other.ip(), network))
}

/// Asks `target` both questions, and a responder what it can do.
fn examine(
    network: &mut RawNetwork,
    target: IpAddr,
    common: &cli::Common,
    interrupted: &AtomicBool,
) -> Result<Check, Failure> {
    let mut found = check_target(network, target, common, interrupted)?;
    if let Speaks::Yes { rtt, .. } = found.speaks {
        let (secret, ends) = (network.secret()?, [network.source(), target]);
        let proceed = || proceed(interrupted);
        found.features = Some(check::features(network, ends, rtt, &secret, proceed)?);
    }
    Ok(found)
}

/// What it means that the responder `name` at `target` answered no request: asks it both questions.
pub(super) fn judge_silence(
    network: &mut RawNetwork,
    (name, target): (&str, IpAddr),
    common: &cli::Common,
    interrupted: &AtomicBool,
) -> Result<(Code, Option<String>), Failure> {
    let found = check_target(network, target, common, interrupted)?;
    if proceed(interrupted).is_break() {
        return Ok(verdict::interrupted());
    }
    let (code, sentence) = verdict::of_silence(&found, name);
    Ok((code, Some(sentence)))
}

/// Asks `target` both questions.
fn check_target(
    network: &mut RawNetwork,
    target: IpAddr,
    common: &cli::Common,
    interrupted: &AtomicBool,
) -> Result<Check, Failure> {
    let secret = network.secret()?;
    let options = check::Options { target, attempts: common.queries, wait: common.wait };
    Ok(check::check(network, &options, &secret, || proceed(interrupted))?)
}

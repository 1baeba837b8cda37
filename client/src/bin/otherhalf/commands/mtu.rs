//! `--mtu`: the longest packets that the forward path takes.

use std::io::{self, Write};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use otherhalf_client::document::PathMtu;
pub(super) use otherhalf_client::mtu::shortest;
use otherhalf_client::resolve::Names;
use otherhalf_client::{Hop, RawNetwork, Trace, document, mtu};

use super::proceed;
use crate::failure::Failure;
use crate::lines::who;

/// How many of the last hop's round trips an answer may take, and how much more: as in a trace.
const ROUND_TRIPS: u32 = 3;
const PATIENCE: Duration = Duration::from_millis(250);

/// Looks for it on the path that `trace` found; `None` if nobody answered there.
pub(super) fn discover(
    network: &mut RawNetwork,
    trace: &Trace,
    interrupted: &AtomicBool,
) -> Result<Option<PathMtu>, Failure> {
    let Some(last) = trace.hops().iter().rfind(|hop| hop.is_answered()) else { return Ok(None) };
    let options = trace.options();
    let first_link = network.mtu();
    let slowest = last.samples().map(|sample| sample.elapsed).max().unwrap_or_default();
    let options = mtu::Options {
        source: options.source,
        target: options.target,
        protocol: options.protocol,
        flow: options.flow,
        traffic_class: options.traffic_class,
        ttl: last.ttl(),
        largest: u16::try_from(first_link).unwrap_or(u16::MAX),
        attempts: options.queries,
        wait: (slowest * ROUND_TRIPS + PATIENCE).min(options.wait),
    };
    let secret = network.secret()?;
    let found = mtu::discover(network, &options, &secret, || proceed(interrupted))?;
    let hops = document::Path::from(trace).hops;
    Ok(Some(PathMtu::new(&found, &hops, first_link)))
}

/// Writes what was found, a line a hop as tracepath has it.
pub(super) fn write(
    found: &PathMtu,
    hops: &[Hop],
    names: &Names,
    numeric: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    contradiction(found, names, numeric, out)?;
    let Some(octets) = found.octets else {
        return writeln!(out, "Path MTU: not known, no probe of its own was answered");
    };
    writeln!(out, "Path MTU: {octets} octets")?;
    for hop in hops {
        let addresses: Vec<_> =
            hop.addresses().into_iter().map(|address| who(address, names, numeric)).collect();
        if addresses.is_empty() {
            continue;
        }
        let ttl = hop.ttl().get();
        let limit = found.limits.iter().find(|limit| limit.ttl == Some(ttl)).map_or_else(
            String::new,
            |limit| match limit.octets {
                Some(octets) => format!("; its next link takes {octets}"),
                None => "; its next link takes less".to_owned(),
            },
        );
        writeln!(out, "{ttl:2}  {:>5}  {}{limit}", found.at(ttl), addresses.join(" or "))?;
    }
    if found.black_hole {
        writeln!(
            out,
            "Longer packets get lost without a word: a router or a filter on the way keeps ICMP errors back (a black hole)."
        )?;
    }
    Ok(())
}

/// Says who is not to be believed, if somebody is not.
fn contradiction(
    found: &PathMtu,
    names: &Names,
    numeric: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    let Some(router) = found.contradicts_itself() else { return Ok(()) };
    let router = who(router, names, numeric);
    writeln!(
        out,
        "{router} named another length each time, so its word on the path MTU counts for nothing."
    )
}

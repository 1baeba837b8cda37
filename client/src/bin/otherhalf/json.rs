//! One JSON document for one run, whatever the command.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::IpAddr;

use otherhalf_client::document::{Document, Head, Host, Path, Router};
use otherhalf_client::resolve::Names;
use otherhalf_client::{Trace, document};

/// The document of `traces` and, if there are two, of what they say together.
pub(crate) fn traces(
    head: Head,
    traces: &[Trace],
    finding: Option<document::Finding>,
    names: &Names,
    aliases: Vec<Router>,
) -> Document {
    let path = |direction| {
        traces.iter().find(|trace| trace.options().direction == direction).map(Path::from)
    };
    let [forward, reverse] =
        [otherhalf_client::Direction::Forward, otherhalf_client::Direction::Reverse].map(path);
    Document { aliases, ..paths(head, [forward, reverse], finding, names) }
}

/// The document of a forward path and a reverse one, as far as they are there.
pub(crate) fn paths(
    head: Head,
    [forward, reverse]: [Option<Path>; 2],
    finding: Option<document::Finding>,
    names: &Names,
) -> Document {
    let hosts = hosts(forward.iter().chain(&reverse), names);
    Document { head, forward, reverse, finding, hosts, aliases: Vec::new() }
}

/// What is known about the addresses of `paths`.
fn hosts<'a>(paths: impl Iterator<Item = &'a Path>, names: &Names) -> BTreeMap<IpAddr, Host> {
    paths
        .flat_map(Path::addresses)
        .filter_map(|address| Some((address, names.host(address)?.clone())))
        .collect()
}

/// What every document begins with.
pub(crate) fn head(
    command: &str,
    started: jiff::Timestamp,
    target: (&str, IpAddr),
    source: IpAddr,
    exit_code: u8,
) -> Head {
    Head {
        schema_version: document::SCHEMA_VERSION,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        command: command.to_owned(),
        started,
        target: document::Target { name: target.0.to_owned(), address: target.1 },
        via: None,
        source,
        exit_code,
    }
}

/// Writes the document of an `error` to stdout if the command line, or the environment, asks for JSON: a program that reads us gets a
/// document whatever happens. The arguments may be what is wrong, so nothing else is known of them.
pub(crate) fn error(exit_code: u8, error: &str) {
    let asked = std::env::args_os().skip(1).any(|argument| argument == "--json")
        || std::env::var_os("OTHERHALF_JSON").is_some_and(|value| value == "true");
    if !asked {
        return;
    }
    let document =
        document::Failure::new(env!("CARGO_PKG_VERSION"), exit_code, error.trim_end().to_owned());
    if let Ok(text) = serde_json::to_string_pretty(&document) {
        // If nobody reads it, nobody misses it.
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}

//! One JSON document for one run, whatever the command.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::net::IpAddr;

use otherhalf_client::document::{Document, Event, Head, Host, Path, Plan, Router};
use otherhalf_client::resolve::Names;
use otherhalf_client::{Trace, document};

use crate::settings::Json;

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

/// The first event of what is to be done as `plans` say, which has no exit code yet.
pub(crate) fn start(head: Head, plans: Vec<Plan>) -> Event {
    let Head { schema_version, version, command, started, target, source, .. } = head;
    Event::Start { schema_version, version, command, started, target, source, traces: plans }
}

/// What the words of `arguments` and the environment ask for, where more is not known: they, or the configuration file, may
/// be what is wrong.
pub(crate) fn asked(arguments: impl Iterator<Item = OsString>) -> Option<Json> {
    let mut json = None;
    let mut is_format = false;
    for argument in arguments {
        match argument.to_str() {
            Some("--stream") => json = Some(Json::Line),
            Some("--json" | "--format=json") => json = Some(Json::Document),
            Some("json") if is_format => json = Some(Json::Document),
            Some("--") => break,
            _ => {}
        }
        is_format = argument == "--format";
    }
    let says = |name: &str| {
        const ON: [&str; 6] = ["y", "yes", "t", "true", "on", "1"];
        let value = std::env::var(name).unwrap_or_default().to_lowercase();
        ON.contains(&value.as_str())
    };
    let is_set = |name| says(name).then_some(());
    json.or_else(|| is_set("OTHERHALF_STREAM").map(|()| Json::Line))
        .or_else(|| is_set("OTHERHALF_JSON").map(|()| Json::Document))
        .or_else(|| {
            let format = std::env::var_os("OTHERHALF_FORMAT");
            (format? == "json").then_some(Json::Document)
        })
}

/// Writes the document of an `error` to stdout if `json` is asked for: a program that reads us gets a document whatever happens.
pub(crate) fn error(json: Option<Json>, exit_code: u8, error: &str) {
    let Some(json) = json else { return };
    let document =
        document::Failure::new(env!("CARGO_PKG_VERSION"), exit_code, error.trim_end().to_owned());
    let text = match json {
        Json::Document => otherhalf_client::json::pretty(&document),
        Json::Line => otherhalf_client::json::line(&document),
    };
    if let Ok(text) = text {
        // If nobody reads it, nobody misses it.
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}

//! `endpoints`, and the nearest of them for a trace.

use std::io::{self, Write};
use std::sync::atomic::AtomicBool;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use otherhalf_client::document::EndpointsDocument;
use otherhalf_client::endpoints::{self, Directory, Endpoint, Found, Options, Standing};
use otherhalf_client::{Check, Speaks, printable};

use super::{interruption, proceed, tell, write_json};
use crate::cli::{self, EndpointsWhat};
use crate::failure::{Code, Failure};
use crate::lines::milliseconds;
use crate::{privileges, settings, verdict};

/// Does what the arguments say.
pub(super) fn run(arguments: &cli::Endpoints) -> Result<Code, Failure> {
    let started = Timestamp::now();
    let directory = open(&arguments.directory)?;
    let mut out = io::stdout().lock();
    if arguments.what == EndpointsWhat::List {
        if arguments.toml {
            write!(out, "{}", directory.to_toml()?)?;
        } else if arguments.common.json {
            let endpoints = directory.endpoints();
            write_json(&EndpointsDocument::new(started, endpoints, &[], None, 0), &mut out)?;
        } else {
            list(&directory, &mut out)?;
        }
        out.flush()?;
        return Ok(Code::Reached);
    }
    let interrupted = interruption()?;
    let features = arguments.what == EndpointsWhat::Check;
    let found = survey(&directory, &arguments.common, features, &interrupted)?;
    privileges::drop_all();
    let nearest = endpoints::nearest(&found).map(|found| &directory.endpoints()[found.index]);
    let code = if proceed(&interrupted).is_break() {
        Code::Interrupted
    } else {
        judge(&found, arguments.what)
    };
    if arguments.common.json {
        let endpoints = directory.endpoints();
        let document = EndpointsDocument::new(started, endpoints, &found, nearest, code as u8);
        write_json(&document, &mut out)?;
    } else if arguments.what == EndpointsWhat::Check {
        for line in lines(&directory, &found) {
            writeln!(out, "{line}")?;
        }
    } else if let Some(nearest) = nearest.filter(|_| code == Code::Reached) {
        writeln!(out, "{}", printable(&nearest.address))?;
    }
    out.flush()?;
    tell(match code {
        Code::Interrupted => Some("interrupted"),
        Code::NoAnswer => Some(NONE_ALIVE),
        _ => None,
    });
    Ok(code)
}

const NONE_ALIVE: &str =
    "no responder of the directory answers: otherhalf endpoints check says what became of each";

/// The nearest responder that is alive, for a trace; says on stderr which one that is.
pub(super) fn nearest(
    directory: &cli::Directory,
    common: &cli::Common,
    interrupted: &AtomicBool,
) -> Result<String, Failure> {
    let directory = open(directory)?;
    let found = survey(&directory, common, false, interrupted)?;
    let alive = found.iter().filter(|found| found.standing.rtt().is_some()).count();
    let Some(found) = endpoints::nearest(&found) else {
        return Err(if proceed(interrupted).is_break() {
            Failure::Interrupted
        } else {
            Failure::NoneAlive(NONE_ALIVE)
        });
    };
    let endpoint = &directory.endpoints()[found.index];
    let rtt = found.standing.rtt().map(milliseconds).unwrap_or_default();
    let shown = printable(&endpoint.address);
    tell(Some(&match alive {
        1 => format!("the only responder that answers is {shown}: {rtt}"),
        _ => format!("the nearest of {alive} responders that answer is {shown}: {rtt}"),
    }));
    Ok(endpoint.address.clone())
}

/// The responders that are meant; at least one.
fn open(directory: &cli::Directory) -> Result<Directory, Failure> {
    let user = settings::folder().map(|folder| folder.join("endpoints.toml"));
    let (opened, file) = match &directory.file {
        Some(file) => (Directory::open(file)?, file.clone()),
        None => (Directory::of_user(user.as_deref())?, user.unwrap_or_default()),
    };
    if opened.endpoints().is_empty() {
        let path = printable(&file.display().to_string());
        return Err(endpoints::Error::Empty { path }.into());
    }
    Ok(opened)
}

/// Asks all of them, if `features` also for what they can do, with progress on a terminal.
fn survey(
    directory: &Directory,
    common: &cli::Common,
    features: bool,
    interrupted: &AtomicBool,
) -> Result<Vec<Found>, Failure> {
    let options = Options {
        family: common.family(),
        attempts: common.queries,
        wait: common.wait,
        route: common.route(),
        features,
        ..Options::default()
    };
    let endpoints = directory.endpoints();
    // Hidden by itself where stderr is no terminal.
    let progress = ProgressBar::new(endpoints.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("asking responders {bar:30} {pos} of {len}") {
        progress.set_style(style);
    }
    progress.tick();
    let watch = || proceed(interrupted);
    let ask = |endpoint: &Endpoint| endpoints::ask(endpoint, &options, privileges::drop_all, watch);
    let found = endpoints::survey(endpoints, &options, ask, watch, |_| progress.inc(1));
    progress.finish_and_clear();
    // What keeps one from being asked for lack of permission keeps all.
    let denied = |found: &Found| match found.standing {
        Standing::Failed(ref error) => error.is_permission(),
        _ => false,
    };
    match found.into_iter().partition::<Vec<_>, _>(denied) {
        (denied, _) if !denied.is_empty() => {
            Err(Failure::Network(otherhalf_client::raw::Error::Permission))
        }
        (_, found) => Ok(found),
    }
}

fn judge(found: &[Found], what: EndpointsWhat) -> Code {
    let alive = found.iter().filter(|found| found.standing.rtt().is_some()).count();
    match alive {
        0 => Code::NoAnswer,
        _ if alive == found.len() || what == EndpointsWhat::Nearest => Code::Reached,
        _ => Code::NotReached,
    }
}

fn list(directory: &Directory, out: &mut impl Write) -> io::Result<()> {
    let endpoints = directory.endpoints();
    let width = width(directory);
    for endpoint in endpoints {
        let asn = endpoint.asn.map(|asn| format!("AS{asn}")).unwrap_or_default();
        let texts = [&endpoint.contact, &endpoint.note].map(|text| text.as_deref().map(printable));
        let [contact, note] = texts.map(Option::unwrap_or_default);
        let line = format!("{:width$}  {asn:10}  {contact}  {note}", printable(&endpoint.address));
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn width(directory: &Directory) -> usize {
    let lengths = directory.endpoints().iter().map(|e| printable(&e.address).chars().count());
    lengths.max().unwrap_or(0)
}

/// What became of each, a line each.
fn lines(directory: &Directory, found: &[Found]) -> Vec<String> {
    let width = width(directory);
    found
        .iter()
        .map(|found| {
            let endpoint = &directory.endpoints()[found.index];
            let asn = endpoint.asn.map(|asn| format!("AS{asn}")).unwrap_or_default();
            let rtt = found.standing.rtt().map(milliseconds).unwrap_or_default();
            let standing = standing(&found.standing);
            let name = printable(&endpoint.address);
            format!("{name:width$}  {asn:10}  {rtt:>12}  {standing}")
        })
        .collect()
}

fn standing(standing: &Standing) -> String {
    match standing {
        Standing::Checked { check: Check { speaks, ping, features, .. }, address } => {
            match speaks {
                Speaks::Yes { refusal, .. } => {
                    let condition = match refusal {
                        Some(refusal) if refusal.status() != 1 => {
                            format!(
                                ", with a condition (status {}, value {})",
                                refusal.status(),
                                refusal.value()
                            )
                        }
                        None => ", but not to the letter (it sends probes of TTL 0)".to_owned(),
                        Some(_) => String::new(),
                    };
                    let features = features.as_ref().map_or_else(String::new, |features| {
                        format!("; {}", verdict::abilities(features).join("; "))
                    });
                    format!("alive at {address}{condition}{features}")
                }
                Speaks::PingOnly { .. } => {
                    format!("{address} answers ping only: no responder runs there")
                }
                Speaks::Undelivered { from, .. } => {
                    format!("requests do not reach {address}: {from} sends them back")
                }
                Speaks::Silent if ping.is_some() => {
                    format!("{address} answers ping, but not reverse traceroute")
                }
                Speaks::Silent => format!("no answer from {address}"),
            }
        }
        Standing::NoAddress(error) => error.to_string(),
        Standing::Failed(error) => error.to_string(),
        Standing::Interrupted => "not asked".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use otherhalf_client::query::Reply;
    use otherhalf_client::{raw, resolve};
    use otherhalf_wire::trace::Refusal;

    use super::*;

    #[test]
    fn each_standing_has_its_words() {
        let address = [192, 0, 2, 1].into();
        let rtt = Duration::from_millis(3);
        let checked = |ping, speaks| Standing::Checked {
            address,
            check: Check { ping, ping_error: None, speaks, features: None },
        };
        let yes = |refusal| Speaks::Yes { rtt, refusal, text: String::new() };
        let no_route = || std::io::Error::from(std::io::ErrorKind::NetworkUnreachable);
        let cases = [
            (checked(None, yes(Some(Refusal::Ttl))), "alive at 192.0.2.1"),
            (
                checked(None, yes(None)),
                "alive at 192.0.2.1, but not to the letter (it sends probes of TTL 0)",
            ),
            (
                checked(None, yes(Some(Refusal::Padding(24)))),
                "alive at 192.0.2.1, with a condition (status 5, value 24)",
            ),
            (
                checked(Some(rtt), Speaks::PingOnly { rtt }),
                "192.0.2.1 answers ping only: no responder runs there",
            ),
            (
                checked(
                    None,
                    Speaks::Undelivered { from: [192, 0, 2, 9].into(), reply: Reply::TimeExceeded },
                ),
                "requests do not reach 192.0.2.1: 192.0.2.9 sends them back",
            ),
            (
                checked(Some(rtt), Speaks::Silent),
                "192.0.2.1 answers ping, but not reverse traceroute",
            ),
            (checked(None, Speaks::Silent), "no answer from 192.0.2.1"),
            (Standing::Interrupted, "not asked"),
            (
                Standing::NoAddress(resolve::Error::Broadcast {
                    name: "255.255.255.255".to_owned(),
                }),
                "255.255.255.255 is a broadcast address: a trace goes to one host",
            ),
            (
                Standing::Failed(raw::Error::Route { target: address, source: no_route() }),
                "this machine has no route to 192.0.2.1: network unreachable",
            ),
        ];
        for (case, words) in cases {
            assert_eq!(standing(&case), words);
        }
    }

    #[test]
    fn exit_codes() {
        let found = |alive: &[bool]| -> Vec<Found> {
            let rtt = Duration::from_millis(1);
            let standing = |alive: bool| {
                if !alive {
                    return Standing::Interrupted;
                }
                let speaks = Speaks::Yes { rtt, refusal: Some(Refusal::Ttl), text: String::new() };
                let check = Check { ping: None, ping_error: None, speaks, features: None };
                Standing::Checked { address: [192, 0, 2, 1].into(), check }
            };
            alive
                .iter()
                .enumerate()
                .map(|(index, alive)| Found { index, standing: standing(*alive) })
                .collect()
        };
        for (alive, check, nearest) in [
            (&[true, true][..], Code::Reached, Code::Reached),
            (&[true, false], Code::NotReached, Code::Reached),
            (&[false, false], Code::NoAnswer, Code::NoAnswer),
        ] {
            assert_eq!(judge(&found(alive), EndpointsWhat::Check), check);
            assert_eq!(judge(&found(alive), EndpointsWhat::Nearest), nearest);
        }
    }
}

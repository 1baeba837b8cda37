//! `watch`: a line when the path changes.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use std::{env, iter, thread};

use clap::parser::ValueSource;
use otherhalf_client::difference::Difference;
use otherhalf_client::{Document, document, printable};

use super::{interruption, proceed, saved, tell};
use crate::failure::{Code, Failure};
use crate::{cli, settings, words};

/// Between two traces, if nothing else is said.
const INTERVAL: Duration = Duration::from_mins(1);
/// How soon an interruption is noticed.
const NAP: Duration = Duration::from_millis(50);

/// Traces again and again, or once against what was saved.
pub(super) fn run(arguments: &cli::Watch) -> Result<Code, Failure> {
    let what = what(&arguments.what);
    check(&what)?;
    let interrupted = interruption()?;
    let state = arguments.state.as_deref();
    let mut known = match state {
        Some(file) if file.exists() => Some(saved::read(file)?),
        _ => None,
    };
    let once = arguments.interval.is_none() && state.is_some();
    let most = match arguments.count {
        Some(count) => count.get(),
        None if once => 1,
        None => u32::MAX,
    };
    let interval = arguments.interval.unwrap_or(INTERVAL);
    let mut code = Code::Reached;
    let mut count = Rounds::default();
    for round in 1..=most {
        let next = Instant::now() + interval;
        match trace(&what)? {
            Ok(new) => {
                if proceed(&interrupted).is_break() {
                    break;
                }
                count.traces += 1;
                let changed =
                    look(&mut known, new, state).map_err(|failure| about(failure, state))?;
                if changed {
                    code = Code::NotReached;
                    count.changes += 1;
                }
            }
            Err(failed) if failed.is_lasting() || most == 1 => {
                tell(Some(&failed.sentence));
                return Ok(failed.code);
            }
            Err(failed) => tell(Some(&failed.sentence)),
        }
        if round < most {
            sleep_until(next, &interrupted);
        }
        if proceed(&interrupted).is_break() {
            break;
        }
    }
    if proceed(&interrupted).is_break() {
        tell(Some(&count.said()));
        return Ok(Code::Interrupted);
    }
    Ok(code)
}

/// What came of the rounds so far.
#[derive(Default)]
struct Rounds {
    traces: u64,
    changes: u64,
}

impl Rounds {
    fn said(&self) -> String {
        let Self { traces, changes } = *self;
        format!(
            "interrupted after {}, {}",
            words::count(traces, "trace"),
            words::count(changes, "change")
        )
    }
}

/// The arguments of the command that is run each time.
fn what(words: &[OsString]) -> Vec<OsString> {
    let commands = ["forward", "reverse", "two-way"];
    let named = words.first().is_some_and(|word| commands.iter().any(|command| word == command));
    let usual = (!named).then(|| OsString::from("two-way"));
    usual.into_iter().chain(words.iter().cloned()).collect()
}

/// Ends the program with the usual words if that command is not understood; fails if it would leave nothing to compare.
fn check(what: &[OsString]) -> Result<(), Failure> {
    let words: Vec<_> =
        iter::once(OsString::from("otherhalf")).chain(what.iter().cloned()).collect();
    for option in ["--state", "--count", "--interval"] {
        let is_it = |word: &OsString| {
            let word = word.to_string_lossy();
            word.split('=').next() == Some(option)
        };
        if words.iter().any(is_it) {
            return Err(Failure::Usage(format!(
                "{option} is an option of watch: write it in front, as in otherhalf watch {option} … reverse TARGET"
            )));
        }
    }
    let settled = settings::apply(&cli::definition(), &words)?;
    let program = settled.command.clone();
    let matches = match settled.command.try_get_matches_from(&words) {
        Ok(matches) => matches,
        Err(error) => error.exit(),
    };
    if let Some(sentence) = cli::without_effect(&program, &matches) {
        return Err(Failure::Usage(sentence));
    }
    let Some((_, trace)) = matches.subcommand() else { return Ok(()) };
    let typed = |option: &&&str| trace.value_source(option) == Some(ValueSource::CommandLine);
    let mut kept = ["stream", "format", "json"].iter().filter(typed).copied().chain(
        // These would be in force whoever set them.
        [("output", trace.get_raw("output").is_some()), ("live", trace.get_flag("live"))]
            .into_iter()
            .filter_map(|(option, is_set)| is_set.then_some(option)),
    );
    match kept.next() {
        Some(option) => Err(Failure::Usage(format!(
            "watch keeps the traces itself: leave --{option} out (--state FILE saves the last one)"
        ))),
        None => Ok(()),
    }
}

/// The same failure; of a state that is of another direction, with the file's name.
fn about(failure: Failure, state: Option<&Path>) -> Failure {
    match (failure, state) {
        (Failure::NothingInCommon(_), Some(file)) => Failure::Usage(format!(
            "{} has a trace of another direction: name another file with --state, or remove it",
            file.display()
        )),
        (failure, _) => failure,
    }
}

/// Why a trace gave no document.
struct Failed {
    code: Code,
    sentence: String,
}

impl Failed {
    /// Whether it is no better next time.
    fn is_lasting(&self) -> bool {
        matches!(self.code, Code::Usage | Code::NoPermission)
    }
}

/// Runs the command in a process of its own: it gives up its rights once its sockets are open, and finds its source
/// address, its route and the target's address anew.
fn trace(what: &[OsString]) -> Result<Result<Document, Failed>, Failure> {
    let mut command = Command::new(env::current_exe()?);
    // In front of the target, before a -- that may be there.
    let (name, rest) = what.split_at(1.min(what.len()));
    command.args(name).args(["--format", "json"]).args(rest).stdin(Stdio::null());
    if let Some(file) = settings::asked_file() {
        command.env("OTHERHALF_CONFIG", file);
    }
    let output = command.output().map_err(Failure::Child)?;
    if let Ok(document) = document::read(&String::from_utf8_lossy(&output.stdout)) {
        return Ok(Ok(document));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().map(printable).collect::<Vec<_>>().join(" ");
    let code = output.status.code().and_then(Code::of_number).unwrap_or(Code::NoAnswer);
    let said = said.strip_prefix("otherhalf: ").unwrap_or(&said);
    // Of watch, these two say whether the path changed, which nobody knows without a document.
    let (code, sentence) = match code {
        Code::Reached | Code::NotReached if said.is_empty() || code == Code::Reached => {
            let sentence = "the trace leaves no document to compare";
            (Code::Usage, sentence.to_owned())
        }
        Code::NotReached => (Code::NoAnswer, said.to_owned()),
        code => (code, said.to_owned()),
    };
    Ok(Err(Failed { code, sentence }))
}

/// Compares `new` with what is known, says what changed, and remembers; whether the path did change.
fn look(
    known: &mut Option<Document>,
    new: Document,
    state: Option<&Path>,
) -> Result<bool, Failure> {
    let Some(old) = known else {
        remember(known, new, state)?;
        return Ok(false);
    };
    let difference = Difference::new(old, &new)?;
    let changed = difference.is_path_changed();
    if changed {
        let mut out = io::stdout().lock();
        let name = printable(&new.head.target.name);
        let line = difference.line(old, &new);
        writeln!(
            out,
            "{} path to {name} changed: {line}",
            new.head.started.strftime("%Y-%m-%dT%H:%M:%SZ")
        )?;
        out.flush()?;
    }
    // A hop that is silent this time is not forgotten: else its successor would be compared with silence.
    if changed || knows_as_much(&new, old) {
        remember(known, new, state)?;
    }
    Ok(changed)
}

fn remember(
    known: &mut Option<Document>,
    new: Document,
    state: Option<&Path>,
) -> Result<(), Failure> {
    if let Some(file) = state {
        saved::replace(file, &(otherhalf_client::json::pretty(&new)? + "\n"))?;
    }
    *known = Some(new);
    Ok(())
}

/// Whether `new` has an answer at every TTL at which `old` has one.
fn knows_as_much(new: &Document, old: &Document) -> bool {
    let answering = |document: &Document| {
        let hops = document.paths().flat_map(|(direction, path)| {
            path.hops.iter().map(move |hop| (direction, hop.ttl, !hop.addresses().is_empty()))
        });
        hops.filter_map(|(direction, ttl, answers)| answers.then_some((direction, ttl)))
            .collect::<Vec<_>>()
    };
    let known = answering(new);
    answering(old).iter().all(|hop| known.contains(hop))
}

fn sleep_until(time: Instant, interrupted: &AtomicBool) {
    while proceed(interrupted).is_continue() {
        let left = time.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(NAP));
    }
}

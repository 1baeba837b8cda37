//! `otherhalfctl`: talks to a running `otherhalfd` by its control socket.
#![forbid(unsafe_code)]

mod capture;
mod cli;
mod text;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use otherhalf_control::client::{self, Client};
use otherhalf_control::message::Waiting;
use otherhalf_control::status::Pending;
use otherhalf_control::{Command as Told, Reply, State, Status};
use otherhalf_printable::printable_lines;
use pcap_file::PcapError;
use serde::Serialize;

use cli::{Arguments, Command, Generate};

const EXIT_FAILURE: u8 = 1;
const EXIT_NOT_READY: u8 = 3;

/// What is said when it has drained.
const DRAINED: &str = "drained: no probe waits for an answer";
/// The same if it has ended, too.
const DRAINED_AND_ENDED: &str = "drained, and ended";
/// How often is looked whether the daemon has drained.
const LOOK: Duration = Duration::from_millis(100);

/// The pending table, and some of what is in it.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    table: Pending,
    #[serde(flatten)]
    waiting: Waiting,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Client(#[from] client::Error),
    #[error("otherhalfd answered something else: is it of another version? {0:?}")]
    Unexpected(Box<Reply>),
    #[error("it is no longer draining: somebody brought it back into service")]
    Undrained,
    #[error("can't write {}: {source}", path.display())]
    File { path: PathBuf, source: PcapError },
    #[error("can't write: {0}")]
    Write(#[from] io::Error),
    #[error("can't write as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(code) => code,
        // Whoever reads has read enough.
        Err(Failure::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("otherhalfctl: {}", printable_lines(&error.to_string()));
            ExitCode::from(EXIT_FAILURE)
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let Arguments { socket, json, command } = arguments;
    // Names and sentences are the daemon's, or of whoever answers in its place. JSON is for programs, and has escapes of its own.
    let fit = |said: String| if *json { said } else { printable_lines(&said) };
    let show =
        |said: String| -> Result<(), Failure> { Ok(io::stdout().write_all(fit(said).as_bytes())?) };
    match command {
        Command::Status => {
            let status = status(socket)?;
            show(if *json { to_json(&status)? } else { text::status(&status) })?;
            let old = status.is_old();
            if old {
                eprintln!(
                    "otherhalfctl: its control thread hangs: this state is old, and not to be relied on"
                );
            }
            if !status.ready || old {
                return Ok(ExitCode::from(EXIT_NOT_READY));
            }
        }
        Command::Stats { all, workers } => {
            let status = status(socket)?;
            show(if *json { to_json(&status)? } else { text::stats(&status, *all, *workers) })?;
        }
        Command::Pending { limit } => {
            let waiting = match ask(socket, Told::Pending { limit: *limit })? {
                Reply::Waiting(waiting) => waiting,
                other => return Err(Failure::Unexpected(Box::new(other))),
            };
            // Behind the list, which may take seconds: the table's numbers are not to be older than they must.
            let Status { pending: table, .. } = status(socket)?;
            show(if *json {
                to_json(&Listed { table, waiting })?
            } else {
                text::pending(&table) + &text::waiting(&waiting, *limit)
            })?;
        }
        Command::Neighbours => {
            let neighbours = status(socket)?.neighbours;
            show(if *json { to_json(&neighbours)? } else { text::neighbours(&neighbours) })?;
        }
        Command::Routes { address } => match ask(socket, Told::Routes { to: *address })? {
            Reply::Routes(routes) => {
                show(if *json { to_json(&routes)? } else { text::routes(&routes) })?;
            }
            other => return Err(Failure::Unexpected(Box::new(other))),
        },
        Command::Reload => match ask(socket, Told::Reload)? {
            Reply::Reloaded(what) => {
                show(if *json { to_json(&what)? } else { text::reloaded(&what) })?;
            }
            other => return Err(Failure::Unexpected(Box::new(other))),
        },
        Command::Drain { exit, wait } => {
            let begun = done(ask(socket, Told::Drain { exit: *exit })?)?;
            let said = if *wait {
                await_drained(socket, *exit)?;
                if *exit { DRAINED_AND_ENDED } else { DRAINED }.to_owned()
            } else {
                begun
            };
            show(if *json { to_json(&said)? } else { said + "\n" })?;
        }
        Command::Undrain => {
            let said = done(ask(socket, Told::Undrain)?)?;
            show(if *json { to_json(&said)? } else { said + "\n" })?;
        }
        Command::LogLevel { level } => {
            match ask(socket, Told::LogLevel { level: level.clone() })? {
                Reply::LogLevel(level) => {
                    show(if *json { to_json(&level)? } else { level + "\n" })?;
                }
                other => return Err(Failure::Unexpected(Box::new(other))),
            }
        }
        Command::Capture(wish) => {
            let ended = capture::run(socket, wish)?;
            let said = if *json { to_json(&ended)? } else { text::captured(&ended) };
            // Not among the packets.
            if wish.file == Path::new("-") { eprint!("{}", fit(said)) } else { show(said)? }
        }
        Command::Generate { what } => generate(what)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(socket: &Path, command: Told) -> Result<Reply, Failure> {
    Ok(Client::connect(socket)?.ask(command)?)
}

fn status(socket: &Path) -> Result<Status, Failure> {
    match ask(socket, Told::Status)? {
        Reply::Status(status) => Ok(*status),
        other => Err(Failure::Unexpected(Box::new(other))),
    }
}

fn done(reply: Reply) -> Result<String, Failure> {
    match reply {
        Reply::Done(said) => Ok(said),
        other => Err(Failure::Unexpected(Box::new(other))),
    }
}

/// Waits until the daemon has drained, or `gone` until it has ended.
fn await_drained(socket: &Path, gone: bool) -> Result<(), Failure> {
    loop {
        match status(socket) {
            Ok(Status { state: State::Drained, .. }) if !gone => return Ok(()),
            Ok(Status { state: State::Running, .. }) => return Err(Failure::Undrained),
            Ok(_) => {}
            Err(Failure::Client(
                client::Error::Connect { .. } | client::Error::Exchange { .. },
            )) if gone => {
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        std::thread::sleep(LOOK);
    }
}

fn to_json(value: &impl Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

fn generate(what: &Generate) -> Result<(), Failure> {
    let mut command = Arguments::command();
    match what {
        Generate::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut command, "otherhalfctl", &mut script);
            Ok(io::stdout().write_all(&script)?)
        }
        Generate::Man { folder } => Ok(clap_mangen::generate_to(command, folder)?),
    }
}

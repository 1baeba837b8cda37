//! The command line of otherhalf: a thin user of the library.

mod cli;
mod failure;
mod logs;
mod privileges;
mod progress;
mod settings;
mod commands;
mod verdict;
mod lines;
mod finding;
mod table;
mod graph;
mod json;
mod live;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use failure::{Code, Failure};

fn main() -> ExitCode {
    match run() {
        Ok(code) => code.into(),
        Err(failure) => {
            if !failure.is_quiet() {
                json::error(failure.code() as u8, &failure.to_string());
                // A reader that has gone wants no more.
                let _ = writeln!(io::stderr(), "otherhalf: {}", in_lines(&failure));
            }
            failure.code().into()
        }
    }
}

/// What there is to say. A file of somebody else's may be quoted in it, so each line is made fit for a terminal.
fn in_lines(failure: &Failure) -> String {
    let text = failure.to_string();
    text.lines().map(otherhalf_client::printable).collect::<Vec<_>>().join("\n")
}

fn run() -> Result<Code, Failure> {
    let command = settings::apply(cli::Arguments::command())?;
    let misspelt = settings::misspelt_variables(&command);
    let arguments =
        cli::Arguments::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| {
            if error.use_stderr() {
                json::error(Code::Usage as u8, &error.to_string());
            }
            error.exit()
        });
    anstream::ColorChoice::from(arguments.color).write_global();
    logs::start(arguments.verbose);
    for (name, meant) in misspelt {
        tracing::warn!("{} sets nothing: {meant}, perhaps?", otherhalf_client::printable(&name));
    }
    commands::run(&arguments)
}

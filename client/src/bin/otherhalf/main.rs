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
mod looping;
mod words;
mod finding;
mod table;
mod graph;
mod json;
mod live;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::FromArgMatches;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use failure::{Code, Failure};

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let mut json = json::asked(words.iter().skip(1).cloned());
    match run(&words, &mut json) {
        Ok(code) => code.into(),
        Err(failure) => {
            if !failure.is_quiet() {
                json::error(json, failure.code() as u8, &failure.to_string());
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

/// Does what `words` say; `json` becomes what they and all settings ask for, once that is known.
fn run(words: &[OsString], json: &mut Option<settings::Json>) -> Result<Code, Failure> {
    let settled = settings::apply(&cli::definition(), words)?;
    *json = settled.json;
    let misspelt = settings::misspelt_variables(&settled.command);
    let program = settled.command.clone();
    let matches = settled.command.try_get_matches_from(words);
    let matches = matches.unwrap_or_else(|error| refuse(error, settled.json));
    let arguments = cli::Arguments::from_arg_matches(&matches);
    let arguments = arguments.unwrap_or_else(|error| refuse(error, settled.json));
    if let Some(sentence) = cli::without_effect(&program, &matches) {
        return Err(Failure::Usage(sentence));
    }
    anstream::ColorChoice::from(arguments.color).write_global();
    logs::start(arguments.verbose);
    let file = settled.file.as_ref().map(|file| file.display().to_string());
    tracing::debug!("configuration file: {}", file.as_deref().unwrap_or("none"));
    for (name, meant) in misspelt {
        tracing::warn!("{} sets nothing: {meant}, perhaps?", otherhalf_client::printable(&name));
    }
    commands::run(&arguments)
}

/// Ends the program with what the parser of the command line says: what is wrong, or the help.
fn refuse(mut error: clap::Error, json: Option<settings::Json>) -> ! {
    let is_command_missing = error.kind() == ErrorKind::InvalidSubcommand
        && error.get(ContextKind::SuggestedSubcommand).is_none();
    if is_command_missing {
        let tip = ContextValue::StyledStrs(vec![cli::NO_COMMAND.into()]);
        error.insert(ContextKind::Suggested, tip);
    }
    if error.use_stderr() {
        json::error(json, Code::Usage as u8, &error.to_string());
    }
    error.exit()
}

//! The command line of otherhalf: a thin user of the library.

mod cli;
mod failure;
mod commands;
mod verdict;
mod lines;
mod finding;
mod table;
mod json;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    match commands::run(&arguments) {
        Ok(code) => code.into(),
        Err(failure) => {
            if !failure.is_quiet() {
                eprintln!("otherhalf: {failure}");
            }
            failure.code().into()
        }
    }
}

//! `generate`: what a package installs beside the program, and what readers of its output need.

use std::io::{self, Write};

use otherhalf_client::document;

use super::write_json;
use crate::cli::{Generate, What, definition};
use crate::failure::{Code, Failure};
use crate::settings;

/// Writes what was asked for.
pub(super) fn run(arguments: &Generate) -> Result<Code, Failure> {
    let mut command = definition();
    let mut out = Vec::new();
    match &arguments.what {
        What::Config => out = settings::template(&command).into_bytes(),
        What::Completions { shell } => {
            clap_complete::generate(*shell, &mut command, "otherhalf", &mut out);
        }
        What::Man { folder } => clap_mangen::generate_to(command, folder).map_err(|source| {
            Failure::File { action: "write man pages to", file: folder.clone(), source }
        })?,
        What::Schema => write_json(&document::schema(), &mut out)?,
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(&out)?;
    stdout.flush()?;
    Ok(Code::Reached)
}

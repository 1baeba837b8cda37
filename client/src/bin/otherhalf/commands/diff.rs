//! `diff`: what changed between two saved traces.

use std::io::{self, Write};

use otherhalf_client::difference::Difference;

use super::{saved, write_json};
use crate::cli;
use crate::failure::{Code, Failure};

/// Says what changed; 0 if nothing, 1 if anything, as diff does.
pub(super) fn run(arguments: &cli::Diff) -> Result<Code, Failure> {
    if [&arguments.before, &arguments.after].iter().all(|file| file.as_os_str() == "-") {
        return Err(Failure::Usage(
            "the standard input is one trace: name a file for the other".to_owned(),
        ));
    }
    let before = saved::read(&arguments.before)?;
    let after = saved::read(&arguments.after)?;
    let difference = Difference::new(&before, &after)?;
    let mut out = io::stdout().lock();
    if arguments.json {
        write_json(&difference, &mut out)?;
    } else {
        for line in difference.lines(&before, &after) {
            writeln!(out, "{line}")?;
        }
        out.flush()?;
    }
    Ok(if difference.is_changed() { Code::NotReached } else { Code::Reached })
}

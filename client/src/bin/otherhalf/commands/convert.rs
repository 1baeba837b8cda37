//! `convert`: a saved trace in another format.

use otherhalf_client::Format;

use super::saved;
use super::sink::write_whole;
use crate::cli::{self, Convert, Only};
use crate::failure::{Code, Failure};

/// Reads it and writes it.
pub(super) fn run(arguments: &Convert) -> Result<Code, Failure> {
    let format = format(arguments)?;
    let mut document = saved::read(&arguments.file)?;
    if let Some(only) = arguments.direction {
        match only {
            Only::Forward => document.reverse = None,
            Only::Reverse => document.forward = None,
        }
        document.finding = None;
        if document.paths().next().is_none() {
            return Err(Failure::Usage(format!(
                "{} has no trace in that direction",
                arguments.file.display()
            )));
        }
    }
    let rendered = format.render(&document, None)?;
    write_whole(format, &rendered, arguments.output.as_deref())?;
    Ok(Code::Reached)
}

/// What was asked for, or what the ending of the file says.
fn format(arguments: &Convert) -> Result<Format, Failure> {
    let said = || {
        match &arguments.output {
        Some(file) => cli::format_of(file).ok_or(
            "the file's ending says no format: end it in .json, .csv, .dot, .svg or .html, or add --format",
        ),
        None => Err("--format is missing, or a file whose ending says it: -o FILE.svg"),
    }
    };
    if let Some(format) = arguments.format {
        return Ok(format);
    }
    let format = said().map_err(|sentence| Failure::Usage(sentence.to_owned()))?;
    tracing::debug!("{format}, as the file's ending says");
    Ok(format)
}

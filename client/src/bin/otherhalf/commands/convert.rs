//! `convert`: a saved trace in another format.

use super::saved;
use super::sink::write_whole;
use crate::cli::{Convert, Only};
use crate::failure::{Code, Failure};

/// Reads it and writes it.
pub(super) fn run(arguments: &Convert) -> Result<Code, Failure> {
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
    let rendered = arguments.format.render(&document, None)?;
    write_whole(arguments.format, &rendered, arguments.output.as_deref())?;
    Ok(Code::Reached)
}

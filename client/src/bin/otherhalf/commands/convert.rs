//! `convert`: a saved trace in another format.

use std::io::{self, Read};
use std::path::Path;

use otherhalf_client::document;

use super::sink::write_whole;
use crate::cli::{Convert, Only};
use crate::failure::{Code, Failure};

/// Reads it and writes it.
pub(super) fn run(arguments: &Convert) -> Result<Code, Failure> {
    let saved = |source| Failure::Saved { file: arguments.file.clone(), source };
    let mut document = document::read(&text_of(&arguments.file)?).map_err(saved)?;
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

/// What `file` holds; `-` is the standard input.
fn text_of(file: &Path) -> Result<String, Failure> {
    let read = if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    read.map_err(|source| Failure::File { action: "read", file: file.to_owned(), source })
}

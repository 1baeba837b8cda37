//! `report`: saved traces as a page for others.

use std::fs;
use std::io::{self, Write};

use otherhalf_client::{Document, report};

use super::saved;
use crate::cli::{self, ReportFormat};
use crate::failure::{Code, Failure};

/// Writes the report.
pub(super) fn run(arguments: &cli::Report) -> Result<Code, Failure> {
    let format = format(arguments)?;
    let documents = arguments
        .files
        .iter()
        .map(|file| redacted(saved::read(file)?, arguments))
        .collect::<Result<Vec<_>, _>>()?;
    let text = match format {
        ReportFormat::Html => report::html(&documents),
        ReportFormat::Markdown => report::markdown(&documents),
    };
    if let Some(file) = &arguments.output {
        let failed = |source| Failure::File { action: "write", file: file.clone(), source };
        fs::write(file, text).map_err(failed)?;
    } else {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
    }
    Ok(Code::Reached)
}

fn redacted(document: Document, arguments: &cli::Report) -> Result<Document, Failure> {
    match arguments.redact_hops {
        None if !arguments.redact_source => Ok(document),
        hops => Ok(report::redact(&document, hops.unwrap_or(0))?),
    }
}

/// What was asked for, or what the ending of the file says.
fn format(arguments: &cli::Report) -> Result<ReportFormat, Failure> {
    if let Some(format) = arguments.format {
        return Ok(format);
    }
    let Some(file) = &arguments.output else { return Ok(ReportFormat::Markdown) };
    cli::report_format_of(file).ok_or_else(|| {
        Failure::Usage(
            "the file's ending says no format: end it in .html or .md, or add --format".to_owned(),
        )
    })
}

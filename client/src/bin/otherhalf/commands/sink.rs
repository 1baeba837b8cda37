//! Where a trace goes for programs: as events while it lasts, or as a whole when it is over.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use otherhalf_client::Format;
use otherhalf_client::document::{Document, Event};
use otherhalf_client::record::Recording;
use otherhalf_client::stream::Watcher;

use crate::cli;
use crate::failure::Failure;

/// What is written, and where to.
pub(super) struct Sink {
    what: What,
    /// The standard output if there is none.
    file: Option<File>,
}

enum What {
    Nothing,
    Events(Watcher),
    Whole(Format),
}

impl Sink {
    /// What the arguments ask for. A file is opened, and not touched before there is something to write.
    pub(super) fn open(json: bool, output: &cli::Output) -> Result<Self, Failure> {
        let what = match output.format {
            Some(format) => What::Whole(format),
            None if output.stream => What::Events(Watcher::default()),
            None if json || output.file.is_some() => What::Whole(Format::Json),
            None => What::Nothing,
        };
        let file = output.file.as_deref().map(open).transpose()?;
        if let What::Whole(format) = what
            && file.is_none()
        {
            refuse_on_terminal(format)?;
        }
        Ok(Self { what, file })
    }

    /// Whether the standard output is for people.
    pub(super) const fn leaves_text(&self) -> bool {
        matches!(self.what, What::Nothing) || self.file.is_some()
    }

    /// Whether the packets themselves are wanted.
    pub(super) const fn wants_packets(&self) -> bool {
        matches!(self.what, What::Whole(Format::Pcap))
    }

    /// Whether anything is.
    pub(super) const fn wants_document(&self) -> bool {
        !matches!(self.what, What::Nothing)
    }

    /// Before the first query.
    pub(super) fn start(&mut self, event: &Event) -> io::Result<()> {
        if !matches!(self.what, What::Events(_)) {
            return Ok(());
        }
        self.empty()?;
        self.write_event(event)
    }

    /// What is new, if events are wanted.
    pub(super) fn update(
        &mut self,
        news: impl FnOnce(&mut Watcher) -> Vec<Event>,
    ) -> io::Result<()> {
        let What::Events(watcher) = &mut self.what else { return Ok(()) };
        for event in news(watcher) {
            self.write_event(&event)?;
        }
        Ok(())
    }

    /// When all is over.
    pub(super) fn finish(
        &mut self,
        document: Document,
        packets: Option<&Recording>,
    ) -> Result<(), Failure> {
        match self.what {
            What::Nothing => {}
            What::Events(_) => {
                self.write_event(&Event::Result { document: Box::new(document) })?;
            }
            What::Whole(format) => {
                if let Some(left_out) = packets.map(Recording::left_out).filter(|count| *count > 0)
                {
                    tracing::warn!("{left_out} packets more were not kept: too many answers came");
                }
                let whole = format.render(&document, packets)?;
                self.empty()?;
                self.write(&whole)?;
            }
        }
        Ok(())
    }

    fn write_event(&mut self, event: &Event) -> io::Result<()> {
        self.write((otherhalf_client::json::line(event)? + "\n").as_bytes())
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            return file.write_all(octets);
        }
        let mut out = io::stdout().lock();
        out.write_all(octets)?;
        out.flush()
    }

    /// Drops what the file held before. A pipe or a terminal holds nothing.
    fn empty(&self) -> io::Result<()> {
        match &self.file {
            Some(file) if file.metadata()?.is_file() => file.set_len(0),
            _ => Ok(()),
        }
    }
}

/// Writes all of `octets` to `file`, or to the standard output.
pub(super) fn write_whole(
    format: Format,
    octets: &[u8],
    file: Option<&Path>,
) -> Result<(), Failure> {
    let file = file.map(open).transpose()?;
    if file.is_none() {
        refuse_on_terminal(format)?;
    }
    let mut sink = Sink { what: What::Nothing, file };
    sink.empty()?;
    Ok(sink.write(octets)?)
}

fn open(file: &Path) -> Result<File, Failure> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(file)
        .map_err(|source| Failure::File { action: "write", file: file.to_owned(), source })
}

fn refuse_on_terminal(format: Format) -> Result<(), Failure> {
    if !format.is_text() && io::stdout().is_terminal() {
        return Err(Failure::Usage(format!("{format} is nothing for a terminal: add -o FILE")));
    }
    Ok(())
}

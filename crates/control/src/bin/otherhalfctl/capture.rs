//! A capture: asks for frames and writes them into a file.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use otherhalf_control::capture::{Ended, Frame, Wish};
use otherhalf_control::client::Client;
use otherhalf_control::pcapng::{Packet, Writer};
use otherhalf_control::{Command, Reply};
use pcap_file::PcapError;

use crate::Failure;
use crate::cli::Capture;

/// Captures as `wish` says, until it is over.
pub(crate) fn run(socket: &Path, wish: &Capture) -> Result<Ended, Failure> {
    let Capture { outcome, limit, seconds, snaplen, file } = wish;
    let mut client = Client::connect(socket)?;
    let asked =
        Wish { outcomes: outcome.clone(), limit: *limit, seconds: *seconds, snap_len: *snaplen };
    let ports = match client.ask(Command::Capture(asked))? {
        Reply::CaptureBegun(ports) => ports,
        other => return Err(Failure::Unexpected(Box::new(other))),
    };
    let failed = |source| Failure::File { path: file.clone(), source };
    // Only now: what is refused leaves no file, and spoils none.
    let mut writer = create(file, &ports).map_err(failed)?;
    loop {
        match client.more()? {
            Reply::Captured(frame) => write(&mut writer, &frame).map_err(failed)?,
            Reply::Capturing { .. } => {}
            Reply::CaptureEnded(ended) => return Ok(ended),
            other => return Err(Failure::Unexpected(Box::new(other))),
        }
    }
}

type Output = Writer<BufWriter<Box<dyn Write>>>;

fn create(path: &Path, ports: &[String]) -> Result<Output, PcapError> {
    let output: Box<dyn Write> = if path == Path::new("-") {
        Box::new(io::stdout())
    } else {
        Box::new(File::create(path).map_err(PcapError::IoError)?)
    };
    let application = concat!("otherhalfctl ", env!("CARGO_PKG_VERSION"));
    let ports = ports.iter().map(String::as_str);
    let mut writer = Writer::new(BufWriter::new(output), application, ports)?;
    writer.get_mut().flush().map_err(PcapError::IoError)?;
    Ok(writer)
}

/// Writes whole packets, so that the file is good whenever this is interrupted.
fn write(writer: &mut Output, frame: &Frame) -> Result<(), PcapError> {
    let Frame { at_ns, port, worker, outcome, whole_len, octets } = frame;
    writer.packet(Packet {
        interface: (*port).into(),
        at: Duration::from_nanos(*at_ns),
        whole_len: *whole_len,
        octets: &octets.0,
        comment: Some(format!("{outcome}, worker {worker}").into()),
    })?;
    writer.get_mut().flush().map_err(PcapError::IoError)
}

//! Where the frames go that would have been sent.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use otherhalf_control::pcapng::{self, Packet};
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, PcapError, TsResolution};

use super::Sent;

/// A file that is being written.
pub(super) enum Output {
    /// Octets and times alone.
    Pcap(PcapWriter<BufWriter<File>>),
    /// With the ports, and what each frame counts as.
    Pcapng(pcapng::Writer<BufWriter<File>>),
}

impl Output {
    /// Makes the file at `path`, of the form that its name says: pcapng if it ends so, else pcap. `ports` are their names.
    pub(super) fn create(path: &Path, ports: &[&str]) -> Result<Self, PcapError> {
        let file = BufWriter::new(File::create(path).map_err(PcapError::IoError)?);
        if path.extension().is_some_and(|extension| extension == "pcapng") {
            let application = concat!("otherhalfd replay ", env!("CARGO_PKG_VERSION"));
            return Ok(Self::Pcapng(pcapng::Writer::new(
                file,
                application,
                ports.iter().copied(),
            )?));
        }
        let header = PcapHeader {
            datalink: DataLink::ETHERNET,
            ts_resolution: TsResolution::NanoSecond,
            ..PcapHeader::default()
        };
        Ok(Self::Pcap(PcapWriter::with_header(file, header)?))
    }

    /// Adds a frame.
    pub(super) fn write(&mut self, at: Duration, sent: Sent<'_>) -> Result<(), PcapError> {
        let Sent { port, octets, outcome } = sent;
        let whole_len = u32::try_from(octets.len()).unwrap_or(u32::MAX);
        match self {
            Self::Pcap(file) => {
                file.write_packet(&PcapPacket::new(at, whole_len, octets))?;
                Ok(())
            }
            Self::Pcapng(file) => file.packet(Packet {
                interface: port.0.into(),
                at,
                whole_len,
                octets,
                comment: Some(Cow::Borrowed(outcome.map_or("reset", |outcome| outcome.name()))),
            }),
        }
    }

    /// Has all written.
    pub(super) fn finish(self) -> Result<(), PcapError> {
        let written = match self {
            Self::Pcap(file) => file.into_writer().flush(),
            Self::Pcapng(mut file) => file.get_mut().flush(),
        };
        written.map_err(PcapError::IoError)
    }
}

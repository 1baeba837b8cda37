//! Frames out of a capture file: pcap or pcapng, whichever it is.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use pcap_file::pcap::{PcapReader, RawPcapPacket};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{Block, PcapNgReader};
use pcap_file::{DataLink, PcapError, TsResolution};

/// How a pcapng file begins.
const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// The bits of a pcap file's link type that are the type (draft-ietf-opsawg-pcap): above are those of the frame check sequence.
const LINK_TYPE: u32 = 0xffff;
/// `if_tsresol` of an interface that does not say: microseconds.
const MICROSECONDS: u8 = 6;

/// Why frames can't be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be opened.
    #[error("can't open {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its beginning is none of a capture file.
    #[error("{} is no capture file: neither pcap nor pcapng ({source})", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PcapError,
    },
    /// Not Ethernet.
    #[error(
        "{}: frames of link type {link_type:?}, not of Ethernet: capture on the port itself (with tcpdump, not `-i any`)", path.display()
    )]
    LinkType {
        /// The file.
        path: PathBuf,
        /// What it has.
        link_type: DataLink,
    },
    /// It ends too early.
    #[error("{} ends in the midst of a packet, after {packets} whole ones: was it cut off?", path.display())]
    CutOff {
        /// The file.
        path: PathBuf,
        /// Packets before.
        packets: u64,
    },
    /// It is damaged.
    #[error("{} can't be read on after {packets} packets: {why}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// Packets before.
        packets: u64,
        /// Why.
        why: String,
    },
}

/// A received frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Its time, in nanoseconds since 1970.
    pub at_ns: u64,
    /// The place of its interface in the file.
    pub interface: usize,
    /// What the file has of it.
    pub octets: Vec<u8>,
    /// Whether that is less than there was.
    pub cut: bool,
}

type Source<R> = io::Chain<Cursor<[u8; 4]>, R>;

enum Form<R: Read> {
    Pcap(PcapReader<Source<R>>),
    Pcapng(PcapNgReader<Source<R>>),
}

/// An open file.
pub struct Input<R: Read = File> {
    path: PathBuf,
    form: Form<R>,
    packets: u64,
}

impl Input {
    /// Opens the file at `path`.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let opened = |source| Error::Open { path: path.to_owned(), source };
        Self::read(File::open(path).map_err(opened)?, path)
    }
}

impl<R: Read> Input<R> {
    /// Reads the beginning of `file`, which is at `path`.
    pub fn read(mut file: R, path: &Path) -> Result<Self, Error> {
        let wrong = |source| Error::Form { path: path.to_owned(), source };
        let mut start = [0; 4];
        file.read_exact(&mut start).map_err(|error| wrong(PcapError::IoError(error)))?;
        let source = Cursor::new(start).chain(file);
        let form = if start == PCAPNG {
            Form::Pcapng(PcapNgReader::new(source).map_err(wrong)?)
        } else {
            let reader = PcapReader::new(source).map_err(wrong)?;
            let link_type = u32::from(reader.header().datalink) & LINK_TYPE;
            ethernet(path, DataLink::from(link_type))?;
            Form::Pcap(reader)
        };
        Ok(Self { path: path.to_owned(), form, packets: 0 })
    }

    /// The next frame; `None` at the end.
    #[expect(
        clippy::should_implement_trait,
        reason = "an error ends it: no iterator goes on after one"
    )]
    pub fn next(&mut self) -> Result<Option<Packet>, Error> {
        let Self { path, form, packets } = self;
        let read = match form {
            Form::Pcap(reader) => {
                let resolution = reader.header().ts_resolution;
                match reader.next_raw_packet() {
                    None => return Ok(None),
                    // Its lengths are not judged by the file's header: many writers say less there than they write.
                    Some(packet) => packet.and_then(|packet| of_pcap(packet, resolution)),
                }
            }
            Form::Pcapng(reader) => loop {
                let (interface, raw_time, original_len, octets) = match reader.next_block() {
                    None => return Ok(None),
                    Some(Err(error)) => break Err(error),
                    Some(Ok(Block::EnhancedPacket(packet))) => (
                        packet.interface_id as usize,
                        // The reader takes all times for nanoseconds.
                        packet.timestamp.as_nanos(),
                        packet.original_len,
                        packet.data.into_owned(),
                    ),
                    Some(Ok(Block::Packet(_) | Block::SimplePacket(_))) => {
                        break Err(PcapError::InvalidField(
                            "a packet block of an old or simple kind, whose time is not known: write the file anew with `editcap -F pcapng`",
                        ));
                    }
                    Some(Ok(_)) => continue,
                };
                let Some(about) = reader.interfaces().get(interface) else {
                    break Err(PcapError::InvalidField(
                        "a packet of an interface that is not there",
                    ));
                };
                ethernet(path, about.linktype)?;
                let cut = octets.len() < original_len as usize;
                break Ok(Packet { at_ns: nanoseconds(raw_time, about), interface, octets, cut });
            },
        };
        match read {
            Ok(packet) => {
                *packets += 1;
                Ok(Some(packet))
            }
            Err(PcapError::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Error::CutOff { path: path.clone(), packets: *packets })
            }
            Err(error) => {
                let why = match error {
                    PcapError::IoError(error) => error.to_string(),
                    PcapError::InvalidField(why) => why.to_owned(),
                    other => other.to_string(),
                };
                Err(Error::Broken { path: path.clone(), packets: *packets, why })
            }
        }
    }
}

fn ethernet(path: &Path, link_type: DataLink) -> Result<(), Error> {
    match link_type {
        DataLink::ETHERNET => Ok(()),
        link_type => Err(Error::LinkType { path: path.to_owned(), link_type }),
    }
}

fn of_pcap(packet: RawPcapPacket<'_>, resolution: TsResolution) -> Result<Packet, PcapError> {
    let unit = match resolution {
        TsResolution::MicroSecond => 1000,
        TsResolution::NanoSecond => 1,
    };
    let RawPcapPacket { ts_sec, ts_frac, orig_len, data, .. } = packet;
    let fraction = u64::from(ts_frac) * unit;
    if fraction >= 1_000_000_000 {
        return Err(PcapError::InvalidField("a time with a second or more behind the point"));
    }
    let at_ns = u64::from(ts_sec) * 1_000_000_000 + fraction;
    let cut = data.len() < orig_len as usize;
    Ok(Packet { at_ns, interface: 0, octets: data.into_owned(), cut })
}

/// The time `raw` in nanoseconds, from the units of the interface `about`; what 64 bits can't hold is as late as they can.
fn nanoseconds(raw: u128, about: &InterfaceDescriptionBlock<'_>) -> u64 {
    let (mut resolution, mut offset) = (MICROSECONDS, 0);
    for option in &about.options {
        match option {
            InterfaceDescriptionOption::IfTsResol(value) => resolution = *value,
            InterfaceDescriptionOption::IfTsOffset(seconds) => offset = *seconds,
            _ => {}
        }
    }
    let exponent = u32::from(resolution & 0x7f);
    // The highest bit: a power of 2, else of 10.
    let units = if resolution & 0x80 == 0 {
        10_u128.checked_pow(exponent)
    } else {
        1_u128.checked_shl(exponent)
    };
    let nanoseconds = units.map_or(0, |units| raw.saturating_mul(1_000_000_000) / units);
    let offset = u128::from(offset) * 1_000_000_000;
    u64::try_from(nanoseconds.saturating_add(offset)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_resolution_of_their_interface() {
        let about = |options| InterfaceDescriptionBlock {
            linktype: DataLink::ETHERNET,
            snaplen: 0,
            options,
        };
        let resolution = |value| about(vec![InterfaceDescriptionOption::IfTsResol(value)]);
        assert_eq!(nanoseconds(7, &about(vec![])), 7000);
        assert_eq!(nanoseconds(7, &resolution(9)), 7);
        assert_eq!(nanoseconds(7, &resolution(0)), 7_000_000_000);
        assert_eq!(nanoseconds(7, &resolution(12)), 0);
        assert_eq!(nanoseconds(3 << 9, &resolution(0x8a)), 1_500_000_000);
        for unusual in [127, 0xff] {
            assert_eq!(nanoseconds(u64::MAX.into(), &resolution(unusual)), 0);
        }
        let offset = about(vec![InterfaceDescriptionOption::IfTsOffset(2)]);
        assert_eq!(nanoseconds(7, &offset), 2_000_007_000);
        assert_eq!(nanoseconds(u64::MAX.into(), &about(vec![])), u64::MAX);
    }
}

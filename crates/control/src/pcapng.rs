//! Packets as a capture file of the form pcapng (draft-ietf-opsawg-pcapng), with what became of each as its comment.

use std::borrow::Cow;
use std::io::Write;
use std::time::Duration;

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::{DataLink, PcapError};

/// `if_tsresol`: times are in units of 10^-9 seconds.
const NANOSECONDS: u8 = 9;

/// A packet for the file.
#[derive(Debug, Clone)]
pub struct Packet<'a> {
    /// The place of its interface among those that the file began with.
    pub interface: u32,
    /// Its time since 1970 (UTC); nanoseconds count.
    pub at: Duration,
    /// Its octets on the wire; what follows may be fewer.
    pub whole_len: u32,
    /// Its octets, from the Ethernet header on.
    pub octets: &'a [u8],
    /// A line about it.
    pub comment: Option<Cow<'a, str>>,
}

/// Writes such a file. Each block is handed to the writer as it comes; nothing is kept.
pub struct Writer<W: Write>(PcapNgWriter<W>);

impl<W: Write> Writer<W> {
    /// Begins a file by the program `application`, of the Ethernet `interfaces`.
    pub fn new<'n>(
        writer: W,
        application: &str,
        interfaces: impl IntoIterator<Item = &'n str>,
    ) -> Result<Self, PcapError> {
        let options = vec![SectionHeaderOption::UserApplication(Cow::Owned(application.into()))];
        let section = SectionHeaderBlock { options, ..SectionHeaderBlock::default() };
        let mut file = PcapNgWriter::with_section_header(writer, section)?;
        for name in interfaces {
            let options = vec![
                InterfaceDescriptionOption::IfName(Cow::Borrowed(name)),
                InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
            ];
            // No limit: what is cut off shows by its length.
            let block =
                InterfaceDescriptionBlock { linktype: DataLink::ETHERNET, snaplen: 0, options };
            file.write_pcapng_block(block)?;
        }
        Ok(Self(file))
    }

    /// Adds a packet.
    pub fn packet(&mut self, packet: Packet<'_>) -> Result<(), PcapError> {
        let Packet { interface, at, whole_len, octets, comment } = packet;
        let block = EnhancedPacketBlock {
            interface_id: interface,
            timestamp: at,
            original_len: whole_len,
            data: Cow::Borrowed(octets),
            options: comment.map(EnhancedPacketOption::Comment).into_iter().collect(),
        };
        self.0.write_pcapng_block(block)?;
        Ok(())
    }

    /// What it writes to.
    pub fn get_mut(&mut self) -> &mut W {
        self.0.get_mut()
    }
}

#[cfg(test)]
mod tests {
    use pcap_file::pcapng::{Block, PcapNgReader};

    use super::*;

    #[test]
    fn a_file_says_what_it_was_told() {
        let mut octets = Vec::new();
        let mut file = Writer::new(&mut octets, "otherhalf 1", ["net_tap0", "net_tap1"]).unwrap();
        let packet = Packet {
            interface: 1,
            at: Duration::new(1_700_000_000, 123_456_789),
            whole_len: 1500,
            octets: b"a frame that was cut",
            comment: Some("drop_forged, worker 0".into()),
        };
        file.packet(packet.clone()).unwrap();
        let unknown = Packet { interface: 2, ..packet };
        assert!(file.packet(unknown).is_err(), "no such interface");
        let mut reader = PcapNgReader::new(octets.as_slice()).unwrap();
        let mut blocks = Vec::new();
        while let Some(block) = reader.next_block() {
            blocks.push(block.unwrap().into_owned());
        }
        let [
            Block::InterfaceDescription(_),
            Block::InterfaceDescription(interface),
            Block::EnhancedPacket(read),
        ] = blocks.as_slice()
        else {
            panic!("{blocks:?}")
        };
        assert_eq!(interface.linktype, DataLink::ETHERNET);
        assert!(interface.options.contains(&InterfaceDescriptionOption::IfTsResol(9)));
        assert_eq!((read.interface_id, read.original_len), (1, 1500));
        assert_eq!(read.timestamp, Duration::new(1_700_000_000, 123_456_789));
        assert_eq!(&*read.data, b"a frame that was cut");
        let comment = EnhancedPacketOption::Comment("drop_forged, worker 0".into());
        assert_eq!(read.options, [comment]);
    }
}

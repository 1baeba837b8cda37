//! Packets as a capture file, whose link type is raw IP: there is no link layer to show.

use std::borrow::Cow;
use std::time::{Duration, UNIX_EPOCH};

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, TsResolution};

use super::Error;
use crate::record::{Packet, Recording};

pub(super) fn render(packets: &Recording) -> Result<Vec<u8>, Error> {
    let header = PcapHeader {
        datalink: DataLink::RAW,
        ts_resolution: TsResolution::NanoSecond,
        ..PcapHeader::default()
    };
    let mut out = PcapWriter::with_header(Vec::new(), header)?;
    for Packet { at, octets } in packets.packets() {
        // A clock before 1970 is one that was never set.
        let timestamp = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let orig_len = u32::try_from(octets.len()).unwrap_or(u32::MAX);
        out.write_packet(&PcapPacket { timestamp, orig_len, data: Cow::Borrowed(octets) })?;
    }
    Ok(out.into_writer())
}

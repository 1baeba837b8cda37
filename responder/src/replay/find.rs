//! The hardware addresses of ports that are not here: a file's frames show them, for they were sent to them.

use std::net::IpAddr;
use std::path::Path;

use otherhalf_wire::ethernet::{Link, Mac, ethertype};
use otherhalf_wire::ip::Packet;

use super::input::{Error, Input};
use crate::config::{self, Config};

/// Stations that are counted for a port; those that come later are none of its.
const STATIONS: usize = 64;

/// Looks for the hardware address of each port that is not among `given`: the one that most packets to an address of the port's were
/// sent to. `port_of` says by which port the frames of an interface of the file came in.
pub(super) fn macs(
    path: &Path,
    config: &Config,
    given: &[Mac],
    port_of: impl Fn(usize) -> usize,
) -> Result<Vec<Option<Mac>>, Error> {
    let mut found: Vec<Option<Mac>> = given.iter().copied().map(Some).collect();
    if found.len() == config.port.len() {
        return Ok(found);
    }
    let addresses = |port: &config::Port| -> Vec<IpAddr> {
        port.interface.iter().flat_map(|one| &one.addresses).map(ipnet::IpNet::addr).collect()
    };
    let own: Vec<Vec<IpAddr>> = config.port.iter().map(addresses).collect();
    let mut stations: Vec<Vec<(Mac, u64)>> = vec![Vec::new(); config.port.len()];
    let mut input = Input::open(path)?;
    // A file that breaks off has shown what it shows; who reads it for its frames will say so.
    while let Ok(Some(packet)) = input.next() {
        let port = port_of(packet.interface);
        let (Some(stations), Some(own)) = (stations.get_mut(port), own.get(port)) else { continue };
        let Some((_, mac)) = destination(&packet.octets).filter(|(ip, _)| own.contains(ip)) else {
            continue;
        };
        if let Some((_, packets)) = stations.iter_mut().find(|(known, _)| *known == mac) {
            *packets += 1;
        } else if stations.len() < STATIONS {
            stations.push((mac, 1));
        }
    }
    for stations in stations.iter().skip(found.len()) {
        found.push(stations.iter().rev().max_by_key(|(_, packets)| *packets).map(|(mac, _)| *mac));
    }
    Ok(found)
}

/// Where the packet in `frame` goes: its address, and the station's.
fn destination(frame: &[u8]) -> Option<(IpAddr, Mac)> {
    let (link, payload) = Link::parse(frame).ok()?;
    let packet = match link.ethertype {
        ethertype::IPV4 => Packet::parse_v4(payload),
        ethertype::IPV6 => Packet::parse_v6(payload),
        _ => return None,
    };
    let packet = packet.ok()?;
    link.dst.is_unicast().then_some((packet.dst, link.dst))
}

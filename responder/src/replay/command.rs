//! `otherhalfd replay`.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use otherhalf_engine::{BURST, Interface, InterfaceId, NextHop, PortId};
use otherhalf_wire::ethernet::Mac;
use pcap_file::PcapError;

use super::find;
use super::input::{self, Input, Packet};
use super::output::Output;
use super::{Error as Misfit, Replay, Sent};
use crate::config::{self, Config};
use crate::stats::Totals;

/// Leads the frames of a capture file through the engine, without ports and without privileges.
///
/// Writes each frame that would have been sent, with the time of the frame that caused it, and prints the counters. The same file and
/// configuration give the same output, octet for octet.
#[derive(Debug, Args)]
#[command(after_help = "\
The clock is the file's, so round-trip times and time-outs are those of the capture. Frames with the same time
are one receive burst. OUT is pcapng if its name ends so, with the ports and what each frame counts as (its
comment), else pcap.

Answers to probes of a running otherhalfd are recognised only with its pending.secret. Without that key, a
fixed secret is used, and answers in the file count as drop_forged or drop_not_our_probe.

Neighbours are learned from ARP and neighbour discovery in the file, and believed until the file says
otherwise. Requests wait for an unknown neighbour for 2 s of the file's time, as they do in otherhalfd; nobody
is asked for it. `--neighbour` tells one, and `reply.path = \"hairpin\"` needs none.

Exit codes: 0 done, 1 the file is damaged or can't be written (what came before is written, and counted),
2 wrong usage, 78 wrong configuration.

Example: otherhalfd replay --config otherhalfd.toml --neighbour 192.0.2.1=02:00:00:00:00:01 in.pcap out.pcapng")]
pub struct Arguments {
    /// The configuration: addresses, routes, probes, secret. Its devices are not opened.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The port that all frames came in by, by its place in the configuration, from 0. By default, frames of the file's first
    /// interface came in by the first port, and so on; those of more interfaces than ports are an error.
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// The hardware address of the first port, and repeated, of the second and so on. By default, the one that most of
    /// the file's packets to an address of the port were sent to.
    #[arg(long, value_name = "MAC", value_parser = mac)]
    mac: Vec<Mac>,
    /// A neighbour that is known from the beginning. Its interface, by its name, is needed only for an address that is in no
    /// interface's prefix, such as a link-local one.
    #[arg(long, value_name = "ADDRESS[%INTERFACE]=MAC")]
    neighbour: Vec<Known>,
    /// The frames that are received: pcap or pcapng, Ethernet.
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// Where frames go that would be sent.
    #[arg(value_name = "OUT")]
    output: PathBuf,
}

/// A neighbour on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    address: IpAddr,
    interface: Option<String>,
    mac: Mac,
}

impl FromStr for Known {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (neighbour, address) =
            text.split_once('=').ok_or("write it as 192.0.2.1=02:00:00:00:00:01")?;
        let (ip, interface) = match neighbour.split_once('%') {
            Some((ip, interface)) => (ip, Some(interface.to_owned())),
            None => (neighbour, None),
        };
        let ip = ip.parse().map_err(|_| format!("{ip:?} is no IP address"))?;
        Ok(Self { address: ip, interface, mac: mac(address)? })
    }
}

/// Reads the hardware address of a station.
fn mac(text: &str) -> Result<Mac, String> {
    let wrong =
        || format!("{text:?} is no hardware address of a station: write it as 02:00:00:00:00:01");
    let octets: Option<Vec<u8>> = text
        .split(':')
        .map(|part| {
            // Which takes a sign, too.
            let digits = part.len() == 2 && part.chars().all(|c| c.is_ascii_hexdigit());
            digits.then(|| u8::from_str_radix(part, 16).ok()).flatten()
        })
        .collect();
    let octets: [u8; 6] = octets.and_then(|octets| octets.try_into().ok()).ok_or_else(wrong)?;
    Some(Mac(octets)).filter(|mac| mac.is_unicast()).ok_or_else(wrong)
}

/// Why a file was not replayed, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What is to be read.
    #[error(transparent)]
    Input(#[from] input::Error),
    /// What does not fit.
    #[error("{0}")]
    Misfit(#[from] Misfit),
    /// One file for both.
    #[error("{} is the file to be read: write to another", .0.display())]
    SameFile(PathBuf),
    /// What is written.
    #[error("can't write {}: {source}", path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PcapError,
    },
    /// No such port.
    #[error("the configuration has no port {port}: it has {ports}, numbered from 0")]
    NoPort {
        /// The port.
        port: usize,
        /// How many there are.
        ports: usize,
    },
    /// More interfaces than ports.
    #[error(
        "the file has frames of its interface {interface}, and the configuration has {ports} ports: say with --port by which all came in"
    )]
    NoPortFor {
        /// The interface's place in the file.
        interface: usize,
        /// How many ports there are.
        ports: usize,
    },
    /// More hardware addresses than ports.
    #[error("{macs} hardware addresses for {ports} ports")]
    TooManyMacs {
        /// Addresses.
        macs: usize,
        /// Ports.
        ports: usize,
    },
    /// Not to be found out.
    #[error(
        "no packet in {} is for an address of port {port} ({device}), so its hardware address is not known: give those of all ports with --mac", path.display()
    )]
    NoMac {
        /// The file.
        path: PathBuf,
        /// The port's place.
        port: usize,
        /// The port's device.
        device: String,
    },
    /// The interface of a neighbour.
    #[error(
        "on which interface is the neighbour {0}? No prefix of an interface has it: write {0}%INTERFACE=MAC"
    )]
    NoInterface(IpAddr),
    /// The interface of a neighbour.
    #[error("no interface is called {name:?}: there are {known}")]
    UnknownInterface {
        /// What it was called.
        name: String,
        /// Those that are.
        known: String,
    },
}

/// What came of a replay.
#[derive(Debug)]
pub struct Replayed {
    /// The counters.
    pub totals: Totals,
    /// What is worth a word: each a sentence.
    pub notes: Vec<String>,
    /// What ended it before the end of the file.
    pub error: Option<Error>,
}

impl Arguments {
    /// Does it. An error says that nothing was done; one that came on the way is in what it gives.
    pub fn run(&self, config: &Config) -> Result<Replayed, Error> {
        let ports = config.port.len();
        if let Some(port) = self.port.map(usize::from).filter(|port| *port >= ports) {
            return Err(Error::NoPort { port, ports });
        }
        if same_file(&self.input, &self.output) {
            return Err(Error::SameFile(self.output.clone()));
        }
        let mut input = Input::open(&self.input)?;
        let mut replay = Replay::new(config, &self.macs(config)?)?;
        let names = config.interface_names();
        for known in &self.neighbour {
            let interfaces = replay.snapshot.network.interfaces();
            let hop = known.hop(interfaces, &names)?;
            replay.know(hop, known.mac);
        }
        let devices: Vec<&str> = config.port.iter().map(config::Port::device_name).collect();
        let written = |source| Error::Output { path: self.output.clone(), source };
        let mut output = Output::create(&self.output, &devices).map_err(written)?;

        let mut frames = Frames { burst: Vec::new(), cut: 0 };
        let replayed = self.replay_all(&mut input, &mut frames, &mut replay, &mut output, ports);
        let finished = output.finish().map_err(written);
        Ok(Replayed {
            notes: notes(config, &frames, &replay),
            totals: replay.end(),
            error: replayed.and(finished).err(),
        })
    }

    /// Leads burst after burst through.
    fn replay_all(
        &self,
        input: &mut Input,
        frames: &mut Frames,
        replay: &mut Replay,
        output: &mut Output,
        ports: usize,
    ) -> Result<(), Error> {
        let mut pass = |burst: &mut Vec<Packet>| {
            let Some(Packet { at_ns, interface, .. }) = burst.first() else { return Ok(()) };
            let (at_ns, port) = (*at_ns, self.port_of(*interface));
            let octets: Vec<&[u8]> = burst.iter().map(|packet| packet.octets.as_slice()).collect();
            let at = Duration::from_nanos(at_ns);
            let mut write = |sent: Sent<'_>| output.write(at, sent);
            let passed = replay.pass(at_ns, port_id(port), &octets, &mut write);
            burst.clear();
            passed.map_err(|source| Error::Output { path: self.output.clone(), source })
        };
        loop {
            let packet = match input.next() {
                Ok(Some(packet)) if self.port_of(packet.interface) < ports => packet,
                Ok(None) => return pass(&mut frames.burst),
                other => {
                    pass(&mut frames.burst)?;
                    let interface = other?.map_or(0, |packet| packet.interface);
                    return Err(Error::NoPortFor { interface, ports });
                }
            };
            frames.cut += u64::from(packet.cut);
            let together = frames.burst.last().is_none_or(|last| {
                (last.at_ns, last.interface) == (packet.at_ns, packet.interface)
            });
            if !together || frames.burst.len() >= BURST {
                pass(&mut frames.burst)?;
            }
            frames.burst.push(packet);
        }
    }

    /// The place of the port that frames of the file's `interface` came in by.
    fn port_of(&self, interface: usize) -> usize {
        self.port.map_or(interface, usize::from)
    }

    fn macs(&self, config: &Config) -> Result<Vec<Mac>, Error> {
        let ports = config.port.len();
        if self.mac.len() > ports {
            return Err(Error::TooManyMacs { macs: self.mac.len(), ports });
        }
        let found =
            find::macs(&self.input, config, &self.mac, |interface| self.port_of(interface))?;
        let named = found.into_iter().zip(&config.port).enumerate().map(|(port, (mac, wanted))| {
            mac.ok_or_else(|| Error::NoMac {
                path: self.input.clone(),
                port,
                device: wanted.device_name().to_owned(),
            })
        });
        named.collect()
    }
}

/// Frames on their way through.
struct Frames {
    burst: Vec<Packet>,
    cut: u64,
}

/// What is worth a word.
fn notes(config: &Config, frames: &Frames, replay: &Replay) -> Vec<String> {
    let mut notes = Vec::new();
    if config.pending.secret.is_none() {
        notes.push(
            "the configuration has no pending.secret: a fixed one is used, and answers to another responder's probes are not recognised".to_owned(),
        );
    }
    if frames.cut > 0 {
        notes.push(format!(
            "{} frames are cut off in the file (snap length): what is counted is what becomes of the rest of them",
            frames.cut
        ));
    }
    if replay.turned_back() > 0 {
        notes.push(format!(
            "{} frames are older than one before them in the file: they were taken for as old as that",
            replay.turned_back()
        ));
    }
    notes
}

fn port_id(port: usize) -> PortId {
    PortId(u16::try_from(port).unwrap_or(u16::MAX))
}

/// Whether both paths lead to one file, which is there.
fn same_file(one: &Path, other: &Path) -> bool {
    let id = |path| -> io::Result<(u64, u64)> {
        let file = fs::metadata(path)?;
        Ok((file.dev(), file.ino()))
    };
    matches!((id(one), id(other)), (Ok(one), Ok(other)) if one == other)
}

impl Known {
    /// The neighbour, among `interfaces` that are called `names`.
    fn hop(&self, interfaces: &[Interface], names: &[String]) -> Result<NextHop, Error> {
        let Self { address, interface, .. } = self;
        let place = if let Some(name) = interface {
            names.iter().position(|known| known == name).ok_or_else(|| Error::UnknownInterface {
                name: name.clone(),
                known: names.join(", "),
            })?
        } else {
            let near = |one: &Interface| one.addresses.iter().any(|net| net.contains(address));
            let only = (interfaces.len() == 1).then_some(0);
            let found = interfaces.iter().position(near).or(only);
            found.ok_or(Error::NoInterface(*address))?
        };
        let interface = InterfaceId(u16::try_from(place).unwrap_or(u16::MAX));
        Ok(NextHop { interface, address: *address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_written_with_their_address() {
        let known: Known = "fe80::1%net_tap0.7=02:00:00:00:00:0a".parse().unwrap();
        let expected = Known {
            address: "fe80::1".parse().unwrap(),
            interface: Some("net_tap0.7".into()),
            mac: Mac([2, 0, 0, 0, 0, 10]),
        };
        assert_eq!(known, expected);
        let plain: Known = "192.0.2.1=02:00:00:00:00:0a".parse().unwrap();
        assert_eq!(plain.interface, None);
        for wrong in [
            "192.0.2.1",
            "192.0.2=02:00:00:00:00:0a",
            "192.0.2.1=02:00:00:00:00",
            "192.0.2.1=2:0:0:0:0:a",
            "192.0.2.1=ff:ff:ff:ff:ff:ff",
            "192.0.2.1=00:00:00:00:00:00",
            "192.0.2.1=+2:00:00:00:00:01",
        ] {
            assert!(wrong.parse::<Known>().is_err(), "{wrong}");
        }
    }
}

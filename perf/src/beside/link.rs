//! The kinds of port on which peers are measured: both ends, as DPDK names them.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

/// What connects the generator and a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Link {
    /// Rings within one process, with ours alone.
    NetRing,
    /// vhost-user on the peer's side, virtio-user on the generator's.
    Virtio,
    /// memif, with the peer as its server.
    Memif,
    /// A veth pair, by `AF_XDP` on both ends.
    AfXdp,
    /// A veth pair, by `AF_PACKET` on both ends.
    AfPacket,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NetRing => "net_ring",
            Self::Virtio => "virtio",
            Self::Memif => "memif",
            Self::AfXdp => "af_xdp",
            Self::AfPacket => "af_packet",
        })
    }
}

impl Link {
    /// What the ends of the rings are called: the responder's and the generator's.
    pub(crate) const RING_ENDS: [&str; 2] = ["net_ring_besidea", "net_ring_besideb"];

    /// Whether the kernel carries the frames, by veth pairs in a namespace.
    #[must_use]
    pub const fn by_kernel(self) -> bool {
        matches!(self, Self::AfXdp | Self::AfPacket)
    }

    /// A peer's end of the lane of that number: the device, and its driver's arguments.
    #[must_use]
    pub fn peer_end(self, folder: &Path, lane: usize) -> (&'static str, String) {
        let socket = socket(folder, lane);
        match self {
            Self::NetRing => (Self::RING_ENDS[0], String::new()),
            Self::Virtio => ("net_vhost0", format!("iface={socket},queues=1")),
            Self::Memif => {
                let arguments = format!("role=server,id=0,socket={socket},socket-abstract=no");
                ("net_memif0", arguments)
            }
            Self::AfXdp => ("net_af_xdp0", af_xdp(&peer_interface(lane))),
            Self::AfPacket => ("net_af_packet0", af_packet(&peer_interface(lane))),
        }
    }

    /// The generator's end: the device's name, and its driver's arguments.
    #[must_use]
    pub fn generator_end(self, folder: &Path, lane: usize) -> (String, String) {
        let socket = socket(folder, lane);
        match self {
            Self::NetRing => (Self::RING_ENDS[1].to_owned(), String::new()),
            Self::Virtio => (
                format!("net_virtio_user{lane}"),
                format!("path={socket},queues=1,queue_size=1024,mac=02:00:00:00:00:0b"),
            ),
            Self::Memif => (
                format!("net_memif{lane}"),
                // Not zero-copy: the driver closes the descriptor of EAL's memory when it is connected, so that
                // a second port of the process has none to hand over.
                format!("role=client,id=0,socket={socket},socket-abstract=no"),
            ),
            Self::AfXdp => (format!("net_af_xdp{lane}"), af_xdp(&own_interface(lane))),
            Self::AfPacket => (format!("net_af_packet{lane}"), af_packet(&own_interface(lane))),
        }
    }

    /// Makes the veth pairs of `lanes` lanes in this very namespace, where nothing else may be.
    pub(crate) fn make_pairs(self, lanes: usize) -> Result<()> {
        if !self.by_kernel() {
            return Ok(());
        }
        // No end speaks IPv6 by itself: its solicitations would be frames that nobody asked for.
        for name in ["default", "all"] {
            let path = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
            if Path::new(&path).exists() {
                fs::write(&path, "1").with_context(|| format!("can't write {path}"))?;
            }
        }
        for lane in 0..lanes {
            let (own, peer) = (own_interface(lane), peer_interface(lane));
            tool("ip", &["link", "add", &own, "type", "veth", "peer", "name", &peer])?;
            for interface in [&own, &peer] {
                let off = ["rx", "tx", "sg", "tso", "gso", "gro"].map(|name| [name, "off"]);
                let mut arguments = vec!["-K", interface.as_str()];
                arguments.extend(off.as_flattened());
                tool("ethtool", &arguments)?;
                tool("ip", &["link", "set", interface, "up", "promisc", "on"])?;
            }
        }
        Ok(())
    }
}

fn socket(folder: &Path, lane: usize) -> String {
    folder.join(format!("{lane}.sock")).display().to_string()
}

fn own_interface(lane: usize) -> String {
    format!("own{lane}")
}

fn peer_interface(lane: usize) -> String {
    format!("peer{lane}")
}

fn af_xdp(interface: &str) -> String {
    format!("iface={interface},start_queue=0,queue_count=1,busy_budget=0")
}

fn af_packet(interface: &str) -> String {
    format!("iface={interface},qpairs=1")
}

/// Runs a program of the system to its end.
fn tool(program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("can't run {program}: scripts/setup installs it"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {}", arguments.join(" "), said.trim());
    Ok(())
}

/// A network namespace of the run's own, with all that is in it; removed when dropped.
#[derive(Debug)]
pub(crate) struct Namespace(String);

impl Namespace {
    pub(crate) fn new() -> Result<Self> {
        let name = format!("otherhalf-perf-{}", std::process::id());
        tool("ip", &["netns", "add", &name])
            .context("veth pairs want a namespace, and that root")?;
        Ok(Self(name))
    }

    /// A command that runs `program` inside.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).arg(program);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = tool("ip", &["netns", "del", &self.0]) {
            eprintln!("otherhalf-perf: {error:#}");
        }
    }
}

//! A virtual machine with a responder on its virtio NIC, by the files that `scripts/test-vm` makes.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use otherhalf_lab::{Lab, Topology};
use tempfile::TempDir;

use super::bench::{Bench, build, topology};
use super::output;
use super::packet::RESPONDER_MAC;
use super::process::Process;

/// No step takes this long, processors made in software among them.
const LIMIT: Duration = Duration::from_secs(90);

/// The processors: one for control, and one for each worker of the profile.
const PROCESSORS: &str = "3";

/// Half of this is for hugepages.
const MEMORY_MB: &str = "1024";

/// The two routers in a row, with the addresses that dpdk-config/virtio-pci.toml has.
pub(crate) fn line() -> Topology {
    let mut topology = topology("line.toml");
    let www = topology.node_mut("www").unwrap();
    www.v4 = "192.0.2.2".parse().unwrap();
    www.v6 = "2001:db8::2".parse().unwrap();
    topology.node_mut("R2").unwrap().v6 = "2001:db8::1".parse().unwrap();
    let link = topology.links.iter_mut().find(|link| link.peer_of("www").is_some()).unwrap();
    link.subnets = vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/64".parse().unwrap()];
    topology
}

/// Boots a machine whose NIC has two queues and what `offers` says besides, and waits until its responder is ready.
#[track_caller]
pub(crate) fn boot(offers: &str) -> Bench {
    let files = files();
    let lab = build(&line());
    // For the script, which takes the network down when this process is killed.
    fs::write(files.join("lab"), lab.name()).unwrap();
    // With the queues that the machine's NIC has; what makes a tap by itself makes one.
    let tap = ["tuntap", "add", "dev", "dtap0", "mode", "tap", "multi_queue"];
    output(lab.command("www", "ip").args(tap));
    let mut machine = start(&lab, &files, offers);
    machine.wait_for(" ready");
    lab.attach("www", LIMIT).unwrap_or_else(|error| panic!("{error}"));
    Bench::around(lab, machine, TempDir::new().unwrap())
}

#[track_caller]
fn start(lab: &Lab, files: &Path, offers: &str) -> Process {
    let nic = format!(
        "virtio-net-pci,netdev=net,mac={RESPONDER_MAC},mq=on,vectors=6,addr=3,romfile=,{offers}"
    );
    // Processors made in software may miss the timer's interrupts that a kernel waits for when it starts, if the host is busy.
    let said_to_kernel =
        format!("console=ttyS0 quiet no_timer_check panic=-1 responder_mac={RESPONDER_MAC}");
    let mut command = lab.command("www", files.join("qemu").to_str().unwrap());
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    command.args(["-smp", PROCESSORS, "-m", MEMORY_MB]);
    command.arg("-kernel").arg(files.join("kernel"));
    command.arg("-initrd").arg(files.join("initrd"));
    command.args(["-append", &said_to_kernel]);
    // The machine's log on our standard error; on the other two, what otherhalfd prints, and the line that ends it.
    command.args(["-serial", "file:/dev/stderr", "-serial", "stdio"]);
    let tap = "tap,id=net,ifname=dtap0,queues=2,script=no,downscript=no";
    command.args(["-netdev", tap, "-device", &nic]);
    Process::start(lab, &mut command).within(LIMIT).ended_by("stop\n")
}

/// The folder of qemu, kernel and first file system.
#[track_caller]
fn files() -> PathBuf {
    env::var_os("OTHERHALF_VM")
        .expect("run this by sudo scripts/test-vm, which makes what it boots")
        .into()
}

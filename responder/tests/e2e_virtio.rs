//! The exchange over a virtio port, as in a virtual machine. Needs root; fails without.
//!
//! The host's side of the virtio rings is `dpdk-testpmd`, which joins them to a tap.

mod kit;

use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kit::bench::{Bench, Settings, build, file_prefix, topology};
use kit::drops::{frames_that_no_router_passes_on, what_routers_pass_on};
use kit::exchange::{choices_and_refusals, closed_ports, every_answer, ping};
use kit::process::Process;
use kit::routers::{
    make_silent_and_filtering, neighbours_forget_and_change, options_extension_headers_and_padding,
    silent_and_filtering,
};
use otherhalf_lab::{Family, Lab, Topology};
use tempfile::TempDir;

/// Huge pages for the responder's 64 MB and what the start of DPDK needs besides. Only memory from
/// huge pages can be shared with the other side of the rings.
const HUGE_PAGES: u64 = 48;

#[test]
fn every_exchange() {
    over_virtio(&topology("line.toml"), None, |bench| {
        every_answer(bench);
        choices_and_refusals(bench);
        closed_ports(bench);
        options_extension_headers_and_padding(bench);
        what_routers_pass_on(bench);
        frames_that_no_router_passes_on(bench);
        for family in Family::ALL {
            let www = bench.address("www", family);
            ping(bench, www, 3, 1400, &["-i", "0.01"]);
            ping(bench, www, 300, 56, &["-f"]);
        }
        neighbours_forget_and_change(bench);
    });
}

#[test]
fn in_a_vlan() {
    over_virtio(&topology("vlan.toml"), Some(100), every_answer);
}

#[test]
fn routers_that_are_silent_or_filter() {
    let mut topology = topology("line.toml");
    make_silent_and_filtering(&mut topology);
    over_virtio(&topology, None, silent_and_filtering);
}

/// Runs `scenario` in a network whose responder has a virtio port.
#[track_caller]
fn over_virtio(topology: &Topology, vlan: Option<u16>, scenario: impl FnOnce(&mut Bench)) {
    let _pages = HugePages::reserve(HUGE_PAGES);
    let lab = build(topology);
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("vhost.sock");
    let host = host_side(&lab, &socket, folder.path());
    let device = format!("net_virtio_user0,path={},queues=1,queue_size=1024", socket.display());
    let settings = Settings { device, huge_pages: true, vlan, ..Settings::default() };
    let mut bench = Bench::start(lab, &settings);
    scenario(&mut bench);
    let (_, _lab) = bench.finish();
    let ended = host.stop();
    assert!(ended.status.success(), "{}\n{}", ended.stdout, ended.stderr);
}

/// Starts the host's side: it listens at `socket`, and moves frames between the rings and the tap
/// `dtap0`. What it leaves behind is in `folder`.
#[track_caller]
fn host_side(lab: &Lab, socket: &Path, folder: &Path) -> Process {
    // net_tap raises a real-time signal for each frame, unless all of them are ignored; standard
    // output would be held back if it were not for stdbuf.
    let script = "trap '' $(seq 35 63); exec stdbuf -oL dpdk-testpmd \"$@\"";
    let vhost = format!("net_vhost0,iface={},queues=1", socket.display());
    let mut command = lab.command("www", "bash");
    command.env("RUNTIME_DIRECTORY", folder);
    command.args(["-c", script, "testpmd", "--lcores", "0@0,1@0", "--no-huge", "-m", "256"]);
    command.args(["--no-pci", "--no-telemetry", "--file-prefix", &file_prefix()]);
    command.args(["--vdev", &vhost, "--vdev", "net_tap0,iface=dtap0", "--"]);
    command.args(["--forward-mode=io", "--auto-start", "--no-flush-rx"]);
    command.args(["--disable-link-check", "--total-num-mbufs=8192"]);
    let mut host = Process::start(lab, &mut command);
    host.wait_for("Press enter to exit");
    host
}

/// Huge pages that the kernel set aside; it takes them back when this is dropped. One at a time:
/// what is set aside is a total, which two tests would change under each other's hands.
struct HugePages {
    pages: u64,
    _alone: MutexGuard<'static, ()>,
}

const NR_HUGEPAGES: &str = "/proc/sys/vm/nr_hugepages";

impl HugePages {
    /// Has the kernel set `pages` more aside.
    #[track_caller]
    fn reserve(pages: u64) -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        // A test that failed has given its pages back all the same.
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let before = Self::total();
        let reserved = Self { pages, _alone: alone };
        fs::write(NR_HUGEPAGES, (before + pages).to_string()).unwrap();
        let got = Self::total().saturating_sub(before);
        assert!(got >= pages, "the kernel has only {got} of {pages} huge pages: free some memory");
        reserved
    }

    fn total() -> u64 {
        fs::read_to_string(NR_HUGEPAGES).unwrap().trim().parse().unwrap()
    }
}

impl Drop for HugePages {
    fn drop(&mut self) {
        // Nothing else can be done about a failure here.
        let _ = fs::write(NR_HUGEPAGES, Self::total().saturating_sub(self.pages).to_string());
    }
}

//! `dpdk-config/bind-port` and `dpdk-config/hugepages`, on a machine of files: what they refuse, and what they would write.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

const CARD: &str = "0000:03:00.0";
const DISK: &str = "0000:04:00.0";

/// A card with the interface `eth0`, in a bond, and a disk.
fn machine() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    for (pci, class, driver) in [(CARD, "0x020000", "ixgbe"), (DISK, "0x010802", "nvme")] {
        let device = at(&format!("sys/bus/pci/devices/{pci}"));
        let driver = at(&format!("sys/bus/pci/drivers/{driver}"));
        fs::create_dir_all(&device).unwrap();
        fs::create_dir_all(&driver).unwrap();
        fs::write(device.join("class"), class).unwrap();
        symlink(driver, device.join("driver")).unwrap();
    }
    for folder in [
        &format!("sys/bus/pci/devices/{CARD}/net/eth0"),
        "sys/class/net/eth0/upper_bond0",
        "sys/class/net/bond0",
        "sys/kernel/iommu_groups/1",
        "sys/kernel/mm/hugepages/hugepages-2048kB",
        "proc/net",
    ] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    fs::write(at("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"), "7\n").unwrap();
    route_by(root.path(), "eth9");
    root
}

/// The machine's default route leads over `interface`.
fn route_by(root: &Path, interface: &str) {
    let routes = format!(
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n{interface}\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\n"
    );
    fs::write(root.join("proc/net/route"), routes).unwrap();
}

/// What the script `name` says, and its exit code.
fn run(root: &Path, name: &str, arguments: &[&str]) -> (String, i32) {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../dpdk-config").join(name);
    let output = Command::new(script)
        .args(arguments)
        .env("OTHERHALF_SYS", root.join("sys"))
        .env("OTHERHALF_PROC", root.join("proc"))
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8(said).unwrap(), output.status.code().unwrap())
}

#[test]
fn a_dry_run_says_what_would_be_written_and_writes_nothing() {
    let machine = machine();
    let (said, code) = run(machine.path(), "bind-port", &["--dry-run", CARD]);
    assert_eq!(code, 0, "{said}");
    for words in ["would write 'vfio-pci' to", "driver_override", "driver/unbind", "drivers_probe"]
    {
        assert!(said.contains(words), "no {words:?} in {said}");
    }
    let device = machine.path().join(format!("sys/bus/pci/devices/{CARD}"));
    assert!(!device.join("driver_override").exists());
}

#[test]
fn what_could_cost_the_machine_is_refused() {
    let machine = machine();
    let root = machine.path();
    for (arguments, words) in [
        (&["--dry-run", DISK][..], "is no network card"),
        (&["--dry-run", "--undo", DISK], "is no network card"),
        (&["--dry-run", "0000:09:00.0"], "there is no PCI device"),
    ] {
        let (said, code) = run(root, "bind-port", arguments);
        assert!(code == 1 && said.contains(words), "{arguments:?}: {code} {said}");
    }
    assert_eq!(run(root, "bind-port", &["03:00.0"]).1, 2);
    // The card's own interface, and the bond that it is a part of.
    for interface in ["eth0", "bond0"] {
        route_by(root, interface);
        let (said, code) = run(root, "bind-port", &["--dry-run", CARD]);
        assert!(code == 1 && said.contains(interface), "{interface}: {code} {said}");
        assert_eq!(run(root, "bind-port", &["--dry-run", "--force", CARD]).1, 0);
    }
    fs::remove_dir(root.join("sys/kernel/iommu_groups/1")).unwrap();
    let (said, code) = run(root, "bind-port", &["--dry-run", "--force", CARD]);
    assert!(code == 1 && said.contains("no IOMMU"), "{said}");
}

#[test]
fn a_card_that_is_the_kernels_stays_the_kernels() {
    let machine = machine();
    let (said, code) = run(machine.path(), "bind-port", &["--undo", CARD]);
    assert_eq!(
        (said.as_str(), code),
        ("0000:03:00.0: has ixgbe, which is the kernel's already\n", 0)
    );
}

#[test]
fn hugepages_are_never_taken_away() {
    let machine = machine();
    let root = machine.path();
    let (said, code) = run(root, "hugepages", &["14"]);
    assert_eq!((said.as_str(), code), ("7 pages of 2M are there\n", 0));
    let (said, code) = run(root, "hugepages", &["--dry-run", "15"]);
    assert!(code == 0 && said.starts_with("would write '8' to "), "{said}");
    assert_eq!(run(root, "hugepages", &["15"]), ("8 pages of 2M are there now\n".to_owned(), 0));
    for wrong in [&["0512"][..], &["many"], &["--size", "4M", "1"], &[]] {
        assert_eq!(run(root, "hugepages", wrong).1, 2, "{wrong:?}");
    }
    assert_eq!(run(root, "hugepages", &["--node", "3", "1"]).1, 1);
}

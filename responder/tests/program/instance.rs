//! A daemon on packet files in a folder of its own: it runs without root, and receives nothing.

use std::fs;

use tempfile::TempDir;

use crate::process::Daemon;

/// A packet file without packets.
pub(crate) const EMPTY: [u8; 24] =
    [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];

/// A folder of its own for an instance, and a configuration with which it receives nothing: one
/// queue of packet files in that folder. `change` is a replacement in it.
pub(crate) fn instance(name: &str, change: (&str, &str)) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("in"), EMPTY).unwrap();
    let (from, to) = change;
    let text = format!(
        r#"
        [eal]
        huge_pages = false
        memory_mb = 64
        file_prefix = "otherhalf-program-{name}-{}"

        [workers]
        cpus = [0]
        idle_sleep_us = 50

        [pending]
        entries = 1024

        [[port]]
        device = "net_pcap0,rx_pcap=FOLDER/in,tx_pcap=FOLDER/out"

        [[port.interface]]
        addresses = ["192.0.2.2/24", "2001:db8::2/64"]
        "#,
        std::process::id(),
    );
    assert!(text.contains(from), "{from:?} is not in the configuration");
    let text = text.replacen(from, to, 1).replace("FOLDER", folder.path().to_str().unwrap());
    (folder, text)
}

/// The device of [`instance`].
pub(crate) const DEVICE: &str = "net_pcap0,rx_pcap=FOLDER/in,tx_pcap=FOLDER/out";
/// Starts an instance; it is ready.
pub(crate) fn start(name: &str) -> (TempDir, Daemon) {
    let (folder, text) = instance(name, ("", ""));
    let mut daemon = Daemon::start(folder.path(), &text);
    daemon.wait_for("ready");
    (folder, daemon)
}

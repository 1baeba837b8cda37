//! A pair of connected kernel interfaces, in a network namespace that has no name: it ends with the last process in
//! it, however that ends, so that nothing is left behind.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Makes the pair, says so, and waits until its input ends. The kernel itself has to stay silent on both ends, and to
/// hand over frames as they are on a wire: no offloads, no IPv6 of its own. The
/// loopback interface is up, for whoever watches a responder.
const SCRIPT: &str = "set -e
ip link add \"$1\" type veth peer name \"$2\"
for end in \"$1\" \"$2\"; do
  echo 1 >\"/proc/sys/net/ipv6/conf/$end/disable_ipv6\"
  ethtool -K \"$end\" rx off tx off tso off gso off gro off rxvlan off txvlan off
  ip link set \"$end\" up
done >&2
ip link set lo up
echo ready
exec cat >/dev/null";

/// Moves the calling thread into a new namespace with a pair of interfaces of these names; threads and processes that
/// it starts from then on are in it too. To be called before DPDK starts. Needs root, and the programs ip and ethtool.
pub fn enter(ends: &[String; 2]) -> Result<()> {
    let mut maker = Command::new("unshare")
        .args(["--net", "sh", "-c", SCRIPT, "sh"])
        .args(ends)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("can't start unshare (of util-linux), which makes a network namespace")?;
    let entered = enter_that_of(&mut maker);
    // Its input ends, and so does it.
    drop(maker.stdin.take());
    let said = maker.stderr.take().map(|mut stderr| {
        let mut said = String::new();
        stderr.read_to_string(&mut said).map(|_| said)
    });
    maker.wait()?;
    entered.with_context(|| {
        let said = said.and_then(Result::ok).unwrap_or_default();
        format!("can't make the veth pair {} (are you root?): {}", ends.join(" - "), said.trim())
    })
}

fn enter_that_of(maker: &mut std::process::Child) -> Result<()> {
    let stdout = maker.stdout.take().context("a pipe for its output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    if line.trim() != "ready" {
        bail!("it ended before the pair was there");
    }
    let namespace = File::open(format!("/proc/{}/ns/net", maker.id()))?;
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
    Ok(())
}

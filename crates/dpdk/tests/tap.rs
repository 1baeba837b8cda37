//! `net_tap` against the kernel's own network stack, in a network namespace of its own.

mod common;

use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs, slice};

use dpdk::{Burst, Mempool, MempoolConfig, Port, PortConfig, PortError};

/// Set for the process that the test starts of itself, in the namespace.
const CHILD: &str = "OTHERHALF_TEST_CHILD";
const QUERIES: usize = 100;

#[test]
fn a_tap_carries_frames_without_signals() {
    if env::var_os(CHILD).is_some() {
        return inside();
    }
    let status = Command::new("unshare")
        .arg("--net")
        .arg(env::current_exe().expect("this program"))
        .args(["--exact", "a_tap_carries_frames_without_signals", "--nocapture"])
        .env(CHILD, "1")
        .status()
        .expect("unshare is of util-linux");
    assert!(status.success(), "in the namespace, which takes root: {status}");
}

fn inside() {
    let eal = common::eal("tap", 64)
        .vdev("net_tap0,iface=ohtest0,mac=02:00:00:00:00:02")
        .init()
        .expect("EAL");
    let ignored = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let ignored = ignored.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a line");
    let ignored = u64::from_str_radix(ignored.trim(), 16).expect("hexadecimal");
    // Bit n - 1 is signal n.
    let real_time = (35..=63).fold(0, |bits, signal| bits | 1 << (signal - 1));
    assert_eq!(ignored & real_time, real_time);

    let config = MempoolConfig { name: "tap", buffers: 8191, ..Default::default() };
    let pool = Mempool::new(&eal, &config).expect("a mempool");
    let id = eal.port_by_name("net_tap0").expect("it exists");
    let unequal = PortConfig { rx_queues: 2, ..Default::default() };
    let unequal = Port::configure(&eal, id, &unequal, slice::from_ref(&pool));
    assert!(matches!(unequal, Err(PortError::UnequalQueues(_))));

    let config = PortConfig { mtu: Some(1400), all_multicast: true, ..Default::default() };
    let mut port = Port::configure(&eal, id, &config, slice::from_ref(&pool)).expect("configured");
    assert_eq!(port.mac(), [2, 0, 0, 0, 0, 2]);
    let (mut rx, mut tx) = port.start().expect("started");
    assert_eq!(port.mtu().expect("it has one"), 1400);
    let mtu = fs::read_to_string("/sys/class/net/ohtest0/mtu");
    ip("address add 10.99.0.1/24 dev ohtest0");
    ip("link set ohtest0 up");
    ip("neighbour replace 10.99.0.2 lladdr 02:00:00:00:00:02 dev ohtest0");
    // sysfs shows the namespace in which it was mounted, so this may be the other one's.
    if let Ok(mtu) = mtu {
        assert_eq!(mtu.trim(), "1400");
    }

    // Datagrams to the port come back with their addresses and ports exchanged.
    let socket = UdpSocket::bind((Ipv4Addr::new(10, 99, 0, 1), 4321)).expect("the address is ours");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a time");
    for number in 0..QUERIES {
        let query = number.to_be_bytes();
        socket.send_to(&query, (Ipv4Addr::new(10, 99, 0, 2), 1234)).expect("sent");
        echo_one(&mut rx[0], &mut tx[0]);
        let mut answer = [0; 64];
        let (length, from) = socket.recv_from(&mut answer).expect("answered");
        assert_eq!((&answer[..length], from.to_string().as_str()), (&query[..], "10.99.0.2:1234"));
    }
    assert!(port.stats().expect("net_tap counts").opackets >= QUERIES as u64);
    drop((rx, tx));
    drop(port);
    assert_eq!(pool.in_use(), 0);
}

/// Answers the next UDP datagram; whatever else the kernel says is dropped.
fn echo_one(rx: &mut dpdk::RxQueue, tx: &mut dpdk::TxQueue) {
    let mut burst = Burst::<32>::new();
    let mut answers = Burst::<32>::new();
    let start = Instant::now();
    while answers.is_empty() {
        assert!(start.elapsed() < Duration::from_secs(5), "no datagram arrives");
        rx.receive(&mut burst);
        for mut mbuf in burst.drain() {
            assert!(mbuf.is_contiguous());
            let frame = mbuf.data_mut();
            // Ethernet with IPv4 without options, with UDP.
            if frame.len() < 42 || frame[12..15] != [8, 0, 0x45] || frame[23] != 17 {
                continue;
            }
            let mut swap = |first: usize, second: usize, length: usize| {
                let (low, high) = frame.split_at_mut(second);
                low[first..first + length].swap_with_slice(&mut high[..length]);
            };
            // Sums do not change with the order of what is summed.
            swap(0, 6, 6);
            swap(26, 30, 4);
            swap(34, 36, 2);
            // The kernel left the UDP checksum to the device; 0 says that there is none.
            frame[40..42].fill(0);
            mbuf.reset_offloads();
            answers.push(mbuf).expect("no more than were received");
        }
    }
    assert_eq!(tx.send(&mut answers), 1);
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("iproute2");
    assert!(status.success(), "ip {arguments}: {status}");
}

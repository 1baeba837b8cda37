//! What a device says of checksums: `net_tap`, in a network namespace of its own, looks at those of
//! IPv4, UDP and TCP, and is sent right and wrong ones.
#![expect(unsafe_code, reason = "the standard library has no packet sockets")]

mod common;

use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, mem, slice};

use dpdk::{Burst, Checksum, Checksums, Mempool, MempoolConfig, Port, PortConfig, RxOffloads};

/// Set for the process that the test starts of itself, in the namespace.
const CHILD: &str = "OTHERHALF_TEST_CHILD";
const PORT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const UDP: u8 = 17;
const TCP: u8 = 6;
const ICMP: u8 = 1;
/// An ethertype for experiments (IEEE 802), which is no IP.
const NO_IP: [u8; 2] = [0x88, 0xb5];

#[test]
fn a_device_tells_right_checksums_from_wrong_ones() {
    if env::var_os(CHILD).is_some() {
        return inside();
    }
    let status = Command::new("unshare")
        .arg("--net")
        .arg(env::current_exe().expect("this program"))
        .args(["--exact", "a_device_tells_right_checksums_from_wrong_ones", "--nocapture"])
        .env(CHILD, "1")
        .status()
        .expect("unshare is of util-linux");
    assert!(status.success(), "in the namespace, which takes root: {status}");
}

fn inside() {
    use Checksum::{Bad, Good, Unknown};
    let eal = common::eal("checksums", 64)
        .vdev("net_tap0,iface=ohasked,mac=02:00:00:00:00:02")
        .vdev("net_tap1,iface=ohunasked,mac=02:00:00:00:00:02")
        .init()
        .expect("EAL");
    let config = MempoolConfig { name: "checksums", buffers: 8191, ..Default::default() };
    let pool = Mempool::new(&eal, &config).expect("a mempool");
    let open = |name, verify_checksums| {
        let id = eal.port_by_name(name).expect("it exists");
        let config = PortConfig { verify_checksums, ..Default::default() };
        Port::configure(&eal, id, &config, slice::from_ref(&pool)).expect("configured")
    };
    let (mut asked, mut unasked) = (open("net_tap0", true), open("net_tap1", false));
    assert_eq!(asked.rx_offloads(), RxOffloads { ipv4: true, udp: true, tcp: true });
    assert_eq!(asked.rx_offloads().to_string(), "IPv4 UDP TCP");
    assert_eq!(unasked.info().rx_offloads, asked.info().rx_offloads);
    assert_eq!(unasked.rx_offloads().to_string(), "none");
    let (mut asked_rx, _asked_tx) = asked.start().expect("started");
    let (mut unasked_rx, _unasked_tx) = unasked.start().expect("started");
    let kernel = ["ohasked", "ohunasked"].map(Sender::on);

    let told = |found: Checksums| (found.ipv4(), found.transport());
    let wrong_at = |at: usize, mut frame: Vec<u8>| {
        frame[at] ^= 0x40;
        frame
    };
    let cases = [
        (packet(UDP, 8, 6), (Good, Good)),
        (packet(TCP, 20, 16), (Good, Good)),
        (packet(ICMP, 8, 2), (Good, Unknown)),
        // In the TTL, the source port, the sequence number.
        (wrong_at(14 + 8, packet(ICMP, 8, 2)), (Bad, Unknown)),
        (wrong_at(34, packet(UDP, 8, 6)), (Good, Bad)),
        (wrong_at(38, packet(TCP, 20, 16)), (Good, Bad)),
        // Whoever verifies it, a device does not.
        (wrong_at(38, packet(ICMP, 8, 2)), (Good, Unknown)),
        ([&PORT_MAC[..], &[2, 0, 0, 0, 0, 1], &NO_IP, &[0; 46]].concat(), (Unknown, Unknown)),
    ];
    for (number, (frame, expected)) in cases.iter().enumerate() {
        kernel[0].send(frame);
        assert_eq!(told(received(&mut asked_rx[0], frame)), *expected, "case {number}");
        kernel[1].send(frame);
        let unlooked = (Unknown, Unknown);
        assert_eq!(told(received(&mut unasked_rx[0], frame)), unlooked, "case {number}");
    }
}

/// What the device found of `frame`, when it has come; what else the kernel sends is passed over.
fn received(rx: &mut dpdk::RxQueue, frame: &[u8]) -> Checksums {
    let mut burst = Burst::<32>::new();
    let start = Instant::now();
    loop {
        assert!(start.elapsed() < Duration::from_secs(5), "the frame does not arrive");
        rx.receive(&mut burst);
        if let Some(mbuf) = burst.drain().find(|mbuf| mbuf.data() == frame) {
            return mbuf.checksums();
        }
    }
}

/// A frame for the port: `len` octets of `protocol` over IPv4, with right checksums, the protocol's at `at`.
fn packet(protocol: u8, len: u8, at: usize) -> Vec<u8> {
    let mut ip = vec![0x45, 0, 0, 20 + len, 0, 1, 0, 0, 64, protocol, 0, 0];
    ip.extend([192, 0, 2, 1, 192, 0, 2, 2]);
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum);
    let mut message = vec![0; usize::from(len)];
    message[..4].copy_from_slice(&[8, 0, 0, 0]);
    match protocol {
        UDP => message[5] = len,
        TCP => message[12] = 0x50,
        _ => {}
    }
    let mut covered = if protocol == ICMP { Vec::new() } else { ip[12..].to_vec() };
    if protocol != ICMP {
        covered.extend([0, protocol, 0, len]);
    }
    covered.extend(&message);
    let sum = checksum(&covered);
    message[at..at + 2].copy_from_slice(&sum);
    [&PORT_MAC[..], &[2, 0, 0, 0, 0, 1, 8, 0], &ip, &message].concat()
}

/// The internet checksum (RFC 1071) of an even number of octets.
fn checksum(octets: &[u8]) -> [u8; 2] {
    let words = octets.chunks_exact(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let folded = u16::try_from((sum & 0xffff) + (sum >> 16)).expect("two ends carried around");
    (!folded).to_be_bytes()
}

/// A packet socket: it sends frames as they are.
struct Sender {
    socket: OwnedFd,
    to: libc::sockaddr_ll,
}

impl Sender {
    /// On an interface, which is set up.
    fn on(interface: &str) -> Self {
        let status = Command::new("ip").args(["link", "set", interface, "up"]).status();
        assert!(status.expect("iproute2").success(), "{interface}");
        // SAFETY: no pointers.
        let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0) };
        assert!(socket >= 0, "a packet socket takes CAP_NET_RAW");
        let name = CString::new(interface).expect("no NUL");
        // SAFETY: all zero is an address.
        let mut to: libc::sockaddr_ll = unsafe { mem::zeroed() };
        to.sll_family = u16::try_from(libc::AF_PACKET).expect("a small number");
        // SAFETY: the name is a C string.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        to.sll_ifindex = i32::try_from(index).expect("a small number");
        // SAFETY: the socket was opened above, and is nobody else's.
        Self { socket: unsafe { OwnedFd::from_raw_fd(socket) }, to }
    }

    fn send(&self, frame: &[u8]) {
        let len = u32::try_from(size_of::<libc::sockaddr_ll>()).expect("a small number");
        // SAFETY: the frame and the address are valid for reads of their lengths.
        let sent = unsafe {
            libc::sendto(
                self.socket.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                (&raw const self.to).cast(),
                len,
            )
        };
        assert_eq!(usize::try_from(sent), Ok(frame.len()));
    }
}

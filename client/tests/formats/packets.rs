//! Capture files, as tcpdump reads them.

use std::io::Write;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use otherhalf_client::packet::{Codec, MAX_LEN};
use otherhalf_client::query::{Extras, Query};
use otherhalf_client::record::Recording;
use otherhalf_client::{Document, Format, document};
use otherhalf_wire::trace::Request;

use crate::golden::documents;

/// What tcpdump makes of a capture file: a line a packet.
fn tcpdump(capture: &[u8]) -> Vec<String> {
    let mut child = Command::new("tcpdump")
        .args(["-nn", "-tt", "-K", "--nano", "-r", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tcpdump is in scripts/setup");
    child.stdin.take().unwrap().write_all(capture).unwrap();
    let output = child.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
    assert!(complaints.contains("RAW (Raw IP)"), "{complaints}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn document() -> Document {
    document::read(&documents().swap_remove(0).1).unwrap()
}

#[test]
fn tcpdump_reads_both_families_and_the_times() {
    let mut recording = Recording::default();
    let at = UNIX_EPOCH + Duration::new(1_767_323_045, 678_901_234);
    for [source, target] in [["198.51.100.10", "192.0.2.80"], ["2001:db8:a::10", "2001:db8:b::80"]]
    {
        let [source, target]: [IpAddr; 2] = [source, target].map(|end| end.parse().unwrap());
        let request = Request { identifier: 5, sequence: 0, ttl: 3, protocol: 17, flow: 33434 };
        let query = Query::Request { request, extras: Extras::default() };
        let mut packet = vec![0; MAX_LEN];
        let len = Codec { source, target }.encode(&query, &mut packet).unwrap();
        recording.add(at, &packet[..len]);
    }
    let ends: [IpAddr; 2] = ["2001:db8:b::80", "2001:db8:a::10"].map(|end| end.parse().unwrap());
    let echo_reply = [129, 0, 0, 0, 0, 5, 0, 0];
    recording.add_payload(at + Duration::from_millis(10), ends, 58, Some(60), &echo_reply);
    let capture = Format::Pcap.render(&document(), Some(&recording)).unwrap();
    // The hop limit of the last packet: an IPv6 header and eight octets.
    assert_eq!(capture[capture.len() - 48 + 7], 60);
    let lines = tcpdump(&capture);
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(
        lines[0]
            .starts_with("1767323045.678901234 IP 198.51.100.10 > 192.0.2.80: ICMP echo request"),
        "{lines:#?}"
    );
    assert!(
        lines[1].starts_with(
            "1767323045.678901234 IP6 2001:db8:a::10 > 2001:db8:b::80: ICMP6, echo request"
        ),
        "{lines:#?}"
    );
    assert!(
        lines[2].starts_with(
            "1767323045.688901234 IP6 2001:db8:b::80 > 2001:db8:a::10: ICMP6, echo reply"
        ),
        "{lines:#?}"
    );
}

#[test]
fn no_packets_are_a_capture_file_too() {
    let capture = Format::Pcap.render(&document(), Some(&Recording::default())).unwrap();
    assert_eq!(tcpdump(&capture), [""; 0]);
}

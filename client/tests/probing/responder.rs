//! A responder for tests: it keeps to the protocol's requests and responses, but knows its paths and sends no probes.
//!
//! What ours does only if its configuration says so, this one does as a test wants it: demands for padding, indirect traces.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use otherhalf_lab::{Family, Lab};
use otherhalf_wire::extension::{Class, Object};
use otherhalf_wire::icmp::Message;
use otherhalf_wire::ip;
use otherhalf_wire::trace::{REQUEST_LEN, Refusal, Request, Response, Rtt, Verdict, extensions};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketType, ipproto, recvfrom, sendto, socket,
};

/// What it demands and allows.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Manners {
    /// Octets of padding that it demands.
    pub(crate) padding: u16,
    /// It traces towards others.
    pub(crate) indirect: bool,
    pub(crate) refuses_tcp: bool,
    /// What it says beside a refusal.
    pub(crate) text: &'static str,
}

/// Runs `test` while such a responder answers for www, over IPv4.
pub(crate) fn with_responder(lab: &Lab, manners: Manners, test: impl FnOnce()) {
    let ends = (lab.address("www", Family::V4), lab.address("R2", Family::V4));
    let mut buffer = [0; 4096];
    let serve = |socket: &OwnedFd| {
        if let Some(packet) = next(socket, Duration::from_millis(20), &mut buffer)
            && let Some((to, response)) = answer(packet, ends, manners)
        {
            sendto(socket, &response, SendFlags::empty(), &to).unwrap();
        }
    };
    instead_of_www(lab, serve, test);
}

/// Runs `test` while `serve` is called again and again with a raw ICMP socket of www's, whose kernel answers no pings meanwhile.
pub(crate) fn instead_of_www(
    lab: &Lab,
    mut serve: impl FnMut(&OwnedFd) + Send,
    test: impl FnOnce(),
) {
    let ignore = |value: &str| {
        let key = format!("net.ipv4.icmp_echo_ignore_all={value}");
        assert!(lab.command("www", "sysctl").args(["-q", &key]).status().unwrap().success());
    };
    let stop = AtomicBool::new(false);
    let socket = lab
        .within("www", || {
            socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP)).unwrap()
        })
        .unwrap();
    ignore("1");
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                serve(&socket);
            }
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(test));
        stop.store(true, Ordering::Relaxed);
        ignore("0");
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
}

/// The next packet that comes to `socket` within `time`, from its IP header on.
pub(crate) fn next<'a>(socket: &OwnedFd, time: Duration, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut fds = [PollFd::new(socket, PollFlags::IN)];
    let time = Timespec::try_from(time).unwrap();
    if poll(&mut fds, Some(&time)).unwrap() == 0 {
        return None;
    }
    let (len, ..) = recvfrom(socket, &mut *buffer, RecvFlags::empty()).unwrap();
    Some(&buffer[..len])
}

/// The response to a packet, if that is a request, and whom it goes to.
fn answer(
    packet: &[u8],
    (www, router): (IpAddr, IpAddr),
    manners: Manners,
) -> Option<(SocketAddr, Vec<u8>)> {
    let packet = ip::Packet::parse_v4(packet).ok()?;
    let message = Message::parse(ip::Family::V4, packet.payload).ok()?;
    let (request, trailer) = Request::parse(&message).ok()?;
    let objects: Vec<_> = extensions(trailer).into_iter().flatten().map(Result::unwrap).collect();
    let target = objects.iter().find_map(Object::indirect_target);
    let padding = if target.is_some() { trailer.len() - 24 } else { trailer.len() };
    assert!(target.is_none() || packet.payload.len() >= REQUEST_LEN + 24);
    let missing = manners.padding.saturating_sub(padding.try_into().unwrap());
    let refusal = if request.ttl == 0 {
        Some(Refusal::Ttl)
    } else if manners.refuses_tcp && request.protocol == ip::protocol::TCP {
        Some(Refusal::Protocol)
    } else if target.is_some() && !manners.indirect {
        Some(Refusal::Extension(Class::INDIRECT_TARGET.value()))
    } else {
        (missing > 0).then_some(Refusal::Padding(missing))
    };
    let verdict = match refusal {
        Some(refusal) => Verdict::Refused { refusal, text: manners.text.as_bytes() },
        None => Verdict::Hop {
            // One router, then whom it was to probe.
            address: if request.ttl == 1 { router } else { target.unwrap_or(packet.src) },
            rtt: Rtt::from_ns(1_000_000 + u64::from(request.identifier)),
        },
    };
    let mut out = vec![0; 512];
    let response = Response { identifier: request.identifier, verdict };
    let len = response.emit(www, packet.src, &mut out)?;
    out.truncate(len);
    let IpAddr::V4(to) = packet.src else { return None };
    (to != Ipv4Addr::UNSPECIFIED).then(|| ((to, 0).into(), out))
}

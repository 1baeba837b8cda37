//! Commands of our own at DPDK's telemetry socket: which names are taken, and that a mistake in an answer ends no process.

mod common;

use std::path::Path;

use dpdk::{Eal, TelemetryError, Vdev};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv,
    send, socket_with,
};

#[test]
fn commands_are_added_once_and_answered() {
    let eal =
        common::eal("telemetry", 64).vdev(Vdev::null(0, 64)).telemetry(true).init().expect("EAL");
    names(&eal);
    eal.add_telemetry("/oh/panics", c"", Box::new(|_, _| panic!("on purpose"))).expect("added");
    let overlong = Box::new(|_: &str, answer: &mut dpdk::Answer| {
        (0..1000).for_each(|n| answer.number(&format!("n{n}"), n));
    });
    eal.add_telemetry("/oh/overlong", c"", overlong).expect("added");

    let prefix = format!("oh-test-telemetry-{}", std::process::id());
    let path = Path::new("/var/run/dpdk").join(prefix).join("dpdk_telemetry.v2");
    let (unix, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    let socket = socket_with(unix, kind, SocketFlags::CLOEXEC, None).expect("a socket");
    connect(&socket, &SocketAddrUnix::new(&path).expect("a path")).expect("a connection");
    let receive = || {
        let mut buffer = vec![0; 16 * 1024];
        let (_, length) = recv(&socket, &mut buffer[..], RecvFlags::empty()).expect("an answer");
        String::from_utf8(buffer[..length].to_vec()).expect("text")
    };
    let ask = |command: &str| {
        send(&socket, command.as_bytes(), SendFlags::empty()).expect("it reads");
        receive()
    };
    assert!(receive().contains("DPDK "));
    assert_eq!(ask("/oh/echo,some,thing"), r#"{"/oh/echo":{"said":"some,thing","length":10}}"#);
    assert_eq!(ask("/oh/echo"), r#"{"/oh/echo":{"said":"","length":0}}"#);
    // No answer, and what comes next is answered.
    assert_eq!(ask("/oh/panics"), r#"{"/oh/panics":null}"#);
    assert_eq!(ask("/oh/overlong"), r#"{"/oh/overlong":null}"#);
    let long = "x".repeat(500);
    let cut = ask(&format!("/oh/echo,{long}"));
    assert!(cut.contains("\"said\":\"xxx") && cut.contains("\"length\":500"), "{cut}");
    assert!(ask("/oh/echo").contains("\"length\":0"));
}

fn names(eal: &Eal) {
    let echo = || -> dpdk::Telemetry {
        Box::new(|parameters, answer| {
            answer.text("said", parameters);
            answer.number("length", parameters.len() as u64);
        })
    };
    for name in ["", "oh", "/oh/é", "/oh echo", "/oh\0", &format!("/{}", "x".repeat(55))] {
        let refused = eal.add_telemetry(name, c"", echo());
        assert_eq!(refused, Err(TelemetryError::BadName(name.to_owned())));
    }
    eal.add_telemetry("/oh/echo", c"Says what it is told", echo()).expect("added");
    let taken = eal.add_telemetry("/oh/echo", c"", echo());
    assert_eq!(taken, Err(TelemetryError::Taken("/oh/echo".to_owned())));
    let longest = format!("/{}", "x".repeat(54));
    eal.add_telemetry(&longest, c"", echo()).expect("added");
}

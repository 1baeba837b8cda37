//! The HTTP endpoint of a running `otherhalfd`, as scrapers, load balancers and slow clients use it.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use otherhalf_control::Status;
use otherhalf_engine::Outcome;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::instance::instance;
use crate::process::Daemon;

/// Connections that are served at once.
const CONNECTIONS: usize = 32;

/// A daemon with an HTTP endpoint on a port of its own.
struct Served {
    daemon: Daemon,
    address: SocketAddr,
    _folder: TempDir,
}

impl Served {
    fn start(name: &str, more: &str) -> Self {
        let (folder, text) = instance(name, ("", ""));
        let text = format!("{text}\n[http]\nlisten = [\"127.0.0.1:0\"]\n{more}\n");
        let mut daemon = Daemon::start(folder.path(), &text);
        let line = daemon.wait_for("HTTP address=");
        let address = line.rsplit_once("address=").unwrap().1.trim().parse().unwrap();
        daemon.wait_for("ready");
        let served = Self { daemon, address, _folder: folder };
        served.wait_until("/readyz", 200);
        served
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Code, head and body of the answer to `method` for `path`.
    fn ask(&self, method: &str, path: &str) -> (u16, String, String) {
        let mut stream = self.connect();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        (code, head.to_lowercase(), body.to_owned())
    }

    /// The body of a page that is there.
    #[track_caller]
    fn get(&self, path: &str) -> String {
        let (code, head, body) = self.ask("GET", path);
        assert_eq!(code, 200, "{path}: {head}\n{body}");
        body
    }

    /// Waits until `path` gives `code`, and gives what it says then.
    #[track_caller]
    fn wait_until(&self, path: &str, code: u16) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let (seen, _, body) = self.ask("GET", path);
            if seen == code {
                return body;
            }
            assert!(Instant::now() < deadline, "{path} stays at {seen}: {body}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn pages_tell_what_runs() {
    let served = Served::start("http", "");
    assert_eq!(served.get("/healthz"), "good\n");
    assert_eq!(served.get("/readyz"), "good\n");
    assert!(served.get("/").contains("/metrics"));
    let status: Status = serde_json::from_str(&served.get("/stats.json")).unwrap();
    assert_eq!((status.state.name(), status.pid), ("running", served.daemon.child.id()));
    assert_eq!(status.ports[0].queue_counters.len(), 1);

    let (code, head, _) = served.ask("GET", "/metrics");
    assert_eq!(code, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    let (code, head, body) = served.ask("HEAD", "/metrics");
    assert_eq!((code, body.as_str()), (200, ""), "{head}");
    assert_eq!(served.ask("GET", "/favicon.ico").0, 404);
    let (code, head, _) = served.ask("POST", "/metrics");
    assert_eq!(code, 405);
    assert!(head.contains("allow: get, head"), "{head}");
    assert_eq!(served.daemon.stop(Signal::TERM).code, 0);
}

#[test]
fn metrics_are_whole_and_named_once() {
    let served = Served::start("metrics", "");
    let text = served.get("/metrics");
    let (mut names, mut series) = (BTreeSet::new(), BTreeSet::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(names.insert(rest.split(' ').next().unwrap()), "twice: {line}");
        } else if !line.starts_with('#') {
            let (one, value) = line.rsplit_once(' ').unwrap();
            assert!(one.starts_with("otherhalf_") && series.insert(one), "{line}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    for outcome in Outcome::ALL {
        let one = format!("otherhalf_frames_total{{outcome=\"{}\",worker=\"0\"}}", outcome.name());
        assert!(series.contains(one.as_str()), "no {one} in\n{text}");
    }
    for line in [
        "otherhalf_ready 1",
        "otherhalf_state{state=\"running\"} 1",
        "otherhalf_port_up{port=\"net_pcap0\"} 1",
        "otherhalf_queue_rx_packets_total{port=\"net_pcap0\",queue=\"0\"} 0",
        "otherhalf_pending_limit_probes 1024",
        "otherhalf_pending_timeout_seconds 5",
        "otherhalf_round_trip_seconds_count{worker=\"0\"} 0",
        "otherhalf_service_seconds_bucket{worker=\"0\",kind=\"probe\",le=\"+Inf\"} 0",
    ] {
        let shown = text.lines().any(|shown| shown.trim_end_matches(".0") == line);
        assert!(shown, "no {line:?} in\n{text}");
    }
}

#[test]
fn who_goes_out_of_service_is_not_ready_and_in_good_health() {
    let served = Served::start("http-drain", "[drain]\ngrace_ms = 60000");
    served.daemon.signal(Signal::TERM);
    assert_eq!(served.wait_until("/readyz", 503), "leaving\n");
    assert_eq!(served.get("/healthz"), "good\n");
    assert!(served.get("/metrics").contains("\notherhalf_state{state=\"leaving\"} 1"));
    assert_eq!(served.daemon.stop(Signal::TERM).code, 0);
}

/// More clients than there are connections, who send half a request and then nothing, and who don't read.
#[test]
fn slow_clients_hold_up_nobody() {
    let served = Served::start("http-slow", "");
    let mut slow: Vec<TcpStream> = Vec::new();
    for place in 0..2 * CONNECTIONS {
        let mut stream = served.connect();
        let part = if place % 2 == 0 { "GET /metrics HT" } else { "GET /metrics HTTP/1.1\r\n" };
        // One that made way already may be closed.
        let _ = stream.write_all(part.as_bytes());
        slow.push(stream);
        assert_eq!(served.get("/healthz"), "good\n");
    }
    // The first made way for the others.
    let mut rest = Vec::new();
    match slow[0].read_to_end(&mut rest) {
        Ok(0) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        Ok(_) => panic!("an answer to half a request: {}", String::from_utf8_lossy(&rest)),
    }
    // A head without end is refused, not kept.
    let mut endless = served.connect();
    let line = format!("X-Filler: {}\r\n", "x".repeat(1000));
    let _ = endless.write_all(b"GET / HTTP/1.1\r\n");
    for _ in 0..1000 {
        if endless.write_all(line.as_bytes()).is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let _ = endless.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(served.get("/healthz"), "good\n");
    assert_eq!(served.daemon.stop(Signal::TERM).code, 0);
}

#[test]
fn an_address_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let (folder, text) = instance("http-taken", ("", ""));
    let text = format!("{text}\n[http]\nlisten = [\"{address}\"]\n");
    let ended = Daemon::start(folder.path(), &text).end();
    assert_eq!(ended.code, 1);
    let error = format!("can't listen at {address} for HTTP (http.listen): ");
    assert!(ended.log.contains(&error), "{}", ended.log);
}

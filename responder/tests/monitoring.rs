//! Debian's Prometheus scrapes a running `otherhalfd`, with the alert rules and by the dashboard's queries of `monitoring/`.
//!
//! The daemon plays the captured packets of a file again and again, so that every rate is of something.

#[allow(dead_code, reason = "each test file uses a part of it")]
mod process;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use process::Daemon;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

/// No step takes this long, on however busy a machine.
const LIMIT: Duration = Duration::from_mins(1);
/// What a dashboard's rates are of, here: some scrapes.
const RATE_INTERVAL: &str = "8s";

/// `file` of `monitoring/`.
fn monitoring(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../monitoring").join(file).canonicalize().unwrap()
}

/// A program of Debian's package, which `scripts/setup --test` unpacks.
fn tool(name: &str) -> PathBuf {
    let path =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("../tools/prometheus/usr/bin").join(name);
    assert!(path.exists(), "there is no {}: run scripts/setup --test", path.display());
    path
}

/// What `promtool` says of `arguments`, with `input`.
fn promtool(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(tool("promtool"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[track_caller]
fn accepted(output: &Output) {
    let (out, err) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{err}", String::from_utf8_lossy(out));
}

/// The body of `path` at `address`, by HTTP/1.0: the server closes, and does not cut it into chunks.
fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(LIMIT)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.contains(" 200 ").then(|| body.to_owned())
}

/// A responder with something to do.
struct Responder {
    daemon: Daemon,
    address: SocketAddr,
    _folder: TempDir,
}

impl Responder {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let input = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v4-traces.in.pcap");
        let text = format!(
            r#"
            reply.path = "hairpin"
            http.listen = ["127.0.0.1:0"]
            # Nobody is there.
            route = [{{ to = "0.0.0.0/0", via = "10.0.3.1" }}]

            [eal]
            huge_pages = false
            memory_mb = 64
            file_prefix = "otherhalf-monitoring-{}"

            [workers]
            cpus = [0]

            [drain]
            deadline_ms = 0

            [pending]
            entries = 1024
            secret = "00112233445566778899aabbccddeeff"

            [[port]]
            device = "net_pcap0,rx_pcap={},infinite_rx=1"

            [[port.interface]]
            addresses = ["10.0.3.2/24", "fd00:3::2/64"]
            "#,
            std::process::id(),
            input.display(),
        );
        let mut daemon = Daemon::start(folder.path(), &text);
        let line = daemon.wait_for("HTTP address=");
        let address = line.rsplit_once("address=").unwrap().1.trim().parse().unwrap();
        daemon.wait_for("ready");
        Self { daemon, address, _folder: folder }
    }
}

/// A Prometheus of our own.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Prometheus {
    /// One that scrapes `responder` each second, and goes by the alert rules.
    fn start(responder: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
             rule_files: ['{}']\n\
             scrape_configs:\n\
             - job_name: otherhalf\n  static_configs: [{{targets: ['{responder}']}}]\n",
            monitoring("alerts.yml").display()
        );
        fs::write(&config, text).unwrap();
        accepted(&promtool(&["check", "config", config.to_str().unwrap()], ""));
        // Free now, and nobody else's a moment later: the kernel does not give it away again at once.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(tool("prometheus"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let prometheus = Self { child, address, folder };
        prometheus.wait_for("ready", || get(address, "/-/ready"));
        prometheus
    }

    fn wait_for<T>(&self, what: &str, mut found: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(found) = found() {
                return found;
            }
            if Instant::now() > deadline {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap();
                panic!("Prometheus: no {what} in time; it says\n{log}");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// What `query` gives at this moment: a value for each set of labels.
    fn query(&self, query: &str) -> Vec<Value> {
        let encoded = query.bytes().fold(String::new(), |mut encoded, byte| {
            write!(encoded, "%{byte:02x}").unwrap();
            encoded
        });
        let answer = get(self.address, &format!("/api/v1/query?query={encoded}"));
        let answer = answer.unwrap_or_else(|| panic!("Prometheus refuses {query}"));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["data"]["result"].as_array().cloned().unwrap_or_default()
    }

    /// Whether `query` gives anything, and all of it is a number.
    fn has_numbers(&self, query: &str) -> bool {
        let values = self.query(query);
        let number = |value: &Value| {
            value["value"][1]
                .as_str()
                .is_some_and(|text| text.parse::<f64>().is_ok_and(f64::is_finite))
        };
        !values.is_empty() && values.iter().all(number)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The queries of the dashboard's panels, each with its panel's title, made ready to be asked.
fn dashboard() -> Vec<(String, String)> {
    let text = fs::read_to_string(monitoring("grafana.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let of = |panel: &Value| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        let query = |target: Value| target["expr"].as_str().unwrap().to_owned();
        targets.into_iter().map(query).map(move |query| (title.clone(), query)).collect::<Vec<_>>()
    };
    let ready =
        |query: String| query.replace("$__rate_interval", RATE_INTERVAL).replace("$instance", ".*");
    panels.iter().flat_map(of).map(|(title, query)| (title, ready(query))).collect()
}

/// What the alert rules look at, each as a query of its own: a name, and the labels behind it.
fn looked_at(rules: &str) -> BTreeSet<String> {
    let mut selectors = BTreeSet::new();
    for expression in rules.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let mut rest = expression;
        while let Some(start) = rest.find("otherhalf_") {
            rest = &rest[start..];
            let name =
                rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let end = match rest[name..].strip_prefix('{') {
                Some(labels) => name + 1 + labels.find('}').unwrap() + 1,
                None => name,
            };
            selectors.insert(rest[..end].to_owned());
            rest = &rest[end..];
        }
    }
    selectors
}

#[test]
fn the_alert_rules_fire_when_they_should() {
    accepted(&promtool(&["check", "rules", monitoring("alerts.yml").to_str().unwrap()], ""));
    accepted(&promtool(&["test", "rules", monitoring("alerts_test.yml").to_str().unwrap()], ""));
    let rules = fs::read_to_string(monitoring("alerts.yml")).unwrap();
    let tests = fs::read_to_string(monitoring("alerts_test.yml")).unwrap();
    let alerts: Vec<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10);
    for alert in alerts {
        for what in ["fires", "is calm"] {
            assert!(tests.contains(&format!("name: {alert} {what}\n")), "{alert} {what}: no test");
        }
    }
}

#[test]
fn prometheus_finds_all_that_dashboard_and_alerts_ask_for() {
    let responder = Responder::start();
    let text = get(responder.address, "/metrics").unwrap();
    accepted(&promtool(&["check", "metrics"], &text));

    let prometheus = Prometheus::start(responder.address);
    prometheus.wait_for("scrape", || {
        let up = prometheus.query("up{job=\"otherhalf\"}");
        up.first().filter(|up| up["value"][1] == "1").map(|_| ())
    });
    let queries = dashboard();
    assert!(queries.len() > 40, "{} queries", queries.len());
    for (panel, query) in queries {
        prometheus.wait_for(&format!("numbers for {panel:?}: {query}"), || {
            prometheus.has_numbers(&query).then_some(())
        });
    }
    let rules = fs::read_to_string(monitoring("alerts.yml")).unwrap();
    let selectors = looked_at(&rules);
    assert!(selectors.len() > 15, "{selectors:?}");
    for selector in selectors {
        assert!(prometheus.has_numbers(&selector), "alerts look at {selector}, which is not there");
    }
    // What came in adds up there too, within the frames of a state that was taken while workers counted.
    let work = "sum(rate(otherhalf_frames_total{outcome=~\"response_.*\"}[8s])) > 0";
    assert!(prometheus.has_numbers(work), "no work is done");

    // Prometheus itself is content with the rules, and one of them sees the router that is not there.
    let rules = prometheus.wait_for("rules", || {
        let answer: Value =
            serde_json::from_str(&get(prometheus.address, "/api/v1/rules")?).unwrap();
        let rules = answer["data"]["groups"][0]["rules"].as_array().cloned()?;
        let of = |name: &str| rules.iter().find(|rule| rule["name"] == name).cloned();
        (of("OtherhalfRouterSilent")?["state"] == "pending").then_some(rules)
    });
    for rule in rules {
        assert_eq!((&rule["health"], &rule["lastError"]), (&"ok".into(), &Value::Null), "{rule}");
    }
    assert_eq!(responder.daemon.stop(Signal::TERM).code, 0);
}

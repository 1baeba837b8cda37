//! What the responder tells of itself, three times: at its control socket, as JSON and as metrics over HTTP.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use otherhalf_control::Status;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The responder's HTTP endpoint.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Monitor {
    address: SocketAddr,
}

impl Monitor {
    pub(crate) const fn at(address: SocketAddr) -> Self {
        Self { address }
    }

    /// The names of what is not told alike: of frames received, and of what became of them. The three are asked one after the other,
    /// so only at rest are they to be the same.
    pub(crate) fn differences(&self, status: &Status) -> Result<Vec<String>> {
        let json: Status = serde_json::from_str(&self.get("/stats.json")?)
            .context("what /stats.json says is no state")?;
        let metrics = frames(&self.get("/metrics")?);
        let received = |status: &Status| ("received".to_owned(), status.received);
        let all = |status: &Status| -> BTreeMap<String, u64> {
            let outcomes = status.outcomes.iter();
            outcomes
                .map(|(name, count)| (name.to_string(), *count))
                .chain([received(status)])
                .collect()
        };
        let (told, json) = (all(status), all(&json));
        let differ = |name: &&String| {
            let of = |other: &BTreeMap<String, u64>| other.get(*name).copied().unwrap_or_default();
            of(&told) != of(&json) || of(&told) != of(&metrics)
        };
        let names = told.keys().chain(metrics.keys().filter(|name| !told.contains_key(*name)));
        Ok(names.filter(differ).cloned().collect())
    }

    fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE)
            .with_context(|| format!("nobody listens at {}", self.address))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // In one piece: who answers the first of several and closes resets the connection.
        let question = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address);
        stream.write_all(question.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer of HTTP")?;
        let first = head.lines().next().unwrap_or_default();
        ensure!(first.contains(" 200 "), "{path}: {first}");
        Ok(body.to_owned())
    }
}

/// Frames by what became of them, and all received, of all workers together, of the text of `/metrics`.
fn frames(text: &str) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for line in text.lines() {
        let Some((sample, value)) = line.rsplit_once(' ') else { continue };
        let Some((metric, labels)) = sample.split_once('{') else { continue };
        let name = match metric {
            "otherhalf_received_frames_total" => "received",
            "otherhalf_frames_total" => {
                let outcome =
                    labels.split_once("outcome=\"").and_then(|(_, rest)| rest.split_once('"'));
                outcome.map_or("", |(outcome, _)| outcome)
            }
            _ => continue,
        };
        *sums.entry(name.to_owned()).or_default() += value.parse::<u64>().unwrap_or_default();
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const METRICS: &str = "# HELP otherhalf_frames_total x\n\
        otherhalf_received_frames_total{worker=\"0\"} 7\n\
        otherhalf_frames_total{outcome=\"probe_icmp\",worker=\"0\"} 4\n\
        otherhalf_frames_total{outcome=\"probe_icmp\",worker=\"1\"} 1\n\
        otherhalf_frames_total{outcome=\"drop_forged\",worker=\"0\"} 2\n\
        otherhalf_cycles_per_second 5.0\n";

    fn status() -> Status {
        let outcomes = [("probe_icmp".into(), 5), ("drop_forged".into(), 2)].into();
        Status { received: 7, outcomes, ..Status::default() }
    }

    /// What differs if a server tells `json` and `metrics`.
    fn differences(json: &Status, metrics: &str) -> Vec<String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let monitor = Monitor::at(listener.local_addr().unwrap());
        let answers = [serde_json::to_string(json).unwrap(), metrics.to_owned()];
        let server = std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") {
                    let mut octet = [0];
                    stream.read_exact(&mut octet).unwrap();
                    asked.extend(octet);
                }
                write!(stream, "HTTP/1.0 200 OK\r\n\r\n{answer}").unwrap();
            }
        });
        let found = monitor.differences(&status()).unwrap();
        server.join().unwrap();
        found
    }

    #[test]
    fn all_that_is_not_told_alike_is_named() {
        assert_eq!(differences(&status(), METRICS), [""; 0]);
        let mut other = status();
        other.received = 8;
        assert_eq!(differences(&other, METRICS), ["received"]);
        let more = METRICS.replace("worker=\"1\"} 1", "worker=\"1\"} 2");
        assert_eq!(differences(&status(), &more), ["probe_icmp"]);
        let unknown =
            format!("{METRICS}otherhalf_frames_total{{outcome=\"new\",worker=\"0\"}} 3\n");
        assert_eq!(differences(&status(), &unknown), ["new"]);
    }
}

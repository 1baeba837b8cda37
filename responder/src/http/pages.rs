//! What is there to be had, and the answers.

use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};
use otherhalf_control::status::OLD;
use otherhalf_control::{State, Status};

use super::metrics;
use crate::shared::Shared;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// What is at `/`.
const INDEX: &str = "\
otherhalfd
/metrics     for Prometheus
/stats.json  the state, as `otherhalfctl --json status` shows it
/healthz     200 while it works, else 503
/readyz      200 while requests should be sent here, else 503
";

/// Answers a request for `path`.
pub(super) fn answer(method: &Method, path: &str, shared: &Shared) -> Response<Full<Bytes>> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    let status = shared.status_now();
    match path {
        "/" => text(StatusCode::OK, INDEX),
        "/metrics" => page(StatusCode::OK, metrics::CONTENT_TYPE, metrics::text(Arc::new(status))),
        "/stats.json" => match serde_json::to_vec(&status) {
            Ok(json) => page(StatusCode::OK, HeaderValue::from_static("application/json"), json),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        },
        "/healthz" => verdict(sick(&status)),
        "/readyz" => verdict(not_ready(&status)),
        _ => text(StatusCode::NOT_FOUND, format!("nothing is here; there is\n{INDEX}")),
    }
}

/// Good, or why not.
fn verdict(why_not: Option<String>) -> Response<Full<Bytes>> {
    match why_not {
        None => text(StatusCode::OK, "good\n"),
        Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

/// What is wrong with the responder, if anything is: that it is not ready is no illness.
fn sick(status: &Status) -> Option<String> {
    if status.state == State::Starting {
        return None;
    }
    if status.is_old() {
        return Some(format!("the control thread has said nothing for {} ms", status.age_ms));
    }
    let hung = status.workers.iter().find(|worker| u128::from(worker.silent_ms) > OLD.as_millis());
    hung.map(|worker| {
        format!("worker {} has made no turn for {} ms", worker.index, worker.silent_ms)
    })
}

/// Why no requests should be sent here.
fn not_ready(status: &Status) -> Option<String> {
    match (sick(status), status.ready, status.not_ready.as_str()) {
        (Some(sick), ..) => Some(sick),
        (None, true, _) => None,
        (None, false, "") => Some(status.state.name().to_owned()),
        (None, false, why) => Some(why.to_owned()),
    }
}

fn text(code: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    page(code, TEXT, text)
}

fn page(code: StatusCode, kind: HeaderValue, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use otherhalf_control::status::Worker;

    use super::*;
    use crate::shared::Snapshot;

    /// Of a process that has run for five seconds.
    fn get(method: &Method, path: &str, status: &Status) -> StatusCode {
        let started = Instant::now().checked_sub(Duration::from_secs(5)).unwrap();
        let shared = Shared::new(Snapshot::default(), 1).started_at(started);
        shared.status.store(Arc::new(status.clone()));
        answer(method, path, &shared).status()
    }

    fn running() -> Status {
        Status { state: State::Running, ready: true, uptime_ms: 5000, ..Status::default() }
    }

    #[test]
    fn ready_is_who_runs_with_all_its_links() {
        let no_link = "port net_tap0 has no link".to_owned();
        let cases = [
            (running(), 200, 200),
            (Status::default(), 200, 503),
            (Status { state: State::Draining, ready: false, ..running() }, 200, 503),
            (Status { ready: false, not_ready: no_link, ..running() }, 200, 503),
            // The control thread hangs, or a worker.
            (Status { uptime_ms: 1, ..running() }, 503, 503),
            // Somebody sets the clock, which is nobody's business.
            (Status { taken_unix_ms: 1, ..running() }, 200, 200),
            (Status { taken_unix_ms: u64::MAX, uptime_ms: 1, ..running() }, 503, 503),
            (
                Status {
                    workers: vec![Worker { silent_ms: 3000, ..Worker::default() }],
                    ..running()
                },
                503,
                503,
            ),
        ];
        for (status, health, readiness) in cases {
            assert_eq!(get(&Method::GET, "/healthz", &status), health, "{status:?}");
            assert_eq!(get(&Method::GET, "/readyz", &status), readiness, "{status:?}");
        }
    }

    #[test]
    fn what_is_not_there_and_not_served_says_so() {
        let status = running();
        assert_eq!(get(&Method::GET, "/nothing", &status), StatusCode::NOT_FOUND);
        assert_eq!(get(&Method::POST, "/metrics", &status), StatusCode::METHOD_NOT_ALLOWED);
        for path in ["/", "/metrics", "/stats.json"] {
            assert_eq!(get(&Method::GET, path, &status), StatusCode::OK, "{path}");
            assert_eq!(get(&Method::HEAD, path, &status), StatusCode::OK, "{path}");
        }
    }
}

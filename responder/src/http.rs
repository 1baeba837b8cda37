//! The HTTP endpoint, for monitoring: metrics, the state as JSON, and whether requests should be sent here.
//!
//! On a thread of its own, over the kernel's TCP: it reads what control publishes and touches nothing else. A client that is slow or
//! silent holds up nobody and costs little: a connection has a short time and a small buffer, there are few of them, and when all
//! are taken the oldest makes way.

mod metrics;
mod pages;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::shared::Shared;

/// Connections at once, by all addresses together.
const CONNECTIONS: usize = 32;
/// How long a client may take over the head of a request.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may last: a scraper that keeps its connection makes a new one then and when.
const CONNECTION: Duration = Duration::from_mins(2);
/// What is read ahead of a client at most, in octets: the least that hyper takes.
const BUFFER: usize = 8192;
/// How long to wait when the system has no descriptors left.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Why there is no endpoint.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address can't be had.
    #[error("can't listen at {address} for HTTP (http.listen): {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// No thread.
    #[error("can't start the thread for HTTP: {0}")]
    Thread(#[from] io::Error),
}

/// Listens at each of `addresses`, on one thread, until the process ends.
pub fn open(addresses: &[SocketAddr], shared: Arc<Shared>) -> Result<(), Error> {
    if addresses.is_empty() {
        return Ok(());
    }
    let mut listeners = Vec::new();
    for &address in addresses {
        let refused = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        info!(address = %listener.local_addr().map_err(refused)?, "HTTP");
        listeners.push(listener);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("http".into()).spawn(move || {
        if let Err(error) = runtime.block_on(serve(listeners, shared)) {
            warn!(%error, "HTTP ends");
        }
    })?;
    Ok(())
}

/// Serves whoever connects.
async fn serve(listeners: Vec<TcpListener>, shared: Arc<Shared>) -> io::Result<()> {
    let (connected, mut connections) = tokio::sync::mpsc::channel(1);
    for listener in listeners {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let connected = connected.clone();
        tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        if connected.send(stream).await.is_err() {
                            return;
                        }
                    }
                    // A client that has gone, or no descriptors: neither is the end.
                    Err(_) => tokio::time::sleep(EXHAUSTED).await,
                }
            }
        });
    }
    let mut open: VecDeque<JoinHandle<()>> = VecDeque::with_capacity(CONNECTIONS);
    while let Some(stream) = connections.recv().await {
        open.retain(|connection| !connection.is_finished());
        if open.len() >= CONNECTIONS
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        let shared = Arc::clone(&shared);
        open.push_back(tokio::spawn(async move {
            let service = service_fn(move |request| {
                let response = pages::answer(request.method(), request.uri().path(), &shared);
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .max_buf_size(BUFFER)
                .serve_connection(TokioIo::new(stream), service);
            // Whatever a client does wrong is the end of its connection, and of nothing else.
            let _ = tokio::time::timeout(CONNECTION, connection).await;
        }));
    }
    Ok(())
}

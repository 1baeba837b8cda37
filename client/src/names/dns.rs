//! Questions to the domain name system, on a thread of their own, so that nothing else waits for answers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Resolver, TokioResolver};
use tokio::runtime;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::cymru;

/// Questions at once; the others wait their turn.
const AT_ONCE: usize = 64;

/// How long a server may take and how often it is asked, unless the system's configuration says less: a name that comes later
/// comes after the trace.
const TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// What is this address called?
    Name(IpAddr),
    /// Which system announces it?
    Origin(IpAddr),
    /// What is that system called?
    System(u32),
}

/// What is known of that; `None` if nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Name(IpAddr, Option<String>),
    Origin(IpAddr, Option<u32>),
    System(u32, Option<String>),
}

impl Question {
    /// That nothing is known.
    pub(super) const fn nothing(self) -> Answer {
        match self {
            Self::Name(address) => Answer::Name(address, None),
            Self::Origin(address) => Answer::Origin(address, None),
            Self::System(asn) => Answer::System(asn, None),
        }
    }
}

/// Who answers.
#[derive(Debug, Clone)]
pub(super) enum Oracle {
    /// The name servers of `/etc/resolv.conf`.
    System,
    /// These.
    Servers(Vec<SocketAddr>),
    /// A function that may block, for names alone.
    Function(fn(IpAddr) -> Option<String>),
}

/// Starts the thread: each question sent by what is returned gets exactly one answer in `answers`. It ends when the sender is
/// dropped. `None` if the system has no thread left.
pub(super) fn start(oracle: Oracle, answers: Sender<Answer>) -> Option<UnboundedSender<Question>> {
    let (sender, questions) = unbounded_channel();
    let run = move || {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(AT_ONCE)
            .build();
        match runtime {
            Ok(runtime) => {
                runtime.block_on(serve(oracle, questions, answers));
                // A function that blocks may do so for long; nobody waits for it any more.
                runtime.shutdown_background();
            }
            Err(_) => refuse(questions, &answers),
        }
    };
    thread::Builder::new().name("names".to_owned()).spawn(run).ok().map(|_| sender)
}

/// Answers all with nothing: there is no way to ask.
fn refuse(mut questions: UnboundedReceiver<Question>, answers: &Sender<Answer>) {
    while let Some(question) = questions.blocking_recv() {
        // Nobody listens any more when the program ends: all the same then.
        let _ = answers.send(question.nothing());
    }
}

async fn serve(
    oracle: Oracle,
    mut questions: UnboundedReceiver<Question>,
    answers: Sender<Answer>,
) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let resolver = match &oracle {
        Oracle::System => resolver(None).map(Arc::new),
        Oracle::Servers(servers) => resolver(Some(servers)).map(Arc::new),
        Oracle::Function(_) => None,
    };
    while let Some(question) = questions.recv().await {
        let (turns, answers) = (Arc::clone(&turns), answers.clone());
        match (&oracle, &resolver) {
            (Oracle::Function(lookup), _) => {
                let lookup = *lookup;
                tokio::task::spawn_blocking(move || {
                    let answer = match question {
                        Question::Name(address) => Answer::Name(address, lookup(address)),
                        other => other.nothing(),
                    };
                    let _ = answers.send(answer);
                });
            }
            (_, Some(resolver)) => {
                let resolver = Arc::clone(resolver);
                tokio::spawn(async move {
                    // Never closed, so there is always a permit some time.
                    let _turn = turns.acquire().await;
                    let _ = answers.send(ask(&resolver, question).await);
                });
            }
            (_, None) => {
                let _ = answers.send(question.nothing());
            }
        }
    }
}

/// A resolver that asks `servers`, or those of the system; `None` if there are none.
fn resolver(servers: Option<&[SocketAddr]>) -> Option<TokioResolver> {
    let mut builder = match servers {
        None => TokioResolver::builder_tokio().ok()?,
        Some(servers) => {
            let servers = servers.iter().map(name_server).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            Resolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    let options = builder.options_mut();
    options.timeout = options.timeout.min(TIMEOUT);
    options.attempts = options.attempts.min(ATTEMPTS);
    // Read by ourselves, see `hosts_file`.
    options.use_hosts_file = ResolveHosts::Never;
    builder.build().ok()
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    let connections = connections.map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

async fn ask(resolver: &TokioResolver, question: Question) -> Answer {
    match question {
        Question::Name(address) => Answer::Name(address, pointer(resolver, address).await),
        Question::Origin(address) => {
            let records = texts(resolver, &cymru::origin(address)).await;
            Answer::Origin(address, cymru::read_origin(&records))
        }
        Question::System(asn) => {
            let records = texts(resolver, &cymru::system(asn)).await;
            Answer::System(asn, cymru::read_system(&records))
        }
    }
}

/// The first PTR record of `address`, without the dot at its end.
async fn pointer(resolver: &TokioResolver, address: IpAddr) -> Option<String> {
    let lookup = resolver.lookup(Name::from(address), RecordType::PTR).await.ok()?;
    let name = lookup.answers().iter().find_map(|record| match &record.data {
        RData::PTR(pointer) => Some(pointer.0.to_ascii()),
        _ => None,
    })?;
    let name = name.strip_suffix('.').unwrap_or(&name);
    (!name.is_empty()).then(|| name.to_owned())
}

/// The TXT records of `name`, each in one piece.
async fn texts(resolver: &TokioResolver, name: &str) -> Vec<String> {
    let Ok(name) = Name::from_ascii(name) else { return Vec::new() };
    let Ok(lookup) = resolver.lookup(name, RecordType::TXT).await else { return Vec::new() };
    lookup
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
            _ => None,
        })
        .collect()
}

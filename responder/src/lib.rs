//! `otherhalfd`: a reverse traceroute responder on DPDK.
//!
//! The packet's way is `otherhalf-engine`; here is what it runs in. In the order of a start:
//!
//! - [`config`]: the file that says what to be;
//! - [`setup`]: EAL, mempool, ports, table, each on the NUMA node where it is used; `late` waits for ports that come later;
//! - [`worker`]: one a core: receives bursts, asks the engine, acts on its verdicts
//!   ([`outgoing`]: what is to be sent, [`relay`]: by which other worker, [`held`]: what waits for a neighbour);
//! - [`control`]: one thread for all that is not packets: neighbours ([`neighbours`]), signals, reloads ([`reload`]), going
//!   out of service ([`drain`]), [`links`] and the routes over them, workers that hang ([`heartbeat`], by what the kernel says of a [`thread`]), the end;
//! - [`publish`]: the state that everybody is shown; [`http`] and [`telemetry`]: where monitoring finds it;
//! - [`socket`]: who else may tell it what to do, `otherhalfctl` for one; [`routes`] and [`waiting`]: what it shows of them and of the pending table;
//! - [`logs`]: where its lines go;
//! - [`explain`]: what would happen to a request, by the engine itself;
//! - [`service`]: what the service manager is told;
//! - [`capture`]: frames of some outcomes out of running workers;
//! - [`replay`]: the same engine over the frames of a file, without ports;
//! - [`stats`]: what was counted, and how long the [`stage`]s of the workers took; [`counters`]: what it means.
//!
//! Workers share the pending table; all else goes between control and workers as immutable
//! snapshots one way, and through bounded queues the other ([`shared`]).
#![forbid(unsafe_code)]

pub mod config;
pub mod reload;
pub mod takeup;
pub mod explain;
pub mod service;
pub mod http;
pub mod telemetry;
pub mod socket;
pub mod routes;
pub mod waiting;
pub mod logs;
pub mod setup;
mod late;
mod nodes;
mod queues;
pub mod shared;
pub mod worker;
pub mod outgoing;
pub mod relay;
pub mod held;
pub mod kernel;
pub mod control;
pub mod drain;
pub mod thread;
pub mod heartbeat;
pub mod publish;
pub mod neighbours;
pub mod links;
pub mod lists;
pub mod capture;
pub mod replay;
pub mod stage;
pub mod stats;
pub mod counters;
mod times;

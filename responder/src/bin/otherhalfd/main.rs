//! `otherhalfd`: reads its configuration, starts, runs until it is told to stop.

mod cli;
mod commands;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, anyhow};
use clap::Parser;
use cli::Arguments;
use otherhalf_control::State;
use otherhalf_responder::config::{self, Config};
use otherhalf_responder::control::{End, Wishes};
use otherhalf_responder::kernel::ferry;
use otherhalf_responder::lists;
use otherhalf_responder::logs::Logs;
use otherhalf_responder::routes::Routes;
use otherhalf_responder::setup::Responder;
use otherhalf_responder::socket::Shown;
use otherhalf_responder::waiting::Look;
use otherhalf_responder::{http, service, socket, telemetry};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use tracing::{error, info, warn};

/// `EX_CONFIG` of sysexits.h, which systemd knows by name.
const EXIT_CONFIG: u8 = 78;
const EXIT_FAILURE: u8 = 1;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Some(command) = arguments.command else {
        let path = arguments.config.unwrap_or_default();
        let done = load(&path).and_then(|config| Ok(run(&config, path)?));
        return exit_code(done, |error| error!("{error:#}"));
    };
    exit_code(commands::run(command), |error| eprintln!("otherhalfd: {error:#}"))
}

/// How it ended, with `tell` for what is wrong besides the configuration.
fn exit_code(done: Result<(), Failure>, tell: impl FnOnce(&anyhow::Error)) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Config(error)) => {
            eprintln!("{}", told(&error));
            ExitCode::from(EXIT_CONFIG)
        }
        Err(Failure::Lists(error)) => {
            eprintln!("{}", told_of_lists(&error));
            ExitCode::from(EXIT_CONFIG)
        }
        Err(Failure::Both(error, lists)) => {
            eprintln!("{}\n{}", told(&error), told_of_lists(&lists));
            ExitCode::from(EXIT_CONFIG)
        }
        Err(Failure::Other(error)) => {
            tell(&error);
            ExitCode::from(EXIT_FAILURE)
        }
    }
}

/// Why it failed.
enum Failure {
    /// The configuration is wrong.
    Config(config::Error),
    /// A list of prefixes is.
    Lists(lists::Error),
    /// Both are.
    Both(config::Error, lists::Error),
    /// Anything else.
    Other(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        match error.into().downcast() {
            Ok(error) => Self::Lists(error),
            Err(error) => Self::Other(error),
        }
    }
}

/// The configuration in the file at `path`.
fn load(path: &Path) -> Result<Config, Failure> {
    Config::load(path).map_err(Failure::Config)
}

/// All that is wrong with a configuration, for whoever wrote it.
fn told(error: &config::Error) -> String {
    match error {
        config::Error::Read { .. } => format!(
            "otherhalfd: {error}\nIs it the right path? `otherhalfd generate config` writes a file to begin with."
        ),
        config::Error::Wrong { path, mistakes, report } => {
            format!("{report}otherhalfd: {} has {}", path.display(), count(mistakes.len()))
        }
    }
}

/// The same of the lists of prefixes.
fn told_of_lists(error: &lists::Error) -> String {
    let mistakes = count(error.mistakes.len() + error.more);
    format!("{error}\notherhalfd: the lists of prefixes have {mistakes}")
}

fn count(mistakes: usize) -> String {
    format!("{mistakes} mistake{}", if mistakes == 1 { "" } else { "s" })
}

/// Signals, as flags that the control thread looks at.
struct Signals {
    stop: Arc<AtomicBool>,
    end: Arc<AtomicBool>,
    print: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
}

impl Signals {
    fn register() -> anyhow::Result<Self> {
        let [stop, end, print, reload] = Default::default();
        let signals = Self { stop, end, print, reload };
        signal_hook::flag::register(SIGINT, Arc::clone(&signals.stop))?;
        signal_hook::flag::register(SIGTERM, Arc::clone(&signals.end))?;
        signal_hook::flag::register(SIGUSR1, Arc::clone(&signals.print))?;
        signal_hook::flag::register(SIGHUP, Arc::clone(&signals.reload))?;
        Ok(signals)
    }
}

impl Wishes for Signals {
    fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn end(&self) -> bool {
        self.end.swap(false, Ordering::Relaxed)
    }

    fn print(&self) -> bool {
        self.print.swap(false, Ordering::Relaxed)
    }

    fn reload(&self) -> bool {
        self.reload.swap(false, Ordering::Relaxed)
    }
}

fn run(config: &Config, file: PathBuf) -> anyhow::Result<()> {
    // Before DPDK starts: its threads inherit nothing that we would regret.
    let signals = Signals::register().context("can't listen to signals")?;
    let logs = Logs::start(&config.log);
    info!(version = env!("CARGO_PKG_VERSION"), "otherhalfd");
    let Some(responder) = Responder::start_unless(config, || signals.stop() || signals.end())?
    else {
        info!("told to stop before the ports were there");
        return Ok(());
    };
    let Responder { workers, mut control, ferry, eal } = responder;
    control.file = Some(file);
    control.logs = Some(logs.clone());
    // Before the workers: whatever can fail comes first. The socket is there as long as this function.
    let mut listening = None;
    if let Some(path) = &config.control.socket {
        let shown = Shown {
            shared: Arc::clone(&control.shared),
            routes: Routes { interfaces: control.interfaces.clone() },
            pending: Look::into(Arc::clone(&control.table), control.ticks_per_second),
            logs: logs.clone(),
        };
        let (open, asks) = socket::open(&config.control, path, shown)?;
        (listening, control.asks) = (Some(open), Some(asks));
    }
    http::open(&config.http.listen, Arc::clone(&control.shared))?;
    if config.eal.telemetry {
        telemetry::add(&eal, &control.shared)?;
    }
    let mut handles = Vec::new();
    for (lcore, worker) in workers {
        handles.push(eal.launch(lcore, move || worker.run())?);
    }
    let ferry = ferry.start(&eal, Arc::clone(&control.shared))?;
    info!("ready");
    service::ready();

    let end = control.run(&handles, &signals);
    info!(reason = %end, "stopping");
    service::stopping();
    control.publish(State::Stopping);
    control.asks = None;
    drop(listening);
    logs.tell_left_out_at_end();
    if matches!(end, End::WorkerHangs(_) | End::FerryHangs) {
        // It can't be waited for, and nothing may be freed that it may still use.
        error!(
            "{end}: it has made no turn for too long, and the process ends here, for its service manager to start it again"
        );
        std::process::exit(EXIT_FAILURE.into());
    }
    control.shared.stop();
    let mut lost = None;
    for handle in handles {
        if let Err(error) = handle.join() {
            lost = Some(error);
        }
    }
    if let Some(worker) = control.shared.workers.first() {
        control.shared.relays.clear(&worker.stats);
    }
    control.shared.kernel.stop();
    ferry::join(ferry);
    control.shared.kernel.clear();
    let mut report = control.totals().to_string().into_bytes();
    for worker in control.workers() {
        writeln!(report, "{worker}")?;
    }
    for port in &control.ports {
        if let Ok(stats) = port.stats() {
            writeln!(
                report,
                "port {} received {} sent {} missed {} errors {} {} no_mbuf {}",
                port.name(),
                stats.ipackets,
                stats.opackets,
                stats.imissed,
                stats.ierrors,
                stats.oerrors,
                stats.rx_nombuf
            )?;
        }
    }
    control.ports.clear();
    writeln!(report, "{:<30} {}", "mbufs_in_use", control.mempool.in_use())?;
    // Whoever started us may be gone; that is no reason to end badly.
    if let Err(error) = std::io::stdout().write_all(&report) {
        warn!(%error, "can't print the counters");
    }
    match (&end, lost) {
        (_, Some(error)) => Err(error.into()),
        (End::WorkerLost, None) => Err(anyhow!("a worker ended by itself")),
        (End::WorkerHangs(_) | End::FerryHangs, None) => Err(anyhow!("{end}")),
        (End::Stopped | End::Drained, None) => {
            info!("stopped");
            Ok(())
        }
    }
}

//! A new configuration for a running responder, taken up: read and compared by a thread of its own, for lists of prefixes may be long and
//! the control thread has more to do; then handed to workers by control.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError};
use std::thread;
use std::time::Instant;

use otherhalf_control::Reply;
use otherhalf_control::message::Reloaded;
use otherhalf_engine::{Network, Policy};
use otherhalf_wire::ethernet::Mac;
use tracing::{error, info, warn};

use crate::config::{self, Config};
use crate::control::Control;
use crate::lists::{self, Difference, Lists};
use crate::logs::AUDIT;
use crate::reload::{Incomparable, Plan};
use crate::service;
use crate::shared::Snapshot;

/// Why a new configuration was not taken up; all is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// There is no file.
    #[error("the configuration did not come from a file")]
    NoFile,
    /// The file is wrong.
    #[error(transparent)]
    File(#[from] config::Error),
    /// A list of prefixes is wrong.
    #[error(transparent)]
    Lists(#[from] lists::Error),
    /// It can't be compared with what runs.
    #[error(transparent)]
    Incomparable(#[from] Incomparable),
    /// It does not fit what runs.
    #[error("{0}; it does not fit the ports that run")]
    Misfit(#[from] config::Invalid),
    /// It was not read to its end.
    #[error("it could not be read: {0}")]
    Thread(std::io::Error),
}

/// A configuration that can be taken up.
pub struct Ready {
    plan: Plan,
    network: Network,
    policy: Policy,
    lists: Lists,
}

/// A configuration that is being read.
pub struct Reading {
    outcome: Receiver<Result<Ready, ReloadError>>,
    /// By whose wish.
    by: String,
    /// Who waits for what comes of it.
    answer: Option<SyncSender<Reply>>,
}

/// What runs, for a new configuration to be compared with.
struct Running {
    file: PathBuf,
    config: Config,
    lists: Lists,
    macs: Vec<Mac>,
}

impl Running {
    /// Reads the file and its lists.
    fn prepare(&self) -> Result<Ready, ReloadError> {
        let mut plan = Plan::new(&self.config, &Config::load(&self.file)?)?;
        let mut lists = Lists::load(&plan.config)?;
        let differences = lists.differences(&self.lists);
        plan.changed.extend(differences.iter().map(|(purpose, difference)| {
            let Difference { came, went } = difference;
            format!("{} ({came} prefixes came, {went} went)", purpose.name())
        }));
        lists.keep(&self.lists);
        let network = plan.config.network(&self.macs)?;
        let policy = lists.policy(&plan.config)?;
        Ok(Ready { plan, network, policy, lists })
    }
}

impl Control {
    /// Begins to read the file again, by the wish of `by`; `answer` is told what came of it.
    pub(crate) fn begin_reload(&mut self, by: String, answer: Option<SyncSender<Reply>>) {
        if self.reading.is_some() {
            let said = "the configuration is being read already: try again when that has ended";
            // Whoever asked may be gone.
            let _ = answer.map(|answer| answer.try_send(Reply::Error(said.into())));
            return;
        }
        service::reloading();
        let (tell, outcome) = mpsc::sync_channel(1);
        let begun = match self.file.clone() {
            None => Err(ReloadError::NoFile),
            Some(file) => {
                let (config, lists) = (self.config.clone(), self.lists.clone());
                let running = Running { file, config, lists, macs: self.macs.clone() };
                let tell = tell.clone();
                let read = move || {
                    // Control may have come to its end.
                    let _ = tell.send(running.prepare());
                };
                let thread = thread::Builder::new().name("reload".into()).spawn(read);
                thread.map(drop).map_err(ReloadError::Thread)
            }
        };
        if let Err(error) = begun {
            let _ = tell.send(Err(error));
        }
        self.reading = Some(Reading { outcome, by, answer });
    }

    /// Takes up what was read, if it was, with a line for the log on what came of it and by whose wish.
    pub(crate) fn go_on_reloading(&mut self) {
        let Some(reading) = &self.reading else { return };
        let outcome = match reading.outcome.try_recv() {
            Ok(outcome) => outcome,
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => {
                Err(ReloadError::Thread(std::io::Error::other("the thread that reads it ended")))
            }
        };
        let Some(Reading { by, answer, .. }) = self.reading.take() else { return };
        let level = self.config.log.level.clone();
        let outcome = outcome.map(|ready| self.take_up(ready));
        let file = self.file.as_deref().map(Path::display).map(|file| file.to_string());
        match &outcome {
            Ok(Plan { changed, restart, .. }) => {
                let changed =
                    if changed.is_empty() { "nothing".to_owned() } else { changed.join(" ") };
                info!(target: AUDIT, file, by, changed, "configuration read again");
                if !restart.is_empty() {
                    warn!(target: AUDIT, "{} will take effect at the next start, not before", restart.join(", "));
                }
            }
            Err(error) => error!(target: AUDIT, by, "the configuration stays as it was: {error}"),
        }
        // After the line that tells of it. Whoever set another level by hand keeps it until the file says another.
        if let Some(logs) = self.logs.as_ref().filter(|_| level != self.config.log.level)
            && let Err(error) = logs.set(&self.config.log.level.0)
        {
            error!("the log keeps its level: {error}");
        }
        service::ready();
        // Who asked sees what came of it.
        self.publish(self.state());
        let reply = match outcome {
            Ok(Plan { changed, restart, .. }) => Reply::Reloaded(Reloaded { changed, restart }),
            Err(error) => Reply::Error(format!("the configuration stays as it was: {error}")),
        };
        // Whoever asked may be gone.
        let _ = answer.map(|answer| answer.try_send(reply));
    }

    /// Hands workers what was read, as far as that goes without a start.
    fn take_up(&mut self, ready: Ready) -> Plan {
        let Ready { plan, network, policy, lists } = ready;
        let draining = self.drain.is_some_and(|drain| drain.closed().is_some());
        let policy = Policy { draining, ..policy };
        self.neighbours.set_routers(network.routers(), Instant::now());
        self.neighbours.set_reachable(plan.config.neighbours.reachable());
        let network = self.with_chosen_routes(network);
        self.replace(|old| Snapshot { network, neighbours: old.neighbours.clone(), policy });
        self.config = plan.config.clone();
        self.lists = lists;
        self.reloads += 1;
        plan
    }
}

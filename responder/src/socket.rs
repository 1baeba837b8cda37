//! The control socket: `otherhalfctl` and others ask there, one JSON document a line.
//!
//! Whoever may open the socket may use it: its file mode is the permission. A connection has a thread of its own, and there
//! are few of them, so that one that is slow or silent holds up nobody. What only looks is answered there and then; what
//! changes anything goes to the control thread, which alone does.

use std::fs::{self, Permissions};
use std::io::{self, BufReader};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use otherhalf_control::message::{self, LONGEST_QUESTION, Question, VERSION};
use otherhalf_control::{Command, Reply};
use tracing::info;

use crate::capture;
use crate::config;
use crate::logs::{AUDIT, Logs};
use crate::routes::Routes;
use crate::shared::Shared;
use crate::waiting::Look;

/// Connections at once.
const CONNECTIONS: usize = 16;
/// Questions that may wait for the control thread.
const QUESTIONS: usize = CONNECTIONS;
/// How long a client may be silent or refuse to read.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the control thread may take; it looks every few milliseconds.
const DEADLINE: Duration = Duration::from_secs(10);

/// Something for the control thread to do.
#[derive(Debug)]
pub struct Ask {
    /// What.
    pub command: Command,
    /// Who wants it, for the log.
    pub by: String,
    /// Where the answer goes. Nobody may be there any more.
    pub answer: SyncSender<Reply>,
}

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process listens there.
    #[error("another process listens at {}: give each its own control.socket", .0.display())]
    InUse(PathBuf),
    /// Something else is there.
    #[error("{} is there and no socket: remove it, or set control.socket to another path", .0.display())]
    NoSocket(PathBuf),
    /// The group is not known.
    #[error(
        "there is no group {0:?}: make it with `addgroup --system`, or set control.group to another"
    )]
    NoGroup(String),
    /// The system refuses.
    #[error("can't listen at {}: {source}", path.display())]
    Refused {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The file of the socket, which goes when this is dropped.
#[derive(Debug)]
pub struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        // Another may have taken the place; there is nobody to tell.
        let _ = fs::remove_file(&self.0);
    }
}

/// Listens as `config` says, on a thread of its own; gives the questions for the control thread.
pub fn open(
    config: &config::Control,
    path: &Path,
    shown: Shown,
) -> Result<(Socket, Receiver<Ask>), Error> {
    let refused = |source| Error::Refused { path: path.to_owned(), source };
    clear(path)?;
    let gid = config.group.as_deref().map(group).transpose()?;
    let listener = bind(path).map_err(refused)?;
    let socket = Socket(path.to_owned());
    if gid.is_some() {
        std::os::unix::fs::chown(path, None, gid).map_err(refused)?;
    }
    fs::set_permissions(path, Permissions::from_mode(config.mode.0)).map_err(refused)?;
    let (asks, questions) = sync_channel(QUESTIONS);
    let desk = Desk { shown, asks };
    let spawned =
        thread::Builder::new().name("control-socket".into()).spawn(move || serve(&listener, &desk));
    spawned.map_err(refused)?;
    info!(path = %path.display(), mode = %config.mode, "control socket");
    Ok((socket, questions))
}

/// Listens at `path`, for this user alone: group and mode come afterwards, and until then nobody else gets in.
///
/// The kernel makes the file with the mode that the process's mask leaves it, and has no call that takes another one. The mask is all
/// threads': a file that another one makes at this moment gets less, never more. A folder of our own, and a socket that is
/// moved out of it, would leave its old name to whoever asks the kernel for it (`ss`).
fn bind(path: &Path) -> io::Result<UnixListener> {
    use rustix::fs::Mode;
    let before = rustix::process::umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
    let bound = UnixListener::bind(path);
    rustix::process::umask(before);
    bound
}

/// Makes way for a new socket: one that nobody listens at is left of a process that was killed.
fn clear(path: &Path) -> Result<(), Error> {
    let refused = |source| Error::Refused { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().unwrap_or(Path::new("/"));
            fs::create_dir_all(folder).map_err(refused)
        }
        Err(error) => Err(refused(error)),
        Ok(found) if !found.file_type().is_socket() => Err(Error::NoSocket(path.to_owned())),
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path).map_err(refused)
            }
            Err(error) => Err(refused(error)),
            Ok(_) => Err(Error::InUse(path.to_owned())),
        },
    }
}

/// The number of the group `name`, which may be a number.
pub(crate) fn group(name: &str) -> Result<u32, Error> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let found = nix::unistd::Group::from_name(name).ok().flatten();
    found.map(|group| group.gid.as_raw()).ok_or_else(|| Error::NoGroup(name.to_owned()))
}

/// What is looked at and answered without the control thread.
pub struct Shown {
    /// The state, the routes that are taken, and captures.
    pub shared: Arc<Shared>,
    /// How routes are shown.
    pub routes: Routes,
    /// The pending table.
    pub pending: Look,
    /// The log.
    pub logs: Logs,
}

/// What answers questions.
struct Desk {
    shown: Shown,
    asks: SyncSender<Ask>,
}

fn serve(listener: &UnixListener, desk: &Desk) {
    let open = AtomicUsize::new(0);
    thread::scope(|scope| {
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                // Such as too many open files: worth another try, but not at once.
                thread::sleep(Duration::from_millis(100));
                continue;
            };
            if open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS {
                open.fetch_sub(1, Ordering::Relaxed);
                let _ = stream.set_write_timeout(Some(Duration::from_millis(10)));
                let busy =
                    Reply::Error(format!("{CONNECTIONS} connections are open already: close one"));
                let _ = message::write(&mut &stream, &busy);
                continue;
            }
            let open = &open;
            let talk = move || {
                // Whatever a client does wrong is the end of its connection, and of nothing else.
                let _ = desk.talk(&stream);
                open.fetch_sub(1, Ordering::Relaxed);
            };
            if thread::Builder::new()
                .name("control-client".into())
                .spawn_scoped(scope, talk)
                .is_err()
            {
                open.fetch_sub(1, Ordering::Relaxed);
            }
        }
    });
}

impl Desk {
    /// Answers questions until the client closes, or does not speak as it should.
    fn talk(&self, stream: &UnixStream) -> Result<(), message::Error> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut questions = BufReader::new(stream);
        let mut answers = stream;
        loop {
            let reply = match message::read::<Question>(&mut questions, LONGEST_QUESTION) {
                Ok(None) => return Ok(()),
                Ok(Some(Question { version: VERSION, command })) => {
                    let by = peer(stream);
                    // What comes of a reload has a line of its own.
                    if command.changes() && command != Command::Reload {
                        info!(target: AUDIT, by, command = command.to_string(), "told to");
                    }
                    if let Command::Capture(wish) = &command {
                        capture::serve(&self.shown.shared, wish, &mut answers)?;
                        continue;
                    }
                    self.answer(command, by)
                }
                Ok(Some(Question { version, .. })) => Reply::Error(format!(
                    "messages of version {version}; this otherhalfd speaks {VERSION}"
                )),
                // What follows a line that is too long or cut off can't be told apart from it.
                Err(error @ message::Error::TooLong(_)) => {
                    message::write(&mut answers, &Reply::Error(error.to_string()))?;
                    return Err(error);
                }
                Err(message::Error::Form(error)) => Reply::Error(error.to_string()),
                Err(error) => return Err(error),
            };
            message::write(&mut answers, &reply)?;
        }
    }

    fn answer(&self, command: Command, by: String) -> Reply {
        let Shown { shared, routes, pending, logs } = &self.shown;
        match command {
            Command::Status => Reply::Status(Box::new(shared.status_now())),
            Command::Pending { limit } => Reply::Waiting(pending.list(limit)),
            Command::Routes { to } => routes.list(&shared.snapshot.load(), to),
            Command::LogLevel { level: None } => Reply::LogLevel(logs.level()),
            Command::LogLevel { level: Some(level) } => match logs.set(&level) {
                Ok(()) => Reply::LogLevel(level),
                Err(why) => Reply::Error(why),
            },
            Command::Reload | Command::Drain { .. } | Command::Undrain => self.hand_on(command, by),
            Command::Capture(_) => Reply::Error("it has more than one answer".into()),
        }
    }

    /// Has the control thread do it.
    fn hand_on(&self, command: Command, by: String) -> Reply {
        let (answer, answers) = sync_channel(1);
        match self.asks.try_send(Ask { command, by, answer }) {
            Ok(()) => answers.recv_timeout(DEADLINE).unwrap_or_else(|_| {
                Reply::Error(
                    "the control thread gave no answer in time: it may still do it; see the log"
                        .into(),
                )
            }),
            Err(TrySendError::Full(_)) => {
                Reply::Error("too much waits for the control thread already: try again".into())
            }
            Err(TrySendError::Disconnected(_)) => Reply::Error("otherhalfd is about to end".into()),
        }
    }
}

/// Who is at the other end of `stream`, as the kernel knows.
fn peer(stream: &UnixStream) -> String {
    match rustix::net::sockopt::socket_peercred(stream) {
        Ok(peer) => {
            let (uid, pid) = (peer.uid.as_raw(), peer.pid.as_raw_nonzero());
            format!("control socket, uid {uid}, process {pid}")
        }
        Err(error) => format!("control socket, somebody unknown ({error})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_gets_in_before_the_mode_is_set() {
        let mask = || {
            let mask = rustix::process::umask(rustix::fs::Mode::empty());
            rustix::process::umask(mask);
            mask
        };
        let before = mask();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let _listener = bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(mask(), before);
        assert!(bind(&path).is_err(), "there is one already");
        assert_eq!(mask(), before, "after an error, too");
    }
}

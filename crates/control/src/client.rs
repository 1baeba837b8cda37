//! Asks a running daemon by its control socket.

use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::message::{self, Command, LONGEST_ANSWER, Question, Reply, VERSION};

/// Where a packaged daemon listens.
pub const DEFAULT_SOCKET: &str = "/run/otherhalf/control.sock";

/// How long an answer may take: longer than the daemon gives itself.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens there.
    #[error(
        "can't reach otherhalfd at {path}: {source}; is it running, with this path as control.socket in its configuration?"
    )]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not allowed.
    #[error(
        "not allowed to talk to otherhalfd at {path}: be root, or in the group that control.group names"
    )]
    Permission {
        /// The socket.
        path: PathBuf,
    },
    /// The exchange failed.
    #[error("otherhalfd at {path} gave no answer: {source}")]
    Exchange {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: message::Error,
    },
    /// The daemon says no.
    #[error("{0}")]
    Refused(String),
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the socket at `path`.
    pub fn connect(path: &Path) -> Result<Self, Error> {
        let connect = || -> io::Result<UnixStream> {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        match connect() {
            Ok(stream) => Ok(Self { path: path.to_owned(), stream: BufReader::new(stream) }),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(Error::Permission { path: path.to_owned() })
            }
            Err(source) => Err(Error::Connect { path: path.to_owned(), source }),
        }
    }

    /// Asks, and waits for the answer. [`Reply::Error`] comes as an error.
    pub fn ask(&mut self, command: Command) -> Result<Reply, Error> {
        match self.exchange(command) {
            Ok(Reply::Error(why)) => Err(Error::Refused(why)),
            Ok(reply) => Ok(reply),
            Err(source) => Err(Error::Exchange { path: self.path.clone(), source }),
        }
    }

    /// Waits for the next answer to a question that has several.
    pub fn more(&mut self) -> Result<Reply, Error> {
        let read = message::read(&mut self.stream, LONGEST_ANSWER);
        let exchanged = read.and_then(|reply| reply.ok_or(message::Error::Closed));
        exchanged.map_err(|source| Error::Exchange { path: self.path.clone(), source })
    }

    fn exchange(&mut self, command: Command) -> Result<Reply, message::Error> {
        match message::write(self.stream.get_mut(), &Question { version: VERSION, command }) {
            // A daemon that has too many clients says so without a question, and closes: that is to be heard.
            Err(message::Error::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => {}
            asked => asked?,
        }
        message::read(&mut self.stream, LONGEST_ANSWER)?.ok_or(message::Error::Closed)
    }
}

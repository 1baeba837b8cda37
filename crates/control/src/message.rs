//! Questions and answers on the control socket: each one JSON document on a line of its own, one answer to each question;
//! [`Command::Capture`] alone has several.

use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::net::IpAddr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::capture::{Ended, Frame, Wish};
use crate::status::Status;

/// The version of these messages. A daemon refuses another one, rather than to misunderstand it.
pub const VERSION: u32 = 1;

/// The longest question, in bytes with its end of line.
pub const LONGEST_QUESTION: u64 = 4096;

/// The longest answer, in bytes with its end of line: a status with all neighbours that there can be.
pub const LONGEST_ANSWER: u64 = 256 << 20;

/// The most probes that one answer lists.
pub const MOST_WAITING: usize = 1000;

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// [`VERSION`].
    pub version: u32,
    /// What is wanted.
    pub command: Command,
}

/// What a daemon can be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// To say how it is; answered by [`Reply::Status`].
    Status,
    /// To read its configuration again; answered by [`Reply::Reloaded`].
    Reload,
    /// To go out of service; answered by [`Reply::Done`] as soon as it has begun.
    Drain {
        /// Whether it ends then, rather than to wait for [`Command::Undrain`].
        exit: bool,
    },
    /// To come back into service; answered by [`Reply::Done`].
    Undrain,
    /// To list some of the probes that wait for an answer; answered by [`Reply::Waiting`].
    Pending {
        /// How many at most; of more than [`MOST_WAITING`], so many.
        limit: usize,
    },
    /// To name its routes, or the one that decides for an address; answered by [`Reply::Routes`].
    Routes {
        /// The address.
        #[serde(default)]
        to: Option<IpAddr>,
    },
    /// To log from this level on; without one, to say its level. Answered by [`Reply::LogLevel`].
    LogLevel {
        /// As in `RUST_LOG`.
        #[serde(default)]
        level: Option<String>,
    },
    /// To hand over frames of some outcomes as they come. Answered by [`Reply::CaptureBegun`], then a [`Reply::Captured`] for each frame
    /// and a [`Reply::Capturing`] each second, at last by [`Reply::CaptureEnded`]. A client that has enough closes the connection.
    Capture(Wish),
}

impl Command {
    /// Whether it changes anything or shows packets, and so is worth a line in the log.
    #[must_use]
    pub const fn changes(&self) -> bool {
        match self {
            Self::Reload
            | Self::Drain { .. }
            | Self::Undrain
            | Self::LogLevel { level: Some(_) }
            // It changes nothing, and shows what requesters send.
            | Self::Capture(_) => true,
            Self::Status
            | Self::Pending { .. }
            | Self::Routes { .. }
            | Self::LogLevel { level: None } => false,
        }
    }
}

impl fmt::Display for Command {
    /// As otherhalfctl is told it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status => write!(f, "status"),
            Self::Reload => write!(f, "reload"),
            Self::Drain { exit } => write!(f, "drain{}", if *exit { " --exit" } else { "" }),
            Self::Undrain => write!(f, "undrain"),
            Self::Pending { limit } => write!(f, "pending --limit {limit}"),
            Self::Routes { to: None } => write!(f, "routes"),
            Self::Routes { to: Some(address) } => write!(f, "routes {address}"),
            Self::LogLevel { level: None } => write!(f, "log-level"),
            Self::LogLevel { level: Some(level) } => write!(f, "log-level {level}"),
            Self::Capture(Wish { outcomes, limit, seconds, snap_len }) => {
                write!(f, "capture")?;
                outcomes.iter().try_for_each(|outcome| write!(f, " --outcome {outcome}"))?;
                write!(f, " --limit {limit}")?;
                seconds.iter().try_for_each(|seconds| write!(f, " --seconds {seconds}"))?;
                snap_len.iter().try_for_each(|octets| write!(f, " --snaplen {octets}"))
            }
        }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// How it is.
    Status(Box<Status>),
    /// The configuration was taken up.
    Reloaded(Reloaded),
    /// It was done; a sentence says what.
    Done(String),
    /// Probes that wait.
    Waiting(Waiting),
    /// The routes.
    Routes(Vec<Route>),
    /// The level of the log.
    LogLevel(String),
    /// A capture runs, on ports with these names.
    CaptureBegun(Vec<String>),
    /// A frame of it.
    Captured(Frame),
    /// It goes on.
    Capturing {
        /// Frames captured so far.
        packets: u64,
        /// See [`Ended::lost`].
        lost: u64,
    },
    /// It is over.
    CaptureEnded(Ended),
    /// It was not done; a sentence, or several lines, says why.
    Error(String),
}

/// What a new configuration changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Keys whose values were taken up.
    pub changed: Vec<String>,
    /// Keys whose values take effect at the next start.
    pub restart: Vec<String>,
}

/// Some of the probes that wait for an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Those that were found first, the one that waits longest in front. Where a probe lies in the table is as good as random, so they are
    /// a sample.
    pub probes: Vec<Probe>,
    /// Whether the whole table was looked through: then these are all that waited when the look came by.
    pub whole: bool,
}

/// A probe that waits, as far as the table knows. It keeps a keyed hash of all else: addresses, protocol, flow and the probe's identifier
/// can't be told from that, and the TTL is not kept at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The identifier of the request that it is for.
    pub request_id: u16,
    /// How long ago it was sent, in microseconds.
    pub age_us: u64,
    /// How much longer its answer is waited for, in microseconds.
    pub left_us: u64,
}

/// A route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The prefix, such as `192.0.2.0/24`.
    pub to: String,
    /// The router; none for the prefix of an interface.
    pub via: Option<IpAddr>,
    /// The interface's name.
    pub interface: String,
    /// The hardware address of the next hop; none if it is not known, or there is no one next hop.
    pub mac: Option<String>,
    /// Whether another route to the same prefix is taken instead.
    #[serde(default)]
    pub standby: bool,
}

/// Why a message can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The other side closed it.
    #[error("the connection was closed before a whole message had come")]
    Closed,
    /// Too long.
    #[error("a message of more than {0} bytes")]
    TooLong(u64),
    /// Not what was expected.
    #[error("not a message of this kind: {0}")]
    Form(#[from] serde_json::Error),
}

/// Writes `message` as a line.
pub fn write(stream: &mut impl Write, message: &impl Serialize) -> Result<(), Error> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    Ok(stream.flush()?)
}

/// Reads a line of at most `longest` bytes; `None` if the stream ends before its first byte.
pub fn read<T: DeserializeOwned>(
    stream: &mut impl BufRead,
    longest: u64,
) -> Result<Option<T>, Error> {
    let mut line = Vec::new();
    stream.take(longest).read_until(b'\n', &mut line)?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(serde_json::from_slice(&line)?)),
        Some(_) if line.len() as u64 >= longest => Err(Error::TooLong(longest)),
        Some(_) => Err(Error::Closed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(text: &str) -> Result<Option<Question>, Error> {
        read(&mut text.as_bytes(), LONGEST_QUESTION)
    }

    #[test]
    fn questions_are_lines() {
        let commands = [
            (Command::Status, r#"{"version":1,"command":"status"}"#),
            (Command::Drain { exit: true }, r#"{"version":1,"command":{"drain":{"exit":true}}}"#),
            (Command::Routes { to: None }, r#"{"version":1,"command":{"routes":{"to":null}}}"#),
        ];
        for (command, text) in commands {
            let asked = Question { version: VERSION, command };
            let mut line = Vec::new();
            write(&mut line, &asked).unwrap();
            assert_eq!(String::from_utf8(line).unwrap(), format!("{text}\n"));
            assert_eq!(question(&format!("{text}\nmore")).unwrap(), Some(asked));
        }
    }

    #[test]
    fn a_command_reads_as_it_is_typed() {
        let wish = Wish {
            outcomes: vec!["forged".into(), "ping_reply".into()],
            limit: 100,
            seconds: Some(5),
            snap_len: None,
        };
        for (command, text) in [
            (Command::Drain { exit: false }, "drain"),
            (Command::Drain { exit: true }, "drain --exit"),
            (Command::LogLevel { level: Some("debug".into()) }, "log-level debug"),
            (Command::Routes { to: Some([192, 0, 2, 1].into()) }, "routes 192.0.2.1"),
            (
                Command::Capture(wish),
                "capture --outcome forged --outcome ping_reply --limit 100 --seconds 5",
            ),
        ] {
            assert_eq!(command.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_question_is_refused() {
        assert!(question("").unwrap().is_none());
        assert!(matches!(question("{"), Err(Error::Closed)));
        assert!(matches!(question(&"x".repeat(5000)), Err(Error::TooLong(LONGEST_QUESTION))));
        for text in [
            "x",
            "{}",
            r#"{"version":1}"#,
            r#"{"version":1,"command":"fly"}"#,
            r#"{"version":1,"command":"status","more":1}"#,
            r#"{"version":1,"command":{"drain":{"exit":true,"now":true}}}"#,
        ] {
            assert!(matches!(question(&format!("{text}\n")), Err(Error::Form(_))), "{text}");
        }
    }
}

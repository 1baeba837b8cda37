//! What can go wrong with a lab, and what to do about it.

use std::io;
use std::path::PathBuf;

/// The result of a lab's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong with a lab.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process lacks the privilege to make namespaces.
    #[error(
        "a lab is made of network namespaces, which only root may make and enter: run this with sudo"
    )]
    NotRoot,
    /// A file or folder could not be read, written or removed.
    #[error("{path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A topology file is not TOML of the right shape.
    #[error("{path}: {source}")]
    Format {
        /// The topology file.
        path: PathBuf,
        /// The cause, with its line.
        source: Box<toml::de::Error>,
    },
    /// A topology contradicts itself.
    #[error("{place}: {problem}")]
    Topology {
        /// The file and line, or "topology" for one made by a program.
        place: String,
        /// What is wrong and what is allowed.
        problem: String,
    },
    /// A lab's name has characters that file and namespace names cannot carry.
    #[error("a lab's name is 1 to 32 of a-z, 0-9 and '-', not {0:?}")]
    BadName(String),
    /// Another lab has this name.
    #[error(
        "there is a lab named {0} already: choose another --name, or run `{program} down {0}`", program = program()
    )]
    Exists(String),
    /// No lab has this name.
    #[error("there is no lab named {0}: `{program} list` shows those that are up", program = program())]
    NoLab(String),
    /// The topology has no such node.
    #[error("the lab has no node {node}; its nodes are {nodes}")]
    NoNode {
        /// The name asked for.
        node: String,
        /// The names that there are.
        nodes: String,
    },
    /// A namespace could not be entered.
    #[error("cannot enter the namespace {namespace}: {source}")]
    Enter {
        /// The namespace's name as in `ip netns list`.
        namespace: String,
        /// The cause.
        source: io::Error,
    },
    /// A program of the system could not be started.
    #[error("cannot run {program}: {source}; is it installed? (scripts/setup does that)")]
    Program {
        /// The program.
        program: String,
        /// The cause.
        source: io::Error,
    },
    /// A program of the system refused its task.
    #[error("{command} failed: {stderr}")]
    Command {
        /// The program with its arguments and the input that it got.
        command: String,
        /// What it wrote on its standard error.
        stderr: String,
    },
    /// The userspace link between two nodes did not start.
    #[error("the userspace link {interfaces} did not start: {source}; is /dev/net/tun there?")]
    Link {
        /// The names of its two interfaces.
        interfaces: String,
        /// The cause.
        source: io::Error,
    },
    /// The interface to attach did not appear.
    #[error(
        "no interface {interface} appeared in {node} within {seconds} s: \
         is the program that makes it running inside that namespace?"
    )]
    NoInterface {
        /// The interface.
        interface: String,
        /// The node.
        node: String,
        /// How long it was waited for.
        seconds: f32,
    },
    /// The state file of a lab is damaged.
    #[error(
        "{path}: {source}; remove the lab's namespaces by hand (`ip netns list`) and then this folder"
    )]
    State {
        /// The state file.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
    /// A node that is attached to is not a responder.
    #[error("{0} is no node of kind responder: there is nothing to attach a tap to")]
    NotResponder(String),
}

/// How the user called the lab's program: by `scripts/lab`, which says so, or by its own name.
#[must_use]
pub fn program() -> String {
    std::env::var("OTHERHALF_LAB_PROGRAM").unwrap_or_else(|_| "otherhalf-lab".to_owned())
}

/// Names the file in an error of the operating system.
pub(crate) trait AtPath<T> {
    fn at(self, path: impl Into<PathBuf>) -> Result<T>;
}

impl<T> AtPath<T> for io::Result<T> {
    fn at(self, path: impl Into<PathBuf>) -> Result<T> {
        self.map_err(|source| Error::File { path: path.into(), source })
    }
}

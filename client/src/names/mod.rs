//! What is known about addresses beyond their numbers: names, autonomous systems, Internet exchanges.
//!
//! Names come from `/etc/hosts` and the domain name system; the systems that announce them from Team Cymru's zone in the latter
//! or from a file; exchanges from a file. Files are asked at once, the domain name system on a thread of its own: whoever needs
//! an answer looks whether it is there, and waits as long as they like.
//!
//! All of it is optional, and nothing of it may delay a trace. A resolver that is broken or not there costs the names and
//! no more.

mod special;
mod error;
mod file;
mod hosts_file;
mod as_file;
mod ixp_file;
mod cymru;
mod dns;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use crate::document::Host;
use crate::printable;
use dns::{Answer, Oracle, Question};

pub use as_file::{AsTable, System};
pub use error::Error;
pub use ixp_file::Exchanges;
pub use special::is_global;

/// What to find out about addresses, and from whom.
#[derive(Debug)]
pub struct Sources {
    /// Names, by `/etc/hosts` and reverse DNS.
    pub names: bool,
    /// Autonomous systems.
    pub systems: Systems,
    /// Internet exchanges.
    pub exchanges: Option<Exchanges>,
    /// The name servers to ask; `None` for those of the system.
    pub servers: Option<Vec<SocketAddr>>,
    /// Whose systems are asked for by DNS: mostly those that [`is_global`].
    pub is_asked: fn(IpAddr) -> bool,
}

/// Who tells the autonomous system of an address.
#[derive(Debug)]
pub enum Systems {
    /// Nobody: not wanted.
    Unwanted,
    /// Team Cymru's zone in the domain name system.
    Cymru,
    /// A file.
    Table(AsTable),
}

impl Default for Sources {
    /// Names alone.
    fn default() -> Self {
        Self {
            names: true,
            systems: Systems::Unwanted,
            exchanges: None,
            servers: None,
            is_asked: is_global,
        }
    }
}

/// Names of addresses, and what else is known about them, looked up beside what else goes on.
#[derive(Debug)]
pub struct Names {
    sources: Sources,
    oracle: Oracle,
    /// Read when the first name is wanted.
    hosts_file: Option<HashMap<IpAddr, String>>,
    known: HashMap<IpAddr, Known>,
    /// What the systems are called, as far as it was asked.
    systems: HashMap<u32, Option<String>>,
    /// Questions without an answer so far.
    open: usize,
    /// There once a question was asked.
    questions: Option<UnboundedSender<Question>>,
    answers: Receiver<Answer>,
    sender: Sender<Answer>,
}

#[derive(Debug, Default)]
struct Known {
    host: Host,
    /// Questions about it without an answer so far.
    open: usize,
}

impl Names {
    /// Names alone, by `/etc/hosts` and the system's name servers.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Sources::default())
    }

    /// Nothing at all: every lookup is over at once.
    #[must_use]
    pub fn none() -> Self {
        Self::of(Sources { names: false, ..Sources::default() })
    }

    /// What `sources` know.
    #[must_use]
    pub fn of(sources: Sources) -> Self {
        let oracle = match &sources.servers {
            None => Oracle::System,
            Some(servers) => Oracle::Servers(servers.clone()),
        };
        Self::asking(sources, oracle, None)
    }

    /// Names by `lookup`, which may block.
    #[must_use]
    pub fn with(lookup: fn(IpAddr) -> Option<String>) -> Self {
        Self::asking(Sources::default(), Oracle::Function(lookup), Some(HashMap::new()))
    }

    fn asking(
        sources: Sources,
        oracle: Oracle,
        hosts_file: Option<HashMap<IpAddr, String>>,
    ) -> Self {
        let (sender, answers) = channel();
        Self {
            sources,
            oracle,
            hosts_file,
            known: HashMap::new(),
            systems: HashMap::new(),
            open: 0,
            questions: None,
            answers,
            sender,
        }
    }

    /// Begins to look `address` up, unless that was done already.
    pub fn look_up(&mut self, address: IpAddr) {
        let Entry::Vacant(unknown) = self.known.entry(address) else { return };
        let known = unknown.insert(Known::default());
        let exchange = self.sources.exchanges.as_ref().and_then(|table| table.find(address));
        known.host.ixp = exchange.map(printable);
        let mut questions = Vec::new();
        match &self.sources.systems {
            Systems::Cymru if (self.sources.is_asked)(address) => {
                questions.push(Question::Origin(address));
            }
            Systems::Unwanted | Systems::Cymru => {}
            Systems::Table(table) => {
                if let Some(system) = table.find(address) {
                    known.host.asn = Some(system.asn);
                    known.host.as_name = system.name.as_deref().map(printable);
                }
            }
        }
        if self.sources.names {
            let file = self.hosts_file.get_or_insert_with(hosts_file::read);
            match file.get(&address) {
                Some(name) => known.host.name = Some(printable(name)),
                None => questions.push(Question::Name(address)),
            }
        }
        known.open = questions.len();
        for question in questions {
            self.ask(question);
        }
    }

    /// Takes in what was found meanwhile; whether nothing is pending any more.
    pub fn update(&mut self) -> bool {
        while let Ok(answer) = self.answers.try_recv() {
            self.learn(answer);
        }
        self.open == 0
    }

    /// Waits until nothing is pending, but no longer than `patience`.
    pub fn wait(&mut self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while !self.update() {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.answers.recv_timeout(left) {
                Ok(answer) => self.learn(answer),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Whether the lookup of `address` is still going on.
    #[must_use]
    pub fn is_pending(&self, address: IpAddr) -> bool {
        self.known.get(&address).is_some_and(|known| known.open > 0)
    }

    /// The name of `address`, if it has one and it is known by now; fit for a terminal.
    #[must_use]
    pub fn get(&self, address: IpAddr) -> Option<&str> {
        self.known.get(&address)?.host.name.as_deref()
    }

    /// All that is known about `address` by now, fit for a terminal; `None` if that is nothing.
    #[must_use]
    pub fn host(&self, address: IpAddr) -> Option<&Host> {
        let host = &self.known.get(&address)?.host;
        (*host != Host::default()).then_some(host)
    }

    /// What follows an address in text: `[AS64500]`, as `traceroute -A` writes it, `[*]` if systems are wanted and this one is not
    /// known, and `[Example-IX]`; empty if nothing of that is wanted.
    #[must_use]
    pub fn tag(&self, address: IpAddr) -> String {
        let host = self.known.get(&address).map(|known| &known.host);
        let system = match host.and_then(|host| host.asn) {
            Some(asn) => Some(format!("[AS{asn}]")),
            None if matches!(self.sources.systems, Systems::Unwanted) => None,
            None => Some("[*]".to_owned()),
        };
        let exchange = host.and_then(|host| host.ixp.as_ref()).map(|name| format!("[{name}]"));
        let tags: Vec<String> = system.into_iter().chain(exchange).collect();
        tags.join(" ")
    }

    fn ask(&mut self, question: Question) {
        self.open += 1;
        if self.questions.is_none() {
            self.questions = dns::start(self.oracle.clone(), self.sender.clone());
        }
        let asked = self.questions.as_ref().is_some_and(|thread| thread.send(question).is_ok());
        if !asked {
            // No thread left: do without.
            self.learn(question.nothing());
        }
    }

    fn learn(&mut self, answer: Answer) {
        self.open = self.open.saturating_sub(1);
        match answer {
            Answer::Name(address, name) => {
                let known = self.known.entry(address).or_default();
                known.open = known.open.saturating_sub(1);
                known.host.name = name.as_deref().map(printable);
            }
            Answer::Origin(address, asn) => {
                let known = self.known.entry(address).or_default();
                known.open = known.open.saturating_sub(1);
                known.host.asn = asn;
                let Some(asn) = asn else { return };
                match self.systems.entry(asn) {
                    Entry::Occupied(system) => known.host.as_name.clone_from(system.get()),
                    Entry::Vacant(system) => {
                        system.insert(None);
                        self.ask(Question::System(asn));
                    }
                }
            }
            Answer::System(asn, name) => {
                let name = name.as_deref().map(printable);
                let hosts = self.known.values_mut().map(|known| &mut known.host);
                for host in hosts.filter(|host| host.asn == Some(asn)) {
                    host.as_name.clone_from(&name);
                }
                self.systems.insert(asn, name);
            }
        }
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn lookups_run_beside_and_are_waited_for_with_a_bound() {
        let mut names = Names::with(|address| {
            if address.is_ipv6() {
                thread::sleep(Duration::from_secs(20));
            }
            (!address.is_loopback()).then(|| "ro\x1but\u{202e}er".to_owned())
        });
        let [fast, none, slow] =
            ["192.0.2.1", "127.0.0.1", "2001:db8::1"].map(|a| a.parse().unwrap());
        let start = Instant::now();
        for address in [fast, none, slow] {
            names.look_up(address);
        }
        names.wait(Duration::from_millis(300));
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(names.get(fast), Some(r"ro\u{1b}ut\u{202e}er"));
        assert_eq!((names.get(none), names.is_pending(none)), (None, false));
        assert_eq!((names.get(slow), names.is_pending(slow)), (None, true));
        let start = Instant::now();
        drop(names);
        assert!(start.elapsed() < Duration::from_secs(1), "what still runs holds nobody up");
    }

    #[test]
    fn nothing_wanted_is_over_at_once() {
        let mut names = Names::none();
        let address = "127.0.0.1".parse().unwrap();
        names.look_up(address);
        assert!(names.update() && !names.is_pending(address));
        assert_eq!((names.host(address), names.tag(address)), (None, String::new()));
        assert!(names.questions.is_none(), "no thread was started");
    }
}

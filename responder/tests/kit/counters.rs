//! What a responder counted, and what it should have.

use std::collections::BTreeMap;
use std::fmt;

use otherhalf_engine::Outcome;

/// Outcomes of frames that other stations send whenever they like: neighbours confirm each other,
/// and a kernel tells its multicast groups. At least as many as expected are right.
pub(crate) const UNASKED: [Outcome; 4] = [
    Outcome::NeighbourReply,
    Outcome::NeighbourLearned,
    Outcome::DropOtherNeighbour,
    Outcome::DropNotOurAddress,
];

/// How often each outcome is expected; any other, not at all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(BTreeMap<Outcome, u64>);

impl Tally {
    pub(crate) fn add(&mut self, outcome: Outcome, times: u64) {
        *self.0.entry(outcome).or_default() += times;
    }

    fn get(&self, outcome: Outcome) -> u64 {
        self.0.get(&outcome).copied().unwrap_or_default()
    }
}

/// The counters that `otherhalfd` prints at its end.
#[derive(Debug)]
pub(crate) struct Counters {
    text: String,
    values: BTreeMap<String, u64>,
    ports: Vec<BTreeMap<String, u64>>,
    /// Frames that each worker received.
    workers: Vec<u64>,
}

impl Counters {
    /// Reads what it printed.
    #[track_caller]
    pub(crate) fn parse(text: &str) -> Self {
        let mut counters = Self {
            text: text.to_owned(),
            values: BTreeMap::new(),
            ports: Vec::new(),
            workers: Vec::new(),
        };
        for line in text.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            match words[..] {
                // And how long the worker took, which differs from run to run.
                ["worker", _, "received", frames, ..] => {
                    counters.workers.push(frames.parse().unwrap());
                }
                ["port", _, ref rest @ ..] => counters.ports.push(port(rest)),
                [name, value] => {
                    counters.values.insert(name.to_owned(), value.parse().unwrap());
                }
                _ => panic!("no counter: {line}"),
            }
        }
        counters
    }

    /// The counter `name`.
    #[track_caller]
    pub(crate) fn get(&self, name: &str) -> u64 {
        *self.values.get(name).unwrap_or_else(|| panic!("no counter {name} in\n{}", self.text))
    }

    /// The counter of `outcome`.
    #[track_caller]
    pub(crate) fn outcome(&self, outcome: Outcome) -> u64 {
        self.get(outcome.name())
    }

    /// The counter `name` of the port `number`, in the order of the configuration.
    #[track_caller]
    pub(crate) fn port(&self, number: usize, name: &str) -> u64 {
        self.ports[number][name]
    }

    /// The frames that each worker received.
    pub(crate) fn workers(&self) -> &[u64] {
        &self.workers
    }

    /// The counter `name` of all ports.
    #[track_caller]
    fn ports(&self, name: &str) -> u64 {
        self.ports.iter().map(|port| port[name]).sum()
    }

    /// Checks that the outcomes are the expected ones, each as often as expected.
    #[track_caller]
    pub(crate) fn check(&self, expected: &Tally) {
        for outcome in Outcome::ALL {
            let (got, expected) = (self.outcome(*outcome), expected.get(*outcome));
            let right = if UNASKED.contains(outcome) { got >= expected } else { got == expected };
            assert!(right, "{} is {got}, expected {expected}:\n{}", outcome.name(), self.text);
        }
    }

    /// The sum of the outcomes that `wanted` says.
    #[track_caller]
    pub(crate) fn sum(&self, wanted: impl Fn(Outcome) -> bool) -> u64 {
        let outcomes = Outcome::ALL.iter().copied();
        outcomes.filter(|outcome| wanted(*outcome)).map(|outcome| self.outcome(outcome)).sum()
    }

    /// Checks that all counters add up with each other and with those of the ports, and that no
    /// buffer was lost.
    #[track_caller]
    pub(crate) fn check_sums(&self) {
        self.check_received();
        assert_eq!(self.get("resets_sent"), self.outcome(Outcome::ResponseSynAck), "{}", self.text);
        let answered = self.sum(|outcome| {
            let unanswered = [Outcome::NeighbourLearned, Outcome::KernelPassed];
            !unanswered.contains(&outcome) && !outcome.name().starts_with("drop_")
        });
        let own = ["resets_sent", "solicitations_sent", "kernel_sent"].map(|name| self.get(name));
        let sent = answered + own.iter().sum::<u64>();
        assert_eq!(self.ports("sent"), sent, "frames sent, and reasons to:\n{}", self.text);
        let for_kernel = self.outcome(Outcome::KernelPassed) + self.get("kernel_told");
        let there = self.get("kernel_delivered") + self.get("kernel_refused");
        assert_eq!(for_kernel, there, "frames for the kernel:\n{}", self.text);
        let of_kernel = self.get("kernel_sent") + self.get("kernel_unsent");
        assert_eq!(self.get("kernel_received"), of_kernel, "frames of the kernel:\n{}", self.text);
        for name in ["missed", "errors", "send errors", "no_mbuf"] {
            assert_eq!(self.ports(name), 0, "{name} of the ports:\n{}", self.text);
        }
        for name in ["own_frames_dropped", "notices_dropped", "neighbours_refused"] {
            assert_eq!(self.get(name), 0, "{name}:\n{}", self.text);
        }
    }

    /// Checks that every frame received has one outcome, and that no buffer was lost.
    #[track_caller]
    pub(crate) fn check_received(&self) {
        let received = self.get("received");
        assert_eq!(self.sum(|_| true), received, "outcomes and frames:\n{}", self.text);
        assert_eq!(self.workers.iter().sum::<u64>(), received, "by worker:\n{}", self.text);
        assert_eq!(self.ports("received"), received, "{}", self.text);
        assert_eq!(self.get("mbufs_in_use"), 0, "{}", self.text);
    }
}

impl fmt::Display for Counters {
    /// As they were printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `received N sent N missed N errors N N no_mbuf N`; the second of the errors are the sender's.
#[track_caller]
fn port(words: &[&str]) -> BTreeMap<String, u64> {
    let mut values = BTreeMap::new();
    let mut name = "";
    for word in words {
        match word.parse() {
            Ok(value) if values.contains_key(name) => {
                values.insert(format!("send {name}"), value);
            }
            Ok(value) => {
                values.insert(name.to_owned(), value);
            }
            Err(_) => name = word,
        }
    }
    values
}

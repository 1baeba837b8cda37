//! What a soak saw, and whether that is as it has to be.

use std::collections::BTreeMap;
use std::time::Duration;

use super::board::Sight;
use super::calm::Calm;
use super::events::Kind;
use super::subject::Uses;

/// The least part of requests that is to be served while nothing is done to the responder and it has its CPU.
const AVAILABLE: f64 = 0.99;
/// How much more memory a process may take than when it was first looked at, in KiB.
pub(crate) const GROWTH_KIB: u64 = 4096;
/// Complaints that are kept: the first say why.
const MOST: usize = 50;

/// What came of one kind of event.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Done {
    times: u32,
    recovered: Duration,
    longest: Duration,
}

/// All that was seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    done: BTreeMap<Kind, Done>,
    /// What was served while nothing was done.
    pub(crate) calm: Calm,
    /// The longest time in which nothing was served though nothing was done and it had its CPU.
    pub(crate) longest_silence: Duration,
    /// Frames that processes received whose counters were seen to add up at their ends.
    pub(crate) frames: u64,
    /// Processes that were ended, and killed.
    pub(crate) ended: u32,
    pub(crate) killed: u32,
    /// How long the process lived that lived longest, and what it used when it was first and last looked at.
    longest_life: (Duration, Uses, Uses),
    /// What was used at the last look.
    pub(crate) last: Uses,
    /// Times that all was looked at with nothing under way.
    pub(crate) looks: u32,
    /// The most of everything that was seen at such times.
    pub(crate) most: Uses,
    /// The most that any process's memory had grown since it was first looked at, in KiB.
    pub(crate) growth_kib: u64,
    /// The most buffers in use with nothing under way.
    pub(crate) buffers: u64,
    complaints: Vec<String>,
    more: u32,
}

impl Record {
    /// Notes something that ought not to be.
    pub(crate) fn complain(&mut self, what: String) {
        eprintln!("WRONG: {what}");
        if self.complaints.len() < MOST {
            self.complaints.push(what);
        } else {
            self.more += 1;
        }
    }

    /// Notes that `kind` was done, and how long it took until requests were served again.
    pub(crate) fn note(&mut self, kind: Kind, recovered: Duration) {
        let done = self.done.entry(kind).or_default();
        done.times += 1;
        done.recovered += recovered;
        done.longest = done.longest.max(recovered);
    }

    pub(crate) fn events(&self) -> u32 {
        self.done.values().map(|done| done.times).sum()
    }

    /// Notes what a process uses, and used at `first`.
    pub(crate) fn note_uses(&mut self, uses: Uses, first: Uses) {
        self.looks += 1;
        self.last = uses;
        self.growth_kib = self.growth_kib.max(uses.resident_kib.saturating_sub(first.resident_kib));
        self.buffers = self.buffers.max(uses.buffers);
        let most = &mut self.most;
        most.resident_kib = most.resident_kib.max(uses.resident_kib);
        most.huge_kib = most.huge_kib.max(uses.huge_kib);
        most.descriptors = most.descriptors.max(uses.descriptors);
    }

    /// Notes that a process lived for `time`, and what it used when it was first looked at, if it was.
    pub(crate) fn note_life(&mut self, time: Duration, first: Option<Uses>) {
        if time > self.longest_life.0
            && let Some(first) = first
        {
            self.longest_life = (time, first, self.last);
        }
    }

    /// Takes `sight`, the last, into account.
    pub(crate) fn conclude(&mut self, sight: &Sight) {
        for (fault, count) in sight.tally.faults() {
            self.complain(format!("{count} frames were wrong: {fault}"));
        }
        let [own, machines] = self.calm.shares();
        // Of a responder that hardly ever had its CPU, moments between two absences say nothing.
        let is_judged = own.time * 10 >= own.time + machines.time;
        if is_judged && own.part() < AVAILABLE {
            let (part, asked) = (100.0 * own.part(), own.asked);
            self.complain(format!(
                "{part:.3} % of {asked} requests were served while nothing was done and it had its CPU"
            ));
        }
        if sight.tally.responses == 0 {
            self.complain("there was no response at all".to_owned());
        }
        // What ended it early says enough.
        let whole = self.complaints.is_empty();
        for kind in Kind::ALL {
            if whole && !self.done.contains_key(&kind) {
                self.complain(format!("{} never came: the time was too short", kind.name()));
            }
        }
    }

    /// Whether all was as it has to be.
    pub(crate) fn is_good(&self) -> bool {
        self.complaints.is_empty()
    }

    /// The summary, as tables of Markdown, and what was wrong.
    pub(crate) fn summary(&self, sight: &Sight) -> String {
        let rule = |columns: usize| format!("|{}", "---|".repeat(columns));
        let mut lines = vec![
            "| event | times | served again after, on average | at most |".to_owned(),
            rule(4),
        ];
        lines.extend(self.done.iter().map(|(kind, done)| {
            let average = done.recovered.as_secs_f64() / f64::from(done.times.max(1));
            let (name, longest) = (kind.name(), done.longest.as_secs_f64());
            format!("| `{name}` | {} | {average:.2} s | {longest:.2} s |", done.times)
        }));
        lines.extend([String::new(), "| | |".to_owned(), rule(2)]);
        let figures = self.figures().into_iter().chain(counted(sight));
        lines.extend(figures.map(|(name, value)| format!("| {name} | {value} |")));
        lines.push(format!("| wrong frames | {} |", sight.tally.wrong()));
        lines.extend(self.complaints.iter().map(|what| format!("WRONG: {what}")));
        if self.more > 0 {
            lines.push(format!("WRONG besides: {}", self.more));
        }
        lines.join("\n") + "\n"
    }

    /// What was seen of the responder.
    fn figures(&self) -> [(&'static str, String); 9] {
        let [own, machines] = self.calm.shares();
        let (life, first, last) = self.longest_life;
        let grown = |name: &str, [before, after]: [u64; 2]| {
            format!("{before} {name} at first, {after} at last")
        };
        [
            ("events", self.events().to_string()),
            (
                "served while nothing was done",
                format!(
                    "{:.4} % of {} in {:.0} s; longest silence {:.1} s",
                    100.0 * own.part(),
                    own.asked,
                    own.time.as_secs_f64(),
                    self.longest_silence.as_secs_f64()
                ),
            ),
            (
                "the same, while kept from a CPU",
                format!(
                    "{:.4} % of {} in {:.0} s",
                    100.0 * machines.part(),
                    machines.asked,
                    machines.time.as_secs_f64()
                ),
            ),
            (
                "processes",
                format!(
                    "{} ended, {} killed; the longest life {:.0} s",
                    self.ended,
                    self.killed,
                    life.as_secs_f64()
                ),
            ),
            (
                "in the longest life",
                format!(
                    "{}; {}; {}",
                    grown("KiB in ordinary pages", [first.resident_kib, last.resident_kib]),
                    grown("descriptors", [first.descriptors as u64, last.descriptors as u64]),
                    grown("buffers", [first.buffers, last.buffers])
                ),
            ),
            ("most that a process grew by", format!("{} KiB", self.growth_kib)),
            (
                "at most",
                format!(
                    "{} KiB in ordinary pages, {} KiB in hugepages, {} descriptors, {} buffers in use at rest",
                    self.most.resident_kib, self.most.huge_kib, self.most.descriptors, self.buffers
                ),
            ),
            ("frames of ended processes, all accounted for", self.frames.to_string()),
            (
                "looks with nothing under way",
                format!(
                    "{}: counters add up, are told alike by socket, JSON and metrics, and agree with what came",
                    self.looks
                ),
            ),
        ]
    }
}

/// What the load counted.
fn counted(sight: &Sight) -> [(&'static str, String); 9] {
    let tally = &sight.tally;
    let [requests, answers] = sight.repeated;
    [
        ("requests", tally.asked.to_string()),
        ("responses, each verified", tally.responses.to_string()),
        ("probes that nobody answered", tally.unanswered.to_string()),
        (
            "lost, events included",
            format!("{}, of these {} at a full port", tally.lost(), tally.refused()),
        ),
        ("late", tally.late.to_string()),
        ("requests, answers that came twice", format!("{requests}, {answers}")),
        ("second probes, each verified", sight.second_probes.to_string()),
        ("pings, replies", format!("{}, {}", tally.pings, tally.ping_replies)),
        ("junk", tally.junk.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// Of 1000 requests, so many were served.
    fn calm(served: u64) -> Calm {
        let mut calm = Calm::default();
        let tick = Duration::from_millis(100);
        calm.note(Instant::now(), tick, Duration::ZERO, Some([1000, served]));
        calm
    }

    fn good() -> (Record, Sight) {
        let mut record = Record { calm: calm(999), ..Record::default() };
        for kind in Kind::ALL {
            record.note(kind, Duration::from_millis(100));
        }
        let mut sight = Sight::default();
        sight.tally.responses = 999;
        (record, sight)
    }

    #[test]
    fn what_is_good_is_good() {
        let (mut record, sight) = good();
        record.conclude(&sight);
        assert!(record.is_good(), "{}", record.summary(&sight));
    }

    #[test]
    fn each_thing_that_is_wrong_is_told() {
        let wrong: [fn(&mut Record, &mut Sight); 5] = [
            |record, _| record.calm = calm(989),
            |record, _| record.done.retain(|kind, _| *kind != Kind::Kill),
            |_, sight| sight.tally.responses = 0,
            |_, sight| sight.tally.faults[3] = 1,
            |record, _| record.complain("it leaks".to_owned()),
        ];
        for change in wrong {
            let (mut record, mut sight) = good();
            change(&mut record, &mut sight);
            record.conclude(&sight);
            assert!(!record.is_good());
            assert!(record.summary(&sight).contains("WRONG: "));
        }
    }
}

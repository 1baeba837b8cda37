//! What a soak saw, and whether that is as it has to be.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::board::Sight;
use super::events::Kind;
use super::subject::Uses;

/// The least part of requests that is to be served while nothing is done to the responder. On a machine that has other things to do, a
/// responder that is kept from its CPU loses what its port has no room for.
const AVAILABLE: f64 = 0.9;
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
    /// Requests asked and served while nothing was done.
    pub(crate) calm: [u64; 2],
    /// For how long nothing was done.
    pub(crate) calm_time: Duration,
    /// The longest time in which nothing was served though nothing was done.
    pub(crate) longest_silence: Duration,
    /// Frames that processes received whose counters were seen to add up at their ends.
    pub(crate) frames: u64,
    /// Processes that were ended, and killed.
    pub(crate) ended: u32,
    pub(crate) killed: u32,
    /// How long the process lived that lived longest.
    pub(crate) longest_life: Duration,
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

    /// The part of requests that was served while nothing was done.
    fn availability(&self) -> f64 {
        let [asked, served] = self.calm;
        if asked == 0 { 0.0 } else { served as f64 / asked as f64 }
    }

    /// Takes `sight`, the last, into account.
    pub(crate) fn conclude(&mut self, sight: &Sight) {
        for (fault, count) in sight.tally.faults() {
            self.complain(format!("{count} frames were wrong: {fault}"));
        }
        if self.availability() < AVAILABLE {
            let part = 100.0 * self.availability();
            self.complain(format!("{part:.3} % of requests were served while nothing was done"));
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

    /// The summary.
    pub(crate) fn summary(&self, sight: &Sight) -> String {
        let tally = &sight.tally;
        let mut text = format!("{self}");
        let line = |name: &str, value: String| format!("{name:<34} {value}\n");
        text += &line("requests", tally.asked.to_string());
        text += &line("responses, each verified", tally.responses.to_string());
        text += &line("probes that nobody answered", tally.unanswered.to_string());
        text += &line("wrong frames", tally.wrong().to_string());
        text += &line("lost, events included", tally.lost().to_string());
        text += &line("of these refused by a full port", tally.refused().to_string());
        text += &line("late", tally.late.to_string());
        let [requests, answers] = sight.repeated;
        text += &line("requests, answers that came twice", format!("{requests}, {answers}"));
        text += &line("second probes, each verified", sight.second_probes.to_string());
        text += &line("pings, replies", format!("{}, {}", tally.pings, tally.ping_replies));
        text += &line("junk", tally.junk.to_string());
        for complaint in &self.complaints {
            text.push_str("WRONG: ");
            text.push_str(complaint);
            text.push('\n');
        }
        if self.more > 0 {
            text += &line("WRONG besides", self.more.to_string());
        }
        text
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<34} times  served again after, on average and at most", "event")?;
        for (kind, done) in &self.done {
            let average = done.recovered.as_secs_f64() / f64::from(done.times.max(1));
            let longest = done.longest.as_secs_f64();
            writeln!(f, "{:<34} {:<6} {average:.2} s, {longest:.2} s", kind.name(), done.times)?;
        }
        let [asked, served] = self.calm;
        let calm = self.calm_time.as_secs_f64();
        writeln!(
            f,
            "{:<34} {:.4} % ({served} of {asked} in {calm:.0} s), longest silence {:.1} s",
            "served while nothing was done",
            100.0 * self.availability(),
            self.longest_silence.as_secs_f64()
        )?;
        writeln!(
            f,
            "{:<34} {} ended, {} killed; the longest life {:.0} s",
            "processes",
            self.ended,
            self.killed,
            self.longest_life.as_secs_f64()
        )?;
        writeln!(
            f,
            "{:<34} {} frames, to the last one; and at {} looks in between",
            "counters added up", self.frames, self.looks
        )?;
        writeln!(
            f,
            "{:<34} {} KiB in ordinary pages (a process grew by {} KiB at most), {} KiB in hugepages, {} descriptors, {} buffers in use at rest",
            "at most",
            self.most.resident_kib,
            self.growth_kib,
            self.most.huge_kib,
            self.most.descriptors,
            self.buffers
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> (Record, Sight) {
        let mut record = Record { calm: [1000, 999], ..Record::default() };
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
            |record, _| record.calm = [1000, 899],
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

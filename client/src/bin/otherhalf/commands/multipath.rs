//! `--multipath` of `forward`, `reverse` and `two-way`.

use std::io::{self, Write};
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use jiff::Timestamp;
use otherhalf_client::document::{self, Head, Path, Plan};
use otherhalf_client::multipath::Search;
use otherhalf_client::names::Names;
use otherhalf_client::{Direction, End, RawNetwork, analyse, network, printable, resolve};

use super::check::judge_silence;
use super::sink::Sink;
use super::trace::{fits, options, width};
use super::{interruption, proceed, shown, tell};
use crate::failure::{Code, Failure};
use crate::finding::Words;
use crate::graph::{Style, render, summary};
use crate::lines::NAME_PATIENCE;
use crate::progress::Progress;
use crate::words::count;
use crate::{cli, json, looping, privileges, table, verdict};

/// What a finding is about, where there are many paths.
const FIRST_FLOW: &str = "Of the first flow:";

/// Finds all paths of `directions`, side by side, and shows them.
pub(super) fn run(
    arguments: &cli::Trace,
    command: &'static str,
    directions: &[Direction],
) -> Result<Code, Failure> {
    let common = &arguments.common;
    let (protocol, name) = arguments.what(command).map_err(Failure::Usage)?;
    let interrupted = interruption()?;
    let name = match name {
        Some(name) => name.to_owned(),
        None => super::endpoints::nearest(&arguments.directory, common, &interrupted)?,
    };
    let target = resolve::target(&name, common.family())?;
    let own = if directions.contains(&Direction::Forward) { &[protocol][..] } else { &[] };
    let mut network = RawNetwork::open_by(target, own, &common.route())?;
    privileges::drop_all();
    if let Some(size) = arguments.size {
        fits(size, protocol, &network)?;
    }
    let sink = Sink::open(common.json, &arguments.output)?;
    if sink.wants_packets() {
        network.record();
    }
    let names = super::names::open(&arguments.hosts, common.numeric)?;
    let mut searches = Vec::new();
    for direction in directions {
        let ends = (network.source(), target.ip(), None);
        let trace = options(arguments, (*direction, directions.len()), protocol, ends);
        searches.push(Search::new(arguments.multipath.options(trace), network.secret()?));
    }
    let session = Session {
        command,
        started: Timestamp::now(),
        common,
        name: printable(&name),
        target: target.ip(),
        network,
        sink,
        searches,
        names,
        interrupted,
    };
    session.run()
}

struct Session<'a> {
    command: &'static str,
    started: Timestamp,
    common: &'a cli::Common,
    /// As the user wrote it, fit for a terminal.
    name: String,
    target: IpAddr,
    network: RawNetwork,
    sink: Sink,
    searches: Vec<Search>,
    names: Names,
    interrupted: Arc<AtomicBool>,
}

impl Session<'_> {
    fn run(mut self) -> Result<Code, Failure> {
        let text = self.sink.leaves_text();
        let mut out = io::stdout().lock();
        if text {
            writeln!(out, "{}", self.heading())?;
            out.flush()?;
        }
        let plans = self.searches.iter().map(|search| Plan::from(search.options())).collect();
        self.sink.start(&json::start(self.head(0), plans))?;
        let begin = Instant::now();
        let Self { sink, network, searches, names, interrupted, .. } = &mut self;
        let progress = Progress::new();
        let mut told = Ok(());
        network::run(network, searches, |searches, _| -> ControlFlow<()> {
            for (_, address) in searches.iter().flat_map(Search::addresses) {
                names.look_up(address);
            }
            names.update();
            progress.searches(searches);
            told = sink.update(|watcher| watcher.news_of_searches(searches));
            if told.is_err() { ControlFlow::Break(()) } else { proceed(interrupted) }
        })?;
        drop(progress);
        told?;
        let seconds = begin.elapsed().as_secs_f64();
        if proceed(&self.interrupted).is_continue() {
            self.names.wait(NAME_PATIENCE);
        }
        let mut judged = Vec::new();
        for number in 0..self.searches.len() {
            judged.push(self.judge(number)?);
        }
        // What keeps the reverse trace from being done matters more than where a forward one ends.
        let code = judged.iter().rev().map(|(code, _)| *code).find(|code| *code != Code::Reached);
        let code = code.unwrap_or(Code::Reached);
        if text {
            for search in &self.searches {
                self.print(search, seconds, &mut out)?;
            }
        }
        let finding = self.finding();
        if let Some(finding) = finding.as_ref().filter(|_| text) {
            let sentence = format!("{FIRST_FLOW} {}", finding.sentence);
            write!(out, "\n{}", table::wrap(&sentence, width()))?;
        }
        out.flush()?;
        drop(out);
        self.save(code, finding)?;
        if !text {
            return Ok(code);
        }
        let mut said: Vec<_> = judged.into_iter().filter_map(|(_, sentence)| sentence).collect();
        // Both are interrupted at once.
        said.dedup();
        for sentence in &said {
            tell(Some(sentence));
        }
        Ok(code)
    }

    fn print(&self, search: &Search, seconds: f64, out: &mut impl Write) -> io::Result<()> {
        if !search.is_answered() {
            return Ok(());
        }
        let Some(graph) = Path::from(search).multipath else { return Ok(()) };
        match search.options().trace.direction {
            Direction::Forward => writeln!(out, "\nForward: from here to {}", self.name)?,
            Direction::Reverse => writeln!(out, "\nReverse: from {} to here", self.name)?,
        }
        let style = Style { names: &self.names, numeric: self.common.numeric };
        write!(out, "{}", render(&graph, style))?;
        let complete = !matches!(search.end(), None | Some(End::Stopped | End::LastTtl));
        let summary = summary(&graph, complete, search.sent(), seconds);
        write!(out, "{}", table::wrap(&summary, width()))
    }

    /// What the end of search `number` means; a reverse one without any answer needs another question.
    fn judge(&mut self, number: usize) -> Result<(Code, Option<String>), Failure> {
        let Some(search) = self.searches.get(number) else { return Ok((Code::NoAnswer, None)) };
        let options = &search.options().trace;
        let silent = options.direction == Direction::Reverse
            && search.end() == Some(&End::Silent)
            && !search.is_answered();
        if !silent {
            let Some(end) = search.end() else { return Ok(verdict::interrupted()) };
            let ends = [self.name.as_str(), "here"];
            let (code, sentence) = verdict::of_end(options, end, search.is_answered(), ends);
            let is_open = matches!(end, End::Silent | End::LastTtl);
            let looping = if is_open { looping::of_search(search) } else { String::new() };
            return Ok((code, sentence.map(|sentence| sentence + &looping)));
        }
        let target = (self.name.as_str(), self.target);
        judge_silence(&mut self.network, target, self.common, &self.interrupted)
    }

    fn heading(&self) -> String {
        let Some(search) = self.searches.first() else { return String::new() };
        let options = search.options();
        let way = match self.searches.as_slice() {
            [_, _] => "two-way to",
            _ if options.trace.direction == Direction::Forward => "forward to",
            _ => "reverse from",
        };
        format!(
            "otherhalf {way} {}, {} max, {}, all flows from {} on, confidence {} %",
            shown(&self.name, self.target),
            count(options.trace.last.get(), "hop"),
            options.trace.protocol,
            options.trace.flow,
            options.confidence
        )
    }

    /// What both directions say together of the first flow; one alone says nothing about two.
    fn finding(&self) -> Option<document::Finding> {
        let [forward, reverse] = self.searches.as_slice() else { return None };
        if !(forward.is_answered() && reverse.is_answered()) {
            return None;
        }
        let [there, back] = [forward, reverse].map(analyse::Path::of_first_flow);
        let finding = analyse::compare(&there, &back, |a, b| a == b);
        let reached = [forward.is_reached(), reverse.is_reached()];
        let Self { names, name: target, .. } = self;
        let words = Words { names, numeric: self.common.numeric, target, reached };
        Some(document::Finding::new(&finding, words.sentence(&finding)))
    }

    fn head(&self, exit_code: u8) -> Head {
        let target = (self.name.as_str(), self.target);
        json::head(self.command, self.started, target, self.network.source(), exit_code)
    }

    /// Writes the document, or the rest of the events, if it is wanted.
    fn save(&mut self, code: Code, finding: Option<document::Finding>) -> Result<(), Failure> {
        self.sink.update(|watcher| watcher.news_of_searches(&self.searches))?;
        let head = self.head(code as u8);
        let path = |direction| {
            self.searches
                .iter()
                .find(|search| search.options().trace.direction == direction)
                .map(Path::from)
        };
        let paths = [Direction::Forward, Direction::Reverse].map(path);
        let document = json::paths(head, paths, finding, &self.names);
        self.sink.finish(document, self.network.recording())
    }
}

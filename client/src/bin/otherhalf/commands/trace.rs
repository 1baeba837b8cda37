//! `forward`, `reverse` and `two-way`.

use std::io::{self, Write};
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use jiff::Timestamp;
use otherhalf_client::alias::Aliases;
use otherhalf_client::analyse::{self, Path, Rise};
use otherhalf_client::document::PathMtu;
use otherhalf_client::resolve::Names;
use otherhalf_client::{
    Direction, End, Flow, Options, RawNetwork, Trace, document, network, printable, resolve,
};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;

use super::aliases;
use super::check::judge_silence;
use super::mtu;
use super::sink::Sink;
use super::{interruption, live, multipath, proceed, shown, tell};
use crate::failure::{Code, Failure};
use crate::finding::Words;
use crate::lines::{NAME_PATIENCE, Printer, is_shown};
use crate::progress::Progress;
use crate::words::count;
use crate::{cli, json, privileges, table, verdict};

/// The width of the table where no terminal says its own.
const WIDTH: usize = 120;

/// The way to the target.
pub(super) fn forward(arguments: &cli::Trace) -> Result<Code, Failure> {
    run(arguments, "forward", &[Direction::Forward], Session::trace_one)
}

/// The way back from it.
pub(super) fn reverse(arguments: &cli::Trace) -> Result<Code, Failure> {
    run(arguments, "reverse", &[Direction::Reverse], Session::trace_one)
}

/// Both.
pub(super) fn two_way(arguments: &cli::Trace) -> Result<Code, Failure> {
    let both = [Direction::Forward, Direction::Reverse];
    run(arguments, "two-way", &both, Session::trace_both)
}

fn run<'a>(
    arguments: &'a cli::Trace,
    command: &'static str,
    directions: &[Direction],
    trace: fn(Session<'a>) -> Result<Code, Failure>,
) -> Result<Code, Failure> {
    if arguments.multipath.wanted {
        return multipath::run(arguments, command, directions);
    }
    if arguments.watching.live {
        return live::watch(arguments, command, directions);
    }
    trace(Session::open(arguments, command, directions, interruption()?)?)
}

/// What `arguments` ask of one of so many traces between us and whom we send to, or in reverse, whom that one shall probe towards.
pub(super) fn options(
    arguments: &cli::Trace,
    (direction, traces): (Direction, usize),
    protocol: Protocol,
    (source, target, indirect): (IpAddr, IpAddr, Option<IpAddr>),
) -> Options {
    Options {
        flow: arguments.flow.unwrap_or(Flow::default_of(protocol)),
        first: arguments.first,
        last: arguments.max,
        queries: arguments.common.queries,
        parallel: arguments.parallel,
        wait: arguments.common.wait,
        pause: arguments.pause,
        rate: arguments.rate.shared(traces),
        size: arguments.size,
        traffic_class: arguments.traffic_class(),
        indirect,
        gap: arguments.gap,
        ..Options::new(direction, protocol, source, target)
    }
}

/// Traces that are about to run.
pub(super) struct Session<'a> {
    pub(super) command: &'static str,
    pub(super) started: Timestamp,
    pub(super) common: &'a cli::Common,
    pub(super) sink: Sink,
    /// Whom we send to: as the user wrote it, fit for a terminal.
    pub(super) name: String,
    pub(super) target: IpAddr,
    /// In reverse: whom the other probes towards, rather than us.
    far: Option<(String, IpAddr)>,
    find_mtu: bool,
    /// Of the forward path.
    mtu: Option<PathMtu>,
    pub(super) network: RawNetwork,
    pub(super) traces: Vec<Trace>,
    pub(super) names: Names,
    /// Whether to ask routers which addresses are theirs.
    pub(super) asks_aliases: bool,
    pub(super) aliases: Aliases,
    pub(super) interrupted: Arc<AtomicBool>,
}

impl<'a> Session<'a> {
    pub(super) fn open(
        arguments: &'a cli::Trace,
        command: &'static str,
        directions: &[Direction],
        interrupted: Arc<AtomicBool>,
    ) -> Result<Self, Failure> {
        let common = &arguments.common;
        let (protocol, name) = arguments.what(command).map_err(Failure::Usage)?;
        let name = match name {
            Some(name) => name.to_owned(),
            None => super::endpoints::nearest(&arguments.directory, common, &interrupted)?,
        };
        // Whom we send to: the target, or who shall probe towards it.
        let peer = arguments.via.as_deref().unwrap_or(&name);
        let (target, indirect) = match &arguments.via {
            Some(via) => {
                let (peer, far) = resolve::pair([via, &name], common.family())?;
                (peer, Some(far.ip()))
            }
            None => (resolve::target(&name, common.family())?, None),
        };
        let own = if directions.contains(&Direction::Forward) { &[protocol][..] } else { &[] };
        let mut network = RawNetwork::open_by(target, own, &common.route())?;
        // Who looks for aliases opens more sockets at the end.
        if !arguments.hosts.aliases {
            privileges::drop_all();
        }
        if let Some(size) = arguments.size {
            fits(size, protocol, &network)?;
        }
        let sink = Sink::open(common.json, &arguments.output)?;
        if sink.wants_packets() {
            network.record();
        }
        // A key of the live view asks for names after all.
        let names =
            super::names::open(&arguments.hosts, common.numeric && !arguments.watching.live)?;
        tracing::debug!(
            "to {} from {}, over {protocol}, at most {} queries a second",
            shown(&printable(peer), target.ip()),
            network.source(),
            arguments.rate
        );
        let mut traces = Vec::new();
        for direction in directions {
            let ends = (network.source(), target.ip(), indirect);
            let options = options(arguments, (*direction, directions.len()), protocol, ends);
            traces.push(Trace::new(options, network.secret()?));
        }
        Ok(Self {
            command,
            started: Timestamp::now(),
            common,
            sink,
            name: printable(peer),
            target: target.ip(),
            far: indirect.map(|address| (printable(&name), address)),
            find_mtu: arguments.mtu,
            mtu: None,
            network,
            traces,
            names,
            asks_aliases: arguments.hosts.aliases,
            aliases: Aliases::default(),
            interrupted,
        })
    }

    /// Hops line by line, as they become known.
    fn trace_one(mut self) -> Result<Code, Failure> {
        let mut out = io::stdout().lock();
        let text = self.sink.leaves_text();
        if text {
            writeln!(out, "{}", self.heading())?;
            out.flush()?;
        }
        let mut printer = Printer::new(self.common.numeric);
        self.run(|traces, names, now| match traces {
            [trace] if text => printer.update(trace, names, now, &mut out),
            _ => Ok(()),
        })?;
        let (code, sentence) = self.judge(0)?;
        self.look_for_mtu()?;
        if let [trace] = self.traces.as_slice()
            && text
        {
            printer.finish(trace, &self.names, &mut out)?;
            self.write_mtu(&mut out)?;
            self.print_aliases(&mut out)?;
            tell(sentence.as_deref());
        }
        self.write_document(code, None)?;
        Ok(code)
    }

    /// Both directions at once, then the table and what it means.
    fn trace_both(mut self) -> Result<Code, Failure> {
        let mut out = io::stdout().lock();
        if self.sink.leaves_text() {
            writeln!(out, "{}", self.heading())?;
            out.flush()?;
        }
        let progress = Progress::new();
        self.run(|traces, _, _| {
            progress.traces(traces);
            Ok(())
        })?;
        drop(progress);
        let (forward_code, forward_sentence) = self.judge(0)?;
        let (reverse_code, reverse_sentence) = self.judge(1)?;
        self.look_for_mtu()?;
        // What keeps the reverse trace from being done matters more than where a forward one ends.
        let code = if reverse_code == Code::Reached { forward_code } else { reverse_code };
        let [forward, reverse] = self.traces.as_slice() else { return Ok(code) };
        let (there, back) = (Path::of(forward), Path::of(reverse));
        let names = &self.names;
        let same = |a, b| self.aliases.same(a, b);
        let finding = analyse::compare(&there, &back, same);
        let reached = [forward.is_reached(), reverse.is_reached()];
        let words = Words { names, numeric: self.common.numeric, target: &self.name, reached };
        // One direction alone says nothing about two.
        let sentence =
            (forward.is_answered() && reverse.is_answered()).then(|| words.sentence(&finding));
        if !self.sink.leaves_text() {
            let finding = sentence.map(|sentence| document::Finding::new(&finding, sentence));
            self.write_document(code, finding)?;
            return Ok(code);
        }
        let numeric = self.common.numeric;
        let column = |title: String, trace: &Trace, rise: Option<&Rise>| {
            let hops = if is_shown(trace) { trace.hops() } else { &[] };
            table::Column::new(title, hops, trace.is_reached(), rise, names, numeric)
        };
        let width = width();
        let table = table::render(
            &column(format!("Forward: from here to {}", self.name), forward, finding.forward()),
            &column(format!("Reverse: from {} to here", self.name), reverse, finding.reverse()),
            width,
            same,
        );
        write!(anstream::AutoStream::auto(&mut out), "\n{table}")?;
        if let Some(sentence) = &sentence {
            write!(out, "\n{}", table::wrap(sentence, width))?;
        }
        if self.mtu.is_some() {
            writeln!(out)?;
        }
        self.write_mtu(&mut out)?;
        self.print_aliases(&mut out)?;
        tell(forward_sentence.as_deref());
        // Both are interrupted at once.
        tell(reverse_sentence.filter(|said| forward_sentence.as_ref() != Some(said)).as_deref());
        let finding = sentence.map(|sentence| document::Finding::new(&finding, sentence));
        self.write_document(code, finding)?;
        Ok(code)
    }

    /// Runs all traces, looks the names up meanwhile, and shows what is new.
    fn run(
        &mut self,
        mut show: impl FnMut(&[Trace], &Names, std::time::Instant) -> io::Result<()>,
    ) -> Result<(), Failure> {
        self.start()?;
        let Self { sink, network, traces, names, interrupted, .. } = self;
        let mut failed = Ok(());
        network::run(network, traces, |traces, now| {
            look_up(traces, names);
            names.update();
            failed =
                sink.update(|watcher| watcher.news(traces)).and_then(|()| show(traces, names, now));
            if failed.is_err() { ControlFlow::Break(()) } else { proceed(interrupted) }
        })?;
        failed?;
        for trace in traces.iter() {
            let answered = trace.hops().iter().filter(|hop| hop.is_answered()).count();
            let answered = count(u64::try_from(answered).unwrap_or(u64::MAX), "hop");
            let ended = trace.end().map_or_else(String::new, verdict::reason);
            let direction = trace.options().direction;
            tracing::debug!("{direction}: sent {}, {answered} answered, {ended}", trace.sent());
        }
        if proceed(interrupted).is_continue() {
            self.names.wait(NAME_PATIENCE);
        }
        let (asks, source) = (self.asks_aliases, self.network.source());
        self.aliases =
            aliases::find(&self.traces, &self.names, asks, self.common, source, &self.interrupted)?;
        Ok(())
    }

    /// Says which addresses are of one router, if that was asked.
    fn print_aliases(&self, out: &mut impl Write) -> Result<(), Failure> {
        if self.asks_aliases {
            for line in aliases::lines(&self.aliases.routers()) {
                writeln!(out, "{line}")?;
            }
        }
        Ok(out.flush()?)
    }

    /// Looks for the path MTU, if the user wants it, on the forward path.
    fn look_for_mtu(&mut self) -> Result<(), Failure> {
        if let [trace, ..] = self.traces.as_slice()
            && self.find_mtu
        {
            self.mtu = mtu::discover(&mut self.network, trace, &self.interrupted)?;
        }
        Ok(())
    }

    fn write_mtu(&self, out: &mut impl Write) -> io::Result<()> {
        match (&self.mtu, self.traces.as_slice()) {
            (Some(found), [trace, ..]) => {
                mtu::write(found, trace.hops(), &self.names, self.common.numeric, out)
            }
            _ => Ok(()),
        }
    }

    /// What the end of trace `number` means; a reverse trace without any answer needs another question.
    fn judge(&mut self, number: usize) -> Result<(Code, Option<String>), Failure> {
        let Some(trace) = self.traces.get(number) else { return Ok((Code::NoAnswer, None)) };
        let silent = trace.options().direction == Direction::Reverse
            && trace.end() == Some(&End::Silent)
            && !trace.is_answered();
        if !silent {
            let far = self.far.as_ref().map_or("here", |(name, _)| name);
            return Ok(verdict::of_trace(trace, &self.name, far));
        }
        let target = (self.name.as_str(), self.target);
        judge_silence(&mut self.network, target, self.common, &self.interrupted)
    }

    fn heading(&self) -> String {
        let Some(trace) = self.traces.first() else { return String::new() };
        let options = trace.options();
        let way = match self.traces.as_slice() {
            [_, _] => "two-way to",
            _ if options.direction == Direction::Forward => "forward to",
            _ => "reverse from",
        };
        let to = self
            .far
            .as_ref()
            .map_or_else(String::new, |(name, address)| format!(" to {}", shown(name, *address)));
        format!(
            "otherhalf {way} {}{to}, {} max, {}, flow {}",
            shown(&self.name, self.target),
            count(options.last.get(), "hop"),
            options.protocol,
            options.flow
        )
    }

    /// Tells programs that it begins.
    fn start(&mut self) -> io::Result<()> {
        let Self { command, started, name, target, network, traces, .. } = &*self;
        let head = json::head(command, *started, (name, *target), network.source(), 0);
        let plans = traces.iter().map(|trace| document::Plan::from(trace.options())).collect();
        let event = json::start(head, plans);
        self.sink.start(&event)
    }

    /// For programs: the rest of the events, or the whole.
    fn write_document(
        &mut self,
        code: Code,
        finding: Option<document::Finding>,
    ) -> Result<(), Failure> {
        if !self.sink.wants_document() {
            return Ok(());
        }
        let peer = (self.name.as_str(), self.target);
        let far = self.far.as_ref().map(|(name, address)| (name.as_str(), *address));
        let source = self.network.source();
        let mut head =
            json::head(self.command, self.started, far.unwrap_or(peer), source, code as u8);
        head.via = far.map(|_| document::Target { name: peer.0.to_owned(), address: peer.1 });
        let routers = self.aliases.routers();
        let mut document = json::traces(head, &self.traces, finding, &self.names, routers);
        if let Some(forward) = &mut document.forward {
            forward.mtu.clone_from(&self.mtu);
        }
        self.sink.update(|watcher| watcher.news(&self.traces))?;
        self.sink.finish(document, self.network.recording())
    }
}

/// Whether packets of `size` octets can be sent, and have room for probes of `protocol`.
pub(super) fn fits(size: u16, protocol: Protocol, network: &RawNetwork) -> Result<(), Failure> {
    let family = Family::of(network.source());
    let least = mtu::shortest(family, protocol);
    if size < least {
        return Err(Failure::Usage(format!(
            "--size {size} has no room for a probe: over {family}, {protocol} needs {least} octets"
        )));
    }
    let largest = network.mtu();
    if u32::from(size) > largest {
        return Err(Failure::Usage(format!(
            "--size {size} is too much: the first link takes packets of {largest} octets"
        )));
    }
    Ok(())
}

fn look_up(traces: &[Trace], names: &mut Names) {
    for trace in traces {
        for sample in trace.hops().iter().flat_map(otherhalf_client::Hop::samples) {
            names.look_up(sample.from);
        }
    }
}

/// The columns of the terminal, or of `COLUMNS`.
pub(super) fn width() -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let measured =
        || terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0.into());
    said.or_else(measured).unwrap_or(WIDTH)
}

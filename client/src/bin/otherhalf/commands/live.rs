//! `--live`: the view, and what is said when it is closed.

use std::io::{self, Write};
use std::sync::Arc;

use otherhalf_client::live::Side;
use otherhalf_client::{Direction, End, document};

use super::check::judge_silence;
use super::trace::{Session, width};
use super::{proceed, shown, tell};
use crate::failure::{Code, Failure};
use crate::lines::NAME_PATIENCE;
use crate::live::{Both, Ended, Plan, Signals, Subject, need_terminal, report, show};
use crate::{cli, json, table, verdict};

/// Shows the directions until the user has seen enough; then a report, or the document.
pub(super) fn watch(
    arguments: &cli::Trace,
    command: &'static str,
    directions: &[Direction],
) -> Result<Code, Failure> {
    need_terminal()?;
    let signals = Signals::listen()?;
    let mut session = Session::open(arguments, command, directions, Arc::clone(&signals.end))?;
    if session.sink.wants_packets() {
        return Err(Failure::Usage("--live keeps no packets: leave it out for a pcap".to_owned()));
    }
    let subject = Subject {
        name: session.name.clone(),
        shown: shown(&session.name, session.target),
        command,
    };
    let mut options = Vec::new();
    for trace in &session.traces {
        options.push((trace.options().clone(), session.network.secret()?));
    }
    let plan = Plan {
        options,
        interval: arguments.watching.interval,
        cycles: arguments.watching.cycles,
        flows: arguments.watching.flows,
    };
    let Session { network, names, common, .. } = &mut session;
    let ended = show(plan, network, names, common.numeric, &subject, &signals)?;
    close(session, &ended, &subject)
}

/// The last words, and the exit code.
fn close(mut session: Session, ended: &Ended, subject: &Subject) -> Result<Code, Failure> {
    if !ended.interrupted {
        session.names.wait(NAME_PATIENCE);
    }
    let sides = ended.board.sides();
    let mut code = Code::Reached;
    let mut sentences = Vec::new();
    for side in sides {
        let (one, sentence) = judge(&mut session, ended, side)?;
        // What keeps the reverse trace from being done matters more than where a forward one ends.
        if one != Code::Reached {
            code = one;
        }
        sentences.extend(sentence);
    }
    if ended.interrupted {
        (code, sentences) = (Code::Interrupted, vec!["interrupted".to_owned()]);
    }
    let found = Both::of(sides, &session.names, ended.numeric, &session.name);
    if session.sink.wants_document() {
        let target = (session.name.as_str(), session.target);
        let source = session.network.source();
        let head = json::head(session.command, session.started, target, source, code as u8);
        let path = |direction| {
            let side = sides.iter().find(|side| side.options().direction == direction);
            side.map(Side::document)
        };
        let paths = [Direction::Forward, Direction::Reverse].map(path);
        let finding = found.finding.as_ref().zip(found.sentence.clone());
        let finding = finding.map(|(finding, said)| document::Finding::new(finding, said));
        session.sink.finish(json::paths(head, paths, finding, &session.names), None)?;
    }
    if !session.sink.leaves_text() {
        return Ok(code);
    }
    let mut out = io::stdout().lock();
    write!(out, "{}", report::text(ended, &found, &session.names, subject))?;
    if let Some(sentence) = &found.sentence {
        write!(out, "\n{}", table::wrap(sentence, width()))?;
    }
    out.flush()?;
    for sentence in &sentences {
        tell(Some(sentence));
    }
    Ok(code)
}

/// What the end of `side` means; a reverse path without any answer needs another question.
fn judge(
    session: &mut Session,
    ended: &Ended,
    side: &Side,
) -> Result<(Code, Option<String>), Failure> {
    let end = side.end().unwrap_or(&End::Stopped);
    let silent = side.options().direction == Direction::Reverse && !side.is_answered();
    if silent && *end == End::Silent && proceed(&session.interrupted).is_continue() {
        let Session { network, name, target, common, interrupted, .. } = session;
        return judge_silence(network, (name.as_str(), *target), common, interrupted);
    }
    if *end == End::Stopped && !ended.interrupted {
        let code = if side.is_answered() { Code::NotReached } else { Code::NoAnswer };
        let direction = side.options().direction;
        return Ok((
            code,
            Some(format!("{direction}: nothing was measured: it ended before a round was over")),
        ));
    }
    Ok(verdict::of_end(side.options(), end, side.is_answered(), [&session.name, "here"]))
}

//! Hops as traceroute writes them.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use otherhalf_client::query::Reply;
use otherhalf_client::resolve::Names;
use otherhalf_client::{Direction, Hop, Outcome, Rewritten, Sample, Trace};

/// How long a settled hop waits for the names of its addresses.
pub(crate) const NAME_PATIENCE: Duration = Duration::from_secs(1);

/// `name (address)`, or the address twice if it has no name; the address alone if names are not wanted. Then what else is wanted
/// and known: `[AS64500] [Example-IX]`.
pub(crate) fn who(address: IpAddr, names: &Names, numeric: bool) -> String {
    let mut who = match names.get(address) {
        _ if numeric => address.to_string(),
        Some(name) => format!("{name} ({address})"),
        None => format!("{address} ({address})"),
    };
    let tag = names.tag(address);
    if !tag.is_empty() {
        who.push(' ');
        who.push_str(&tag);
    }
    who
}

/// A round-trip time as traceroute writes it.
pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1000.0)
}

/// The `!X` of an answer; mostly empty.
pub(crate) fn annotation(sample: &Sample) -> String {
    sample.reply.map_or_else(String::new, Reply::annotation)
}

/// A hop: ` 4  D (192.0.2.1)  300.123 ms  300.456 ms *`.
pub(crate) fn hop(hop: &Hop, names: &Names, numeric: bool) -> String {
    let mut line = format!("{:2} ", hop.ttl().get());
    let mut last = None;
    for outcome in hop.outcomes() {
        let Outcome::Answered(sample) = outcome else {
            line.push_str(" *");
            continue;
        };
        if last != Some(sample.from) {
            last = Some(sample.from);
            line.push(' ');
            line.push_str(&who(sample.from, names, numeric));
            line.push_str(&extensions(sample));
        }
        line.push_str("  ");
        line.push_str(&sample.rtt.map_or_else(|| "? ms".to_owned(), milliseconds));
        let annotation = annotation(sample);
        if !annotation.is_empty() {
            line.push(' ');
            line.push_str(&annotation);
        }
    }
    line
}

/// What else an answer tells: ` <MPLS:L=24001,E=0,S=1,T=1>` as `traceroute -e` has it, and ` <NAT:...>` if a translator shows.
fn extensions(sample: &Sample) -> String {
    let mut said = String::new();
    let labels = sample.details.labels();
    if !labels.is_empty() {
        let labels: Vec<_> = labels
            .iter()
            .map(|label| {
                let bottom = u8::from(label.bottom);
                format!("L={},E={},S={bottom},T={}", label.label, label.traffic_class, label.ttl)
            })
            .collect();
        // Writing to a String cannot fail.
        let _ = write!(said, " <MPLS:{}>", labels.join("/"));
    }
    for object in sample.details.objects.iter().filter(|object| !object.is_label_stack()) {
        let _ = write!(said, " <{}/{}:", object.class, object.kind);
        for octet in &object.payload {
            let _ = write!(said, "{octet:02x}");
        }
        said.push('>');
    }
    if sample.rewritten.is_translated() {
        let _ = write!(said, " <NAT:{}>", translation(&sample.rewritten));
    }
    said
}

/// What a translator wrote over, as the answer shows it.
fn translation(rewritten: &Rewritten) -> String {
    let [source, destination] =
        [rewritten.source, rewritten.destination].map(|address| address.map(|a| a.to_string()));
    let [source_port, destination_port, identifier] =
        [rewritten.source_port, rewritten.destination_port, rewritten.identifier]
            .map(|number| number.map(|number| number.to_string()));
    let checksum = rewritten.checksum.map(|checksum| format!("{checksum:#06x}"));
    [
        ("source", source),
        ("destination", destination),
        ("source port", source_port),
        ("destination port", destination_port),
        ("identifier", identifier),
        ("checksum", checksum),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(format!("{name} {}", value?)))
    .collect::<Vec<_>>()
    .join(", ")
}

/// Whether the hops of `trace` say anything.
pub(crate) fn is_shown(trace: &Trace) -> bool {
    trace.options().direction == Direction::Forward || trace.is_answered()
}

/// Writes the hops of a trace as they settle, in their order, each when its names are known or waited for long enough.
///
/// Nothing of a reverse trace before its first answer: if none comes, no probe was sent, and no hop was silent.
pub(crate) struct Printer {
    numeric: bool,
    printed: usize,
    settled: Option<Instant>,
}

impl Printer {
    pub(crate) const fn new(numeric: bool) -> Self {
        Self { numeric, printed: 0, settled: None }
    }

    /// Writes what can be written at `now`.
    pub(crate) fn update(
        &mut self,
        trace: &Trace,
        names: &Names,
        now: Instant,
        out: &mut impl Write,
    ) -> io::Result<()> {
        if !is_shown(trace) {
            return Ok(());
        }
        while let Some(hop) = trace.hops().get(self.printed).filter(|hop| hop.is_settled()) {
            let since = *self.settled.get_or_insert(now);
            let pending = hop.addresses().iter().any(|address| names.is_pending(*address));
            if pending && now.saturating_duration_since(since) < NAME_PATIENCE {
                return Ok(());
            }
            self.write(hop, names, out)?;
        }
        Ok(())
    }

    /// Writes the rest.
    pub(crate) fn finish(
        &mut self,
        trace: &Trace,
        names: &Names,
        out: &mut impl Write,
    ) -> io::Result<()> {
        if is_shown(trace) {
            for hop in trace.sent_hops().iter().skip(self.printed) {
                self.write(hop, names, out)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, hop: &Hop, names: &Names, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}", self::hop(hop, names, self.numeric))?;
        self.printed += 1;
        self.settled = None;
        out.flush()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::thread;

    use otherhalf_client::trace::Step;
    use otherhalf_client::{Details, Options, Rate, Rewritten, Secret, Ttl, Unreachable};
    use otherhalf_wire::ip::Family;
    use otherhalf_wire::probe::Protocol;

    use super::*;

    /// Names A to F for 192.0.2.1 to .6, found at once.
    pub(crate) fn names() -> Names {
        let mut names = Names::with(|address| match address {
            IpAddr::V4(v4) => {
                let [.., last] = v4.octets();
                (1..=6).contains(&last).then(|| char::from(b'A' + last - 1).to_string())
            }
            IpAddr::V6(_) => None,
        });
        for last in 1..10 {
            names.look_up([192, 0, 2, last].into());
        }
        while !names.update() {
            thread::yield_now();
        }
        names
    }

    /// An answer of 192.0.2.`last` after `us` microseconds.
    pub(crate) fn answered(last: u8, us: u64, reply: Option<Reply>) -> Outcome {
        let rtt = Duration::from_micros(us);
        let from = [192, 0, 2, last].into();
        Outcome::Answered(Sample {
            from,
            sent: Instant::now(),
            rtt: (us > 0).then_some(rtt),
            elapsed: rtt,
            reply,
            details: Details::default(),
            rewritten: Rewritten::default(),
        })
    }

    pub(crate) fn hop_of(ttl: u8, outcomes: Vec<Outcome>) -> Hop {
        Hop::settled(Ttl::new(ttl).unwrap(), outcomes)
    }

    fn unreachable(code: u8) -> Reply {
        Reply::Unreachable(Unreachable { family: Family::V4, code })
    }

    /// A trace that was stopped after `sent` queries.
    fn stopped(direction: Direction, sent: u64) -> Trace {
        let [us, target]: [IpAddr; 2] = [[192, 0, 2, 1].into(), [192, 0, 2, 2].into()];
        let options = Options::new(direction, Protocol::Udp, us, target);
        let mut trace = Trace::new(options, Secret::from_bytes([1; 16]));
        let mut now = Instant::now();
        while trace.sent() < sent {
            assert!(matches!(trace.poll(now), Step::Send(_)));
            now += Rate::default().interval();
        }
        trace
    }

    #[test]
    fn what_was_not_sent_is_not_lost() {
        let trace = stopped(Direction::Forward, 4);
        let lines: Vec<_> =
            trace.sent_hops().iter().map(|hop| super::hop(hop, &names(), true)).collect();
        assert_eq!(lines, [" 1  * * *", " 2  *"]);
    }

    #[test]
    fn a_reverse_trace_that_nothing_answers_has_no_hops_to_show() {
        for (direction, lines) in [(Direction::Forward, 2), (Direction::Reverse, 0)] {
            let trace = stopped(direction, 6);
            let mut out = Vec::new();
            let mut printer = Printer::new(true);
            printer.update(&trace, &names(), Instant::now(), &mut out).unwrap();
            printer.finish(&trace, &names(), &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap().lines().count(), lines);
        }
    }

    #[test]
    fn hop_lines_are_traceroutes() {
        let names = names();
        let on = Some(Reply::TimeExceeded);
        let silent = || Outcome::Silent;
        let cases = [
            (
                hop_of(
                    1,
                    vec![answered(1, 123, on), answered(1, 4567, on), answered(1, 300_000, on)],
                ),
                " 1  A (192.0.2.1)  0.123 ms  4.567 ms  300.000 ms",
            ),
            (hop_of(2, vec![silent(); 3]), " 2  * * *"),
            (
                hop_of(12, vec![silent(), answered(7, 1000, on), silent()]),
                "12  * 192.0.2.7 (192.0.2.7)  1.000 ms *",
            ),
            (
                hop_of(
                    4,
                    vec![answered(1, 1000, on), answered(2, 2000, on), answered(2, 3000, on)],
                ),
                " 4  A (192.0.2.1)  1.000 ms B (192.0.2.2)  2.000 ms  3.000 ms",
            ),
            (
                hop_of(
                    5,
                    vec![
                        answered(3, 1000, Some(unreachable(1))),
                        answered(3, 2000, Some(unreachable(13))),
                    ],
                ),
                " 5  C (192.0.2.3)  1.000 ms !H  2.000 ms !X",
            ),
            (
                hop_of(6, vec![answered(4, 1000, Some(unreachable(3))), answered(4, 0, None)]),
                " 6  D (192.0.2.4)  1.000 ms  ? ms",
            ),
        ];
        for (hop, line) in cases {
            assert_eq!(super::hop(&hop, &names, false), line);
        }
        let numeric = hop_of(1, vec![answered(1, 123, on)]);
        assert_eq!(super::hop(&numeric, &names, true), " 1  192.0.2.1  0.123 ms");
    }
}

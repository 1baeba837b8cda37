//! Hops as traceroute writes them.

use std::io::{self, Write};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use otherhalf_client::query::Reply;
use otherhalf_client::resolve::Names;
use otherhalf_client::{Hop, Outcome, Sample, Trace};

/// How long a settled hop waits for the names of its addresses.
pub(crate) const NAME_PATIENCE: Duration = Duration::from_secs(1);

/// `name (address)`, or the address twice if it has no name; the address alone if names are not wanted.
pub(crate) fn who(address: IpAddr, names: &Names, numeric: bool) -> String {
    match names.get(address) {
        _ if numeric => address.to_string(),
        Some(name) => format!("{name} ({address})"),
        None => format!("{address} ({address})"),
    }
}

/// A round-trip time as traceroute writes it.
pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1000.0)
}

/// The `!X` of an answer; mostly empty.
pub(crate) fn annotation(sample: &Sample) -> String {
    match sample.reply {
        Some(Reply::Unreachable(reason)) => reason.annotation(),
        Some(Reply::TimeExceeded | Reply::Direct) | None => String::new(),
    }
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

/// Writes the hops of a trace as they settle, in their order, each when its names are known or waited for long enough.
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
        while let Some(hop) = trace.hops().get(self.printed) {
            self.write(hop, names, out)?;
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

//! Latencies: collected in the loop, sorted into histograms a few at a time, clean windows apart from the rest.

use std::io::{self, Write};

use hdrhistogram::Histogram;

use crate::ledger::Latency;
use crate::window::Window;

/// The longest time that a histogram tells apart: a minute, in nanoseconds.
const LONGEST_NS: u64 = 60_000_000_000;
/// Significant digits of a histogram.
const DIGITS: u8 = 3;

/// Histograms of the parts of a transaction, in nanoseconds.
#[derive(Debug, Clone)]
pub struct Histograms {
    /// From when the request was to be sent until the probe came.
    pub probe: Histogram<u64>,
    /// From the answer to the probe until the response.
    pub response: Histogram<u64>,
    /// Both.
    pub whole: Histogram<u64>,
}

impl Default for Histograms {
    fn default() -> Self {
        let empty = Histogram::new_with_bounds(1, LONGEST_NS, DIGITS);
        let empty = empty.expect("the bounds are a histogram's");
        Self { probe: empty.clone(), response: empty.clone(), whole: empty }
    }
}

impl Histograms {
    #[inline]
    fn record(&mut self, latency: &Latency) {
        self.probe.saturating_record(latency.probe);
        if latency.whole > 0 {
            self.response.saturating_record(latency.response);
            self.whole.saturating_record(latency.whole);
        }
    }

    /// Takes in what `other` has.
    ///
    /// # Panics
    ///
    /// Never: all histograms have the same bounds.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.probe, &other.probe),
            (&mut self.response, &other.response),
            (&mut self.whole, &other.whole),
        ];
        for (to, from) in pairs {
            to.add(from).expect("all have the same bounds");
        }
    }

    /// The parts by their names.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, &Histogram<u64>); 3] {
        [("probe", &self.probe), ("response", &self.response), ("whole", &self.whole)]
    }
}

/// Latencies by what the windows were in which they ended.
#[derive(Debug, Clone, Default)]
pub struct Sorted {
    /// Of windows in which no thread lost its core, nor was anything of an earlier absence left.
    pub settled: Histograms,
    /// Of those in which no thread lost its core, but an open loop was still making up for an absence.
    pub recovering: Histograms,
    /// Of the others, and of what ended after the last window.
    pub disturbed: Histograms,
}

impl Sorted {
    /// Of all windows in which no thread lost its core.
    #[must_use]
    pub fn clean(&self) -> Histograms {
        let mut clean = self.settled.clone();
        clean.add(&self.recovering);
        clean
    }

    /// Of all.
    #[must_use]
    pub fn all(&self) -> Histograms {
        let mut all = self.clean();
        all.add(&self.disturbed);
        all
    }

    fn of(&mut self, kind: Kind) -> &mut Histograms {
        match kind {
            Kind::Settled => &mut self.settled,
            Kind::Recovering => &mut self.recovering,
            Kind::Disturbed => &mut self.disturbed,
        }
    }
}

/// What a window was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// See [`Sorted::settled`].
    Settled,
    /// See [`Sorted::recovering`].
    Recovering,
    /// See [`Sorted::disturbed`].
    Disturbed,
}

impl From<&Window> for Kind {
    fn from(window: &Window) -> Self {
        match (window.clean(), window.recovering) {
            (true, false) => Self::Settled,
            (true, true) => Self::Recovering,
            (false, _) => Self::Disturbed,
        }
    }
}

/// Latencies of a step. What a window was is known when it is over: until then they wait.
#[derive(Debug)]
pub struct Latencies {
    sorted: Sorted,
    /// In nanoseconds; a probe that nobody answers has no more than that.
    current: Vec<Latency>,
    previous: Vec<Latency>,
    previous_kind: Kind,
}

impl Latencies {
    /// Nothing yet; `room` for the transactions of a window, above which they count as disturbed.
    #[must_use]
    pub fn new(room: usize) -> Self {
        Self {
            sorted: Sorted::default(),
            current: Vec::with_capacity(room),
            previous: Vec::with_capacity(room),
            previous_kind: Kind::Disturbed,
        }
    }

    /// Notes one, in nanoseconds.
    #[inline]
    pub fn note(&mut self, latency: Latency) {
        if self.current.len() < self.current.capacity() {
            self.current.push(latency);
        } else {
            self.sorted.disturbed.record(&latency);
        }
    }

    /// Sorts up to `count` of the last window in: a piece of work for each turn of the loop.
    #[inline]
    pub fn sort(&mut self, count: usize) {
        for _ in 0..count {
            let Some(latency) = self.previous.pop() else { return };
            self.sorted.of(self.previous_kind).record(&latency);
        }
    }

    /// The window is over, and was of this `kind`.
    pub fn close_window(&mut self, kind: Kind) {
        self.sort(usize::MAX);
        std::mem::swap(&mut self.current, &mut self.previous);
        self.previous_kind = kind;
    }

    /// No more comes.
    #[must_use]
    pub fn finish(mut self) -> Sorted {
        self.close_window(Kind::Disturbed);
        self.sort(usize::MAX);
        self.sorted
    }
}

/// Writes `histogram` as the tools of `HdrHistogram` read it (`.hgrm`), in microseconds.
pub fn write_hgrm(histogram: &Histogram<u64>, out: &mut impl Write) -> io::Result<()> {
    let us = |ns: f64| ns / 1000.0;
    writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    let mut total = 0;
    for value in histogram.iter_quantiles(5) {
        total += value.count_since_last_iteration();
        let quantile = value.quantile_iterated_to();
        write!(out, "{:12.3} {quantile:2.12} {total:10}", us(value.value_iterated_to() as f64))?;
        if quantile < 1.0 {
            writeln!(out, " {:14.2}", 1.0 / (1.0 - quantile))?;
        } else {
            writeln!(out)?;
        }
    }
    writeln!(
        out,
        "#[Mean    = {:12.3}, StdDeviation   = {:12.3}]\n#[Max     = {:12.3}, Total count    = {:12}]\n#[Buckets = {:12}, SubBuckets     = {:12}]",
        us(histogram.mean()),
        us(histogram.stdev()),
        us(histogram.max() as f64),
        histogram.len(),
        histogram.buckets(),
        2048
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(whole: u64) -> Latency {
        Latency { probe: whole / 2, response: whole - whole / 2, whole }
    }

    #[test]
    fn a_window_counts_as_what_it_turned_out_to_be() {
        let mut latencies = Latencies::new(4);
        for ns in [1000, 2000] {
            latencies.note(latency(ns));
        }
        latencies.close_window(Kind::Disturbed);
        latencies.note(latency(10));
        latencies.sort(1);
        latencies.close_window(Kind::Settled);
        for ns in 1..=6 {
            latencies.note(latency(ns * 100));
        }
        latencies.close_window(Kind::Recovering);
        latencies.note(latency(5000));
        let sorted = latencies.finish();
        let counts = [&sorted.settled, &sorted.recovering, &sorted.disturbed, &sorted.clean()];
        assert_eq!(counts.map(|histograms| histograms.whole.len()), [1, 4, 5, 5]);
        assert_eq!((sorted.settled.whole.min(), sorted.disturbed.whole.max()), (10, 5003));
        assert_eq!((sorted.clean().probe.len(), sorted.all().whole.len()), (5, 10));
    }

    #[test]
    fn a_probe_that_nobody_answers_has_no_response() {
        let mut latencies = Latencies::new(4);
        latencies.note(Latency { probe: 700, response: 0, whole: 0 });
        let all = latencies.finish().all();
        assert_eq!((all.probe.len(), all.response.len(), all.whole.len()), (1, 0, 0));
    }

    #[test]
    fn hgrm_ends_with_all_of_them() {
        let mut histograms = Histograms::default();
        for ns in 1..=1000 {
            histograms.record(&latency(ns * 1000));
        }
        let mut text = Vec::new();
        write_hgrm(&histograms.whole, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let rows: Vec<Vec<f64>> = text
            .lines()
            .filter(|line| line.starts_with(' ') && !line.contains("Value"))
            .map(|line| line.split_whitespace().map(|word| word.parse().unwrap()).collect())
            .collect();
        let last = rows.last().unwrap();
        assert!(
            last[0] > 999.0 && last[0] < 1001.0 && last[1] > 0.999_999 && last[2] > 999.5,
            "{last:?}"
        );
        assert!(rows.windows(2).all(|pair| pair[0][0] <= pair[1][0] && pair[0][2] <= pair[1][2]));
        assert!(text.contains("#[Mean") && text.contains("Total count    =         1000]"));
    }
}

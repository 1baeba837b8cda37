//! What can be asked for.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use crate::attack_cli::AttackArguments;
use crate::beside_cli::BesideArguments;
use crate::overload_cli::OverloadArguments;
use crate::soak_cli::SoakArguments;

/// Loads a reverse traceroute responder, plays the routers, and verifies every response.
#[derive(Debug, Parser)]
#[command(
    name = "otherhalf-perf",
    version,
    max_term_width = 100,
    after_help = "\
Examples, from the top of the checkout:
  otherhalf-perf run                                    256 under way, 5 s, over rings in one process
  otherhalf-perf run --scenario mixed --window 1,64,1024 --out results
  otherhalf-perf run --profile virtio --rate 500k       an open loop, otherhalfd as a process of its own
  otherhalf-perf ramp --seconds 2 --out results         throughput against load, overload included
  otherhalf-perf search --out results                   the highest rate without loss
  otherhalf-perf ratios                                 goodput under overload, latency below it
  otherhalf-perf goodput --apart                        goodput from the no-drop rate to four times as much
  otherhalf-perf overload                               the same by a generator that costs less than the responder
  otherhalf-perf attack                                 clients under every kind of flood
  otherhalf-perf beside --seconds 5                     beside testpmd and C, on virtio, memif and veth
  otherhalf-perf compare old/report.ndjson new/report.ndjson

Two CPUs are used, one for the generator and one for the responder. Profiles with huge_pages = true
need hugepages and root: sysctl vm.nr_hugepages=512.

Exit codes: 0 all was right, 1 it could not be done, 2 wrong usage, 3 responses were wrong or
buffers were lost. Lost packets are figures, no failure: on a shared machine threads lose their core."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measures at the loads named: windows of closed loops first, then rates of open loops.
    Run(RunArguments),
    /// Measures closed loops of 1, 2, 4, … transactions under way, then open loops below and above the
    /// most that these reached: goodput under overload.
    Ramp(RampArguments),
    /// Searches for the no-drop rate: the highest rate of an open loop at which nothing is lost (RFC 2544).
    #[command(after_help = "\
Without --strict, a trial counts only windows in which no thread had lost its core, and that follow no such: for machines
shared with others. With it, all of a trial counts, and a thread that loses its core fails it: for hardware of your own,
where RFC 2544 wants --seconds 60. The report says which. It takes at most (trials + 1) times seconds.")]
    Search(SearchArguments),
    /// Prints overload and latency as ratios: goodput at four times the peak's load to the peak, in closed and in open
    /// loops, and the 99.9th percentile of latency at 80 % of the peak to its median.
    Ratios(RatioArguments),
    /// Searches for the no-drop rate, then prints the goodput at that and at up to four times of it, each to the peak of these.
    Goodput(GoodputArguments),
    /// Searches for the no-drop rate, then prints the goodput at that and at up to four times of it, each to what could have been
    /// served. The generator costs far less than the responder, so that it can offer as much.
    Overload(OverloadArguments),
    /// Serves clients while floods come besides, one after the other; says what the clients got, and what was promised.
    #[command(after_help = "\
Each flood lasts --seconds, then one pending time-out passes, then all must be normal again: half of --seconds is
measured before and after. The clients' answers are verified one by one, the responder's memory, buffers, table and
counters are read ten times a second. Exit code 3 says that a promise was broken; the last lines say which.")]
    Attack(AttackArguments),
    /// Says whether files are good scenarios, profiles or floods, without running anything.
    Check {
        /// The files, or names in perf/scenarios, perf/profiles and perf/floods.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Measures several responders on the same kind of port, in interleaved rounds; prints ratios.
    Beside(BesideArguments),
    /// Loads a responder for long, while things go wrong around it; verifies every response, and that nothing leaks.
    Soak(SoakArguments),
    /// Tells improvement from noise between two reports, step by step.
    #[command(after_help = "\
The ratio is that of the medians of tenths of a second (clean windows only), the interval covers 95 % by the
bootstrap. A difference counts if the interval excludes 1, it is larger than 5 %, and larger than the difference of
the host's moods: two runs are two times.")]
    Compare {
        /// The first report (report.ndjson).
        first: PathBuf,
        /// The second one.
        second: PathBuf,
    },
    /// Makes the HTML page of a report anew.
    Html {
        /// The report (report.ndjson).
        report: PathBuf,
        /// The page to write.
        page: PathBuf,
    },
    /// Makes Markdown and an HTML page of the ratios that scripts/bench collected.
    Table(TableArguments),
    /// Measures the host's mood: how far apart two CPUs are, how fast one computes.
    Mood {
        /// Two CPUs.
        #[arg(long, value_delimiter = ',', default_value = "0,1", value_name = "CPU,CPU")]
        cpus: Vec<usize>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Where {
    /// What is asked and how the network answers: a file, or a name in perf/scenarios [default: complete; attack for attack].
    #[arg(long, value_name = "FILE|NAME")]
    pub(crate) scenario: Option<PathBuf>,
    /// What connects generator and responder: a file, or a name in perf/profiles [default: one by rings, with short
    /// queues for search and ratios, with limits for attack].
    #[arg(long, value_name = "FILE|NAME")]
    pub(crate) profile: Option<PathBuf>,
    /// The folder for report.ndjson, report.html and the histograms (.hgrm).
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// The length of a window, in microseconds.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(50..=100_000), value_name = "US")]
    pub(crate) window_us: u64,
    /// otherhalfd, where the profile has it as a process of its own [default: beside this program].
    #[arg(long, value_name = "PROGRAM")]
    responder: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TableArguments {
    /// The ratios, one a line (ratios.ndjson).
    pub(crate) ratios: PathBuf,
    /// What each is of.
    #[arg(long, default_value = "perf/ratios.toml", value_name = "FILE")]
    pub(crate) legend: PathBuf,
    /// Sentences to stand above, such as the host's mood.
    #[arg(long = "note", value_name = "TEXT")]
    pub(crate) notes: Vec<String>,
    /// Pages to link to.
    #[arg(long = "link", value_name = "PAGE")]
    pub(crate) links: Vec<String>,
    /// The Markdown to write.
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// The page to write.
    #[arg(long, value_name = "FILE")]
    pub(crate) page: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) place: Where,
    /// Transactions under way at once, in a closed loop [default: 256, if no rate is named].
    #[arg(long = "window", value_delimiter = ',', value_parser = window, value_name = "N,…")]
    pub(crate) windows: Vec<usize>,
    /// Requests a second, in an open loop, such as 500k or 1.5M.
    #[arg(long = "rate", value_delimiter = ',', value_name = "RATE,…")]
    pub(crate) rates: Vec<Rate>,
    /// How long each step lasts.
    #[arg(long, default_value_t = 5.0, value_parser = seconds)]
    pub(crate) seconds: f64,
    /// How many requests a step has at most.
    #[arg(long, value_name = "N")]
    pub(crate) requests: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct RampArguments {
    #[command(flatten)]
    pub(crate) place: Where,
    /// The greatest window of the closed loops [default: the scenario's, else 4096].
    #[arg(long, value_parser = window, value_name = "N")]
    pub(crate) most: Option<usize>,
    /// Loads of the open loops, as parts and multiples of the most that closed loops reached [default: the
    /// scenario's, else 0.25,0.5,0.8,1,1.5,2,4].
    #[arg(long, value_delimiter = ',', value_name = "FACTOR,…")]
    pub(crate) of_peak: Option<Vec<f64>>,
    /// How long each step lasts.
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    pub(crate) seconds: f64,
}

#[derive(Debug, Args)]
pub(crate) struct SearchArguments {
    #[command(flatten)]
    pub(crate) place: Where,
    /// All of each trial counts, not clean windows alone: for hardware of your own.
    #[arg(long)]
    pub(crate) strict: bool,
    /// How long each trial lasts.
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    pub(crate) seconds: f64,
    /// How many trials at most.
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u16).range(1..=100), value_name = "N")]
    pub(crate) trials: u16,
    /// How near the lowest rate that fails must be to the highest that passes, as a part of it.
    #[arg(long, default_value_t = 0.02, value_parser = part, value_name = "PART")]
    pub(crate) resolution: f64,
}

#[derive(Debug, Args)]
pub(crate) struct GoodputArguments {
    #[command(flatten)]
    pub(crate) place: Where,
    /// With a port of their own for answers [default profile: net_ring-two-ports].
    #[arg(long)]
    pub(crate) apart: bool,
    /// The no-drop rate, if it is known: then it is not searched for.
    #[arg(long, value_name = "RATE")]
    pub(crate) no_drop: Option<Rate>,
    /// How long each trial and each step lasts.
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    pub(crate) seconds: f64,
    /// How many trials the search has at most.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=100), value_name = "N")]
    pub(crate) trials: u16,
    /// How near the lowest rate that fails must be to the highest that passes, as a part of it.
    #[arg(long, default_value_t = 0.05, value_parser = part, value_name = "PART")]
    pub(crate) resolution: f64,
    /// How often each load is done, all of them in turns.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100), value_name = "N")]
    pub(crate) rounds: u16,
}

#[derive(Debug, Args)]
pub(crate) struct RatioArguments {
    #[command(flatten)]
    pub(crate) place: Where,
    /// The open overload alone, with a port of their own for answers [default profile: net_ring-two-ports].
    #[arg(long)]
    pub(crate) apart: bool,
    /// How long each step lasts: there are 5 of half of it, and 6 for each round.
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    pub(crate) seconds: f64,
    /// How often each pair of steps is done.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=100), value_name = "N")]
    pub(crate) rounds: u16,
}

impl Where {
    pub(crate) fn window(&self) -> Duration {
        Duration::from_micros(self.window_us)
    }

    /// The responder's program.
    pub(crate) fn responder(&self) -> Result<PathBuf> {
        if let Some(responder) = &self.responder {
            return Ok(responder.clone());
        }
        let own = std::env::current_exe().context("where is this program? Name --responder")?;
        Ok(own.with_file_name("otherhalfd"))
    }
}

/// Requests a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate(pub(crate) f64);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, unit) = match text.strip_suffix(['k', 'K']) {
            Some(digits) => (digits, 1e3),
            None => text.strip_suffix(['m', 'M']).map_or((text, 1.0), |digits| (digits, 1e6)),
        };
        match digits.parse::<f64>() {
            Ok(number) if (1.0..=1e9).contains(&(number * unit)) => Ok(Self(number * unit)),
            _ => Err("a rate is a number from 1 to 1000M, such as 500k or 1.5M".to_owned()),
        }
    }
}

pub(crate) fn window(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(window @ 1..=16_384) => Ok(window),
        _ => Err("from 1 to 16384".to_owned()),
    }
}

fn part(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(part) if (0.001..=0.5).contains(&part) => Ok(part),
        _ => Err("from 0.001 to 0.5".to_owned()),
    }
}

pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err("from 0.01 to 600".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn rates_have_units() {
        for (text, rate) in [("7", 7.0), ("500k", 5e5), ("1.5M", 1.5e6)] {
            assert_eq!(text.parse(), Ok(Rate(rate)));
        }
        for text in ["", "k", "0", "-5", "5G", "1e12", "nan"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}

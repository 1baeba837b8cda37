//! `otherhalf-perf overload`: its command line, and what it shows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use otherhalf_perf::EXIT_WRONG;
use otherhalf_perf::beside::frames::Load;
use otherhalf_perf::child::Child;
use otherhalf_perf::mood::Mood;
use otherhalf_perf::overload::accounts::disagreements;
use otherhalf_perf::overload::curve::{Point, curve, ratios};
use otherhalf_perf::overload::{self, Measured, Options, Outcome, PENDING};
use otherhalf_perf::profile::Profile;
use otherhalf_perf::scenario::Scenario;

use crate::cli::Rate;
use crate::{find, name};

#[derive(Debug, Args)]
#[command(after_help = "\
Profiles are those with two ports: net_ring-two-ports, memif-two-ports, and each with -policy. Those of memif need root,
hugepages (sysctl vm.nr_hugepages=512) and otherhalfd; as root, those of rings measure the generator alone besides.
Exit code 3: a frame was wrong, or the counts of the generator and the responder do not agree.")]
pub(crate) struct OverloadArguments {
    /// A profile with two ports: a file, or a name in perf/profiles.
    #[arg(long, default_value = "net_ring-two-ports", value_name = "FILE|NAME")]
    profile: PathBuf,
    /// What is asked: requests that nobody answers, whole traces.
    #[arg(long, value_delimiter = ',', default_value = "requests,traces", value_name = "LOAD,…")]
    loads: Vec<Asked>,
    /// How often each load is offered, all of them in turns.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..=1000), value_name = "N")]
    rounds: u16,
    /// How long, each time, in milliseconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(15..=10_000), value_name = "MS")]
    slice_ms: u64,
    /// The no-drop rate, if it is known: then it is not searched for.
    #[arg(long, value_name = "RATE")]
    no_drop: Option<Rate>,
    /// The folder for overload.json.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// otherhalfd [default: beside this program].
    #[arg(long, value_name = "PROGRAM")]
    responder: Option<PathBuf>,
}

/// What may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Asked {
    Requests,
    Traces,
}

impl OverloadArguments {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let path = find(&self.profile, &["profiles"])?;
        let folder = tempfile::Builder::new().prefix("otherhalf-perf-").tempdir()?;
        let profile = Profile::load(&path, folder.path())?;
        let text = format!("about = \"as much as comes\"\n{PENDING}");
        let scenario = Scenario::parse(Path::new("overload"), &text)?;
        let config = profile.responder_config(&path, &scenario)?;
        let cpus = [profile.generator.cpu, config.workers.cpus.first().copied().unwrap_or(0)];
        let mood_before = Mood::measure(cpus);
        let child = if profile.in_one_process() {
            None
        } else {
            let file = folder.path().join("otherhalfd.toml");
            fs::write(&file, profile.responder_text(&scenario))?;
            Some(Child::start(&self.responder()?, &file)?)
        };
        let asked = |load: &Asked| match load {
            Asked::Requests => Load::Requests,
            Asked::Traces => Load::Traces,
        };
        let options = Options {
            loads: self.loads.iter().map(asked).collect(),
            rounds: self.rounds.into(),
            slice: Duration::from_millis(self.slice_ms),
            known: self.no_drop.map(|rate| rate.0),
        };
        let outcome = overload::run(&options, &profile, &config, child)?;
        println!("host's mood before: {mood_before}");
        println!("host's mood after: {}", Mood::measure(cpus));
        show(name(&path), &outcome);
        if let Some(out) = &self.out {
            let file = out.join("overload.json");
            fs::create_dir_all(out)?;
            fs::write(&file, serde_json::to_vec(&outcome)?)
                .with_context(|| format!("can't write {}", file.display()))?;
            println!("written to {}", file.display());
        }
        let wrong = disagreements(&outcome);
        for wrong in &wrong {
            println!("WRONG: {wrong}");
        }
        Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_WRONG) })
    }

    fn responder(&self) -> Result<PathBuf> {
        if let Some(responder) = &self.responder {
            return Ok(responder.clone());
        }
        let own = std::env::current_exe().context("where is this program? Name --responder")?;
        Ok(own.with_file_name("otherhalfd"))
    }
}

fn show(profile: &str, outcome: &Outcome) {
    let counts = &outcome.counts;
    println!(
        "{} requests and {} answers were taken; {} frames came, all checked, {} to the last checksum, {} wrong, {} late",
        counts.requests,
        counts.answers,
        counts.wholes + counts.halves,
        counts.thorough,
        counts.wrong,
        counts.late
    );
    let dropped = outcome.counters.iter().filter(|(name, n)| name.starts_with("drop_") && *n > 0);
    let dropped: Vec<String> = dropped.map(|(name, n)| format!("{name} {n}")).collect();
    println!("the responder dropped: {}", or_nothing(&dropped.join(", ")));
    if let Some(alone) = outcome.alone {
        let [offered, taken] = [alone.offered_per_s, alone.taken_per_s].map(|rate| rate / 1e6);
        println!(
            "to a core that only frees them, the generator offered {offered:.1} M/s requests, of which {taken:.1} M/s were taken"
        );
    }
    for measured in &outcome.measured {
        let points = curve(measured);
        show_curve(profile, measured, &points);
        for ratio in ratios(profile, measured, &points, outcome.alone) {
            println!("{ratio}");
        }
    }
}

fn or_nothing(text: &str) -> &str {
    if text.is_empty() { "nothing" } else { text }
}

fn show_curve(profile: &str, measured: &Measured, points: &[Point]) {
    println!(
        "\n{} on {profile}: {} {:.0}/s after {} trials; medians and quartiles of {} rounds",
        measured.load,
        if measured.found {
            "no-drop rate"
        } else {
            "no no-drop rate could be told, so multiples of the peak,"
        },
        measured.no_drop,
        measured.trials.len(),
        measured.rounds.len()
    );
    println!(
        "{:>6} {:>11} {:>17} {:>6} {:>13} {:>8} {:>8} {:>5} {:>7} {:>6} {:>7} {:>8}",
        "load",
        "served/s",
        "",
        "ratio",
        "",
        "offered",
        "counted",
        "gen.",
        "f/turn",
        "resp.",
        "f/turn",
        "ticks/f"
    );
    for point in points {
        let [low, served, high] = point.served_per_s.map(|rate| rate / 1e6);
        let [least, ratio, most] = point.ratio;
        let known = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
        };
        println!(
            "{:>5}x {:>9.3} M {:>7.3} to {:>6.3} {:>6.2} {:>5.2} to {:>4.2} {:>7.0}% {:>7.0}% {:>5.2} {:>7.1} {:>6} {:>7} {:>8}{}",
            point.factor,
            served,
            low,
            high,
            ratio,
            least,
            most,
            100.0 * point.offered,
            100.0 * point.counted,
            point.generator_busy,
            point.frames_per_turn,
            known(point.responder_busy, 2),
            known(point.responder_frames_per_turn, 1),
            known(point.ticks_per_frame, 0),
            if point.limited { "  limited by the generator" } else { "" }
        );
    }
}

//! `otherhalf-perf`: its command line.

mod attack_cli;
mod beside_cli;
mod cli;
mod overload_cli;
mod soak_cli;
mod text;

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use otherhalf_perf::EXIT_WRONG;
use otherhalf_perf::child::Child;
use otherhalf_perf::compare::{compare, mood_ratio};
use otherhalf_perf::course::{Course, Listed, Planned};
use otherhalf_perf::flood::Flood;
use otherhalf_perf::goodput::{Goodput, curve};
use otherhalf_perf::html;
use otherhalf_perf::latency::{Sorted, write_hgrm};
use otherhalf_perf::mood::Mood;
use otherhalf_perf::pace::Load;
use otherhalf_perf::profile::Profile;
use otherhalf_perf::proof::{Proof, proven};
use otherhalf_perf::report::Report;
use otherhalf_perf::scenario::Scenario;
use otherhalf_perf::search::{self, Mode, Search};
use otherhalf_perf::session::{self, Outcome};
use otherhalf_perf::step::{Against, Step};
use otherhalf_perf::table::Table;
use otherhalf_perf::veth;

use crate::cli::{
    Arguments, Command, GoodputArguments, RampArguments, RatioArguments, RunArguments,
    SearchArguments, TableArguments, Where,
};

/// What is asked, where no scenario is named.
const SCENARIO: &str = "complete";
/// The profile for open loops that lose what finds a full queue, where none is named.
const SHORT: &str = "net_ring-short";
/// The same with a port of their own for answers.
const TWO_PORTS: &str = "net_ring-two-ports";
/// No request of a closed loop is sent less often than this, so no more in a step than its time allows.
const NO_LIMIT: u64 = u64::MAX;

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(arguments) => run(&arguments),
        Command::Ramp(arguments) => ramp(&arguments),
        Command::Search(arguments) => search(&arguments),
        Command::Ratios(arguments) => ratios(&arguments),
        Command::Goodput(arguments) => goodput(&arguments),
        Command::Overload(arguments) => arguments.run(),
        Command::Attack(arguments) => attack_cli::attack(&arguments),
        Command::Check { files } => check(&files),
        Command::Beside(arguments) => arguments.run(),
        Command::Soak(arguments) => arguments.run(),
        Command::Compare { first, second } => compare_reports(&first, &second),
        Command::Html { report, page } => write_page(&report, &page),
        Command::Table(arguments) => write_table(&arguments),
        Command::Mood { cpus } => {
            let cpus = [cpus.first(), cpus.last()].map(|cpu| cpu.copied().unwrap_or(0));
            println!("{}", Mood::measure(cpus));
            Ok(ExitCode::SUCCESS)
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("otherhalf-perf: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(arguments: &RunArguments) -> Result<ExitCode> {
    let step = |load| Step {
        load,
        time: Duration::from_secs_f64(arguments.seconds),
        requests: arguments.requests.unwrap_or(NO_LIMIT),
        window: arguments.place.window(),
        makes_up: true,
        against: Against::Responder,
        flood: None,
    };
    let mut plan: Vec<Planned> = Vec::new();
    for window in &arguments.windows {
        plan.push(Planned::Step(step(Load::Closed { window: *window })));
    }
    for rate in &arguments.rates {
        plan.push(Planned::Step(step(Load::Open { rate: rate.0 })));
    }
    if plan.is_empty() {
        plan.push(Planned::Step(step(Load::Closed { window: 256 })));
    }
    measure(&arguments.place, "net_ring", Box::new(Listed(plan)), |_, _| {})
}

fn ramp(arguments: &RampArguments) -> Result<ExitCode> {
    let step = |load| Step {
        load,
        time: Duration::from_secs_f64(arguments.seconds),
        requests: NO_LIMIT,
        window: arguments.place.window(),
        makes_up: true,
        against: Against::Responder,
        flood: None,
    };
    let layout = lay_out(&arguments.place, [SCENARIO, "net_ring"])?;
    let ramp = layout.scenario.ramp.unwrap_or_default();
    let most = arguments.most.unwrap_or(ramp.most);
    let windows = std::iter::successors(Some(1), |window| Some(window * 2))
        .take_while(|window| *window <= most);
    let mut plan: Vec<Planned> =
        windows.map(|window| Planned::Step(step(Load::Closed { window }))).collect();
    for factor in arguments.of_peak.as_ref().unwrap_or(&ramp.of_peak) {
        plan.push(Planned::OfPeak(*factor, step(Load::Open { rate: 0.0 })));
    }
    measure(&arguments.place, "net_ring", Box::new(Listed(plan)), |_, _| {})
}

/// A step of which a course says the load.
fn any_load(place: &Where, seconds: f64, makes_up: bool) -> Step {
    Step {
        load: Load::Open { rate: 0.0 },
        time: Duration::from_secs_f64(seconds),
        requests: NO_LIMIT,
        window: place.window(),
        makes_up,
        against: Against::Responder,
        flood: None,
    }
}

fn search(arguments: &SearchArguments) -> Result<ExitCode> {
    let mode = if arguments.strict { Mode::Strict } else { Mode::Clean };
    let search = Search {
        mode,
        trial: any_load(&arguments.place, arguments.seconds, arguments.strict),
        trials: arguments.trials.into(),
        resolution: arguments.resolution,
    };
    measure(&arguments.place, SHORT, Box::new(search), |report, outcome| {
        let found = search::found(mode, &outcome.seen, outcome.hz);
        text::show_no_drop(&found);
        report.run.no_drop = Some(found);
    })
}

fn ratios(arguments: &RatioArguments) -> Result<ExitCode> {
    let proof = Proof {
        step: any_load(&arguments.place, arguments.seconds, false),
        rounds: arguments.rounds.into(),
        apart: arguments.apart,
    };
    let profile = if arguments.apart { TWO_PORTS } else { SHORT };
    measure(&arguments.place, profile, Box::new(proof), |report, outcome| {
        let proven = proven(&proof, &outcome.seen, outcome.hz);
        text::show_proven(&proven);
        report.run.proven = Some(proven);
    })
}

fn goodput(arguments: &GoodputArguments) -> Result<ExitCode> {
    let search = Search {
        mode: Mode::Clean,
        trial: any_load(&arguments.place, arguments.seconds, false),
        trials: arguments.trials.into(),
        resolution: arguments.resolution,
    };
    let goodput = Goodput {
        search,
        rounds: arguments.rounds.into(),
        apart: arguments.apart,
        known: arguments.no_drop.map(|rate| rate.0),
        searched: None,
    };
    let profile = if arguments.apart { TWO_PORTS } else { SHORT };
    measure(&arguments.place, profile, Box::new(goodput.clone()), |report, outcome| {
        let curve = curve(&goodput, &outcome.seen, outcome.hz);
        text::show_curve(&curve);
        report.run.goodput = Some(curve);
    })
}

/// Says of each file whether it is good; the first that is not ends it.
fn check(files: &[PathBuf]) -> Result<ExitCode> {
    for file in files {
        let path = find(file, &["profiles", "scenarios", "floods"])?;
        let text =
            fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
        let table = text.parse::<toml::Table>().unwrap_or_default();
        // A profile has two sides, a flood is of some kind.
        let kind = if table.contains_key("kind") {
            Flood::load(&path)?;
            "flood"
        } else if table.contains_key("generator") {
            let scenario = Scenario::parse(Path::new("none"), "about = \"none\"")?;
            Profile::load(&path, Path::new("."))?.responder_config(&path, &scenario)?;
            "profile"
        } else {
            Scenario::load(&path)?;
            "scenario"
        };
        println!("{}: a good {kind}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// What a run is made of: files that were read, and may be changed before it begins.
struct Layout {
    scenario_path: PathBuf,
    scenario: Scenario,
    profile_path: PathBuf,
    profile: Profile,
    /// For sockets and configurations; gone with this.
    folder: tempfile::TempDir,
}

/// Reads what `place` names, else this scenario and this profile.
fn lay_out(place: &Where, [scenario, profile]: [&str; 2]) -> Result<Layout> {
    let named = |wanted: &Option<PathBuf>, default| {
        wanted.clone().unwrap_or_else(|| PathBuf::from(default))
    };
    let scenario_path = find(&named(&place.scenario, scenario), &["scenarios"])?;
    let profile_path = find(&named(&place.profile, profile), &["profiles"])?;
    let mut scenario = Scenario::load(&scenario_path)?;
    scenario.take_aim()?;
    let folder = tempfile::Builder::new().prefix("otherhalf-perf-").tempdir()?;
    let profile = Profile::load(&profile_path, folder.path())?;
    Ok(Layout { scenario_path, scenario, profile_path, profile, folder })
}

/// Does the steps, shows them, has `conclude` say what follows, and writes what was asked for.
fn measure(
    place: &Where,
    profile: &str,
    course: Box<dyn Course>,
    conclude: impl FnOnce(&mut Report, &Outcome),
) -> Result<ExitCode> {
    measure_in(lay_out(place, [SCENARIO, profile])?, place, course, |report, outcome| {
        text::show(report);
        conclude(report, outcome);
        outcome.seen.iter().all(|seen| seen.tally.wrong() == 0)
    })
}

/// The same with what was laid out; `conclude` also says whether all was right.
fn measure_in(
    layout: Layout,
    place: &Where,
    course: Box<dyn Course>,
    conclude: impl FnOnce(&mut Report, &Outcome) -> bool,
) -> Result<ExitCode> {
    let Layout { scenario_path, mut scenario, profile_path, profile, folder } = layout;
    scenario.pending_timeout_ms = scenario.pending_timeout_ms.or(course.pending_timeout_ms());
    let config = profile.responder_config(&profile_path, &scenario)?;
    let cpus = [profile.generator.cpu, config.workers.cpus.first().copied().unwrap_or(0)];
    let mood_before = Mood::measure(cpus);
    if let Some(ends) = &profile.generator.veth {
        veth::enter(ends)?;
    }
    let child = if profile.in_one_process() {
        None
    } else {
        let path = folder.path().join("otherhalfd.toml");
        fs::write(&path, profile.responder_text(&scenario))?;
        Some(Child::start(&place.responder()?, &path)?)
    };
    let outcome = session::run(&profile, &config, &scenario, course, child)?;
    let moods = [mood_before, Mood::measure(cpus)];
    let names = [
        (name(&scenario_path), scenario.about.as_str()),
        (name(&profile_path), profile.about.as_str()),
    ];
    let mut report = Report::new(&outcome, names, moods);
    // Steps that are not shown: against the null server, and before all.
    let null = outcome.seen.iter().filter(|seen| seen.step.against != Against::Responder);
    for tally in null.map(|seen| &seen.tally).chain([&outcome.before]) {
        for (name, count) in tally.faults() {
            println!("WRONG: {name} {count}, of the null server or while the network warmed up");
        }
    }
    let right = conclude(&mut report, &outcome);
    if let Some(folder) = &place.out {
        write_all(folder, &report, &outcome)
            .with_context(|| format!("can't write to {}", folder.display()))?;
    }
    let lost = outcome.mbufs_lost.unwrap_or(0);
    Ok(if right && outcome.before.wrong() + u64::from(lost) == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_WRONG)
    })
}

/// A file by its path, or by its name in one of `folders` of ours.
pub(crate) fn find(wanted: &Path, folders: &[&str]) -> Result<PathBuf> {
    if wanted.is_file() {
        return Ok(wanted.to_owned());
    }
    let ours: Vec<PathBuf> = folders.iter().map(|folder| Path::new("perf").join(folder)).collect();
    let here = |folder: &PathBuf| Some(folder.join(wanted).with_extension("toml"));
    if let Some(file) = ours.iter().filter_map(here).find(|file| file.exists()) {
        return Ok(file);
    }
    let mut known: Vec<String> = ours
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flat_map(|entries| entries.flatten().map(|entry| name(&entry.path()).to_owned()))
        .collect();
    known.sort_unstable();
    bail!(
        "there is no {}, neither as a path nor in perf/{} (run from the top of the checkout, which has: {})",
        wanted.display(),
        folders.join(" or perf/"),
        known.join(", ")
    )
}

/// A file's name without folder and ending.
fn name(path: &Path) -> &str {
    path.file_stem().and_then(|name| name.to_str()).unwrap_or("?")
}

fn write_all(folder: &Path, report: &Report, outcome: &Outcome) -> Result<()> {
    fs::create_dir_all(folder)?;
    let mut out = BufWriter::new(File::create(folder.join("report.ndjson"))?);
    report.write(&mut out)?;
    std::io::Write::flush(&mut out)?;
    fs::write(folder.join("report.html"), html::page(report))?;
    for (number, seen) in outcome.seen.iter().enumerate() {
        let Sorted { settled, .. } = &seen.latencies;
        let (clean, all) = (seen.latencies.clean(), seen.latencies.all());
        for (kind, histograms) in [("settled", settled), ("clean", &clean), ("all", &all)] {
            for (part, histogram) in histograms.parts() {
                if !histogram.is_empty() {
                    let file = folder.join(format!("step{number}-{part}-{kind}.hgrm"));
                    write_hgrm(histogram, &mut BufWriter::new(File::create(file)?))?;
                }
            }
        }
    }
    println!("written to {}", folder.display());
    Ok(())
}

fn compare_reports(first: &Path, second: &Path) -> Result<ExitCode> {
    let (a, b) = (Report::load(first)?, Report::load(second)?);
    if (&a.run.scenario, &a.run.profile) != (&b.run.scenario, &b.run.profile) {
        println!(
            "note: {} on {} against {} on {}",
            a.run.scenario, a.run.profile, b.run.scenario, b.run.profile
        );
    }
    println!(
        "the host's mood of the second run: {:.2} times the first's (below 1: faster, nearer)",
        mood_ratio(&a, &b)
    );
    text::show_comparison(&compare(&a, &b));
    Ok(ExitCode::SUCCESS)
}

fn write_page(report: &Path, page: &Path) -> Result<ExitCode> {
    let report = Report::load(report)?;
    fs::write(page, html::page(&report))
        .with_context(|| format!("can't write {}", page.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn write_table(arguments: &TableArguments) -> Result<ExitCode> {
    let table = Table::load(&arguments.ratios, &arguments.legend)?;
    let TableArguments { notes, links, .. } = arguments;
    let write = |path: &Option<PathBuf>, text: String| match path {
        None => Ok(()),
        Some(path) => {
            fs::write(path, text).with_context(|| format!("can't write {}", path.display()))
        }
    };
    write(&arguments.markdown, table.markdown(notes))?;
    write(&arguments.page, table.page(notes, links))?;
    Ok(ExitCode::SUCCESS)
}

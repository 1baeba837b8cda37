//! `otherhalf-perf attack`: its command line, and what it shows.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use otherhalf_perf::attack::{Attack, Attacked, Level, attacked, entries};
use otherhalf_perf::flood::Flood;
use otherhalf_perf::gauges::Gauges;
use otherhalf_perf::report::Run;

use crate::cli::{Rate, Where, seconds};
use crate::{Layout, any_load, find, lay_out, measure_in};

/// How the clients ask while somebody attacks, where no scenario is named.
const SCENARIO: &str = "attack";
/// The profile where none is named.
const PROFILE: &str = "attack";
/// How long a probe waits where the scenario does not say: a second.
const TIMEOUT_MS: u32 = 1000;

#[derive(Debug, Args)]
pub(crate) struct AttackArguments {
    #[command(flatten)]
    pub(crate) place: Where,
    /// The floods, one after the other: files, or names in perf/floods [default: all of these].
    #[arg(long = "flood", value_delimiter = ',', value_name = "FILE|NAME,…")]
    pub(crate) floods: Vec<PathBuf>,
    /// Frames of a flood in a second; clients ask a hundredth of all that comes.
    #[arg(long, default_value = "50k", value_name = "RATE")]
    pub(crate) rate: Rate,
    /// How long each flood lasts; half as long is measured before and after.
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    pub(crate) seconds: f64,
}

/// Runs the floods, shows what came of them, and fails if a promise was broken.
pub(crate) fn attack(arguments: &AttackArguments) -> Result<ExitCode> {
    let mut floods = Vec::new();
    for path in &named(&arguments.floods)? {
        let path = find(path, &["floods"])?;
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or("?").to_owned();
        floods.push((name, Flood::load(&path)?));
    }
    let (rate, place) = (arguments.rate.0, &arguments.place);
    let mut layout = lay_out(place, [SCENARIO, PROFILE])?;
    let Layout { scenario, profile, folder, .. } = &mut layout;
    let timeout_ms = *scenario.pending_timeout_ms.get_or_insert(TIMEOUT_MS);
    let timeout = Duration::from_millis(timeout_ms.into());
    let entries = *scenario.pending_entries.get_or_insert(entries(rate, timeout));
    scenario.floods = floods.iter().map(|(_, flood)| flood.clone()).collect();
    let socket = folder.path().join("control.sock");
    let apart = !profile.in_one_process();
    if apart {
        let table = profile.responder.entry("control");
        let control = table.or_insert_with(|| toml::Table::new().into());
        let control = control.as_table_mut().context("responder.control is no table")?;
        control.insert("socket".to_owned(), socket.display().to_string().into());
    }
    let attack = Attack {
        step: any_load(place, arguments.seconds, true),
        floods,
        rate,
        time: Duration::from_secs_f64(arguments.seconds),
        timeout,
        entries,
        gauges: Arc::new(Gauges::new(socket)),
        apart,
    };
    measure_in(layout, place, Box::new(attack.clone()), |report, outcome| {
        let found = attacked(&attack, &outcome.seen, outcome.hz);
        show(&report.run, &attack, &found);
        let kept = found.len() == attack.floods.len()
            && found.iter().all(|attacked| attacked.broken.is_empty());
        report.run.attacked = found;
        kept
    })
}

/// Shows what came of each flood.
fn show(run: &Run, attack: &Attack, found: &[Attacked]) {
    println!("mood before: {}", run.mood_before);
    println!("mood after:  {}", run.mood_after);
    println!(
        "under attack: a table of {} entries, {} ms; clients ask {:.0} times a second",
        attack.entries,
        attack.timeout.as_millis(),
        attack.rate / 99.0
    );
    println!(
        "{:<15} {:>9} {:>7} {:>31} {:>7} {:>17} {:>17} {:>14}",
        "flood",
        "frames/s",
        "refused",
        "answered before/in/then/after",
        "replies",
        "table b/most/a",
        "mbufs b/most/a",
        "RSS MiB b/m/a"
    );
    for attacked in found {
        let level = |level: &Level| format!("{}/{}/{}", level.before, level.most, level.after);
        let mib = |Level { before, most, after }: Level| {
            let [before, most, after] = [before, most, after].map(|octets| octets >> 20);
            level(&Level { before, most, after })
        };
        let answered: Vec<String> =
            attacked.answered.iter().map(|share| format!("{:.1}%", 100.0 * share)).collect();
        let Attacked { flood, sent_per_s, refused, replies, pending, mbufs, resident, .. } =
            attacked;
        println!(
            "{flood:<15} {sent_per_s:>9.0} {refused:>7} {:>31} {replies:>7} {:>17} {:>17} {:>14}",
            answered.join("/"),
            level(pending),
            level(mbufs),
            if attack.apart { mib(*resident) } else { "-".to_owned() }
        );
        let outcomes: Vec<String> =
            attacked.outcomes.iter().map(|(name, count)| format!("{name} {count}")).collect();
        println!("  {}", outcomes.join(", "));
        if attacked.disturbed {
            println!(
                "  disturbed: a thread was kept from its core for longer than 0.1 s at once, in each try"
            );
        }
        if attacked.believable > 0 {
            println!(
                "  forged answers believed: {}, and {} may be by chance",
                attacked.believed, attacked.believable
            );
        }
    }
    // For scripts/bench.
    for Attacked { flood, answered: [_, during, ..], promise, broken, .. } in found {
        let verdict = if during >= promise { "pass" } else { "short" };
        println!("ratio attack/{flood} {during:.3} {promise:.2} {verdict}");
        for promise in broken {
            println!("BROKEN: {flood}: {promise}");
        }
    }
}

/// The floods that are named, or all that there are.
fn named(floods: &[PathBuf]) -> Result<Vec<PathBuf>> {
    if !floods.is_empty() {
        return Ok(floods.to_vec());
    }
    let folder = "perf/floods";
    let entries = std::fs::read_dir(folder).with_context(|| {
        format!("can't read {folder}: run from the top of the checkout, or name --flood")
    })?;
    let mut all = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    all.sort_unstable();
    Ok(all)
}

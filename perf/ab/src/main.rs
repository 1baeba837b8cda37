//! Prints the ratios of all cases, a line each.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use dpdk::{Eal, LcoreId, LogLevel, Memory, measure_tsc_hz};
use otherhalf_ab::alone::Alone;
use otherhalf_ab::case::{self, Case, Pair};
use otherhalf_ab::line::Target::{AtMost, Same};
use otherhalf_ab::line::ratio;
use otherhalf_ab::pages::Pages;
use otherhalf_ab::port::{OnPort, Ports};
use otherhalf_ab::windows::{self, Measured};
use otherhalf_perf::mood::Mood;

/// What both sides' tables take, and a little more.
const MEMORY_MB: u32 = 192;
/// The least share of frames that each side must answer; the rest meets a full table.
const ANSWERED: f64 = 0.99;
/// Smallest frames a second that 10 Gbit/s carry: each is 84 octets on the wire, preamble and gap included.
const FRAMES_PER_S: f64 = 10e9 / (84.0 * 8.0);
/// How long the time stamp counter is measured.
const CALIBRATION: Duration = Duration::from_millis(50);

/// Times the engine against C that does the very same work, in alternating windows of one process.
///
/// Each line: `ratio NAME VALUE TARGET pass|short`, then both sides' cycles a frame, which move
/// with the host's mood and gate nothing. Cases of `path/` are whole turns on a port, those of `engine/` the packet's
/// way alone. Each case is a process of its own, with 192 MB of huge pages.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only cases whose name contains this.
    #[arg(default_value = "")]
    only: String,
    /// Seconds a case.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// The core to run on.
    #[arg(long, default_value_t = 1)]
    cpu: usize,
    /// The one case to run in this process.
    #[arg(long, hide = true)]
    case: Option<String>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut all = case::path();
    all.extend(case::engine());
    if let Some(name) = &arguments.case {
        let case = all.into_iter().find(|case| case.name == name).context("no such case")?;
        return run(&case, &arguments);
    }
    println!("# windows of {} us; {}", windows::WINDOW_US, mood(arguments.cpu));
    // A process a case: DPDK's memory is never given back.
    for case in all.into_iter().filter(|case| case.name.contains(&arguments.only)) {
        let status = Command::new(std::env::current_exe()?)
            .args(["--case", case.name])
            .args(["--seconds", &arguments.seconds.to_string()])
            .args(["--cpu", &arguments.cpu.to_string()])
            .status()?;
        ensure!(status.success(), "{}: {status}", case.name);
    }
    println!("# {}", mood(arguments.cpu));
    Ok(())
}

fn mood(cpu: usize) -> Mood {
    Mood::measure([usize::from(cpu == 0), cpu])
}

fn run(case: &Case, arguments: &Arguments) -> anyhow::Result<()> {
    let prefix = format!("otherhalf-ab-{}", std::process::id());
    let eal = Eal::builder(prefix, Memory::Huge { megabytes: MEMORY_MB })
        .main_lcore(LcoreId(0), [arguments.cpu])
        .log_level(LogLevel::Error)
        .init()
        .context("DPDK does not start: are 96 huge pages of 2 MB free? (sysctl vm.nr_hugepages)")?;
    let hz = measure_tsc_hz(CALIBRATION);
    let time = Duration::from_secs_f64(arguments.seconds);
    let measured = match case.pair {
        Pair::Alone(sides) => {
            let [subject, reference] = sides.map(|side| Alone::new(side, hz, Pages::Huge(&eal)));
            let (mut subject, mut reference) = (subject?, reference?);
            let measured = windows::alternate(&mut subject, &mut reference, hz, time)?;
            for share in [subject.answered(), reference.answered()] {
                ensure!(share > ANSWERED, "{}: {share} answered", case.name);
            }
            measured
        }
        Pair::Port(sides) => {
            let ports = Ports::new(&eal)?;
            let pool = ports.pool();
            let Ports { ends: [first, second], .. } = ports;
            let mut subject = OnPort::new(sides[0], hz, &eal, pool.clone(), first)?;
            let mut reference = OnPort::new(sides[1], hz, &eal, pool, second)?;
            let measured = windows::alternate(&mut subject, &mut reference, hz, time)?;
            for side in [&mut subject, &mut reference] {
                side.check()?;
                ensure!(side.answered() > ANSWERED, "{}: {} answered", case.name, side.answered());
            }
            measured
        }
    };
    print(case, &measured, hz);
    Ok(())
}

fn print(case: &Case, measured: &Measured, hz: u64) {
    let Measured { subject, reference, pairs, fast, fast_share, .. } = *measured;
    let rest = format!("{subject:.0} / {reference:.0} cycles, {pairs} pairs");
    // A control is something to itself: less than 1 is as wrong as more.
    let control = case.name.contains("control");
    let target = if control { Same(case.target - 1.0) } else { AtMost(case.target) };
    println!("{}", ratio(case.name, measured.ratio, target, &rest));
    if case.budget {
        let name = case.name.replace("path", "path-10g").replace("/floor", "");
        #[expect(clippy::cast_precision_loss, reason = "a few thousand million")]
        let budget = hz as f64 / FRAMES_PER_S;
        let share = 100.0 * fast_share;
        let rest = format!(
            "{fast:.0} of {budget:.0} cycles, in the fast mood, {share:.0} % of the windows"
        );
        println!("{}", ratio(&name, fast / budget, AtMost(1.0), &rest));
    }
}

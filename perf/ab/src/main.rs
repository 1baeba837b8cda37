//! Prints the ratios of all cases, a line each.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use dpdk::{Eal, LcoreId, LogLevel, Memory, measure_tsc_hz};
use otherhalf_ab::case::{self, Case, Running};
use otherhalf_ab::pages::Pages;
use otherhalf_ab::windows;

/// What both sides' tables take, and a little more.
const MEMORY_MB: u32 = 192;
/// How long the time stamp counter is measured.
const CALIBRATION: Duration = Duration::from_millis(50);

/// Times the engine against C that does the very same work, in alternating windows of one process.
///
/// Each line: `ratio NAME VALUE TARGET pass|short`, then both sides' cycles a frame, which move
/// with the host's mood and gate nothing. Each case is a process of its own, with 192 MB of huge pages.
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
    let all = case::all();
    if let Some(name) = &arguments.case {
        let case = all.into_iter().find(|case| case.name == name).context("no such case")?;
        return run(&case, &arguments);
    }
    println!("# windows of {} us", windows::WINDOW_US);
    // A process a case: DPDK's memory is never given back.
    for case in all.into_iter().filter(|case| case.name.contains(&arguments.only)) {
        let status = Command::new(std::env::current_exe()?)
            .args(["--case", case.name])
            .args(["--seconds", &arguments.seconds.to_string()])
            .args(["--cpu", &arguments.cpu.to_string()])
            .status()?;
        ensure!(status.success(), "{}: {status}", case.name);
    }
    Ok(())
}

fn run(case: &Case, arguments: &Arguments) -> anyhow::Result<()> {
    let prefix = format!("otherhalf-ab-{}", std::process::id());
    let eal = Eal::builder(prefix, Memory::Huge { megabytes: MEMORY_MB })
        .main_lcore(LcoreId(0), [arguments.cpu])
        .log_level(LogLevel::Error)
        .init()
        .context("DPDK does not start: are 96 huge pages of 2 MB free? (sysctl vm.nr_hugepages)")?;
    let (hz, pages) = (measure_tsc_hz(CALIBRATION), Pages::Huge(&eal));
    let mut subject = Running::new(case.subject, hz, pages)?;
    let mut reference = Running::new(case.reference, hz, pages)?;
    let time = Duration::from_secs_f64(arguments.seconds);
    let measured = windows::alternate(&mut subject, &mut reference, hz, time)?;
    for side in [&subject, &reference] {
        ensure!(side.answered() > 0.99, "{}: {} answered", case.name, side.answered());
    }
    let verdict = if measured.ratio <= case.target { "pass" } else { "short" };
    println!(
        "ratio {:<24} {:.3} {:.2} {verdict:<5} # {:.0} / {:.0} cycles, {} pairs",
        case.name,
        measured.ratio,
        case.target,
        measured.subject,
        measured.reference,
        measured.pairs
    );
    Ok(())
}

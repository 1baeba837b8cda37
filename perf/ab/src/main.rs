//! Prints the ratios of all cases, a line each.

use std::time::Duration;

use anyhow::ensure;
use clap::Parser;
use otherhalf_ab::case::{self, Running};
use otherhalf_ab::windows;

/// Times the engine against C that does the very same work, in alternating windows of one process.
///
/// Each line: `ratio NAME VALUE TARGET pass|short`, then both sides' cycles a frame, which move
/// with the host's mood and gate nothing.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only cases whose name contains this.
    #[arg(default_value = "")]
    only: String,
    /// Seconds a case.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let hz = windows::hz();
    println!("# {} MHz, windows of {} us", hz / 1_000_000, windows::WINDOW_US);
    for case in case::all().into_iter().filter(|case| case.name.contains(&arguments.only)) {
        let mut subject = Running::new(case.subject, hz)?;
        let mut reference = Running::new(case.reference, hz)?;
        let time = Duration::from_secs_f64(arguments.seconds);
        let measured = windows::alternate([&mut subject, &mut reference], hz, time)?;
        for side in [&subject, &reference] {
            ensure!(side.answered() > 0.99, "{}: {} answered", case.name, side.answered());
        }
        let verdict = if measured.ratio <= case.target { "pass" } else { "short" };
        println!(
            "ratio {:<22} {:.3} {:.2} {verdict:<5} # {:.0} / {:.0} cycles, {} pairs",
            case.name,
            measured.ratio,
            case.target,
            measured.subject,
            measured.reference,
            measured.pairs
        );
    }
    Ok(())
}

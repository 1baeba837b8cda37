//! What the terminal shows.

use otherhalf_perf::compare::Row;
use otherhalf_perf::report::Report;

/// Shows a report's steps.
pub(crate) fn show(report: &Report) {
    let run = &report.run;
    println!("{} on {}: {}", run.scenario, run.profile, run.scenario_about);
    println!("mood before: {}", run.mood_before);
    println!("mood after:  {}", run.mood_after);
    println!(
        "{:<16} {:>11} {:>11} {:>7} {:>8} {:>8} {:>9} {:>7} {:>7} {:>6} {:>6} {:>6}",
        "load",
        "offered/s",
        "served/s",
        "lost",
        "p50 us",
        "p99 us",
        "p99.9 us",
        "ticks/f",
        "f/turn",
        "resp.",
        "gen.",
        "clean"
    );
    let mut wrong = 0u64;
    let mut right = 0u64;
    for (step, _) in &report.steps {
        let rates = step.rates();
        let count = |name: &str| step.counts.get(name).copied().unwrap_or(0);
        let latencies = step.latencies();
        let latency = if latencies.whole.count > 0 { &latencies.whole } else { &latencies.probe };
        let us = |ns: u64| std::time::Duration::from_nanos(ns).as_secs_f64() * 1e6;
        let optional = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
        };
        println!(
            "{:<16} {:>11.0} {:>11.0} {:>7} {:>8.1} {:>8.1} {:>9.1} {:>7} {:>7} {:>6} {:>5.0}% {:>5.0}%",
            step.name(),
            rates.offered_per_s,
            rates.served_per_s,
            count("lost_requests") + count("lost_answers"),
            us(latency.p50),
            us(latency.p99),
            us(latency.p999),
            optional(rates.ticks_per_frame, 0),
            optional(rates.frames_per_turn, 1),
            rates.responder_busy.map_or_else(|| "-".to_owned(), |b| format!("{:.0}%", 100.0 * b)),
            100.0 * rates.generator_busy,
            100.0 * step.clean_share
        );
        right += count("responses") + count("unanswered");
        wrong += step.faults.values().sum::<u64>();
        for (name, count) in &step.faults {
            println!("  WRONG: {name} {count}");
        }
    }
    println!("{right} transactions verified, {wrong} frames wrong");
    let drops: Vec<String> = run
        .responder
        .iter()
        .filter(|(name, count)| name.starts_with("drop_") && **count > 0)
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    if !drops.is_empty() {
        println!("dropped by the responder, warm-up included: {}", drops.join(", "));
    }
    if let Some(lost @ 1..) = run.mbufs_lost {
        println!("WRONG: {lost} buffers were not given back");
    }
}

/// Shows a comparison.
pub(crate) fn show_comparison(rows: &[Row]) {
    println!("{:<24} {:<22} {:>7} {:>17}  finding", "load", "measure", "ratio", "95 % interval");
    for row in rows {
        let (ratio, interval) = row.ratio.map_or_else(
            || ("-".to_owned(), "-".to_owned()),
            |r| {
                let [low, high] = r.interval;
                (format!("{:.3}", r.ratio), format!("{low:.3} to {high:.3}"))
            },
        );
        println!("{:<24} {:<22} {ratio:>7} {interval:>17}  {}", row.step, row.measure, row.finding);
    }
}

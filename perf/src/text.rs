//! What the terminal shows.
#![allow(clippy::cast_precision_loss, reason = "figures for people have three digits")]

use otherhalf_perf::compare::Row;
use otherhalf_perf::goodput::Curve;
use otherhalf_perf::proof::Proven;
use otherhalf_perf::report::{Report, Run};
use otherhalf_perf::search::NoDrop;
use otherhalf_responder::stage::Stage;

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
            step.lost(),
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
        if !step.stages.is_empty() {
            let stages: Vec<String> = step
                .stages
                .iter()
                .map(|stage| format!("{} {:.0}", stage.stage, stage.ticks_per_frame))
                .collect();
            println!("  ticks/f by stage: {}", stages.join(", "));
        }
        if count("aimed") > 0 {
            println!(
                "  aimed at two buckets: {} requests, of which {} found a place there",
                count("aimed"),
                count("aimed_probes")
            );
        }
        for (name, count) in &step.faults {
            println!("  WRONG: {name} {count}");
        }
    }
    show_workers(run);
    println!("{right} transactions verified, {wrong} frames wrong");
    let drops: Vec<String> = run
        .responder
        .iter()
        .filter(|(name, count)| name.starts_with("drop_") && **count > 0)
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    if let Some(pending) = run.responder.get("pending") {
        println!("probes that wait in the responder's table at its end: {pending}");
    }
    if !drops.is_empty() {
        println!("dropped by the responder, warm-up included: {}", drops.join(", "));
    }
    if let Some(lost @ 1..) = run.mbufs_lost {
        println!("WRONG: {lost} buffers were not given back");
    }
}

/// Shows what each worker did, warm-up included, and what it costs to know the stages.
fn show_workers(run: &Run) {
    for worker in &run.workers {
        println!(
            "worker {}: received {}, probes {}, responses {}",
            worker.worker, worker.received, worker.probes, worker.responses
        );
    }
    if !run.workers.is_empty() {
        let (received, turns) = run.workers.iter().fold((0, 0), |(received, turns), worker| {
            (received + worker.received, turns + worker.busy_turns)
        });
        let readings = Stage::ALL.len();
        let frames = received as f64 / (turns as f64).max(1.0);
        println!(
            "the stages cost {readings} readings of {:.0} ticks a burst: {:.1} ticks a frame at {frames:.1} frames a turn",
            run.stage_reading_ticks,
            run.stage_reading_ticks * readings as f64 / frames.max(1.0)
        );
    }
}

/// Shows what a search found.
pub(crate) fn show_no_drop(found: &NoDrop) {
    println!("no-drop rate, {}", found.mode);
    for trial in &found.trials {
        println!(
            "  {:>11.0}/s {:>10} offered {:>8} lost in {:>7.3} s: {}",
            trial.rate,
            trial.counts.offered,
            trial.counts.lost,
            trial.counts.seconds,
            trial.verdict
        );
    }
    let above = found.above.map_or_else(
        || "no higher one failed".to_owned(),
        |above| format!("the lowest that failed {above:.0}/s"),
    );
    println!("no-drop {:.0} transactions/s ({above})", found.rate);
    // For scripts/bench: without a target, and none where no rate passed.
    let to_peak = found.peak.filter(|peak| *peak > 0.0 && found.rate > 0.0);
    let to_peak = to_peak.map_or("none".to_owned(), |peak| format!("{:.2}", found.rate / peak));
    println!("ratio no-drop/peak {to_peak} - - # {:.0} transactions/s", found.rate);
}

/// Shows what a proof found.
pub(crate) fn show_proven(proven: &Proven) {
    let us = |ns: u64| ns as f64 / 1000.0;
    let window = proven.peak_window.unwrap_or(0);
    println!("the peak is at window {window}");
    if let Some(offered) = proven.offered {
        println!("of the open overload that was wanted, {:.0} % was offered", 100.0 * offered);
    }
    if let Some(busy) = proven.generator {
        println!("the generator was busy for {:.0} % of it", 100.0 * busy);
    }
    for (name, p) in proven.latencies().into_iter().filter(|(_, p)| p.count > 0) {
        println!(
            "latency of a frame, {name}: p50 {:.1} us, p99 {:.1} us, p99.9 {:.1} us ({} frames)",
            us(p.p50),
            us(p.p99),
            us(p.p999),
            p.count
        );
    }
    for ratio in &proven.ratios {
        println!("{ratio}");
    }
}

/// Shows the goodput at each load.
pub(crate) fn show_curve(curve: &Curve) {
    show_no_drop(&curve.no_drop);
    println!(
        "{:>9} {:>11} {:>8} {:>8} {:>6}  of the no-drop rate",
        "load", "served/s", "of peak", "offered", "gen."
    );
    for point in &curve.points {
        println!(
            "{:>8}x {:>11.0} {:>8.2} {:>7.0}% {:>5.0}%",
            point.factor,
            point.served_per_s,
            point.of_peak,
            100.0 * point.offered,
            100.0 * point.generator
        );
    }
    for ratio in &curve.ratios {
        println!("{ratio}");
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

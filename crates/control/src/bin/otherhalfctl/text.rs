//! Answers for people.

use std::fmt::Write as _;

use otherhalf_control::capture::{Ended, Reason};
use otherhalf_control::message::{MOST_WAITING, Probe, Reloaded, Route, Waiting};
use otherhalf_control::status::{
    Counters, Neighbour, Pending, Port, Prefixes, Rate, Status, Worker,
};

/// How it is, in a few lines.
pub(crate) fn status(status: &Status) -> String {
    let Status { version, dpdk, pid, uptime_ms, state, ready, not_ready, reloads, .. } = status;
    let mut text = String::new();
    let state = state.name();
    let ready =
        if *ready { "ready for requests".to_owned() } else { format!("not ready: {not_ready}") };
    let _ = writeln!(text, "otherhalfd {version}, {dpdk}, process {pid}");
    let _ = writeln!(text, "{state}, {ready}; up {}, {reloads} reloads", duration(*uptime_ms));
    for Port { name, driver, mac, link_up, speed_mbps, mtu, queues, counters, .. } in &status.ports
    {
        let link = match (link_up, speed_mbps) {
            (false, _) => "no link".to_owned(),
            (true, None) => "link up".to_owned(),
            (true, Some(speed)) => format!("link up at {speed} Mbit/s"),
        };
        let of = |name: &str| counters.get(name).copied().unwrap_or_default();
        let _ = writeln!(
            text,
            "port {name} ({driver}, {mac}): {link}, MTU {mtu}, {queues} queues; {} frames received, {} missed",
            of("rx_packets"),
            of("rx_missed")
        );
    }
    for Worker { index, cpu, silent_ms, received, .. } in &status.workers {
        let alive =
            if *silent_ms < 100 { String::new() } else { format!(", no turn for {silent_ms} ms") };
        let _ = writeln!(text, "worker {index} on CPU {cpu}: {received} frames{alive}");
    }
    text += &pending(&status.pending);
    let Prefixes { access, opt_out, indirect, bytes } = status.prefixes;
    let _ = writeln!(
        text,
        "prefixes: {access} of access, {opt_out} of opt_out, {indirect} of indirect ({} KiB)",
        bytes / 1024
    );
    text += &rate(&status.rate);
    let known = status.neighbours.iter().filter(|neighbour| neighbour.mac.is_some()).count();
    let _ = writeln!(text, "neighbours: {known} known of {}", status.neighbours.len());
    let _ = writeln!(
        text,
        "frame buffers: {} in use of {}",
        status.mempool.in_use, status.mempool.size
    );
    text
}

/// How full the pending table is.
pub(crate) fn pending(pending: &Pending) -> String {
    let Pending { live, capacity, bytes, timeout_ms, expired, oldest_ms } = pending;
    format!(
        "pending: {live} probes wait, of {capacity} that can ({} KiB), for {timeout_ms} ms each, the oldest since {oldest_ms} ms; {expired} waited in vain\n",
        bytes / 1024
    )
}

/// What the limits of requesters do besides dropping.
fn rate(rate: &Rate) -> String {
    let Rate { enabled, dry_run, bytes, cells, spent, leaked, spared } = rate;
    let of = format!("({} KiB, {spent} of {cells} cells in use)", bytes / 1024);
    match (enabled, dry_run) {
        (false, _) => "rates: not limited\n".to_owned(),
        (true, false) => format!("rates: limited {of}; {leaked} requests beyond them leaked\n"),
        (true, true) => format!("rates: tried out {of}; {spared} requests were beyond them\n"),
    }
}

/// Some of what waits, one probe a line, where `limit` were asked for.
pub(crate) fn waiting(Waiting { probes, whole }: &Waiting, limit: usize) -> String {
    let mut text = match (limit, probes.len(), whole) {
        // Who wants none is told nothing of any.
        (0, ..) => return String::new(),
        (_, 0, true) => "when the list was made none waited; the line above is of the last sweep\n",
        (_, 0, false) => "none was found in time\n",
        _ => "listed by themselves; the line above is of the last sweep:\n",
    }
    .to_owned();
    for Probe { request_id, age_us, left_us } in probes {
        let [age, left] = [age_us, left_us].map(|us| format!("{}.{:03} ms", us / 1000, us % 1000));
        let _ = writeln!(text, "request {request_id:<5} sent {age} ago, given up in {left}");
    }
    if !whole {
        let more = if limit < MOST_WAITING { "see --limit" } else { "no list is longer" };
        let _ = writeln!(text, "there may be more: {more}");
    }
    text
}

/// The counters, those that are not 0 or all.
pub(crate) fn stats(status: &Status, all: bool, workers: bool) -> String {
    let mut text = format!("{:<30} {}\n", "received", status.received);
    counters(&mut text, &status.outcomes, all, "  ");
    counters(&mut text, &status.others, all, "");
    if workers {
        for worker in &status.workers {
            let _ = writeln!(text, "\nworker {:<23} {}", worker.index, worker.received);
            counters(&mut text, &worker.outcomes, all, "  ");
            for (stage, ticks) in &worker.stage_ticks {
                let _ = writeln!(text, "ticks in {stage:<21} {ticks}");
            }
        }
    }
    text
}

fn counters(text: &mut String, counters: &Counters, all: bool, indent: &str) {
    for (name, value) in counters.iter().filter(|(_, value)| all || **value > 0) {
        let _ = writeln!(text, "{:<30} {value}", format!("{indent}{name}"));
    }
}

/// The neighbours, one a line.
pub(crate) fn neighbours(neighbours: &[Neighbour]) -> String {
    let mut text = String::new();
    for Neighbour { address, interface, mac, router, state } in neighbours {
        let mac = mac.as_deref().unwrap_or("no answer");
        let router = if *router { " router" } else { "" };
        let _ = writeln!(text, "{address} {interface} {mac} {state}{router}");
    }
    text
}

/// The routes, one a line.
pub(crate) fn routes(routes: &[Route]) -> String {
    let mut text = String::new();
    for Route { to, via, interface, mac, standby } in routes {
        let via = via.map(|router| format!(" via {router}")).unwrap_or_default();
        let mac = mac.as_deref().map(|mac| format!(" ({mac})")).unwrap_or_default();
        let standby = if *standby { " standby" } else { "" };
        let _ = writeln!(text, "{to}{via} interface {interface}{mac}{standby}");
    }
    text
}

/// What a reload changed.
pub(crate) fn reloaded(Reloaded { changed, restart }: &Reloaded) -> String {
    let changed = if changed.is_empty() { "nothing".to_owned() } else { changed.join(", ") };
    let mut text = format!("changed: {changed}\n");
    if !restart.is_empty() {
        let _ = writeln!(text, "at the next start, not before: {}", restart.join(", "));
    }
    text
}

/// How a capture ended.
pub(crate) fn captured(Ended { packets, lost, reason }: &Ended) -> String {
    let why = match reason {
        Reason::Limit => "the limit",
        Reason::Time => "the time is over",
        Reason::Stopping => "otherhalfd ends",
    };
    let lost = match lost {
        0 => String::new(),
        lost => format!(", {lost} more came faster than they could be copied"),
    };
    format!("{packets} frames captured ({why}){lost}\n")
}

/// Days, hours, minutes and seconds.
fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_that_waits_is_a_line() {
        let probe = Probe { request_id: 77, age_us: 1_234_005, left_us: 999 };
        let head = "listed by themselves; the line above is of the last sweep:\n";
        let line = "request 77    sent 1234.005 ms ago, given up in 0.999 ms\n";
        let listed = |probes: &[Probe], whole, limit| {
            waiting(&Waiting { probes: probes.to_vec(), whole }, limit)
        };
        assert_eq!(listed(&[probe], true, 20), format!("{head}{line}"));
        let more = format!("{head}{line}there may be more: ");
        assert_eq!(listed(&[probe], false, 1), format!("{more}see --limit\n"));
        assert_eq!(listed(&[probe], false, MOST_WAITING), format!("{more}no list is longer\n"));
        assert!(listed(&[], true, 20).starts_with("when the list was made none waited;"));
        // Whoever asks for none is not told that there may be more.
        assert_eq!([listed(&[], true, 0), listed(&[], false, 0)], ["", ""]);
    }

    #[test]
    fn a_time_has_two_units() {
        let times = [
            (999, "0 s"),
            (61_000, "1 min 1 s"),
            (3_660_000, "1 h 1 min"),
            (180_000_000, "2 d 2 h"),
        ];
        for (ms, text) in times {
            assert_eq!(duration(ms), text);
        }
    }
}

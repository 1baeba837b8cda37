//! A capture for a client of the control socket: each frame is a line, until it is over.
//!
//! The frames go to the client, which writes the file: so the daemon needs no right to write anywhere, and the file is the client's, with
//! the client's rights. This runs on the connection's own thread; a client that goes ends it.

use std::io::{BufWriter, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use otherhalf_control::Reply;
use otherhalf_control::capture::{self, Ended, Octets, Reason, Wish};
use otherhalf_control::message;
use otherhalf_engine::Outcome;

use super::{Captured, SNAP_LEN, Session, Wanted};
use crate::shared::Shared;

/// How often is looked whether frames came. A queue that fills sooner loses some, and they are counted.
const TURN: Duration = Duration::from_millis(1);
/// How often the client is told that it goes on, which also shows whether it is still there.
const NEWS: Duration = Duration::from_secs(1);
/// Frames taken out between two looks at the time.
const TOGETHER: u32 = 256;

/// Captures as `wish` says, and writes the replies. An error: the client is gone.
pub fn serve(shared: &Shared, wish: &Wish, client: &mut impl Write) -> Result<(), message::Error> {
    let status = shared.status.load_full();
    if status.ticks_per_second == 0 {
        let starting = "otherhalfd is just starting: try again in a second";
        return message::write(client, &Reply::Error(starting.to_owned()));
    }
    let armed = wanted(wish).and_then(|outcomes| {
        let snap_len = wish.snap_len.unwrap_or(SNAP_LEN);
        shared.capture.arm(outcomes, snap_len).map_err(|error| error.to_string())
    });
    let mut session = match armed {
        Ok(session) => session,
        Err(why) => return message::write(client, &Reply::Error(why)),
    };
    let mut clock = WallClock::new(status.ticks_per_second);
    let ports = status.ports.iter().map(|port| port.name.clone()).collect();
    message::write(client, &Reply::CaptureBegun(ports))?;

    let (began, mut told) = (Instant::now(), Instant::now());
    let mut packets = 0;
    let reason = loop {
        let last = if shared.stopping() {
            Some(Reason::Stopping)
        } else {
            let time = wish.seconds.map(Duration::from_secs);
            time.filter(|time| began.elapsed() >= *time).map(|_| Reason::Time)
        };
        let more = take_out(&mut session, &clock, client, wish.limit, &mut packets)?;
        if packets >= wish.limit {
            break Reason::Limit;
        }
        if let Some(reason) = last {
            break reason;
        }
        if told.elapsed() >= NEWS {
            told = Instant::now();
            // The day's clock is set now and then, and no rate of ticks is known so well that hours do not matter.
            clock = WallClock::new(status.ticks_per_second);
            message::write(client, &Reply::Capturing { packets, lost: session.lost() })?;
        }
        if !more {
            std::thread::sleep(TURN);
        }
    };
    let lost = session.lost();
    drop(session);
    message::write(client, &Reply::CaptureEnded(Ended { packets, lost, reason }))
}

/// Hands the client what came, up to `limit` in all; says whether there may be more.
fn take_out(
    session: &mut Session<'_>,
    clock: &WallClock,
    client: &mut impl Write,
    limit: u64,
    packets: &mut u64,
) -> Result<bool, message::Error> {
    let mut client = BufWriter::new(client);
    for _ in 0..TOGETHER {
        if *packets >= limit {
            break;
        }
        let Some(frame) = session.next(|frame| clock.told(&frame)) else {
            client.flush()?;
            return Ok(false);
        };
        serde_json::to_writer(&mut client, &Reply::Captured(frame))?;
        client.write_all(b"\n")?;
        *packets += 1;
    }
    client.flush()?;
    Ok(true)
}

/// The outcomes that `wish` names.
fn wanted(wish: &Wish) -> Result<Wanted, String> {
    wish.outcomes.iter().map(|name| outcome(name)).collect()
}

/// The outcome called `name`; `drop_` may be left out.
fn outcome(name: &str) -> Result<Outcome, String> {
    let called = |outcome: &&Outcome| {
        outcome.name() == name || outcome.name().strip_prefix("drop_") == Some(name)
    };
    Outcome::ALL.iter().find(called).copied().ok_or_else(|| {
        let alike = |outcome: &Outcome| {
            let full = strsim::jaro_winkler(outcome.name(), name);
            let short = outcome.name().strip_prefix("drop_").unwrap_or_default();
            full.max(strsim::jaro_winkler(short, name))
        };
        let nearest = Outcome::ALL.iter().max_by(|a, b| alike(a).total_cmp(&alike(b)));
        let nearest = nearest.map_or("", |outcome| outcome.name());
        format!(
            "no outcome is called {name:?}, did you mean {nearest}? `otherhalfctl stats --all` lists them"
        )
    })
}

/// What time a tick was.
struct WallClock {
    /// One moment by both clocks.
    ticks: u64,
    since_1970: Duration,
    ticks_per_second: u64,
}

impl WallClock {
    fn new(ticks_per_second: u64) -> Self {
        Self {
            ticks: dpdk::tsc(),
            // A clock before 1970 is one that was never set.
            since_1970: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            ticks_per_second,
        }
    }

    /// The time at `ticks`, in nanoseconds since 1970. Frames that waited may be older than this clock.
    fn at_ns(&self, ticks: u64) -> u64 {
        let ahead = ticks.wrapping_sub(self.ticks).cast_signed();
        let ns =
            u128::from(ahead.unsigned_abs()) * 1_000_000_000 / u128::from(self.ticks_per_second);
        let ns = Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX));
        let at = if ahead < 0 {
            self.since_1970.saturating_sub(ns)
        } else {
            self.since_1970.saturating_add(ns)
        };
        u64::try_from(at.as_nanos()).unwrap_or(u64::MAX)
    }

    fn told(&self, frame: &Captured<'_>) -> capture::Frame {
        capture::Frame {
            at_ns: self.at_ns(frame.ticks),
            port: frame.port.0,
            worker: frame.worker,
            outcome: frame.outcome.name().into(),
            whole_len: frame.whole_len,
            octets: Octets(frame.octets.to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_have_their_counters_names_or_less() {
        assert_eq!(outcome("drop_forged"), Ok(Outcome::DropForged));
        assert_eq!(outcome("forged"), Ok(Outcome::DropForged));
        assert_eq!(outcome("ping_reply"), Ok(Outcome::PingReply));
        for (wrong, meant) in [("forgd", "drop_forged"), ("ping_replies", "ping_reply")] {
            let said = outcome(wrong).unwrap_err();
            assert!(said.contains(&format!("did you mean {meant}?")), "{said}");
        }
    }

    #[test]
    fn ticks_become_times_before_and_after() {
        let clock = WallClock {
            ticks: 1_000_000,
            since_1970: Duration::from_secs(1_700_000_000),
            ticks_per_second: 2_000_000_000,
        };
        let second = 1_000_000_000;
        let base = 1_700_000_000 * second;
        assert_eq!(clock.at_ns(1_000_000), base);
        assert_eq!(clock.at_ns(1_000_000 + 3_000_000_000), base + second * 3 / 2);
        assert_eq!(clock.at_ns(0), base - 500_000);
    }
}

//! Whether the responder's counters add up.

use anyhow::{Result, ensure};
use otherhalf_control::status::Status;

use super::board::Sight;

use crate::session::counters_of;

/// Frames that a worker may have received and not yet counted as what became of them: those of two bursts, and those that
/// wait for a neighbour.
const UNDER_WAY: u64 = 2 * 32 + 128;

/// By how much frames received and outcomes of `status` differ, if by more than what may be under way.
pub(crate) fn about_right(status: &Status) -> Result<()> {
    let off = difference(status);
    let most = UNDER_WAY * status.workers.len() as u64;
    ensure!(off <= most, "{off} frames more or less were received than became of something");
    Ok(())
}

/// Frames received that nothing became of, or the other way round.
pub(crate) fn difference(status: &Status) -> u64 {
    status.received.abs_diff(status.outcomes.values().sum())
}

/// Probes and responses, at some time at which nothing is under way: what the responder says that it sent, and what came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// By the responder's counters.
    told: u64,
    /// That came and were verified.
    came: u64,
    /// Of which some came too late to be told apart: probes among them are in `came`, too.
    late: u64,
    /// That may have been sent and did not come.
    missing: u64,
}

impl Sent {
    /// By `status` and `sight`.
    pub(crate) fn by(status: &Status, sight: &Sight) -> Self {
        let is_sent = |name: &str| name.starts_with("probe_") || name.starts_with("response_");
        let outcomes = status.outcomes.iter().filter(|(name, _)| is_sent(name));
        let (tally, [requests, _]) = (&sight.tally, sight.repeated);
        Self {
            told: outcomes.map(|(_, count)| count).sum(),
            came: tally.probes + tally.responses + sight.second_probes,
            late: tally.late,
            // Of a transaction that was given up, either; of one that came twice, the second probe.
            missing: tally.lost_requests
                + tally.lost_answers
                + requests.saturating_sub(sight.second_probes),
        }
    }

    /// Checks that since `first`, in the same process, as much was told to be sent as came, but for what was lost on the way.
    pub(crate) fn agree_since(&self, first: &Self) -> Result<()> {
        let told = self.told.saturating_sub(first.told);
        let came = self.came - first.came;
        let most = came + (self.late - first.late) + self.missing.saturating_sub(first.missing);
        ensure!(
            (came..=most).contains(&told),
            "its counters say that it sent {told} probes and responses; {came} came, and {most} at most can have been sent"
        );
        Ok(())
    }
}

/// Checks what a responder printed at its end: all received frames became of something, and no buffer is in use. Returns the
/// frames received.
pub(crate) fn exact(printed: &str) -> Result<u64> {
    // Outcomes are the indented lines.
    let sum: u64 = printed
        .lines()
        .filter(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .sum();
    let counters = counters_of(printed);
    let get = |name| counters.iter().find(|(found, _)| found == name).map(|(_, value)| *value);
    let received = get("received");
    ensure!(
        received == Some(sum),
        "received {received:?}, but {sum} became of something:\n{printed}"
    );
    ensure!(get("mbufs_in_use") == Some(0), "buffers were not given back:\n{printed}");
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use otherhalf_control::status::{Counters, Worker};

    const PRINTED: &str =
        "received 7\n  probe_icmp 5\n  drop_forged 2\nreloads 1\nmbufs_in_use 0\n";

    #[test]
    fn what_is_printed_must_add_up_and_leave_no_buffer() {
        assert_eq!(exact(PRINTED).unwrap(), 7);
        assert!(exact(&PRINTED.replace("received 7", "received 8")).is_err());
        assert!(exact(&PRINTED.replace("in_use 0", "in_use 1")).is_err());
        assert!(exact("").is_err());
    }

    #[test]
    fn what_was_sent_is_what_came_or_was_lost() {
        let at = |told, came, late, missing| Sent { told, came, late, missing };
        let first = at(1000, 900, 10, 90);
        assert!(at(1500, 1400, 10, 90).agree_since(&first).is_ok());
        assert!(at(1499, 1400, 10, 90).agree_since(&first).is_err(), "more came than was sent");
        assert!(at(1501, 1400, 10, 90).agree_since(&first).is_err(), "something is missing");
        assert!(at(1501, 1400, 11, 90).agree_since(&first).is_ok());
        assert!(at(1501, 1400, 10, 91).agree_since(&first).is_ok());
        let outcomes =
            [("probe_udp".into(), 3), ("response_rst".into(), 2), ("ping_reply".into(), 9)];
        let status = Status { outcomes: outcomes.into(), ..Status::default() };
        let mut sight = Sight { second_probes: 1, repeated: [2, 7], ..Sight::default() };
        (sight.tally.probes, sight.tally.responses, sight.tally.lost_answers) = (2, 1, 1);
        assert_eq!(Sent::by(&status, &sight), at(5, 4, 0, 2));
    }

    #[test]
    fn a_state_may_be_off_by_what_is_under_way() {
        let outcomes = Counters::from([("probe_icmp".into(), 1000)]);
        let mut status = Status { outcomes, workers: vec![Worker::default()], ..Status::default() };
        status.received = 1000 + UNDER_WAY;
        assert!(about_right(&status).is_ok());
        status.received += 1;
        assert!(about_right(&status).is_err());
        assert_eq!(difference(&status), UNDER_WAY + 1);
    }
}

//! Whether the responder's counters add up.

use anyhow::{Result, ensure};
use otherhalf_control::status::Status;

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

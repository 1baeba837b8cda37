//! The generator's counts and the responder's: what one sent, the other received, to the last frame.

use otherhalf_engine::Outcome as Fate;

use super::Outcome;

/// Frames about hardware addresses, before anything is asked.
const NEIGHBOURS: u64 = 100;

/// Where the two do not agree, and what else is not as it has to be; nothing, if all is right.
#[must_use]
pub fn disagreements(outcome: &Outcome) -> Vec<String> {
    let counter = |name: &str| {
        let found = outcome.counters.iter().find(|(known, _)| known == name);
        found.map_or(0, |(_, count)| *count)
    };
    let counts = &outcome.counts;
    let mut wrong = Vec::new();
    let mut expect = |right: bool, what: String| {
        if !right {
            wrong.push(what);
        }
    };
    expect(counts.wrong == 0, format!("{} frames were wrong: {}", counts.wrong, outcome.faults));
    let received = counter("received");
    let sent = counts.requests + counts.answers + counts.neighbours;
    expect(
        received.checked_sub(sent).is_some_and(|besides| besides <= NEIGHBOURS),
        format!("the responder received {received} frames, and was sent {sent}"),
    );
    let served = [Fate::ProbeUdp, Fate::ResponseTimeExceeded].map(|fate| counter(fate.name()));
    let served: u64 = served.iter().sum();
    let heard = counts.wholes + counts.halves + counts.late + counts.wrong;
    expect(
        served == heard,
        format!("the responder counted {served} probes and responses sent, and {heard} came"),
    );
    let outcomes: u64 = Fate::ALL.iter().map(|fate| counter(fate.name())).sum();
    expect(
        outcomes == received,
        format!("the responder received {received} frames, and counted {outcomes} outcomes"),
    );
    if let Some(lost @ 1..) = outcome.mbufs_lost {
        expect(false, format!("{lost} buffers were lost"));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overload::Counts;

    fn outcome(change: impl Fn(&mut Outcome)) -> Outcome {
        let counts = Counts {
            requests: 100,
            halves: 60,
            answers: 60,
            wholes: 58,
            late: 1,
            ..Counts::default()
        };
        let counters = [("received", 161), ("probe_udp", 60), ("response_time_exceeded", 59)]
            .into_iter()
            .chain([("drop_table_full", 41), (Fate::NeighbourReply.name(), 1)]);
        let counters = counters.map(|(name, count)| (name.to_owned(), count)).collect();
        let mut outcome = Outcome {
            measured: Vec::new(),
            alone: None,
            counts,
            faults: String::new(),
            counters,
            mbufs_lost: Some(0),
        };
        change(&mut outcome);
        outcome
    }

    #[test]
    fn one_frame_is_missed() {
        type Change = fn(&mut Outcome);
        assert_eq!(disagreements(&outcome(|_| {})), Vec::<String>::new());
        let changes: [(Change, &str); 5] = [
            (|o| o.counts.wholes -= 1, "probes and responses sent, and 118 came"),
            (|o| o.counts.requests += 2, "received 161 frames, and was sent 162"),
            (|o| o.counts.wrong = 1, "1 frames were wrong"),
            (|o| o.counters[3].1 += 1, "counted 162 outcomes"),
            (|o| o.mbufs_lost = Some(2), "2 buffers"),
        ];
        for (change, said) in changes {
            let wrong = disagreements(&outcome(change));
            assert!(wrong.iter().any(|wrong| wrong.contains(said)), "{said}: {wrong:?}");
        }
    }
}

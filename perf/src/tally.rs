//! What the generator counts.

use crate::ledger::Fault;

/// Counts of a step. What was asked has been responded to, left unanswered on purpose, lost, or is under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests sent.
    pub asked: u64,
    /// Probes that came, each as it has to be.
    pub probes: u64,
    /// Answers to probes sent.
    pub answers: u64,
    /// Probes left unanswered, as the scenario wants it.
    pub unanswered: u64,
    /// Responses that came, each verified.
    pub responses: u64,
    /// Requests whose probe did not come in time.
    pub lost_requests: u64,
    /// Answers whose response did not come in time.
    pub lost_answers: u64,
    /// Probes and responses that came when their transaction had been given up.
    pub late: u64,
    /// RSTs that ended half-open connections.
    pub resets: u64,
    /// Pings sent.
    pub pings: u64,
    /// Replies to them.
    pub ping_replies: u64,
    /// Junk sent.
    pub junk: u64,
    /// Answers to such of it as is a datagram to a closed port.
    pub junk_replies: u64,
    /// Requests sent besides that all need the same two buckets of the responder's table.
    pub aimed: u64,
    /// Probes for them: their entries found a place.
    pub aimed_probes: u64,
    /// Frames of a flood sent.
    pub flood: u64,
    /// Such that the port had no room for.
    pub refused_flood: u64,
    /// What was sent to strangers, but for neighbour discovery.
    pub flood_replies: u64,
    /// Questions for our hardware address, and for those of stations that a flood made up.
    pub neighbours: u64,
    /// Requests of an open loop that the port had no room for: the responder's queue was full.
    pub refused_requests: u64,
    /// Answers that it had no room for.
    pub refused_answers: u64,
    /// Answers that were due by another queue than the probe came by.
    pub crossed: u64,
    /// Turns in which the port did not take all that was to be sent.
    pub held_up: u64,
    /// Requests that were due and had to wait, because too many were under way.
    pub blocked: u64,
    /// Frames that were not sent for lack of a buffer.
    pub no_mbuf: u64,
    /// What was wrong, by its kind.
    pub faults: [u64; Fault::ALL.len()],
}

impl Tally {
    /// Adds what `other` counted.
    pub fn add(&mut self, other: &Self) {
        let Self {
            asked,
            probes,
            answers,
            unanswered,
            responses,
            lost_requests,
            lost_answers,
            late,
            resets,
            pings,
            ping_replies,
            junk,
            junk_replies,
            aimed,
            aimed_probes,
            flood,
            refused_flood,
            flood_replies,
            neighbours,
            refused_requests,
            refused_answers,
            crossed,
            held_up,
            blocked,
            no_mbuf,
            faults,
        } = self;
        *asked += other.asked;
        *probes += other.probes;
        *answers += other.answers;
        *unanswered += other.unanswered;
        *responses += other.responses;
        *lost_requests += other.lost_requests;
        *lost_answers += other.lost_answers;
        *late += other.late;
        *resets += other.resets;
        *pings += other.pings;
        *ping_replies += other.ping_replies;
        *junk += other.junk;
        *junk_replies += other.junk_replies;
        *aimed += other.aimed;
        *aimed_probes += other.aimed_probes;
        *flood += other.flood;
        *refused_flood += other.refused_flood;
        *flood_replies += other.flood_replies;
        *neighbours += other.neighbours;
        *refused_requests += other.refused_requests;
        *refused_answers += other.refused_answers;
        *crossed += other.crossed;
        *held_up += other.held_up;
        *blocked += other.blocked;
        *no_mbuf += other.no_mbuf;
        for (fault, more) in faults.iter_mut().zip(other.faults) {
            *fault += more;
        }
    }

    /// Transactions that ended as they should.
    #[must_use]
    pub const fn served(&self) -> u64 {
        self.responses + self.unanswered
    }

    /// Transactions that were given up, or that ended at a full queue.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost_requests + self.lost_answers + self.refused()
    }

    /// Transactions that ended at a full queue.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused_requests + self.refused_answers
    }

    /// All that was wrong.
    #[must_use]
    pub fn wrong(&self) -> u64 {
        self.faults.iter().sum()
    }

    /// The faults that occurred, by name.
    pub fn faults(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Fault::ALL
            .into_iter()
            .map(|fault| (fault.name(), self.faults[fault as usize]))
            .filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_counter_of_its_own() {
        for (place, fault) in Fault::ALL.into_iter().enumerate() {
            assert_eq!(fault as usize, place);
            let mut tally = Tally::default();
            tally.faults[place] = 2;
            assert_eq!(tally.faults().collect::<Vec<_>>(), [(fault.name(), 2)]);
            assert_eq!(tally.wrong(), 2);
        }
    }
}

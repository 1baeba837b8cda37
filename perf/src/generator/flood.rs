//! A flood beside the transactions of an open loop: it goes by the same port, and competes with them for its room.

use dpdk::tsc;
use otherhalf_wire::ip::Packet;

use super::Generator;
use crate::flood::frames::Frames;
use crate::flood::strangers::Random;
use crate::flood::torrent::Torrent;
use crate::outbox::Item;
use crate::pace::Pace;
use crate::scenario::Scenario;

/// Frames of a flood sent in a turn.
const FLOOD: u64 = 64;
/// Frames that a flood makes up for after an absence of the generator; of more, none knows whether they would have come at once.
const MADE_UP: u64 = 1024;

/// The floods of a run, and the one that is on.
pub(super) struct Floods {
    torrents: Vec<Torrent>,
    now: Option<(usize, Pace)>,
    random: Random,
}

impl Floods {
    /// Those of `scenario`.
    pub(super) fn new(scenario: &Scenario, frames: Frames, plan: &crate::plan::Plan) -> Self {
        let entries = scenario.pending_entries.map_or(1 << 20, |entries| entries as usize);
        let torrent = |flood| Torrent::new(flood, frames, plan.clone(), entries);
        Self {
            torrents: scenario.floods.iter().map(torrent).collect(),
            now: None,
            random: Random::new(0),
        }
    }

    /// Whether there are any in this run, so that strangers hear of us.
    #[inline]
    pub(super) const fn are_expected(&self) -> bool {
        !self.torrents.is_empty()
    }

    /// A packet to somebody who is none of ours: a flood's attacker may hear it.
    #[inline]
    pub(super) fn hear(&mut self, packet: &Packet<'_>) {
        if let Some((place, _)) = self.now
            && let Some(torrent) = self.torrents.get_mut(place)
        {
            torrent.heard(packet.dst);
        }
    }

    /// How many frames are due at `now`, before and after the transactions of this turn: where among them is left to
    /// chance, or one would always find the port fuller than the other.
    #[inline]
    pub(super) fn due(&mut self, now: u64) -> [u64; 2] {
        let Self { now: Some((_, pace)), random, .. } = self else { return [0, 0] };
        let due = pace.due_count(now);
        pace.skip(due.saturating_sub(MADE_UP));
        let count = due.min(FLOOD);
        let before = u64::from(random.below(65)) * count / 64;
        [before, count - before]
    }
}

impl Generator {
    /// From now on comes this flood, at so many frames a second; or none.
    pub(crate) fn begin_flood(&mut self, flood: Option<(usize, f64)>) {
        let pace = |(place, rate)| (place, Pace::new(tsc(), rate, self.parts.hz));
        self.floods.now = flood.map(pace);
    }

    /// Collects the next `count` frames of the flood that is on.
    #[inline]
    pub(super) fn flood(&mut self, count: u64) {
        for _ in 0..count {
            if self.out.room() == 0 {
                return;
            }
            let Some(mut mbuf) = self.fresh() else { return };
            let Some((which, pace)) = &mut self.floods.now else { return self.keep(mbuf) };
            pace.advance();
            let torrent = self.floods.torrents.get_mut(*which);
            let written = torrent.and_then(|torrent| torrent.write(self.number, mbuf.room_mut()));
            match written {
                Some(len) if mbuf.set_len(len).is_ok() => {
                    self.tally.flood += 1;
                    let queue =
                        usize::try_from(self.tally.flood).unwrap_or(0) % self.steer.asking();
                    self.out.push(queue, mbuf, Item::Flood);
                }
                _ => self.keep(mbuf),
            }
        }
    }
}

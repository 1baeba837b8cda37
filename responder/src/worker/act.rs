//! What the engine said of the frames of a burst is carried out.

use dpdk::{Burst, Mbuf};
use otherhalf_engine::{BURST, Outcome, PortId, ResetFrame};

use super::told::{Besides, Extra, Order, Told};
use super::{Turn, own_frame};
use crate::outgoing::Outgoing;

/// In the place of a port that nothing goes to: there are fewer.
const NO_PORT: PortId = PortId(u16::MAX);

impl Turn<'_> {
    /// Does what the engine said of each frame of `burst`.
    #[inline]
    pub(super) fn carry_out(
        &mut self,
        burst: &mut Burst<BURST>,
        port: PortId,
        told: &mut [Told; BURST],
        besides: &Besides,
        since: u64,
    ) {
        // What goes where the first frame goes, most often all, is sent as it lies in the burst.
        let [Told { order: first, .. }, ..] = *told;
        let sampling = self.sampler.is_on();
        let main = match first {
            // Nothing then: what the queue refuses is to be known by its place.
            _ if sampling => NO_PORT,
            Order::Send(to) => to,
            _ => port,
        };
        let mut outcomes = told.map(|told| told.outcome);
        burst.sift(|place, kept, mut mbuf| {
            let told = told.get(place).unwrap_or(&Told::NOTHING);
            // Unless something is to be sent before it that does not lie there.
            let stays = told.order == Order::Send(main)
                && !told.besides
                && self.outgoing.get(usize::from(main.0)).is_some_and(Outgoing::is_empty);
            if stays && mbuf.set_len(told.len.into()).is_ok() {
                mbuf.reset_offloads();
                if let Some(name) = outcomes.get_mut(kept) {
                    *name = told.outcome;
                }
                return Some(mbuf);
            }
            let extra = if told.besides {
                besides.iter().find(|(whose, _)| *whose == place).map(|(_, extra)| extra)
            } else {
                None
            };
            let end = self.act(mbuf, port, (place, *told), extra, since);
            if sampling && let Some(outcome) = end {
                self.sampler.note(place, outcome);
            }
            None
        });
        if let Some(outgoing) = self.outgoing.get_mut(usize::from(main.0)) {
            outgoing.send(burst, &outcomes, &self.own.stats);
        }
        for outgoing in &mut self.outgoing {
            outgoing.flush(&self.own.stats);
        }
    }

    /// Does what the engine said of one frame, which lay at `place`. What it counts as, unless it waits; the transmit queue may still
    /// refuse it.
    #[inline]
    fn act(
        &mut self,
        mut mbuf: Mbuf,
        port: PortId,
        (place, told): (usize, Told),
        extra: Option<&Extra>,
        since: u64,
    ) -> Option<Outcome> {
        let to = match told.order {
            Order::Send(to) => to,
            Order::Drop => {
                if let Some(Extra::Notice(notice)) = extra {
                    self.shared.notify(*notice);
                }
                return Some(self.ended(told.outcome));
            }
            Order::Kernel => {
                if let Some(Extra::Notice(notice)) = extra {
                    self.shared.notify(*notice);
                }
                return Some(self.hand_to_kernel(mbuf, port, told.outcome));
            }
            Order::Hold => {
                // Nobody is asked for the sake of a frame that does not wait.
                match (self.held.push(mbuf, port, since), extra) {
                    (Ok(()), Some(Extra::Notice(wanted))) => self.shared.notify(*wanted),
                    (Ok(()), _) => {}
                    (Err(_), _) => return Some(self.ended(Outcome::DropHoldFull)),
                }
                return None;
            }
        };
        if let Some(Extra::Notice(notice)) = extra {
            self.shared.notify(*notice);
        }
        let Some(outgoing) = self.outgoing.get_mut(usize::from(to.0)) else {
            return Some(self.ended(Outcome::DropNoRoute));
        };
        if mbuf.set_len(told.len.into()).is_err() {
            return Some(self.ended(Outcome::DropBuffer));
        }
        outgoing.answer(mbuf, told.outcome, place, &self.own.stats);
        if let Some(Extra::Reset(reset)) = extra {
            self.send_reset(reset);
        }
        Some(told.outcome)
    }

    /// Sends the RST that an answer called for.
    fn send_reset(&mut self, reset: &ResetFrame) {
        let outgoing = self.outgoing.get_mut(usize::from(reset.port().0));
        match (outgoing, own_frame(&self.mempool, |room| reset.emit(room))) {
            (Some(outgoing), Some(frame)) => outgoing.reset(frame, &self.own.stats),
            _ => self.own.stats.own_dropped.add(1),
        }
    }

    /// Counts a frame, and gives what it counts as.
    #[inline]
    fn ended(&self, outcome: Outcome) -> Outcome {
        self.own.stats.count(outcome);
        outcome
    }

    /// Lets the kernel have a frame that came in by `port`, for the thread that brings it there. What it counts as.
    fn hand_to_kernel(&self, mbuf: Mbuf, port: PortId, outcome: Outcome) -> Outcome {
        let taken =
            self.shared.kernel.path(port).is_some_and(|path| path.to_kernel.push(mbuf).is_ok());
        // What we learned of a neighbour counts as that, whether the kernel hears of it or not.
        let outcome = match outcome {
            Outcome::KernelPassed if !taken => Outcome::DropKernelFull,
            Outcome::KernelPassed => outcome,
            _ => {
                self.own.stats.kernel_told.add(taken.into());
                outcome
            }
        };
        self.own.stats.count(outcome);
        outcome
    }
}

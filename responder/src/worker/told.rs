//! What the engine said of the frames of a burst: little of each, and the rest of few in a list of its own.

use arrayvec::ArrayVec;
use otherhalf_engine::{BURST, Fate, Notice, Outcome, PortId, ResetFrame, Verdict};

/// What the engine said of a frame, without what it says of few: that is in `Besides`.
#[derive(Clone, Copy)]
pub(super) struct Told {
    pub(super) order: Order,
    /// How long the frame is now.
    pub(super) len: u16,
    pub(super) outcome: Outcome,
    /// Whether there is something `Besides`.
    pub(super) besides: bool,
}

/// What to do with a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Drop,
    Send(PortId),
    Hold,
    Kernel,
}

/// What a few frames of a burst call for besides, by their place.
pub(super) type Besides = ArrayVec<(usize, Extra), BURST>;

/// One of them.
pub(super) enum Extra {
    /// To be told to the control thread.
    Notice(Notice),
    /// To be sent.
    Reset(ResetFrame),
}

impl Told {
    /// Of a frame that is not there.
    pub(super) const NOTHING: Self =
        Self { order: Order::Drop, len: 0, outcome: Outcome::DropBuffer, besides: false };

    /// Takes `fate` apart, that of the frame at `place`.
    #[inline]
    pub(super) fn new(place: usize, fate: Fate, besides: &mut Besides) -> Self {
        let (order, reset) = match fate.verdict {
            Verdict::Drop => (Order::Drop, None),
            Verdict::Hold => (Order::Hold, None),
            Verdict::Kernel => (Order::Kernel, None),
            Verdict::Send(to) => (Order::Send(to), None),
            Verdict::SendAndReset(to, reset) => (Order::Send(to), Some(reset)),
        };
        // A frame calls for one of the two at most, so there is room for all.
        let extra = fate.notice.map(Extra::Notice).or(reset.map(Extra::Reset));
        let told = Self { order, len: 0, outcome: fate.outcome, besides: extra.is_some() };
        if let Some(extra) = extra {
            let _ = besides.try_push((place, extra));
        }
        told
    }
}

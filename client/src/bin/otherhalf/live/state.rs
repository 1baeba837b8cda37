//! What the user has chosen, and what there is to be seen.

use std::time::Duration;

use jiff::Timestamp;
use otherhalf_client::live::{Board, Event};

/// Intervals to choose from, in milliseconds.
const INTERVALS_MS: [u64; 9] = [100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000];

/// Why the view ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quit {
    /// The user has seen enough.
    Asked,
    /// Ctrl-C, or a signal.
    Interrupted,
}

/// Which figures are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Times,
    Spread,
    History,
}

impl Mode {
    pub(super) const fn next(self) -> Self {
        match self {
            Self::Times => Self::Spread,
            Self::Spread => Self::History,
            Self::History => Self::Times,
        }
    }
}

/// All that decides what is drawn.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the user's")]
pub(super) struct State {
    board: Board,
    /// What is shown instead, while it is frozen.
    frozen: Option<Board>,
    pub(super) numeric: bool,
    pub(super) interval: Duration,
    pub(super) paused: bool,
    pub(super) mode: Mode,
    pub(super) help: bool,
    /// Whether the details of a hop take the place of the tables.
    pub(super) zoomed: bool,
    /// Which direction the keys are for.
    pub(super) focus: usize,
    /// The TTL that is selected in each direction.
    selected: [Option<u8>; 2],
    pub(super) suspended: bool,
    pub(super) quit: Option<Quit>,
}

impl State {
    pub(super) fn new(board: Board, numeric: bool, interval: Duration) -> Self {
        Self {
            board,
            frozen: None,
            numeric,
            interval,
            paused: false,
            mode: Mode::Times,
            help: false,
            zoomed: false,
            focus: 0,
            selected: [None; 2],
            suspended: false,
            quit: None,
        }
    }

    /// What is shown.
    pub(super) fn board(&self) -> &Board {
        self.frozen.as_ref().unwrap_or(&self.board)
    }

    pub(super) fn into_board(self) -> Board {
        self.board
    }

    pub(super) fn learn(&mut self, event: Event, at: Timestamp) {
        self.board.update(event, at);
    }

    pub(super) const fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    pub(super) fn toggle_frozen(&mut self) {
        self.frozen = if self.frozen.is_some() { None } else { Some(self.board.clone()) };
    }

    pub(super) fn reset(&mut self) {
        self.board.reset();
        self.frozen = None;
    }

    /// The next longer interval, or the next shorter one.
    pub(super) fn change_interval(&mut self, longer: bool) {
        let mut known = INTERVALS_MS.map(Duration::from_millis).into_iter();
        let found = if longer {
            known.find(|one| *one > self.interval)
        } else {
            known.rfind(|one| *one < self.interval)
        };
        self.interval = found.unwrap_or(self.interval);
    }

    /// Takes the other direction, if there is one.
    pub(super) fn change_focus(&mut self) {
        self.focus = (self.focus + 1) % self.board.sides().len().clamp(1, 2);
    }

    /// The TTL that is selected in direction number `side`, as far as it is there.
    pub(super) fn selected(&self, side: usize) -> Option<u8> {
        let ttl = self.selected.get(side).copied().flatten()?;
        self.ttls(side).contains(&ttl).then_some(ttl)
    }

    /// Selects the hop so many places further on.
    pub(super) fn select(&mut self, by: isize) {
        let ttls = self.ttls(self.focus);
        let Some(last) = ttls.len().checked_sub(1) else { return };
        let now = self.selected(self.focus).and_then(|ttl| ttls.iter().position(|one| *one == ttl));
        // From none, as if it were just outside.
        let next = match now {
            Some(now) => now.saturating_add_signed(by),
            None if by > 0 => 0usize.saturating_add_signed(by - 1),
            None => (last + 1).saturating_add_signed(by),
        };
        let next = next.min(last);
        if let Some(selected) = self.selected.get_mut(self.focus) {
            *selected = ttls.get(next).copied();
        }
    }

    pub(super) fn select_none(&mut self) {
        self.selected = [None; 2];
        self.zoomed = false;
    }

    fn ttls(&self, side: usize) -> Vec<u8> {
        let side = self.board().sides().get(side);
        side.map(|side| side.hops().iter().map(|hop| hop.ttl().get()).collect()).unwrap_or_default()
    }
}

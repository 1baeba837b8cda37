//! A variant at work without a port: frames in buffers, and a clock of which a tick is a request.

use anyhow::bail;

use crate::case::{ENTRIES, LIVE, Load, Side};
use crate::pages::Pages;
use crate::path::{Kind, Path, Settings};
use crate::traffic::{BURST, Rooms, SECRET};
use crate::windows::Timed;

/// A variant at work.
#[derive(Debug)]
pub struct Alone {
    side: Side<Kind>,
    path: Path,
    rooms: Rooms,
    /// The next client that a request comes from; also the time.
    next: u64,
    /// Bursts that were timed.
    bursts: u64,
    /// Answered before the first of them.
    answered_before: u64,
    /// Answered by what was not timed.
    answered_aside: u64,
}

impl Alone {
    /// Makes the side's variant and fills its table.
    ///
    /// # Errors
    /// Memory that is refused.
    pub fn new(side: Side<Kind>, hz: u64, pages: Pages<'_>) -> anyhow::Result<Self> {
        // A tick is a request, so that exactly `LIVE` entries are pending whatever the speed.
        let timeout_ticks = match side.load {
            Load::Requests => LIVE,
            Load::Answers => 4 * LIVE,
            Load::Traces => bail!("whole traces are timed on a port"),
        };
        let settings = Settings { entries: ENTRIES, timeout_ticks, secret: SECRET, hz };
        let path = Path::new(side.kind, &settings, pages)?;
        let mut alone = Self {
            side,
            path,
            rooms: Rooms::default(),
            next: 0,
            bursts: 0,
            answered_before: 0,
            answered_aside: 0,
        };
        // Twice over, so that no slot is left that was never used.
        let fill = if side.load == Load::Requests { 2 * LIVE } else { LIVE };
        while alone.next < fill {
            alone.fill()?;
        }
        alone.answered_before = alone.path.answered();
        Ok(alone)
    }

    fn fill(&mut self) -> anyhow::Result<()> {
        self.side.traffic.requests(self.next, &mut self.rooms)?;
        self.path.process(self.next, &mut self.rooms);
        self.next += BURST as u64;
        Ok(())
    }

    /// The share of the timed frames that were answered as they should.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    pub fn answered(&self) -> f64 {
        let timed = self.path.answered() - self.answered_before - self.answered_aside;
        timed as f64 / (self.bursts * BURST as u64).max(1) as f64
    }

    /// The frames as the last burst left them.
    #[must_use]
    pub const fn rooms(&self) -> &Rooms {
        &self.rooms
    }
}

impl Timed for Alone {
    fn refill(&mut self) -> anyhow::Result<()> {
        match self.side.load {
            Load::Requests => self.side.traffic.requests(self.next, &mut self.rooms)?,
            Load::Answers | Load::Traces => {
                let before = self.path.answered();
                self.fill()?;
                self.answered_aside += self.path.answered() - before;
                let oldest = self.next - LIVE - BURST as u64;
                self.side.traffic.answers(oldest, &mut self.rooms)?;
            }
        }
        Ok(())
    }

    #[inline]
    fn run(&mut self) {
        self.path.process(self.next, &mut self.rooms);
        if self.side.load == Load::Requests {
            self.next += BURST as u64;
        }
        self.bursts += 1;
    }
}

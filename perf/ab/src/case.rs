//! Pairs of variants that are worth comparing, and the ratios that they are to reach.

use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;

use crate::pages::Pages;
use crate::path::{Kind, Path, Settings};
use crate::traffic::{BURST, Rooms, Traffic};
use crate::windows::Timed;

/// Entries that are pending while a variant is timed.
const LIVE: u64 = 1 << 20;
/// A table of 64 MiB: half of its entries are live.
const ENTRIES: u32 = 1 << 21;
/// The table's secret: none here, so that runs are alike.
const SECRET: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];

/// What a variant is given to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Requests, each of another client, none ever answered.
    Requests,
    /// Answers to the oldest of a million probes.
    Answers,
}

/// A variant, its load and its traffic.
#[derive(Debug, Clone, Copy)]
pub struct Side {
    /// The variant.
    pub kind: Kind,
    /// Its load.
    pub load: Load,
    /// Its traffic.
    pub traffic: Traffic,
}

/// Two sides, and the most that the first may take of the second's time.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// The side that is judged.
    pub subject: Side,
    /// The side that it is compared with.
    pub reference: Side,
    /// The greatest ratio that passes.
    pub target: f64,
}

const fn side(kind: Kind, load: Load, family: Family, protocol: Protocol) -> Side {
    Side { kind, load, traffic: Traffic { family, protocol } }
}

/// All cases.
#[must_use]
pub fn all() -> Vec<Case> {
    use Family::{V4, V6};
    use Load::{Answers, Requests};
    use Protocol::{Icmp, Tcp, Udp};
    let engine = |load, family| side(Kind::Engine, load, family, Udp);
    let c = |load, family| side(Kind::Yardstick, load, family, Udp);
    let case = |name, subject, reference, target| Case { name, subject, reference, target };
    vec![
        case("engine/control", engine(Requests, V4), engine(Requests, V4), 1.05),
        case("engine/control-c", c(Requests, V4), c(Requests, V4), 1.05),
        case("engine/requests-v4/c", engine(Requests, V4), c(Requests, V4), 1.1),
        case("engine/answers-v4/c", engine(Answers, V4), c(Answers, V4), 1.1),
        case("engine/requests-v6/c", engine(Requests, V6), c(Requests, V6), 1.1),
        case("engine/answers-v6/c", engine(Answers, V6), c(Answers, V6), 1.1),
        case("engine/requests-v6/v4", engine(Requests, V6), engine(Requests, V4), 1.25),
        case("engine/answers-v6/v4", engine(Answers, V6), engine(Answers, V4), 1.25),
        case(
            "engine/requests-tcp/c",
            side(Kind::Engine, Requests, V4, Tcp),
            side(Kind::Yardstick, Requests, V4, Tcp),
            1.1,
        ),
        case(
            "engine/requests-icmp/c",
            side(Kind::Engine, Requests, V4, Icmp),
            side(Kind::Yardstick, Requests, V4, Icmp),
            1.1,
        ),
    ]
}

/// A side at work.
#[derive(Debug)]
pub struct Running {
    side: Side,
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

impl Running {
    /// Makes the side's variant and fills its table.
    ///
    /// # Errors
    /// Memory that is refused.
    pub fn new(side: Side, hz: u64, pages: Pages<'_>) -> anyhow::Result<Self> {
        // A tick is a request, so that exactly `LIVE` entries are pending whatever the speed.
        let timeout_ticks = match side.load {
            Load::Requests => LIVE,
            Load::Answers => 4 * LIVE,
        };
        let settings = Settings { entries: ENTRIES, timeout_ticks, secret: SECRET, hz };
        let path = Path::new(side.kind, &settings, pages)?;
        let mut running = Self {
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
        while running.next < fill {
            running.fill()?;
        }
        running.answered_before = running.path.answered();
        Ok(running)
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

impl Timed for Running {
    fn refill(&mut self) -> anyhow::Result<()> {
        match self.side.load {
            Load::Requests => self.side.traffic.requests(self.next, &mut self.rooms)?,
            Load::Answers => {
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

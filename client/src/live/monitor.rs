//! Round after round: when the next trace of each direction begins, and what it is asked to do.

use std::collections::{HashMap, VecDeque};
use std::num::{NonZeroU16, NonZeroU64};
use std::time::{Duration, Instant};

use crate::hop::{Hop, Outcome};
use crate::network::TICK;
use crate::options::{Direction, Flow, Options, Queries};
use crate::query::Answer;
use crate::secret::Secret;
use crate::trace::{End, Step, Trace};
use crate::ttl::Ttl;

/// An answer is waited for at least so long: a queue that fills up is not loss.
const LEAST_WAIT: Duration = Duration::from_secs(1);
/// ... and so many times as long as the slowest answer of late took.
const TIMES_SLOWEST: u32 = 3;
/// How fast a slow answer is forgotten: by this part of its time a round.
const FORGETTING: u32 = 8;

/// So many rounds in a row may hear nothing from where the path ended before it is looked for elsewhere. Were it one, a
/// lost answer would make the path look longer: the other end answers at every TTL beyond its own.
const MISSES: u8 = 5;

/// What a [`Monitor`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A round is over.
    Round(Round),
    /// What is known of the first round of a direction, while it lasts.
    Progress {
        /// Whose.
        direction: Direction,
        /// Its hops; the last ones may go away again.
        hops: Vec<Hop>,
    },
    /// Nothing could be sent, and why. It goes on: links come back.
    Trouble(String),
}

/// A trace of one probe a hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round {
    /// Of which direction.
    pub direction: Direction,
    /// Of which flow.
    pub flow: Flow,
    /// Its hops, up to the end of the path or as far as was looked.
    pub hops: Vec<Hop>,
    /// How it ended; `None` if it did not look beyond the TTL where the path ended before.
    pub end: Option<End>,
    /// Queries sent.
    pub sent: u64,
}

/// Rounds of traces, a direction each. No I/O and no clock, as a [`Trace`].
#[derive(Debug)]
pub struct Monitor {
    lanes: Vec<Lane>,
    pace: Pace,
    events: VecDeque<Event>,
}

/// What all directions have in common.
#[derive(Debug)]
struct Pace {
    /// From the start of a round to the next.
    interval: Duration,
    cycles: Option<NonZeroU64>,
    flows: NonZeroU16,
    paused: bool,
    stopped: bool,
}

/// One direction.
#[derive(Debug)]
struct Lane {
    options: Options,
    secret: Secret,
    trace: Trace,
    /// Whether a round is under way.
    running: bool,
    /// Rounds begun.
    rounds: u64,
    /// When the last of them began.
    began: Option<Instant>,
    /// Where the path of each flow ended, and how many rounds since heard nothing from there.
    ends: HashMap<Flow, (Ttl, u8)>,
    /// How long the slowest answer took, of late.
    slowest: Duration,
    /// Answered hops that were told of.
    told: usize,
}

impl Monitor {
    /// A monitor of one direction for each of `options`, whose number of queries does not count: a round has one a hop.
    /// A round begins each `interval`, or when the one before is over.
    #[must_use]
    pub fn new(options: Vec<(Options, Secret)>, interval: Duration) -> Self {
        let lane = |(options, secret): (Options, Secret)| {
            let options = Options { queries: const { Queries::new(1).unwrap() }, ..options };
            Lane {
                trace: Trace::new(options.clone(), secret.clone()),
                options,
                secret,
                running: false,
                rounds: 0,
                began: None,
                ends: HashMap::new(),
                slowest: Duration::ZERO,
                told: 0,
            }
        };
        Self {
            lanes: options.into_iter().map(lane).collect(),
            pace: Pace {
                interval,
                cycles: None,
                flows: NonZeroU16::MIN,
                paused: false,
                stopped: false,
            },
            events: VecDeque::new(),
        }
    }

    /// Ends after so many rounds.
    #[must_use]
    pub const fn cycles(mut self, cycles: Option<NonZeroU64>) -> Self {
        self.pace.cycles = cycles;
        self
    }

    /// Takes so many flows by turns, from that of the options on.
    #[must_use]
    pub const fn flows(mut self, flows: NonZeroU16) -> Self {
        self.pace.flows = flows;
        self
    }

    /// From the start of a round to the next.
    pub const fn set_interval(&mut self, interval: Duration) {
        self.pace.interval = interval;
    }

    /// Begins no more rounds while it is paused.
    pub const fn set_paused(&mut self, paused: bool) {
        self.pace.paused = paused;
    }

    /// Ends all. Of a direction that has no whole round, the one under way is told as far as it came.
    pub fn stop(&mut self) {
        self.pace.stopped = true;
        for lane in &mut self.lanes {
            if lane.running {
                self.events.extend(lane.abandon());
            }
        }
    }

    /// Directions.
    #[must_use]
    pub const fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// What to do at `now` for direction number `lane`: as [`Trace::poll`].
    pub fn poll(&mut self, lane: usize, now: Instant) -> Step {
        let Some(lane) = self.lanes.get_mut(lane) else { return Step::Done };
        if lane.running {
            match lane.trace.poll(now) {
                Step::Done => self.events.push_back(Event::Round(lane.finish())),
                step => return step,
            }
        }
        match lane.next(&self.pace, now) {
            Some(at) if at <= now => {
                lane.begin(&self.pace, now);
                lane.trace.poll(now)
            }
            Some(at) => Step::Wait(at),
            None => Step::Done,
        }
    }

    /// Takes an answer that came at `now`; `false` if nobody waits for it.
    pub fn handle(&mut self, answer: &Answer, now: Instant) -> bool {
        self.lanes.iter_mut().any(|lane| lane.running && lane.trace.handle(answer, now))
    }

    /// Notes that something could not be sent.
    pub fn trouble(&mut self, reason: String) {
        self.events.push_back(Event::Trouble(reason));
    }

    /// What happened since the last call.
    pub fn events(&mut self) -> impl Iterator<Item = Event> {
        for lane in &mut self.lanes {
            self.events.extend(lane.progress());
        }
        self.events.drain(..)
    }
}

impl Lane {
    /// When the next round begins; `None`: never.
    fn next(&self, pace: &Pace, now: Instant) -> Option<Instant> {
        if pace.stopped || pace.cycles.is_some_and(|cycles| self.rounds >= cycles.get()) {
            None
        } else if pace.paused {
            Some(now + TICK)
        } else {
            Some(self.began.map_or(now, |began| began + pace.interval))
        }
    }

    fn begin(&mut self, pace: &Pace, now: Instant) {
        let flow = self.flow(pace.flows);
        let mut options = Options { flow, ..self.options.clone() };
        if let Some((end, _)) = self.ends.get(&flow) {
            options.last = *end;
        }
        if !self.slowest.is_zero() {
            let wait = (self.slowest * TIMES_SLOWEST).max(LEAST_WAIT).max(pace.interval);
            options.wait = wait.min(self.options.wait);
        }
        self.trace.begin_again(options, self.secret.of_round(self.rounds), now);
        self.rounds += 1;
        self.began = Some(now);
        self.running = true;
        self.told = 0;
    }

    /// The flow of the next round.
    fn flow(&self, flows: NonZeroU16) -> Flow {
        // Less than `flows`, so it fits.
        let turn = u16::try_from(self.rounds % u64::from(flows.get())).unwrap_or(0);
        let flow = self.options.flow.get().checked_add(turn);
        // Past the last port it goes on at 1.
        let beyond = || turn.wrapping_sub(u16::MAX - self.options.flow.get());
        Flow::new(flow.unwrap_or_else(beyond)).unwrap_or(self.options.flow)
    }

    /// The round that just ended.
    fn finish(&mut self) -> Round {
        self.running = false;
        let Options { flow, last, .. } = *self.trace.options();
        let short = last < self.options.last;
        let slowest = self.trace.hops().iter().flat_map(Hop::samples).map(|sample| sample.elapsed);
        let faded = self.slowest.saturating_sub(self.slowest / FORGETTING);
        self.slowest = slowest.max().unwrap_or_default().max(faded);
        let reached = self.trace.end() == Some(&End::Reached);
        let farther = self.trace.hops().iter().any(|hop| hop.ttl() == last && hop.is_answered());
        match (self.trace.path_end().filter(|_| reached), self.ends.get_mut(&flow)) {
            (Some(end), _) => {
                self.ends.insert(flow, (end, 0));
            }
            // Somebody else answers there now, or nobody for long.
            (None, Some((_, misses))) if farther || *misses + 1 >= MISSES => {
                self.ends.remove(&flow);
            }
            (None, Some((_, misses))) => *misses += 1,
            (None, None) => {}
        }
        // A round that was to go no farther than the path did does not know how a longer one ends.
        let blind = short && matches!(self.trace.end(), Some(End::LastTtl | End::Silent));
        Round {
            direction: self.options.direction,
            flow,
            hops: self.trace.sent_hops(),
            end: self.trace.end().filter(|_| !blind).cloned(),
            sent: self.trace.sent(),
        }
    }

    /// Stops the round that is under way; what it found, if that is all there is.
    fn abandon(&mut self) -> Option<Event> {
        let known: Vec<_> = self.trace.hops().iter().map(known).collect();
        self.running = false;
        self.trace.stop();
        let round = Round { hops: known, ..self.finish() };
        (self.rounds == 1 && round.sent > 0).then_some(Event::Round(round))
    }

    /// What is new in the first round.
    fn progress(&mut self) -> Option<Event> {
        if !self.running || self.rounds > 1 {
            return None;
        }
        let answered = self.trace.hops().iter().filter(|hop| hop.is_answered()).count();
        if answered == self.told {
            return None;
        }
        self.told = answered;
        let hops = self.trace.hops().iter().map(known).collect();
        Some(Event::Progress { direction: self.options.direction, hops })
    }
}

/// `hop` without what is still under way.
fn known(hop: &Hop) -> Hop {
    let outcomes = hop.outcomes().iter().filter(|outcome| **outcome != Outcome::Waiting);
    Hop::settled(hop.ttl(), outcomes.cloned().collect())
}

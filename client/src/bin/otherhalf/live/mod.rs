//! The live view: rounds of traces on a terminal, both directions at once.
//!
//! One thread probes, this one draws and hears keys: an answer never waits for the screen.

mod prober;
mod screen;
mod theme;
mod state;
mod keys;
mod both;
mod row;
mod columns;
mod table;
mod details;
mod layout;
pub(crate) mod report;

pub(crate) use both::Both;

use std::io::IsTerminal;
use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU64};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use std::{io, iter};

use jiff::Timestamp;
use otherhalf_client::live::{Board, Event, HopSeries, Monitor, Side};
use otherhalf_client::resolve::Names;
use otherhalf_client::{Options, RawNetwork, Secret};
use ratatui::crossterm::event;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};

use crate::failure::Failure;
use prober::Order;
use screen::Screen;
use state::{Quit, State};
use theme::Theme;

/// How often the screen is drawn at least: clocks tick, names come.
const REDRAW: Duration = Duration::from_millis(500);
/// ... and at most, unless a key is pressed.
const TICK: Duration = Duration::from_millis(100);

/// What is watched.
pub(crate) struct Plan {
    /// A direction each.
    pub(crate) options: Vec<(Options, Secret)>,
    pub(crate) interval: Duration,
    pub(crate) cycles: Option<NonZeroU64>,
    pub(crate) flows: NonZeroU16,
}

/// Who is watched, as it is shown.
pub(crate) struct Subject {
    /// As the user wrote it, fit for a terminal.
    pub(crate) name: String,
    /// `name (address)`.
    pub(crate) shown: String,
    /// Which one was run.
    pub(crate) command: &'static str,
}

/// Signals that the view obeys.
pub(crate) struct Signals {
    /// Set when it is to end.
    pub(crate) end: Arc<AtomicBool>,
    /// Set when it is to be suspended.
    suspend: Arc<AtomicBool>,
}

impl Signals {
    /// Listens to them. The second of a kind does not end the program at once, as elsewhere: the terminal must be
    /// given back.
    pub(crate) fn listen() -> io::Result<Self> {
        let [end, suspend] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
            signal_hook::flag::register(signal, Arc::clone(&end))?;
        }
        signal_hook::flag::register(SIGTSTP, Arc::clone(&suspend))?;
        Ok(Self { end, suspend })
    }
}

/// What is left when the view is closed.
pub(crate) struct Ended {
    /// All that was seen.
    pub(crate) board: Board,
    /// Whether the user asked for names at the end.
    pub(crate) numeric: bool,
    /// For how long it was watched.
    pub(crate) took: Duration,
    /// Whether it was broken off.
    pub(crate) interrupted: bool,
}

/// Says so if there is no terminal to draw on.
pub(crate) fn need_terminal() -> Result<(), Failure> {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if io::stdin().is_terminal() && io::stdout().is_terminal() && !dumb {
        return Ok(());
    }
    Err(Failure::Usage(
        "--live needs a terminal to draw on and to hear keys from: leave it out for text, or write --json instead for programs"
            .to_owned(),
    ))
}

/// Shows what `plan` finds on `network` until the user has seen enough.
pub(crate) fn show(
    plan: Plan,
    network: &mut RawNetwork,
    names: &mut Names,
    numeric: bool,
    subject: &Subject,
    signals: &Signals,
) -> Result<Ended, Failure> {
    let board = Board::new(plan.options.iter().map(|(options, _)| options.clone()));
    let monitor = Monitor::new(plan.options, plan.interval).cycles(plan.cycles).flows(plan.flows);
    let mut state = State::new(board, numeric, plan.interval);
    let started = Instant::now();
    let screen = Screen::open()?;
    thread::scope(|scope| {
        // Both ends are moved in: should one side panic, the other hears of it.
        let (orders, obeyed) = channel();
        let (told, events) = channel();
        let prober = scope.spawn(move || prober::run(network, monitor, &obeyed, &told));
        let shown =
            Drawing { subject, signals, started }.run(screen, &mut state, names, &orders, &events);
        // The last words, of what was still under way.
        let _ = orders.send(Order::Stop);
        let deadline = Instant::now() + Duration::from_secs(2);
        while let Ok(event) =
            events.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            state.learn(event, Timestamp::now());
        }
        let end = prober.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        shown?;
        Ok(end?)
    })
    .map(|()| Ended {
        numeric: state.numeric,
        took: started.elapsed(),
        interrupted: state.quit == Some(Quit::Interrupted),
        board: state.into_board(),
    })
}

/// What does not change while it is shown.
struct Drawing<'a> {
    subject: &'a Subject,
    signals: &'a Signals,
    started: Instant,
}

impl Drawing<'_> {
    /// Draws and hears keys, until the user or the prober ends it.
    fn run(
        &self,
        mut screen: Screen,
        state: &mut State,
        names: &mut Names,
        orders: &Sender<Order>,
        events: &Receiver<Event>,
    ) -> Result<(), Failure> {
        let theme = Theme::of_environment();
        let mut drawn: Option<Instant> = None;
        let mut changed = true;
        while state.quit.is_none() {
            if !hear(state, events, &mut changed) {
                return Ok(());
            }
            look_up(state, names);
            if changed || drawn.is_none_or(|at| at.elapsed() >= REDRAW) {
                let scene = layout::Scene {
                    state,
                    names,
                    theme: &theme,
                    subject: self.subject,
                    elapsed: self.started.elapsed(),
                };
                screen.draw(|frame| layout::draw(frame, &scene))?;
                drawn = Some(Instant::now());
            }
            changed = false;
            if event::poll(TICK)? {
                // All that is there: keys are typed faster than screens are drawn.
                let more = || event::poll(Duration::ZERO).is_ok_and(|more| more);
                for input in
                    iter::once(event::read()).chain(iter::from_fn(|| more().then(event::read)))
                {
                    if let Some(order) = keys::press(state, &input?) {
                        let _ = orders.send(order);
                    }
                    changed = true;
                }
            }
            if state.suspended || self.signals.suspend.swap(false, Ordering::Relaxed) {
                state.suspended = false;
                screen.suspend()?;
                changed = true;
            }
            if self.signals.end.load(Ordering::Relaxed) {
                state.quit = Some(Quit::Interrupted);
            }
        }
        Ok(())
    }
}

/// Takes in what the prober tells; `false` if it is done.
fn hear(state: &mut State, events: &Receiver<Event>, changed: &mut bool) -> bool {
    loop {
        match events.try_recv() {
            Ok(event) => {
                state.learn(event, Timestamp::now());
                *changed = true;
            }
            Err(mpsc::TryRecvError::Empty) => return true,
            Err(mpsc::TryRecvError::Disconnected) => return false,
        }
    }
}

/// Looks all addresses up.
fn look_up(state: &State, names: &mut Names) {
    for address in addresses(state.board()) {
        names.look_up(address);
    }
    names.update();
}

/// Who answered.
fn addresses(board: &Board) -> Vec<IpAddr> {
    let hops = board.sides().iter().flat_map(Side::hops);
    hops.flat_map(HopSeries::responders).map(|responder| responder.address).collect()
}

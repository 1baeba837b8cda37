//! Screens compared with golden ones in `screens/`. `OTHERHALF_BLESS=1` writes those anew: look at the difference then.

use std::path::Path;
use std::thread;
use std::time::Instant;

use otherhalf_client::details::{Details, Rewritten};
use otherhalf_client::live::{Board, Event, Round};
use otherhalf_client::query::{Reply, Unreachable};
use otherhalf_client::{Direction, End, Flow, Hop, Options, Outcome, Sample, Ttl};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{Event as Input, KeyCode};
use ratatui::style::Color;

use super::*;

const US: u8 = 10;
const TARGET: u8 = 80;

fn address(last: u8) -> std::net::IpAddr {
    [192, 0, 2, last].into()
}

/// A to F for .1 to .6, the ends likewise.
fn names() -> Names {
    let mut names = Names::with(|address| match address {
        std::net::IpAddr::V4(v4) => match v4.octets()[3] {
            last @ 1..=6 => Some(char::from(b'A' + last - 1).to_string()),
            US => Some("client".to_owned()),
            TARGET => Some("www.example.com".to_owned()),
            7 => Some("a-router-with-a-very-long-name.core.network-b.example.net".to_owned()),
            _ => None,
        },
        std::net::IpAddr::V6(_) => None,
    });
    (1..=100).for_each(|last| names.look_up(address(last)));
    while !names.update() {
        thread::yield_now();
    }
    names
}

pub(in super::super) fn subject_options() -> [Options; 2] {
    [Direction::Forward, Direction::Reverse]
        .map(|direction| Options::new(direction, Protocol::Udp, address(US), address(TARGET)))
}

/// A round of hops: who answers (0: nobody), and after how many microseconds.
fn round(direction: Direction, hops: &[(u8, u64)]) -> Event {
    let hop = |(number, (last, us)): (usize, &(u8, u64))| {
        let rtt = Duration::from_micros(*us);
        let answered = Outcome::Answered(Sample {
            from: address(*last),
            sent: Instant::now(),
            rtt: Some(rtt),
            elapsed: rtt,
            reply: (direction == Direction::Forward).then_some(Reply::TimeExceeded),
            details: Details::default(),
            rewritten: Rewritten::default(),
        });
        let outcome = if *last == 0 { Outcome::Silent } else { answered };
        Hop::settled(Ttl::new(u8::try_from(number + 1).unwrap()).unwrap(), vec![outcome])
    };
    Event::Round(Round {
        direction,
        flow: Flow::default_of(Protocol::Udp),
        hops: hops.iter().enumerate().map(hop).collect(),
        end: Some(End::Reached),
        sent: 5,
    })
}

/// Round `number` of the demo's network: the delay is on the way back, between E and F; the second hop there balances,
/// the third loses one in five.
fn both(number: u64) -> [Event; 2] {
    let wobble = number * 137 % 1000;
    let second = if number.is_multiple_of(3) { 7 } else { 2 };
    let third = if number.is_multiple_of(5) { 0 } else { 3 };
    [
        round(
            Direction::Forward,
            &[
                (1, 500 + wobble),
                (second, 900 + wobble),
                (third, 1500 + wobble),
                (4, 300_700 + wobble),
                (TARGET, 300_900 + wobble),
            ],
        ),
        round(
            Direction::Reverse,
            &[(4, 300 + wobble), (5, 600 + wobble), (6, 300_200 + wobble), (US, 300_400 + wobble)],
        ),
    ]
}

pub(in super::super) fn board() -> Board {
    let mut board = Board::new(subject_options());
    for number in 1..=20 {
        for event in both(number) {
            board.update(event, jiff::Timestamp::UNIX_EPOCH);
        }
    }
    board
}

pub(in super::super) fn one_more_round() -> [Event; 2] {
    both(21)
}

fn state() -> State {
    State::new(board(), false, Duration::from_secs(1))
}

fn type_in(state: &mut State, keys: &[KeyCode]) {
    for code in keys {
        keys::press(state, &Input::Key((*code).into()));
    }
}

fn screen(state: &State, theme: Theme, width: u16, height: u16) -> Terminal<TestBackend> {
    let names = names();
    let subject = Subject {
        name: "www.example.com".to_owned(),
        shown: "www.example.com (192.0.2.80)".to_owned(),
        command: "two-way",
    };
    let scene = Scene {
        state,
        names: &names,
        theme: &theme,
        subject: &subject,
        elapsed: Duration::from_secs(83),
    };
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, &scene)).unwrap();
    terminal
}

fn text(terminal: &Terminal<TestBackend>) -> String {
    let buffer = terminal.backend().buffer();
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let line: String = (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect();
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Compares with the golden screen `name`.
#[track_caller]
fn assert_screen(name: &str, state: &State, theme: Theme, (width, height): (u16, u16)) {
    let found = text(&screen(state, theme, width, height));
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/bin/otherhalf/live/layout/screens")
        .join(format!("{name}.txt"));
    if std::env::var_os("OTHERHALF_BLESS").is_some() {
        std::fs::write(&file, &found).unwrap();
    }
    let golden = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == golden, "the screen is not that of {}:\n{found}", file.display());
}

const PLAIN: Theme = Theme::new(false, true);

#[test]
fn side_by_side_where_it_is_wide() {
    let mut state = state();
    type_in(&mut state, &[KeyCode::Tab, KeyCode::Down, KeyCode::Down, KeyCode::Down]);
    assert_screen("wide", &state, PLAIN, (150, 30));
}

#[test]
fn one_below_the_other_where_it_is_narrow() {
    assert_screen("narrow", &state(), PLAIN, (80, 24));
}

#[test]
fn small() {
    let mut state = state();
    assert_screen("small", &state, PLAIN, (60, 15));
    // The selected hop is scrolled to.
    type_in(&mut state, &[KeyCode::End]);
    let shown = text(&screen(&state, PLAIN, 60, 10));
    assert!(shown.contains("  5 www.example.com"), "{shown}");
}

#[test]
fn very_wide() {
    assert_screen("very-wide", &state(), PLAIN, (250, 20));
}

#[test]
fn other_figures() {
    let mut state = state();
    type_in(&mut state, &[KeyCode::Char('d')]);
    assert_screen("spread", &state, PLAIN, (110, 14));
    type_in(&mut state, &[KeyCode::Char('d'), KeyCode::Char('n')]);
    assert_screen("history-ascii", &state, Theme::new(false, false), (110, 14));
}

#[test]
fn details_in_place_of_the_tables() {
    let mut state = state();
    type_in(&mut state, &[KeyCode::Down, KeyCode::Down, KeyCode::Enter, KeyCode::Char('p')]);
    assert_screen("details", &state, PLAIN, (80, 15));
}

#[test]
fn help_lies_over_all() {
    let mut state = state();
    type_in(&mut state, &[KeyCode::Char('?'), KeyCode::Char('f')]);
    assert_screen("help", &state, PLAIN, (90, 24));
}

#[test]
fn before_the_first_answer_and_after_a_failure() {
    let mut state = State::new(Board::new(subject_options()), false, Duration::from_millis(200));
    assert_screen("empty", &state, PLAIN, (80, 12));
    let mirrored = Event::Round(Round {
        direction: Direction::Reverse,
        flow: Flow::default_of(Protocol::Udp),
        hops: Vec::new(),
        end: Some(End::Mirrored),
        sent: 5,
    });
    state.learn(mirrored, jiff::Timestamp::UNIX_EPOCH);
    state.learn(Event::Trouble("no route\x1b[2J".to_owned()), jiff::Timestamp::UNIX_EPOCH);
    assert_screen("trouble", &state, PLAIN, (100, 12));
}

#[test]
fn changes_and_refusals_are_told() {
    let mut state = state();
    let filtered = Event::Round(Round {
        direction: Direction::Forward,
        flow: Flow::default_of(Protocol::Udp),
        hops: vec![Hop::settled(
            Ttl::MIN,
            vec![Outcome::Answered(Sample {
                from: address(99),
                sent: Instant::now(),
                rtt: Some(Duration::from_millis(3)),
                elapsed: Duration::from_millis(3),
                reply: Some(Reply::Unreachable(Unreachable { family: Family::V4, code: 13 })),
                details: Details::default(),
                rewritten: Rewritten::default(),
            })],
        )],
        end: None,
        sent: 1,
    });
    let at: jiff::Timestamp = "2026-01-01T12:34:56Z".parse().unwrap();
    state.learn(filtered, at);
    type_in(&mut state, &[KeyCode::Down]);
    assert_screen("changed", &state, PLAIN, (120, 30));
}

#[test]
fn colours_only_where_they_are_wanted() {
    let state = state();
    let coloured = |theme| {
        let terminal = screen(&state, theme, 150, 40);
        terminal
            .backend()
            .buffer()
            .content()
            .iter()
            .any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    };
    assert!(coloured(Theme::new(true, true)));
    assert!(!coloured(PLAIN));
    let with = text(&screen(&state, Theme::new(true, true), 150, 40));
    assert_eq!(with, text(&screen(&state, PLAIN, 150, 40)), "a colour says nothing alone");
}

#[test]
fn ascii_where_the_terminal_knows_no_more() {
    let mut state = state();
    for keys in [KeyCode::Down, KeyCode::Char('d'), KeyCode::Char('d'), KeyCode::Enter] {
        type_in(&mut state, &[keys]);
        let shown = text(&screen(&state, Theme::new(true, false), 120, 40));
        assert!(shown.is_ascii(), "{shown}");
    }
}

#[test]
fn no_size_is_too_small_or_too_large() {
    let mut state = state();
    for keys in [
        &[][..],
        &[KeyCode::End],
        &[KeyCode::Char('d'), KeyCode::Tab, KeyCode::Down],
        &[KeyCode::Char('d'), KeyCode::Char('?')],
        &[KeyCode::Char('?'), KeyCode::Enter],
    ] {
        type_in(&mut state, keys);
        for width in [1, 2, 3, 5, 10, 20, 40, 59, 80, 109, 110, 111, 400] {
            for height in [1, 2, 3, 4, 5, 7, 8, 12, 16, 30, 100] {
                screen(&state, PLAIN, width, height);
            }
        }
    }
}

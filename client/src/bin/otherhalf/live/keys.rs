//! What keys do: those of mtr and trippy.

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::prober::Order;
use super::state::{Quit, State};

/// Hops that a page key passes.
const PAGE: isize = 10;

/// The keys and what they do, for the help.
pub(super) const HELP: [(&str, &str); 14] = [
    ("q", "quit; a report of all that was seen is printed"),
    ("p  space", "pause: send nothing; again: go on"),
    ("f", "freeze the screen only; again: go on"),
    ("r", "reset the figures"),
    ("d", "other figures: times, jitter and percentiles, history"),
    ("n", "names or addresses"),
    ("j k  up down", "select a hop, for its details"),
    ("tab", "the other direction"),
    ("enter", "the selected hop's details in place of the tables"),
    ("esc", "select none, close this"),
    ("+ -", "a longer or a shorter interval"),
    ("h ?", "this help"),
    ("ctrl-z", "suspend"),
    ("ctrl-c", "quit, exit code 130"),
];

/// Obeys `input`; what the prober has to do about it.
pub(super) fn press(state: &mut State, input: &Event) -> Option<Order> {
    // Some terminals report releases too.
    match input {
        Event::Key(KeyEvent {
            code,
            modifiers,
            kind: KeyEventKind::Press | KeyEventKind::Repeat,
            ..
        }) => {
            if modifiers.contains(KeyModifiers::CONTROL) {
                control(state, *code);
                None
            } else {
                key(state, *code)
            }
        }
        _ => None,
    }
}

fn control(state: &mut State, code: KeyCode) {
    match code {
        KeyCode::Char('c') => state.quit = Some(Quit::Interrupted),
        KeyCode::Char('z') => state.suspended = true,
        KeyCode::Char('r') => state.reset(),
        _ => {}
    }
}

fn key(state: &mut State, code: KeyCode) -> Option<Order> {
    match code {
        KeyCode::Char('q' | 'Q') => state.quit = Some(Quit::Asked),
        KeyCode::Char('p' | ' ') => {
            state.paused = !state.paused;
            return Some(Order::Pause(state.paused));
        }
        KeyCode::Char(sign @ ('+' | '=' | '-')) => {
            state.change_interval(sign != '-');
            return Some(Order::Interval(state.interval));
        }
        KeyCode::Char('f') => state.toggle_frozen(),
        KeyCode::Char('r') => state.reset(),
        KeyCode::Char('d') => state.mode = state.mode.next(),
        KeyCode::Char('n') => state.numeric = !state.numeric,
        KeyCode::Char('h' | '?') | KeyCode::F(1) => state.help = !state.help,
        KeyCode::Char('j') | KeyCode::Down => state.select(1),
        KeyCode::Char('k') | KeyCode::Up => state.select(-1),
        KeyCode::PageDown => state.select(PAGE),
        KeyCode::PageUp => state.select(-PAGE),
        KeyCode::Home => state.select(isize::MIN),
        KeyCode::End => state.select(isize::MAX),
        KeyCode::Tab | KeyCode::BackTab | KeyCode::Left | KeyCode::Right => state.change_focus(),
        KeyCode::Enter => {
            if state.selected(state.focus).is_none() {
                state.select(1);
            }
            state.zoomed = !state.zoomed;
        }
        KeyCode::Esc if state.help => state.help = false,
        KeyCode::Esc => state.select_none(),
        _ => {}
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use otherhalf_client::live::Board;

    use super::super::layout::tests::{board, subject_options};
    use super::super::state::Mode;
    use super::*;

    fn state() -> State {
        State::new(board(), false, Duration::from_secs(1))
    }

    fn type_in(state: &mut State, keys: &[KeyCode]) -> Vec<Order> {
        let press_one = |code: &KeyCode| press(state, &Event::Key((*code).into()));
        keys.iter().filter_map(press_one).collect()
    }

    #[test]
    fn pause_and_interval_are_the_probers() {
        let mut state = state();
        let orders = type_in(
            &mut state,
            &["p", " ", "+", "-", "-"].map(|key| KeyCode::Char(key.chars().next().unwrap())),
        );
        let interval = |ms| Order::Interval(Duration::from_millis(ms));
        assert_eq!(
            orders,
            [
                Order::Pause(true),
                Order::Pause(false),
                interval(2000),
                interval(1000),
                interval(500)
            ]
        );
        type_in(&mut state, &[KeyCode::Char('-'); 20]);
        assert_eq!(state.interval, Duration::from_millis(100));
        type_in(&mut state, &[KeyCode::Char('+'); 20]);
        assert_eq!(state.interval, Duration::from_mins(1));
    }

    #[test]
    fn selection_stays_on_the_path() {
        let mut state = state();
        assert_eq!(state.selected(0), None);
        type_in(&mut state, &[KeyCode::Down]);
        assert_eq!(state.selected(0), Some(1));
        type_in(&mut state, &[KeyCode::Char('k'); 3]);
        assert_eq!(state.selected(0), Some(1));
        type_in(&mut state, &[KeyCode::PageDown]);
        assert_eq!(state.selected(0), Some(5));
        type_in(&mut state, &[KeyCode::Home, KeyCode::Tab, KeyCode::End]);
        assert_eq!((state.selected(0), state.selected(1), state.focus), (Some(1), Some(4), 1));
        type_in(&mut state, &[KeyCode::Esc]);
        assert_eq!((state.selected(0), state.selected(1)), (None, None));
        // Nothing is there yet.
        let mut empty = State::new(Board::new(subject_options()), true, Duration::from_secs(1));
        type_in(
            &mut empty,
            &[KeyCode::Down, KeyCode::Up, KeyCode::End, KeyCode::Enter, KeyCode::Tab],
        );
        assert_eq!(empty.selected(0), None);
    }

    #[test]
    fn frozen_it_shows_what_was() {
        let mut state = state();
        type_in(&mut state, &[KeyCode::Char('f')]);
        let before = state.board().sides()[0].rounds();
        for event in super::super::layout::tests::one_more_round() {
            state.learn(event, jiff::Timestamp::UNIX_EPOCH);
        }
        assert_eq!(state.board().sides()[0].rounds(), before);
        type_in(&mut state, &[KeyCode::Char('f')]);
        assert_eq!(state.board().sides()[0].rounds(), before + 1);
    }

    #[test]
    fn ways_out_and_switches() {
        let mut state = state();
        type_in(&mut state, &[KeyCode::Char('?'), KeyCode::Char('n'), KeyCode::Char('d')]);
        assert!(state.help && state.numeric && state.mode == Mode::Spread);
        type_in(&mut state, &[KeyCode::Esc, KeyCode::Char('q')]);
        assert!(!state.help && state.quit == Some(Quit::Asked));
        let ctrl = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        press(&mut state, &Event::Key(ctrl));
        assert_eq!(state.quit, Some(Quit::Interrupted));
        assert!(HELP.iter().all(|(keys, what)| keys.len() <= 12 && what.len() <= 60));
    }
}

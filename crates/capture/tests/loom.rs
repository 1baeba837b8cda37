//! The interleavings of a worker and of sessions, explored by loom:
//! `RUSTFLAGS="--cfg loom" cargo test -p otherhalf-capture --release --test loom`.
//!
//! Under loom a burst is one frame, and two copies may wait. The queues are models of crossbeam's (`sync.rs`).
#![cfg(loom)]

use loom::sync::Arc;
use loom::thread;
use otherhalf_capture::{Capture, ROOM, Received, Sampler, Session, Wanted};
use otherhalf_engine::{Outcome, PortId};

const FIRST: Outcome = Outcome::DropForged;
const SECOND: Outcome = Outcome::PingReply;

fn wanted(outcome: Outcome) -> Wanted {
    std::iter::once(outcome).collect()
}

/// A burst of one frame that becomes `outcome`; whether it was copied.
fn burst(sampler: &mut Sampler<'_>, outcome: Outcome) -> bool {
    let copied = sampler.begin();
    if copied {
        sampler.copy(Received { octets: &[7; 60], whole_len: 60, port: PortId(0), ticks: 1 });
        sampler.note(0, outcome);
        sampler.finish();
    }
    copied
}

/// All that waits: what became of each, and how much of it was kept.
fn taken(session: &mut Session<'_>) -> Vec<(Outcome, usize)> {
    std::iter::from_fn(|| session.next(|frame| (frame.outcome, frame.octets.len()))).collect()
}

/// No buffer has gone: as many frames as there is room for can be captured, and none is lost.
fn check_that_all_buffers_are_there(capture: &Capture, sampler: &mut Sampler<'_>) {
    let mut session = capture.arm(wanted(FIRST), 60).unwrap();
    for _ in 0..ROOM {
        assert!(burst(sampler, FIRST));
    }
    assert_eq!(taken(&mut session), [(FIRST, 60); ROOM]);
    assert_eq!(session.lost(), 0);
}

#[test]
fn a_session_gets_only_what_it_wants() {
    loom::model(|| {
        let capture = Arc::new(Capture::new(1));
        let first = capture.arm(wanted(FIRST), 10).unwrap();
        let worker = thread::spawn({
            let capture = capture.clone();
            move || {
                let mut sampler = Sampler::new(&capture, 0);
                burst(&mut sampler, FIRST);
                drop(sampler);
            }
        });
        drop(first);
        let mut second = capture.arm(wanted(SECOND), 20).unwrap();
        let early = taken(&mut second);
        worker.join().unwrap();
        let late = taken(&mut second);
        assert!(early.is_empty() && late.is_empty(), "{early:?} {late:?}");
    });
}

#[test]
fn a_frame_is_cut_as_its_session_says() {
    loom::model(|| {
        let capture = Arc::new(Capture::new(1));
        let first = capture.arm(wanted(FIRST), 10).unwrap();
        let worker = thread::spawn({
            let capture = capture.clone();
            move || {
                let mut sampler = Sampler::new(&capture, 0);
                burst(&mut sampler, FIRST);
                burst(&mut sampler, FIRST);
            }
        });
        drop(first);
        let mut second = capture.arm(wanted(FIRST), 20).unwrap();
        let early = taken(&mut second);
        worker.join().unwrap();
        let late = taken(&mut second);
        assert!(early.iter().chain(&late).all(|one| *one == (FIRST, 20)), "{early:?} {late:?}");
        drop(second);
    });
}

#[test]
fn what_is_copied_is_taken_or_counted_as_lost() {
    loom::model(|| {
        let capture = Arc::new(Capture::new(1));
        let mut session = capture.arm(wanted(FIRST), 60).unwrap();
        let worker = thread::spawn({
            let capture = capture.clone();
            move || {
                let mut sampler = Sampler::new(&capture, 0);
                for _ in 0..ROOM {
                    assert!(burst(&mut sampler, FIRST), "it is armed all the time");
                }
            }
        });
        let early = session.next(|_| ()).is_some();
        worker.join().unwrap();
        let late = taken(&mut session).len();
        let lost = usize::try_from(session.lost()).unwrap();
        assert_eq!(usize::from(early) + late + lost, ROOM);
        assert_eq!(lost, 0, "there was room for all");
    });
}

#[test]
fn buffers_go_round_whoever_comes_first() {
    loom::model(|| {
        let capture = Arc::new(Capture::new(1));
        let mut sampler = Sampler::new(&capture, 0);
        let other = thread::spawn({
            let capture = capture.clone();
            move || drop(taken(&mut capture.arm(wanted(FIRST), 60).unwrap()))
        });
        burst(&mut sampler, FIRST);
        other.join().unwrap();
        check_that_all_buffers_are_there(&capture, &mut sampler);
    });
}

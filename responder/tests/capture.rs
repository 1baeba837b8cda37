//! Captures without a port: what a worker's sampler hands on, what is lost and counted, and that a worker allocates nothing for it.

use std::thread;

use otherhalf_engine::{BURST, Outcome, PortId};
use otherhalf_responder::capture::{Capture, Error, ROOM, Received, SNAP_LEN, Sampler, Wanted};

const FORGED: Outcome = Outcome::DropForged;
const PING: Outcome = Outcome::PingReply;

fn wanted(outcomes: &[Outcome]) -> Wanted {
    outcomes.iter().copied().collect()
}

fn frame(octets: &[u8]) -> Received<'_> {
    Received { octets, whole_len: octets.len(), port: PortId(3), ticks: 77 }
}

/// A burst: frames whose octet says which, and what becomes of each. Whether it was looked at.
fn burst(sampler: &mut Sampler<'_>, frames: &[(u8, Option<Outcome>)]) -> bool {
    if !sampler.begin() {
        return false;
    }
    for (octet, _) in frames {
        sampler.copy(frame(&[*octet; 60]));
    }
    for (place, (_, outcome)) in frames.iter().enumerate() {
        if let Some(outcome) = outcome {
            sampler.note(place, *outcome);
        }
    }
    sampler.finish();
    true
}

#[test]
fn what_is_wanted_comes_out_as_it_was_received() {
    let capture = Capture::new(2);
    let mut sampler = Sampler::new(&capture, 1);
    assert!(!burst(&mut sampler, &[(1, Some(FORGED))]), "not armed");
    let mut session = capture.arm(wanted(&[FORGED, PING]), SNAP_LEN).unwrap();
    let all = [(2, Some(FORGED)), (3, Some(Outcome::ProbeUdp)), (4, None), (5, Some(PING))];
    assert!(burst(&mut sampler, &all));
    let mut taken = Vec::new();
    while let Some(one) = session.next(|one| {
        assert_eq!((one.worker, one.port, one.ticks, one.whole_len), (1, PortId(3), 77, 60));
        (one.octets.to_vec(), one.outcome)
    }) {
        taken.push(one);
    }
    assert_eq!(taken, [(vec![2; 60], FORGED), (vec![5; 60], PING)]);
    // The last word counts: sent, and then not.
    assert!(sampler.begin());
    sampler.copy(frame(&[6; 60]));
    sampler.note(0, PING);
    sampler.note(0, Outcome::DropTransmitFull);
    sampler.finish();
    assert!(session.next(|_| ()).is_none());
    // One that waited, and ends by itself.
    sampler.single(FORGED, frame(&[7; 60]));
    sampler.single(Outcome::DropStopped, frame(&[8; 60]));
    assert_eq!(session.next(|one| one.octets[0]), Some(7));
    assert!(session.next(|_| ()).is_none());
    assert_eq!(session.lost(), 0);
    drop(session);
    assert!(!burst(&mut sampler, &all), "no longer armed");
}

#[test]
fn a_frame_is_cut_to_what_is_asked_for() {
    let capture = Capture::new(1);
    let mut sampler = Sampler::new(&capture, 0);
    let jumbo = vec![9; SNAP_LEN];
    for (snap_len, kept) in [(1, 1), (SNAP_LEN, SNAP_LEN)] {
        let mut session = capture.arm(wanted(&[FORGED]), snap_len).unwrap();
        sampler.single(FORGED, Received { whole_len: 9000, ..frame(&jumbo) });
        let seen = session.next(|one| (one.octets.len(), one.whole_len));
        assert_eq!(seen, Some((kept, 9000)));
    }
    let refused = |outcomes, snap_len| capture.arm(outcomes, snap_len).err();
    assert_eq!(refused(wanted(&[FORGED]), 0), Some(Error::SnapLen(0)));
    assert_eq!(refused(wanted(&[FORGED]), SNAP_LEN + 1), Some(Error::SnapLen(SNAP_LEN + 1)));
    assert_eq!(refused(wanted(&[]), 1), Some(Error::Nothing));
}

#[test]
fn one_at_a_time_and_none_gets_the_frames_of_another() {
    let capture = Capture::new(1);
    let mut sampler = Sampler::new(&capture, 0);
    let first = capture.arm(wanted(&[FORGED]), SNAP_LEN).unwrap();
    assert_eq!(capture.arm(wanted(&[PING]), SNAP_LEN).err(), Some(Error::Busy));
    assert!(burst(&mut sampler, &[(1, Some(FORGED)), (2, Some(FORGED))]));
    // In the midst of a burst, one ends and another begins.
    assert!(sampler.begin());
    sampler.copy(frame(&[3; 60]));
    drop(first);
    let mut second = capture.arm(wanted(&[FORGED]), SNAP_LEN).unwrap();
    sampler.note(0, FORGED);
    sampler.finish();
    assert!(burst(&mut sampler, &[(4, Some(FORGED))]));
    assert_eq!(second.next(|one| one.octets[0]), Some(4));
    assert!(second.next(|_| ()).is_none());
}

#[test]
fn what_finds_no_buffer_is_lost_and_counted() {
    let capture = Capture::new(1);
    let mut sampler = Sampler::new(&capture, 0);
    for _ in 0..3 {
        let mut session = capture.arm(wanted(&[FORGED]), SNAP_LEN).unwrap();
        for octet in 0..30 {
            assert!(burst(&mut sampler, &[(octet, Some(FORGED)); BURST]));
        }
        let lost = 30 * BURST - ROOM;
        assert_eq!(session.lost(), lost as u64, "those of earlier sessions are not ours");
        let mut taken = 0;
        while session.next(|_| ()).is_some() {
            taken += 1;
        }
        assert_eq!(taken, ROOM);
        // There is room again.
        assert!(burst(&mut sampler, &[(1, Some(FORGED)); BURST]));
        assert_eq!(session.lost(), lost as u64);
    }
}

#[test]
fn a_worker_allocates_nothing() {
    let capture = Capture::new(1);
    let mut sampler = Sampler::new(&capture, 0);
    let mut session = capture.arm(wanted(&[FORGED]), SNAP_LEN).unwrap();
    let used = allocation_counter::measure(|| {
        for _ in 0..100 {
            assert!(burst(&mut sampler, &[(1, Some(FORGED)); BURST]));
            sampler.single(FORGED, frame(&[2; 60]));
            while session.next(|_| ()).is_some() {}
        }
    });
    assert_eq!((used.count_total, used.bytes_total), (0, 0));
}

#[test]
fn all_frames_of_two_workers_are_taken_or_lost() {
    const BURSTS: u64 = 20_000;
    let capture = Capture::new(2);
    let mut session = capture.arm(wanted(&[FORGED]), SNAP_LEN).unwrap();
    let taken = thread::scope(|scope| {
        let work = |worker| {
            let capture = &capture;
            move || {
                let mut sampler = Sampler::new(capture, worker);
                for octet in 0..BURSTS {
                    let octet = u8::try_from(octet % 256).unwrap();
                    let frames = [(octet, Some(FORGED)), (!octet, Some(PING))];
                    assert!(burst(&mut sampler, &frames));
                }
            }
        };
        let workers = [0, 1].map(|worker| scope.spawn(work(worker)));
        let mut taken = 0;
        loop {
            let last = workers.iter().all(thread::ScopedJoinHandle::is_finished);
            while let Some(whole) = session.next(|one| {
                let [first, ..] = *one.octets else { return false };
                one.octets.len() == 60 && one.octets.iter().all(|octet| *octet == first)
            }) {
                assert!(whole, "a copy of two frames");
                taken += 1;
            }
            if last {
                return taken;
            }
        }
    });
    assert_eq!(taken + session.lost(), 2 * BURSTS);
    assert!(taken >= 2 * ROOM as u64, "{taken}");
}

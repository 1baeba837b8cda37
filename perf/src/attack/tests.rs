//! The course of floods, and when promises are broken.

use super::*;
use crate::course::tests::{seen, step};
use std::path::{Path, PathBuf};

const TIMEOUT: Duration = Duration::from_millis(500);

fn attack(kinds: &[&str]) -> Attack {
    let flood = |kind: &&str| {
        let text = format!("about = \"x\"\nkind = \"{kind}\"");
        ((*kind).to_owned(), Flood::parse(Path::new("x"), &text).unwrap())
    };
    Attack {
        step: step(Load::Open { rate: 0.0 }),
        floods: kinds.iter().map(flood).collect(),
        rate: 9900.0,
        time: Duration::from_secs(2),
        timeout: TIMEOUT,
        entries: entries(9900.0, TIMEOUT),
        gauges: Arc::new(Gauges::new(PathBuf::new())),
        apart: true,
    }
}

/// What the steps bring if each serves the share of what is asked.
fn steps(attack: &mut Attack, served: impl Fn(usize) -> u64) -> Vec<Seen> {
    let mut all: Vec<Seen> = Vec::new();
    while let Some(step) = attack.next(&all, 1000).unwrap() {
        let mut one = seen(step.load, 0, |_, _| {});
        one.step = step;
        one.tally.asked = 1000;
        one.tally.responses = served(all.len());
        one.tally.flood = step.flood.map_or(0, |_| 19_800);
        all.push(one);
    }
    all
}

#[test]
fn each_flood_has_its_time_its_time_out_and_an_after() {
    let mut attack = attack(&["pings", "garbage"]);
    let steps = steps(&mut attack, |_| 1000);
    let floods: Vec<_> = steps.iter().map(|seen| seen.step.flood).collect();
    let [pings, garbage] = [0, 1].map(|place| Some((place, 9900.0)));
    assert_eq!(floods, [None, pings, None, None, garbage, None, None]);
    assert!(steps.iter().all(|seen| seen.step.load == Load::Open { rate: 100.0 }));
    assert_eq!((steps[2].step.time, steps[5].step.time), (TIMEOUT, TIMEOUT));
}

#[test]
fn what_was_disturbed_is_tried_again_and_not_for_ever() {
    // 100 ms are 100 ticks.
    let away = |all: &[Seen], changed: &[usize]| {
        let mut all = all.to_vec();
        for place in changed {
            all[*place].longest_away = 101;
        }
        all
    };
    let mut attack = attack(&["pings", "garbage"]);
    let whole = steps(&mut attack, |_| 1000);
    let tries = |seen: &[Seen]| attack.tries(seen, 1000);
    let fine = |place, before| Try { place, before, disturbed: false };
    assert_eq!(tries(&whole), [fine(0, 0), fine(1, 3)]);
    assert_eq!(tries(&whole[..1]), [fine(0, 0)]);
    // The second try of the first flood takes the time of the second flood, which is still to come.
    assert_eq!(tries(&away(&whole, &[1])), [fine(0, 3), fine(1, 6)]);
    let many: Vec<Seen> = whole.iter().chain(&whole).cloned().collect();
    let third = Try { place: 0, before: 6, disturbed: true };
    assert_eq!(tries(&away(&many, &[2, 5, 8])), [third, fine(1, 9)]);
}

#[test]
fn the_table_has_room_for_the_rate_and_a_flood_may_fill_it() {
    assert_eq!(entries(100_000.0, Duration::from_secs(1)), 131_072);
    assert_eq!(entries(1.0, Duration::from_secs(1)), 4096);
    let mut attack = attack(&["unanswered"]);
    attack.floods[0].1.fill = Some(2.0);
    assert!((attack.rate_of(0) - 2.0 * f64::from(attack.entries) / 0.5).abs() < 1.0);
}

fn reading(step: usize) -> Reading {
    Reading { step, capacity: 8192, resident: 1 << 26, mbufs: 100, ..Reading::default() }
}

/// The promises broken when readings and steps are so, and so many frames of the flood's step had this fault.
fn broken(
    change: impl Fn(&mut Reading),
    served: impl Fn(usize) -> u64,
    fault: Option<Fault>,
) -> Vec<String> {
    broken_by(change, served, |seen| {
        if let Some(fault) = fault {
            seen.tally.faults[fault as usize] = 9;
        }
    })
}

fn broken_by(
    change: impl Fn(&mut Reading),
    served: impl Fn(usize) -> u64,
    during: impl Fn(&mut Seen),
) -> Vec<String> {
    let mut attack = attack(&["forged-echoes"]);
    let mut steps = steps(&mut attack, served);
    during(&mut steps[1]);
    let readings: Vec<Reading> = (0..4)
        .map(|step| {
            let mut reading = reading(step);
            if step > 0 {
                change(&mut reading);
            }
            reading
        })
        .collect();
    let (name, flood) = &attack.floods[0];
    let mut attacked = Attacked::new(name, flood, attack.rate_of(0), &steps);
    attacked.read(&readings, 0);
    attacked.judge(&attack, &steps, &readings)
}

#[test]
fn promises_are_kept_or_named() {
    assert_eq!(broken(|_| {}, |_| 1000, None), Vec::<String>::new());
    let one = |broken: Vec<String>, word: &str| {
        assert!(broken.len() == 1 && broken[0].contains(word), "{broken:?} {word}");
    };
    one(broken(|_| {}, |step| if step == 1 { 900 } else { 1000 }, None), "answers, and 95 %");
    one(broken(|_| {}, |step| if step == 3 { 900 } else { 1000 }, None), "one time-out after");
    one(broken(|reading| reading.mbufs += 2000, |_| 1000, None), "buffers");
    one(broken(|reading| reading.pending += 2000, |_| 1000, None), "probes waited");
    one(broken(|reading| reading.resident *= 2, |_| 1000, None), "memory");
    one(broken(|_| {}, |_| 1000, Some(Fault::WrongHop)), "believed");
    let replying = |seen: &mut Seen| seen.tally.flood_replies = 30_000;
    one(broken_by(|_| {}, |_| 1000, replying), "to strangers");
    one(broken(|_| {}, |_| 1000, Some(Fault::Checksum)), "not as they have to be");
}

#[test]
fn without_readings_nothing_is_promised_to_have_been_kept() {
    let mut attack = attack(&["pings"]);
    let steps = steps(&mut attack, |_| 1000);
    let attacked = attacked(&attack, &steps, 1000);
    assert_eq!(attacked[0].broken, ["the responder's state could not be read"]);
}

#[test]
fn forgeries_may_be_believed_as_often_as_they_are_guessed() {
    assert_eq!(believable(0.0), 0);
    assert_eq!(believable(1.0), 10);
    assert!(believable(100.0) < 160);
}

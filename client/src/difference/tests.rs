use super::*;
use crate::document::samples::{Answer, document, multipath, path};

/// A path to 192.0.2.2 by hops of these addresses, 1 ms further each; 0 is silence.
fn chain(hops: &[&[u8]]) -> Path {
    timed(hops, &(1..=20).map(f64::from).collect::<Vec<_>>())
}

fn timed(hops: &[&[u8]], times: &[f64]) -> Path {
    let hops: Vec<Vec<Answer>> = hops
        .iter()
        .zip(times)
        .map(|(hop, ms)| hop.iter().map(|number| (*number, *ms)).collect())
        .collect();
    path(1, 2, &hops.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn compare(before: &[&[u8]], after: &[&[u8]]) -> PathDifference {
    PathDifference::new(&chain(before), &chain(after))
}

/// A TTL and the last octet of who answered there.
type Short = (u8, u8);

/// The hops that changed: what was and what is.
fn hops(difference: &PathDifference) -> Vec<(Option<Short>, Option<Short>)> {
    let short = |spot: &Spot| {
        let last = spot.addresses.first().map_or(0, |address| match address {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(_) => 255,
        });
        (spot.ttl, last)
    };
    difference
        .hops
        .iter()
        .map(|change| (change.before.as_ref().map(short), change.after.as_ref().map(short)))
        .collect()
}

#[test]
fn the_same_is_the_same() {
    let one: &[&[u8]] = &[&[10], &[11], &[2]];
    assert_eq!(compare(one, one), PathDifference::default());
}

#[test]
fn a_hop_in_the_place_of_another() {
    let difference = compare(&[&[10], &[11], &[12], &[2]], &[&[10], &[21], &[12], &[2]]);
    assert_eq!(hops(&difference), [(Some((2, 11)), Some((2, 21)))]);
    assert!(difference.reached.is_none() && difference.times.is_empty());
}

#[test]
fn a_new_hop_makes_those_behind_it_not_new() {
    let short: &[&[u8]] = &[&[10], &[11], &[12], &[2]];
    let long: &[&[u8]] = &[&[10], &[20], &[11], &[12], &[2]];
    assert_eq!(hops(&compare(short, long)), [(None, Some((2, 20)))]);
    assert_eq!(hops(&compare(long, short)), [(Some((2, 20)), None)]);
}

#[test]
fn load_balancing_and_silence_are_no_change() {
    let same: [[&[&[u8]]; 2]; 4] = [
        [&[&[10], &[11, 12], &[2]], &[&[10], &[12, 13], &[2]]],
        [&[&[10], &[11, 12], &[2]], &[&[10], &[11], &[2]]],
        [&[&[10], &[0], &[2]], &[&[10], &[11], &[2]]],
        [&[&[10], &[11], &[2]], &[&[0], &[0], &[2]]],
    ];
    for [before, after] in same {
        assert_eq!(hops(&compare(before, after)), [], "{before:?} {after:?}");
    }
}

#[test]
fn silence_does_not_hide_a_path_that_is_longer() {
    let difference = compare(&[&[10], &[0], &[11], &[2]], &[&[10], &[11], &[2]]);
    assert_eq!(hops(&difference), [(Some((2, 0)), None)]);
}

#[test]
fn nothing_is_said_of_what_was_not_reached() {
    let whole: &[&[u8]] = &[&[10], &[11], &[12], &[2]];
    let broken: &[&[u8]] = &[&[10], &[11], &[0], &[0], &[0], &[0], &[0]];
    let difference = compare(whole, broken);
    assert_eq!(hops(&difference), []);
    assert_eq!(difference.reached, Some(ReachedChange { before: true, after: false }));
    // Where it breaks off elsewhere, that is told.
    let elsewhere = compare(whole, &[&[10], &[21], &[0]]);
    assert_eq!(hops(&elsewhere), [(Some((2, 11)), Some((2, 21)))]);
    // Two that both break off, one later than the other.
    assert_eq!(compare(broken, &[&[10], &[0]]), PathDifference::default());
}

#[test]
fn a_trace_from_a_later_ttl_is_not_blamed_for_the_beginning() {
    let mut late = chain(&[&[11], &[2]]);
    late.first_ttl = 2;
    for (hop, ttl) in late.hops.iter_mut().zip(2..) {
        hop.ttl = ttl;
    }
    let whole = chain(&[&[10], &[11], &[2]]);
    assert_eq!(hops(&PathDifference::new(&whole, &late)), []);
    assert_eq!(hops(&PathDifference::new(&late, &whole)), []);
}

#[test]
fn times_change_beyond_noise_and_are_told_once() {
    let way: &[&[u8]] = &[&[10], &[11], &[12], &[2]];
    let times = |after: &[f64]| {
        let before = timed(way, &[1.0, 10.0, 20.0, 21.0]);
        PathDifference::new(&before, &timed(way, after)).times
    };
    assert!(times(&[1.2, 12.0, 24.0, 25.0]).is_empty(), "small");
    assert!(times(&[1.0, 80.0, 21.0, 22.0]).is_empty(), "a slow answer of one router");
    let [change] = &times(&[1.0, 60.0, 70.0, 72.0])[..] else { panic!("one change") };
    assert_eq!((change.at.ttl, change.before_ms, change.after_ms), (2, 10.0, 60.0));
    // The least of what comes behind is 20 ms: the first hops are slow to answer.
    assert!(times(&[101.0, 110.0, 20.0, 21.0]).is_empty());
}

#[test]
fn one_time_among_those_of_the_other_trace_is_noise() {
    let hop = |times: [f64; 3]| path(1, 2, &[&times.map(|ms| (2, ms))]);
    let calm = hop([10.0, 11.0, 60.0]);
    assert!(PathDifference::new(&calm, &hop([50.0, 52.0, 54.0])).times.is_empty());
    assert_eq!(PathDifference::new(&calm, &hop([70.0, 72.0, 74.0])).times.len(), 1);
}

#[test]
fn branches_are_told_of_multipath_traces() {
    let graph = |branches: &[u8]| {
        let mut path = chain(&[&[10], &[11], &[2]]);
        let nodes: Vec<_> = branches.iter().map(|number| (2, *number)).collect();
        path.multipath =
            Some(multipath(&[&[(0, 1), (1, 10)], &nodes[..], &[(3, 2)]].concat(), &[]));
        path
    };
    let difference = PathDifference::new(&graph(&[11, 12]), &graph(&[11, 13]));
    assert!(difference.hops.is_empty());
    let [change] = &difference.branches[..] else { panic!("{difference:?}") };
    assert_eq!((change.ttl, change.added.len(), change.removed.len()), (2, 1, 1));
    assert_eq!(
        PathDifference::new(&graph(&[11, 12]), &graph(&[12, 11])),
        PathDifference::default()
    );
}

#[test]
fn in_words() {
    let before = document(Some(chain(&[&[10], &[11], &[2]])), Some(chain(&[&[2]])));
    let after = document(Some(chain(&[&[10], &[21], &[2]])), Some(chain(&[&[0]])));
    let difference = Difference::new(&before, &after).unwrap();
    assert!(difference.is_changed() && difference.is_path_changed());
    assert_eq!(
        difference.lines(&before, &after),
        [
            "forward: changed",
            "  -  2  192.0.2.11",
            "  +  2  192.0.2.21",
            "reverse: changed",
            "  ! the end is no longer reached",
        ]
    );
    assert_eq!(
        difference.line(&before, &after),
        "forward: hop 2 is 192.0.2.21, was 192.0.2.11; reverse: the end is no longer reached"
    );
    let only = |forward| document(forward, None);
    let back = document(None, Some(chain(&[&[2]])));
    assert_eq!(Difference::new(&only(Some(chain(&[&[2]]))), &back), Err(NothingInCommon));
}

#[test]
fn what_is_hard_to_compare_is_noted() {
    let mut other = chain(&[&[2]]);
    other.flow = 33435;
    let before = document(Some(chain(&[&[2]])), None);
    let difference = Difference::new(&before, &document(Some(other), None)).unwrap();
    assert!(!difference.is_changed());
    assert!(
        difference.notes[0].contains("flow 33434 before, UDP, flow 33435 after"),
        "{:?}",
        difference.notes
    );
}

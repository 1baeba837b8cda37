use super::*;
use otherhalf_engine::InterfaceId;

fn hop(n: u8) -> NextHop {
    NextHop { interface: InterfaceId(0), address: std::net::Ipv4Addr::new(192, 0, 2, n).into() }
}

fn cache(room: usize, routers: &[NextHop], now: Instant) -> Cache {
    Cache::new(room, seconds(30), routers.iter().copied(), now)
}

fn reach(cache: &Cache, n: u8) -> Option<Reach> {
    cache.all().find(|one| one.neighbour == hop(n)).map(|one| one.reach)
}

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const OTHER: Mac = Mac([2, 0, 0, 0, 0, 2]);

fn heard(n: u8, mac: Mac, claim: Claim, overrides: bool) -> Notice {
    Notice::Heard { neighbour: hop(n), mac: Some(mac), claim, overrides }
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_router_is_asked_for_until_it_answers_and_confirmed_ever_after() {
    let start = Instant::now();
    let mut cache = cache(4, &[hop(1)], start);
    for n in 0..10 {
        assert_eq!(
            cache.questions(start + seconds(n)),
            [Question { neighbour: hop(1), known: None }]
        );
        assert!(cache.questions(start + seconds(n)).is_empty(), "once a second");
    }
    assert_eq!(cache.silent_routers().count(), 1);
    let now = start + seconds(10);
    cache.note(heard(1, MAC, Claim::Answered, true), now);
    assert_eq!(cache.changes().unwrap().get(hop(1)), Some(MAC));
    assert_eq!((cache.changes(), cache.silent_routers().count()), (None, 0));
    assert!(cache.questions(now + seconds(29)).is_empty());
    assert_eq!(
        cache.questions(now + seconds(30)),
        [Question { neighbour: hop(1), known: Some(MAC) }]
    );
    cache.note(heard(1, MAC, Claim::Answered, true), now + seconds(30));
    assert!(cache.questions(now + seconds(59)).is_empty());
    assert_eq!(cache.changes(), None, "confirmed, not changed");
}

#[test]
fn who_does_not_answer_is_forgotten_a_router_is_asked_for_again() {
    let start = Instant::now();
    let mut cache = cache(4, &[hop(1)], start);
    cache.note(heard(1, MAC, Claim::Answered, true), start);
    cache.note(heard(2, OTHER, Claim::Asked, true), start);
    assert_eq!(cache.changes().unwrap().len(), 2);
    for n in 5..8 {
        assert_eq!(
            cache.questions(start + seconds(n)),
            [Question { neighbour: hop(2), known: Some(OTHER) }]
        );
    }
    assert!(cache.questions(start + seconds(8)).is_empty());
    assert_eq!(cache.changes().unwrap().len(), 1);
    for n in 30..33 {
        assert_eq!(
            cache.questions(start + seconds(n)),
            [Question { neighbour: hop(1), known: Some(MAC) }]
        );
    }
    assert_eq!(cache.questions(start + seconds(33)), [Question { neighbour: hop(1), known: None }]);
    assert!(cache.changes().unwrap().is_empty());
    assert_eq!(cache.silent_routers().collect::<Vec<_>>(), [hop(1)]);
}

#[test]
fn what_is_wanted_is_asked_for_three_times() {
    let start = Instant::now();
    let mut cache = cache(4, &[], start);
    cache.note(Notice::Wanted(hop(3)), start);
    cache.note(Notice::Wanted(hop(3)), start);
    for n in 0..3 {
        assert_eq!(cache.questions(start + seconds(n)).len(), 1);
    }
    assert!(cache.questions(start + seconds(3)).is_empty());
    assert!(cache.entries.is_empty());
}

#[test]
fn a_frame_that_waits_hurries_the_question() {
    let start = Instant::now();
    let mut cache = cache(4, &[hop(1)], start);
    assert_eq!(cache.questions(start).len(), 1);
    cache.note(Notice::Wanted(hop(1)), start + Duration::from_millis(50));
    cache.note(Notice::Wanted(hop(1)), start + Duration::from_millis(60));
    assert!(cache.questions(start + Duration::from_millis(99)).is_empty());
    assert_eq!(cache.questions(start + Duration::from_millis(100)).len(), 1);
    assert!(cache.questions(start + Duration::from_millis(1099)).is_empty(), "once");
    assert_eq!(cache.questions(start + Duration::from_millis(1100)).len(), 1);
}

#[test]
fn announcements_change_and_do_not_make_neighbours() {
    let start = Instant::now();
    let mut cache = cache(4, &[], start);
    cache.note(heard(1, MAC, Claim::Announced, true), start);
    cache.note(heard(1, MAC, Claim::Answered, true), start);
    assert_eq!(cache.changes(), None);
    cache.note(heard(1, MAC, Claim::Asked, true), start);
    assert_eq!(cache.changes().unwrap().get(hop(1)), Some(MAC));
    cache.note(heard(1, OTHER, Claim::Answered, false), start);
    assert_eq!(cache.changes(), None, "it may not replace");
    cache.note(heard(1, OTHER, Claim::Announced, true), start);
    assert_eq!(cache.changes().unwrap().get(hop(1)), Some(OTHER));
}

#[test]
fn an_answer_without_address_confirms_the_known_one() {
    let start = Instant::now();
    let mut cache = cache(4, &[hop(1)], start);
    let confirms =
        Notice::Heard { neighbour: hop(1), mac: None, claim: Claim::Answered, overrides: false };
    cache.note(confirms, start);
    assert_eq!(cache.changes(), None, "there is none to confirm");
    cache.note(heard(1, MAC, Claim::Answered, true), start);
    assert_eq!(cache.changes().unwrap().len(), 1);
    // Many times longer than an address is believed without being confirmed.
    for n in 1..=300 {
        let now = start + seconds(n);
        for question in cache.questions(now) {
            assert_eq!(question, Question { neighbour: hop(1), known: Some(MAC) });
            cache.note(confirms, now);
        }
        assert_eq!(cache.changes(), None);
    }
    assert_eq!(cache.silent_routers().count(), 0);
}

#[test]
fn strangers_are_asked_for_a_few_at_a_time() {
    let start = Instant::now();
    let mut cache = cache(1000, &[hop(1)], start);
    for n in 2..=200 {
        cache.note(Notice::Wanted(hop(n)), start);
    }
    let mut asked = 0;
    for turn in 0..100 {
        let questions = cache.questions(start + Duration::from_millis(2 * turn));
        let strangers = questions.iter().filter(|question| question.neighbour != hop(1)).count();
        assert!(strangers <= STRANGERS);
        asked += strangers;
    }
    assert_eq!(asked, 199, "each in its turn");
}

#[test]
fn memory_is_bounded() {
    let start = Instant::now();
    let mut cache = cache(3, &[hop(1)], start);
    cache.note(Notice::Wanted(hop(2)), start);
    for n in 3..=200 {
        cache.note(Notice::Wanted(hop(n)), start);
        assert!(cache.entries.len() <= 3);
    }
    assert_eq!(cache.refused(), 197, "who is wanted makes nobody go");
    cache.note(heard(201, MAC, Claim::Asked, true), start);
    cache.note(heard(202, MAC, Claim::Asked, true), start);
    assert_eq!(
        (cache.refused(), cache.entries.len()),
        (197, 3),
        "who talks to us makes the silent go"
    );
    cache.note(heard(203, MAC, Claim::Asked, true), start);
    assert_eq!((cache.refused(), cache.entries.len()), (198, 3), "nor those who have just come");
    assert!(cache.entries.contains_key(&hop(1)), "the router stays");
}

#[test]
fn the_stalest_makes_room() {
    let start = Instant::now();
    let mut cache = cache(4, &[hop(1)], start);
    for n in [2, 3, 4] {
        cache.note(heard(n, MAC, Claim::Asked, true), start + seconds(n.into()));
    }
    cache.note(heard(2, MAC, Claim::Answered, true), start + seconds(7));
    assert_eq!(cache.changes().unwrap().len(), 3);
    cache.note(heard(5, OTHER, Claim::Asked, true), start + seconds(8));
    let known = cache.changes().unwrap();
    assert_eq!((known.len(), known.get(hop(3)), known.get(hop(5))), (3, None, Some(OTHER)));
    cache.note(heard(4, MAC, Claim::Answered, true), start + seconds(8));
    cache.note(heard(6, OTHER, Claim::Asked, true), start + seconds(12));
    assert_eq!((cache.changes(), cache.refused()), (None, 1), "all others answer or are new");
    cache.note(heard(6, OTHER, Claim::Asked, true), start + seconds(13));
    assert_eq!(cache.changes().unwrap().get(hop(6)), Some(OTHER));
    assert_eq!(
        [1, 2, 4].map(|n| reach(&cache, n)),
        [Some(Reach::Incomplete), Some(Reach::Reachable), Some(Reach::Reachable)]
    );
}

#[test]
fn states_follow_what_is_said() {
    let start = Instant::now();
    let mut cache = cache(4, &[hop(1)], start);
    cache.note(heard(2, MAC, Claim::Asked, true), start);
    assert_eq!((reach(&cache, 1), reach(&cache, 2)), (Some(Reach::Incomplete), Some(Reach::Delay)));
    assert!(!cache.is_silent(hop(1)), "it was not even asked");
    for n in 0..4 {
        assert!(!cache.is_silent(hop(1)) && !cache.routers_changed(), "{n}");
        cache.questions(start + seconds(n));
    }
    assert!(cache.is_silent(hop(1)) && cache.routers_changed() && !cache.routers_changed());
    cache.questions(start + seconds(5));
    assert_eq!((reach(&cache, 1), reach(&cache, 2)), (Some(Reach::Silent), Some(Reach::Probe)));
    assert!(!cache.routers_changed(), "once");
    cache.note(heard(1, MAC, Claim::Asked, true), start + seconds(5));
    assert!(cache.is_silent(hop(1)) && !cache.routers_changed(), "it may not hear us");
    let soon = start + Duration::from_millis(5100);
    assert_eq!(cache.questions(soon), [Question { neighbour: hop(1), known: None }]);
    for n in [1, 2] {
        cache.note(heard(n, MAC, Claim::Answered, true), start + seconds(6));
        assert_eq!(reach(&cache, n), Some(Reach::Reachable));
    }
    assert!(!cache.is_silent(hop(1)) && cache.routers_changed());
    // The address of another station that claims it is used, and asked for.
    cache.note(heard(1, OTHER, Claim::Announced, true), start + seconds(7));
    assert_eq!(reach(&cache, 1), Some(Reach::Delay));
    assert_eq!(cache.changes().unwrap().get(hop(1)), Some(OTHER));
    assert_eq!(
        cache.questions(start + seconds(12)),
        [Question { neighbour: hop(1), known: Some(OTHER) }]
    );
    assert_eq!(reach(&cache, 1), Some(Reach::Probe));
}

#[test]
fn answers_are_believed_for_as_long_as_configured() {
    let start = Instant::now();
    let mut cache = cache(4, &[hop(1)], start);
    cache.set_reachable(seconds(2));
    cache.questions(start);
    cache.note(heard(1, MAC, Claim::Answered, true), start);
    assert!(cache.questions(start + Duration::from_millis(1999)).is_empty());
    for n in 2..5 {
        assert_eq!(cache.questions(start + seconds(n)).len(), 1);
        assert!(!cache.is_silent(hop(1)), "{n}");
    }
    // As long as it is believed, and three questions.
    cache.questions(start + seconds(5));
    assert!(cache.is_silent(hop(1)) && cache.routers_changed());
}

#[test]
fn former_routers_that_never_answered_expire() {
    let start = Instant::now();
    let mut cache = cache(4, &[hop(1), hop(2), hop(3)], start);
    for n in 0..9 {
        cache.questions(start + seconds(n));
    }
    // One was silent for long, one is asked for the first time, one answered.
    cache.note(heard(3, MAC, Claim::Answered, true), start + seconds(8));
    cache.set_routers([hop(4)], start + seconds(9));
    cache.set_routers([hop(5)], start + seconds(9));
    for n in 9..13 {
        cache.questions(start + seconds(n));
    }
    let mut left: Vec<NextHop> = cache.all().map(|one| one.neighbour).collect();
    left.sort();
    assert_eq!(left, [hop(3), hop(5)]);
    for n in 13..60 {
        cache.questions(start + seconds(n));
    }
    assert_eq!(cache.all().map(|one| one.neighbour).collect::<Vec<_>>(), [hop(5)]);
}

#[test]
fn after_a_flap_routers_are_asked_at_once_and_others_soon() {
    let start = Instant::now();
    let mut cache = cache(9, &[hop(1), hop(3)], start);
    cache.questions(start);
    for n in [1, 2] {
        cache.note(heard(n, MAC, Claim::Asked, true), start);
        cache.note(heard(n, MAC, Claim::Answered, true), start);
    }
    for n in 1..20 {
        cache.questions(start + seconds(n));
    }
    let now = start + Duration::from_millis(19_500);
    cache.link_is_back(|interface| interface != InterfaceId(0), now);
    assert!(cache.questions(now).is_empty(), "another link");
    cache.link_is_back(|interface| interface == InterfaceId(0), now);
    let mut asked: Vec<_> = cache.questions(now).iter().map(|one| one.neighbour).collect();
    asked.sort();
    assert_eq!(asked, [hop(1), hop(3)]);
    assert!(cache.is_silent(hop(3)), "a link alone makes no router speak");
    let asked = cache.questions(now + DELAY);
    assert!(asked.iter().any(|one| one.neighbour == hop(2)), "{asked:?}");
}

#[test]
fn no_more_is_asked_at_once_than_a_worker_sends() {
    let start = Instant::now();
    let mut cache = cache(1000, &[], start);
    for n in 0..200 {
        cache.note(heard(n, MAC, Claim::Asked, true), start);
        cache.note(heard(n, MAC, Claim::Answered, true), start);
    }
    let mut asked = 0;
    for turn in 0..100 {
        let questions = cache.questions(start + seconds(30) + Duration::from_millis(2 * turn));
        assert!(questions.len() <= QUESTIONS);
        asked += questions.len();
    }
    assert_eq!(asked, 200, "each in its turn, once");
}

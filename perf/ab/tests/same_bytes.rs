//! The yardstick does the very same work: it writes the same bytes.

use otherhalf_ab::alone::Alone;
use otherhalf_ab::case::{Load, Side};
use otherhalf_ab::pages::Pages;
use otherhalf_ab::path::Kind;
use otherhalf_ab::traffic::Traffic;
use otherhalf_ab::windows::Timed;
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;

const HZ: u64 = 2_600_000_000;

#[test]
fn engine_and_yardstick_write_the_same_bytes() {
    for (family, protocol, load) in [
        (Family::V4, Protocol::Udp, Load::Requests),
        (Family::V6, Protocol::Udp, Load::Requests),
        (Family::V4, Protocol::Tcp, Load::Requests),
        (Family::V6, Protocol::Tcp, Load::Requests),
        (Family::V4, Protocol::Icmp, Load::Requests),
        (Family::V6, Protocol::Icmp, Load::Requests),
        (Family::V4, Protocol::Udp, Load::Answers),
        (Family::V6, Protocol::Udp, Load::Answers),
        (Family::V4, Protocol::Icmp, Load::Answers),
    ] {
        let traffic = Traffic::new(family, protocol);
        let [mut engine, mut yardstick] = [Kind::Engine, Kind::Yardstick]
            .map(|kind| Alone::new(Side { kind, load, traffic }, HZ, Pages::Ordinary).unwrap());
        for _ in 0..100 {
            for side in [&mut engine, &mut yardstick] {
                side.refill().unwrap();
                side.run();
            }
            for (ours, theirs) in engine.rooms().frames().zip(yardstick.rooms().frames()) {
                assert_eq!(ours, theirs, "{family} {protocol} {load:?}");
            }
        }
        assert!((engine.answered() - 1.0).abs() < 1e-3, "{}", engine.answered());
        assert!((yardstick.answered() - 1.0).abs() < 1e-3, "{}", yardstick.answered());
    }
}

//! Leads bursts through the engine, for callgrind to count its instructions; see `scripts/instructions`.

use std::process::exit;

use otherhalf_ab::pages::Pages;
use otherhalf_ab::path::{Kind, Path, Settings};
use otherhalf_ab::policed::Lists;
use otherhalf_ab::traffic::{BURST, Rooms, SECRET, Traffic};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;

/// Different bursts; then they repeat, when all that they left in the table is long expired.
const BURSTS: u64 = 16;
const TIMEOUT_TICKS: u64 = 1000;
const ENTRIES: u32 = 1 << 14;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [case, rounds] = arguments.as_slice() else { usage() };
    let (kind, rest) = match case.split_once(':') {
        Some(("c", rest)) => (Kind::Yardstick, rest),
        Some(("p", rest)) => (Kind::Policed(Lists::Away), rest),
        _ => (Kind::Engine, case.as_str()),
    };
    let (exchanges, family, protocol) = match rest {
        "requests-v4" => (false, Family::V4, Protocol::Udp),
        "requests-v6" => (false, Family::V6, Protocol::Udp),
        "requests-v4-tcp" => (false, Family::V4, Protocol::Tcp),
        "requests-v4-icmp" => (false, Family::V4, Protocol::Icmp),
        "exchanges-v4" => (true, Family::V4, Protocol::Udp),
        "exchanges-v6" => (true, Family::V6, Protocol::Udp),
        _ => usage(),
    };
    let rounds: u64 = rounds.parse()?;
    let traffic = Traffic::new(family, protocol);
    let mut bursts = Vec::new();
    for burst in 0..BURSTS {
        let mut pair = [Rooms::default(), Rooms::default()];
        let first = burst * BURST as u64;
        traffic.requests(first, &mut pair[0])?;
        traffic.answers(first, &mut pair[1])?;
        bursts.push(pair);
    }
    let settings = Settings {
        entries: ENTRIES,
        timeout_ticks: TIMEOUT_TICKS,
        secret: SECRET,
        hz: 2_600_000_000,
    };
    let mut path = Path::new(kind, &settings, Pages::Ordinary)?;
    let mut rooms = Rooms::default();
    let mut now = TIMEOUT_TICKS;
    for _ in 0..rounds {
        now += 2 * TIMEOUT_TICKS;
        for [requests, answers] in &bursts {
            rooms.copy_from(requests);
            counted(&mut path, now, &mut rooms);
            if exchanges {
                rooms.copy_from(answers);
                counted(&mut path, now + 1, &mut rooms);
            }
        }
    }
    let frames = rounds * BURSTS * BURST as u64 * if exchanges { 2 } else { 1 };
    anyhow::ensure!(path.answered() == frames, "{} of {frames}", path.answered());
    println!("{frames}");
    Ok(())
}

/// What callgrind counts: a call of its own, so that it can be named and the making of frames stays outside.
#[inline(never)]
fn counted(path: &mut Path, now: u64, rooms: &mut Rooms) {
    path.process(now, rooms);
}

fn usage() -> ! {
    eprintln!(
        "usage: instructions [c:|p:]requests-v4|requests-v6|requests-v4-tcp|requests-v4-icmp|exchanges-v4|exchanges-v6 ROUNDS"
    );
    exit(2)
}

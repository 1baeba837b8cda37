use super::*;
use otherhalf_wire::trace::{Response, Rtt, Verdict};
use std::net::IpAddr;

const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
const PEER: Mac = Mac([2, 0, 0, 0, 0, 2]);

fn swapped(room: &mut [u8; ROOM], kind: u8) {
    let (client, responder) = (get4(room, field::SRC), get4(room, field::DST));
    put4(room, field::SRC, responder);
    put4(room, field::DST, client);
    let sum = get2(room, field::CHECKSUM);
    let (old, new) = (u16::from(room[field::ICMP]) << 8, u16::from(kind) << 8);
    put2(room, field::CHECKSUM, otherhalf_wire::checksum::update(sum, old, new));
    room[field::ICMP] = kind;
}

fn begun(load: Load) -> Frames {
    let mut frames = Frames::new(OWN, PEER);
    frames.begin(load);
    frames
}

/// The response that ends a trace, as the engine would send it.
fn response(frames: &Frames, client: u32, room: &mut [u8; ROOM]) {
    let (src, dst) = (RESPONDER_V4, Ipv4Addr::from_bits(client));
    headers(PEER, OWN, src, dst, 36, room);
    let address = IpAddr::from(Ipv4Addr::from_bits(hop(client)));
    let verdict = Verdict::Hop { address, rtt: Rtt::from_ns(7) };
    Response { identifier: frames.round.identifier(client), verdict }
        .emit(src.into(), dst.into(), &mut room[field::ICMP..])
        .unwrap();
}

/// A question of that load, and what comes back for it in the end.
fn question_and_end(frames: &mut Frames, load: Load) -> ([u8; ROOM], usize) {
    frames.begin(load);
    let mut room = [0; ROOM];
    let len = frames.ask(&mut room);
    let client = get4(&room, field::SRC);
    match load {
        Load::Pings | Load::Echo => swapped(&mut room, TYPE_ECHO_REPLY),
        Load::Mirror => swapped(&mut room, TYPE_ECHO_REQUEST),
        Load::Requests => {
            let len = probe(frames, &mut room);
            return (room, len);
        }
        Load::Traces => {
            response(frames, client, &mut room);
            return (room, RESPONSE_LEN);
        }
    }
    (room, len)
}

const LOADS: [Load; 5] = [Load::Pings, Load::Mirror, Load::Echo, Load::Requests, Load::Traces];

#[test]
fn what_was_given_up_before_is_late_whatever_is_asked_now() {
    for then in LOADS {
        for now in LOADS {
            let mut frames = Frames::new(OWN, PEER);
            let (room, len) = question_and_end(&mut frames, then);
            frames.begin(now);
            for _ in 1..ROUNDS_KEPT {
                assert_eq!(frames.turn(&mut room.clone(), len), Turned::Late, "{then:?} {now:?}");
                frames.begin(now);
            }
            assert_eq!(frames.turn(&mut room.clone(), len), Turned::Late);
            // A trace's first half may come late as well.
            if then == Load::Traces {
                let (mut half, round) = (room, Round { load: then, number: Round::read(&room) });
                let len = probe_to(get4(&room, field::DST), round, &mut half);
                assert_eq!(frames.turn(&mut half, len), Turned::Late);
            }
            // Nobody waits that long.
            frames.begin(now);
            assert!(matches!(frames.turn(&mut room.clone(), len), Turned::Wrong(_)));
        }
    }
}

#[test]
fn what_was_never_right_is_no_late_frame() {
    for then in LOADS {
        let mut frames = Frames::new(OWN, PEER);
        let (right, len) = question_and_end(&mut frames, then);
        for now in LOADS {
            frames.begin(now);
            for (at, bit) in [(field::SRC, 1), (field::DST + 3, 1), (field::PROTOCOL, 4)] {
                let mut wrong = right;
                wrong[at] ^= bit;
                let turned = frames.turn(&mut wrong, len);
                assert!(matches!(turned, Turned::Wrong(_)), "{then:?} {now:?} {at}: {turned:?}");
            }
        }
    }
}

#[test]
fn a_round_is_read_back_from_an_identifier() {
    assert_eq!(ROUND_SPREAD.wrapping_mul(ROUND_READ), 1);
    let mut frames = Frames::new(OWN, PEER);
    for _ in 0..70_000 {
        let (room, _) = question_and_end(&mut frames, Load::Pings);
        assert_eq!(Round::read(&room), frames.round.number);
    }
}

#[test]
fn questions_are_what_wire_reads() {
    let mut frames = Frames::new(OWN, PEER);
    for load in [Load::Pings, Load::Requests] {
        frames.begin(load);
        for _ in 0..100_000 {
            let mut room = [0xaa; ROOM];
            let len = frames.ask(&mut room);
            assert!(verifies(&room[..len]), "{load:?}");
        }
    }
}

#[test]
fn what_comes_back_right_becomes_the_next_and_what_is_wrong_is_told() {
    for (load, kind) in [
        (Load::Pings, TYPE_ECHO_REPLY),
        (Load::Mirror, TYPE_ECHO_REQUEST),
        (Load::Echo, TYPE_ECHO_REPLY),
    ] {
        let mut frames = begun(load);
        let mut room = [0; ROOM];
        let mut len = frames.ask(&mut room);
        for _ in 0..1000 {
            swapped(&mut room, kind);
            assert_eq!(frames.turn(&mut room, len), Turned::Whole(FRAME_LEN));
            len = FRAME_LEN;
        }
        assert!(frames.thorough > 0);
        // Not turned round, another's identifier, another kind.
        let asked = room;
        assert_eq!(frames.turn(&mut room, len), Turned::Wrong(Fault::Address));
        room = asked;
        swapped(&mut room, kind);
        room[field::IDENTIFIER] ^= 1;
        assert_eq!(frames.turn(&mut room, len), Turned::Wrong(Fault::Identifier));
        room = asked;
        swapped(&mut room, 13);
        assert_eq!(frames.turn(&mut room, len), Turned::Wrong(Fault::Kind));
    }
}

#[test]
fn a_wrong_checksum_is_found_before_long() {
    let mut frames = Frames::new(OWN, PEER);
    let found = (0..THOROUGH).any(|_| {
        let mut room = [0; ROOM];
        let len = frames.ask(&mut room);
        swapped(&mut room, TYPE_ECHO_REPLY);
        room[field::CHECKSUM] ^= 0x40;
        frames.turn(&mut room, len) == Turned::Wrong(Fault::Checksum)
    });
    assert!(found);
}

/// A probe as the engine would send it for the request in `room`.
fn probe(frames: &Frames, room: &mut [u8; ROOM]) -> usize {
    let client = get4(room, field::SRC);
    probe_to(client, frames.round, room)
}

fn probe_to(client: u32, round: Round, room: &mut [u8; ROOM]) -> usize {
    let (src, dst) = (RESPONDER_V4, Ipv4Addr::from_bits(client));
    headers(PEER, OWN, src, dst, 16, room);
    room[field::IP + 8] = PROBE_TTL;
    room[field::PROTOCOL] = UDP;
    let udp = field::ICMP;
    put2(room, udp, 1021);
    put2(room, field::UDP_DST, PROBE_FLOW);
    put2(room, udp + 4, 16);
    put2(room, field::UDP_CHECKSUM, round.identifier(client));
    field::IP + 36
}

#[test]
fn a_probe_becomes_its_answer_and_the_response_the_next_request() {
    let mut frames = begun(Load::Traces);
    let mut room = [0; ROOM];
    frames.ask(&mut room);
    let client = get4(&room, field::SRC);
    let len = probe(&frames, &mut room);
    let sent: [u8; QUOTE_LEN] = room[field::IP..field::IP + QUOTE_LEN].try_into().unwrap();
    assert_eq!(frames.turn(&mut room, len), Turned::Half(ANSWER_LEN));
    assert!(verifies(&room[..ANSWER_LEN]));
    assert_eq!(room[field::QUOTE..ANSWER_LEN], sent);
    assert_eq!(get4(&room, field::SRC), hop(client));

    response(&frames, client, &mut room);
    let came = room;
    assert_eq!(frames.turn(&mut room, RESPONSE_LEN), Turned::Whole(FRAME_LEN));
    let mut other = came;
    other[field::HOP + 3] ^= 1;
    assert_eq!(frames.turn(&mut other, RESPONSE_LEN), Turned::Wrong(Fault::Hop));
    let mut refused = came;
    refused[field::STATUS] = 1;
    assert_eq!(frames.turn(&mut refused, RESPONSE_LEN), Turned::Wrong(Fault::Refused));
    let mut neighbours = [0; ROOM];
    put2(&mut neighbours, field::ETHERTYPE, ethertype::ARP);
    assert_eq!(frames.turn(&mut neighbours, FRAME_LEN), Turned::Other);
}

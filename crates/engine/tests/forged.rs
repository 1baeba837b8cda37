//! A hundred million forged answers, and how many are believed.
//!
//! The forger knows the code, the configuration, both addresses, the flow, and that a probe waits at this very moment. What it has to
//! guess is the probe's identifier and the keyed bits that the answer must show; nothing that it sent before helps, for a probe
//! that was answered is never asked for again by the same name. `docs/security.md` has the table. Made for a release build.

mod common;

use common::{
    FAMILIES, Responder, echo_reply_packet, ends, error_packet, packet_of, request, routed,
    tcp_answer_packet,
};
use otherhalf_engine::{Fate, Frame, Outcome, Policy, PortId, Verdict, View};
use otherhalf_wire::checksum;
use otherhalf_wire::icmp::Kind;
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::tcp::flag::{ACK, RST};

/// Of all cases together.
const FORGERIES: u64 = 100_000_000;
const BURST: usize = 64;
/// From the start of a frame to that of its IP packet.
const LINK: usize = 14;

/// An answer that may be forged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// An ICMP error that quotes the IP header and so many octets behind it. Where the payload would be are zeros, as from a router that
    /// fills a short quote up: that is believed, so nobody guesses.
    Quote(usize),
    /// The target's own.
    Direct,
}

/// One way to forge.
#[derive(Debug, Clone, Copy)]
struct Case {
    family: Family,
    protocol: Protocol,
    answer: Answer,
    check_identification: bool,
}

impl Case {
    /// All for which an answer exists. Whoever forges chooses the one that demands least.
    fn all() -> Vec<Self> {
        let mut cases = Vec::new();
        for family in FAMILIES {
            for protocol in Protocol::ALL {
                for answer in
                    [Answer::Quote(8), Answer::Quote(10), Answer::Quote(16), Answer::Direct]
                {
                    for check_identification in [true, false] {
                        // UDP has no direct answers; TCP no payload. The check is of quotes in IPv4 alone.
                        let is_there = match answer {
                            Answer::Direct => protocol != Protocol::Udp && check_identification,
                            Answer::Quote(quoted) => {
                                (quoted == 8 || protocol != Protocol::Tcp)
                                    && (check_identification || family == Family::V4)
                            }
                        };
                        if is_there {
                            cases.push(Self { family, protocol, answer, check_identification });
                        }
                    }
                }
            }
        }
        cases
    }

    /// Where the words of two octets lie in a frame that must be guessed.
    fn guessed(self) -> Vec<usize> {
        let header = self.family.header_len();
        let outer = LINK + header;
        let identifier = |at: usize| match self.protocol {
            Protocol::Icmp => vec![at + 4],
            // With the upper half of the sequence number.
            Protocol::Tcp => vec![at + 4, at + 6],
            Protocol::Udp => vec![at + 6],
        };
        match self.answer {
            Answer::Direct if self.protocol == Protocol::Tcp => identifier(outer + 4),
            Answer::Direct => identifier(outer),
            Answer::Quote(_) => {
                let inner = outer + 8;
                let transport = inner + header;
                let mut places = identifier(transport);
                if self.family == Family::V4 && self.check_identification {
                    places.push(inner + 4);
                }
                places
            }
        }
    }

    /// Where the words of the quoted payload lie.
    fn payload(self) -> Vec<usize> {
        let Answer::Quote(quoted) = self.answer else { return Vec::new() };
        let header = self.family.header_len();
        let transport = LINK + header + 8 + header;
        (8..quoted.min(14)).step_by(2).map(|at| transport + at).collect()
    }

    /// The chance that one is believed.
    fn chance(self) -> f64 {
        let swapped = self.family == Family::V4
            && self.check_identification
            && matches!(self.answer, Answer::Quote(_));
        // Either order of the identification's octets is taken.
        let words = u16::try_from(self.guessed().len()).unwrap();
        (if swapped { 2.0 } else { 1.0 }) * 65536_f64.powf(-f64::from(words))
    }

    /// Writes `word` into the frame in `room`, and sees to it that all checksums stay right.
    fn write(self, room: &mut [u8], at: usize, word: [u8; 2]) {
        let outer = LINK + self.family.header_len();
        let mut swap = |at: usize, word: [u8; 2]| {
            let place = &mut room[at..at + 2];
            let old = [place[0], place[1]];
            place.copy_from_slice(&word);
            u16::from_be_bytes(old)
        };
        let new = u16::from_be_bytes(word);
        let old = swap(at, word);
        let checksum = match (self.answer, self.protocol) {
            (Answer::Direct, Protocol::Tcp) => outer + 16,
            // The checksum is the flow, so a word of the payload makes up for the change.
            (Answer::Direct, _) => {
                let balance = !swap(outer + 14, [0, 0]);
                swap(outer + 14, (!checksum::update(balance, new, old)).to_be_bytes());
                return;
            }
            (Answer::Quote(_), _) => outer + 2,
        };
        let sum = swap(checksum, [0, 0]);
        swap(checksum, checksum::update(sum, old, new).to_be_bytes());
    }

    /// The true answer to `probe`.
    fn answer(self, probe: &[u8]) -> Vec<u8> {
        routed(&match (self.answer, self.protocol) {
            (Answer::Direct, Protocol::Tcp) => tcp_answer_packet(probe, RST | ACK),
            (Answer::Direct, _) => echo_reply_packet(probe),
            (Answer::Quote(quoted), _) => {
                let quote = &packet_of(probe)[..self.family.header_len() + quoted];
                error_packet(ends(self.family).hop, Kind::TimeExceeded, 0, quote)
            }
        })
    }
}

/// splitmix64, see the hostile test.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Throws `count` forgeries; returns how many were believed.
fn forge(case: Case, count: u64, state: &mut u64) -> u64 {
    let mut ours = Responder::new();
    ours.policy = Policy { check_identification: case.check_identification, ..Policy::default() };
    let guessed = case.guessed();
    let mut identifier = 0x0909;
    let (mut thrown, mut believed) = (0, 0);
    while thrown < count {
        // A new probe each time that one was believed.
        identifier += 1;
        let probe = ours.probe(case.family, request(case.family, case.protocol, identifier, 4321));
        let truth = case.answer(&probe);
        let mut rooms = vec![[0_u8; 256]; BURST];
        for room in &mut rooms {
            room[..truth.len()].copy_from_slice(&truth);
            for at in case.payload() {
                case.write(room, at, [0, 0]);
            }
        }
        let mut answered = 0;
        while answered == 0 && thrown < count {
            for room in &mut rooms {
                let guess = [next(state).to_be_bytes(), next(state).to_be_bytes()].concat();
                for (at, word) in guessed.iter().zip(guess.as_chunks::<2>().0) {
                    case.write(room, *at, *word);
                }
            }
            let mut burst: Vec<_> = rooms
                .iter_mut()
                .map(|room| Frame::new(room, truth.len(), PortId(0)).unwrap())
                .collect();
            let view =
                View { network: &ours.network, neighbours: &ours.neighbours, policy: &ours.policy };
            ours.engine.process(&view, ours.now, &mut burst, |_, fate: Fate| match fate.outcome {
                Outcome::DropForged | Outcome::DropUnmatched => {}
                _ => {
                    assert!(matches!(fate.verdict, Verdict::Send(_)), "{case:?}: {fate:?}");
                    answered += 1;
                }
            });
            thrown += BURST as u64;
        }
        believed += answered;
        if answered == 0 {
            // It still waits: all those guesses did it no harm.
            assert!(!ours.play(&truth).frame.is_empty(), "{case:?}");
        }
    }
    believed
}

#[test]
fn a_hundred_million_forged_answers() {
    let cases = Case::all();
    let each = FORGERIES / cases.len() as u64 + 1;
    let mut state = 0x0de1_f1ed_0000_0002;
    println!("| family | probe | answer | identification | chance of one | of {each} believed |");
    for case in cases {
        let believed = forge(case, each, &mut state);
        let Case { family, protocol, answer, check_identification } = case;
        let checked = if check_identification { "checked" } else { "not checked" };
        println!(
            "| {family} | {protocol} | {answer:?} | {checked} | 2^{} | {believed} |",
            case.chance().log2()
        );
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let (expected, believed) = (case.chance() * each as f64, believed as f64);
        // Six standard deviations of a Poisson distribution, and a few events where none is expected.
        let margin = 6.0 * expected.sqrt() + 3.0;
        assert!((believed - expected).abs() <= margin, "{case:?}: {believed}, not {expected}");
    }
}

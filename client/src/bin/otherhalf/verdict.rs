//! What the end of a trace means: a sentence and an exit code.

use std::fmt::Write as _;

use otherhalf_client::check::{Ability, Features};
use otherhalf_client::query::Reply;
use otherhalf_client::{Check, Direction, End, Options, Speaks, Trace, printable};
use otherhalf_wire::extension::Class;
use otherhalf_wire::trace::Refusal;

use crate::failure::Code;
use crate::looping;
use crate::words::count;

/// The object that asks for an indirect trace, as refusals have it.
const INDIRECT: u16 = Class::INDIRECT_TARGET.value();

/// The exit code of a trace, and what there is to say about it unless all is well. `target` is whom we send to, `far` where reverse
/// paths end: here, or elsewhere. Both are fit for a terminal.
pub(crate) fn of_trace(trace: &Trace, target: &str, far: &str) -> (Code, Option<String>) {
    let Some(end) = trace.end() else { return interrupted() };
    let (code, sentence) = of_end(trace.options(), end, trace.is_answered(), [target, far]);
    let sentence = sentence.map(|sentence| match end {
        End::Silent | End::LastTtl => sentence + &looping::of_trace(trace),
        _ => sentence,
    });
    (code, sentence)
}

/// The same for a trace of which this is known.
pub(crate) fn of_end(
    options: &Options,
    end: &End,
    answered: bool,
    [target, far]: [&str; 2],
) -> (Code, Option<String>) {
    let reverse = options.direction == Direction::Reverse;
    let (from, to) = if reverse { (target, far) } else { ("here", target) };
    let code = if answered { Code::NotReached } else { Code::NoAnswer };
    match end {
        End::Reached => (Code::Reached, None),
        End::ReachedTranslator(address) => (
            Code::Reached,
            Some(format!(
                "the last hops that answer show {address}: an address translator, with this machine behind it"
            )),
        ),
        End::Unreachable { from: router, reply } if reverse => {
            (code, Some(format!("requests do not reach {target}: {}", undelivered(router, *reply))))
        }
        End::Unreachable { from: router, reply } => {
            (code, Some(format!("probes do not reach {target}: {}", undelivered(router, *reply))))
        }
        End::Silent if !answered => {
            (code, Some(format!("no answer from anywhere on the way from {from} to {to}")))
        }
        End::Silent => (
            code,
            Some(format!(
                "given up after {} in a row on the way from {from} to {to}",
                count(options.gap.get(), "silent hop")
            )),
        ),
        End::LastTtl => (
            code,
            Some(format!(
                "the way from {from} to {to} is longer than {}",
                count(options.last.get(), "hop")
            )),
        ),
        End::Repeating(address) => (
            code,
            Some(format!(
                "given up: {address} answers at every hop from there on, as a filter does that lets nothing pass"
            )),
        ),
        End::Mirrored => (Code::NotSpoken, Some(not_spoken(target))),
        End::Refused { refusal, text } => {
            (Code::Refused, Some(refused(options, target, *refusal, text)))
        }
        End::Stopped => interrupted(),
    }
}

/// Why a trace stopped, in a few words.
pub(crate) fn reason(end: &End) -> String {
    match end {
        End::Reached => "ended as its end was reached".to_owned(),
        End::ReachedTranslator(address) => format!("ended at an address translator, {address}"),
        End::Unreachable { from, .. } => format!("ended as {from} says that nothing gets through"),
        End::Silent => "given up: too many silent hops in a row".to_owned(),
        End::LastTtl => "ended at the last TTL".to_owned(),
        End::Repeating(address) => format!("given up: {address} answers at every hop"),
        End::Mirrored => "ended: a plain echo reply came, no responder".to_owned(),
        End::Refused { refusal, .. } => {
            format!("ended: refused with status {}, value {}", refusal.status(), refusal.value())
        }
        End::Stopped => "interrupted".to_owned(),
    }
}

/// What there is to say when the user wants no more.
pub(crate) fn interrupted() -> (Code, Option<String>) {
    (Code::Interrupted, Some("interrupted".to_owned()))
}

/// The same for a check: the exit code and the lines that say it all.
pub(crate) fn of_check(check: &Check, target: &str) -> (Code, [String; 2]) {
    let ms = crate::lines::milliseconds;
    let ping = match check.ping {
        Some(rtt) => format!("{target} answers ping: {}", ms(rtt)),
        None => match &check.ping_error {
            Some((from, reply)) => {
                format!("{target} does not answer ping: {}", undelivered(from, *reply))
            }
            None => format!("{target} does not answer ping"),
        },
    };
    let (code, speaks) = match &check.speaks {
        Speaks::Yes { rtt, refusal: Some(Refusal::Ttl), .. } => {
            (Code::Reached, format!("{target} speaks reverse traceroute: {}", ms(*rtt)))
        }
        Speaks::Yes { rtt, refusal: None, .. } => (
            Code::Reached,
            format!(
                "{target} speaks reverse traceroute, but not to the letter (it sends probes of TTL 0): {}",
                ms(*rtt)
            ),
        ),
        Speaks::Yes { rtt, refusal: Some(other), text } => (
            Code::Reached,
            format!(
                "{target} speaks reverse traceroute, with a condition (status {}, value {}{}): {}",
                other.status(),
                other.value(),
                in_its_words(text),
                ms(*rtt)
            ),
        ),
        Speaks::PingOnly { .. } => (Code::NotSpoken, not_spoken(target)),
        Speaks::Undelivered { from, reply } => (
            Code::NoAnswer,
            format!("requests do not reach {target}: {}", undelivered(from, *reply)),
        ),
        Speaks::Silent if check.ping.is_some() => (Code::NoAnswer, dropped(target)),
        Speaks::Silent => {
            (Code::NoAnswer, format!("{target} does not answer reverse traceroute either"))
        }
    };
    let features = check.features.as_ref().map_or_else(Vec::new, abilities);
    let speaks = [vec![speaks], features].concat().join("\n  ");
    (code, [ping, speaks])
}

/// What a responder can do: to follow what says that it is one.
pub(crate) fn abilities(features: &Features) -> Vec<String> {
    let all = [("UDP", features.udp), ("TCP", features.tcp), ("ICMP", features.icmp)];
    let (mut can, mut cannot) = (Vec::new(), Vec::new());
    for (name, ability) in all {
        match ability {
            Ability::Yes => can.push(name.to_owned()),
            Ability::Silent => can.push(format!("{name} (its first router kept silent)")),
            Ability::No(_) => cannot.push(name),
        }
    }
    let mut probes =
        format!("probes: {}", if can.is_empty() { "none".to_owned() } else { can.join(", ") });
    if !cannot.is_empty() {
        probes.push_str(", not ");
        probes.push_str(&cannot.join(", "));
    }
    let indirect = match features.indirect {
        Ability::Yes => "yes",
        Ability::No(_) => "no",
        Ability::Silent => "not refused, nothing came of it",
    };
    let mut lines = vec![probes, format!("towards others: {indirect}")];
    if let Some(padding) = features.padding {
        lines.push(format!("demands {} of padding", count(padding, "octet")));
    }
    lines
}

/// What a check adds when a reverse trace got no answer at all.
pub(crate) fn of_silence(check: &Check, target: &str) -> (Code, String) {
    match &check.speaks {
        Speaks::Yes { .. } => (
            Code::NotReached,
            format!("{target} speaks reverse traceroute, but no router answered its probes"),
        ),
        Speaks::PingOnly { .. } => (Code::NotSpoken, not_spoken(target)),
        Speaks::Undelivered { from, reply } => (
            Code::NoAnswer,
            format!("requests do not reach {target}: {}", undelivered(from, *reply)),
        ),
        Speaks::Silent if check.ping.is_some() => (Code::NoAnswer, dropped(target)),
        Speaks::Silent => (
            Code::NoAnswer,
            format!("no answer from {target}, neither to ping nor to reverse traceroute"),
        ),
    }
}

fn not_spoken(target: &str) -> String {
    format!("{target} answers ping, but does not speak reverse traceroute: no responder runs there")
}

fn dropped(target: &str) -> String {
    format!(
        "{target} answers ping, but not reverse traceroute: it, or a filter on the way, drops echo requests of code 1"
    )
}

fn undelivered(router: &std::net::IpAddr, reply: Reply) -> String {
    match reply {
        Reply::Unreachable(_) | Reply::TooBig { .. } => format!("{router} says: {reply}"),
        Reply::TimeExceeded | Reply::Direct => {
            format!("{router} says: TTL exceeded (a routing loop?)")
        }
    }
}

fn refused(options: &Options, target: &str, refusal: Refusal, text: &str) -> String {
    let mut sentence = match refusal {
        Refusal::Ttl => format!("{target} refuses: it sends no probes of such a TTL"),
        Refusal::Protocol => {
            format!(
                "{target} refuses: it sends no probes over {}; try another protocol",
                options.protocol
            )
        }
        Refusal::Flow => {
            format!(
                "{target} refuses: it sends no probes of flow {}; try another --flow",
                options.flow
            )
        }
        Refusal::Extension(INDIRECT) => {
            format!(
                "{target} refuses: you may not have others traced (--via), or it does not probe this one \
                 (private, its own, or does not want it)"
            )
        }
        Refusal::Extension(value) => {
            let [class, kind] = value.to_be_bytes();
            format!(
                "{target} refuses: it does not allow extension objects of class {class}, type {kind}"
            )
        }
        Refusal::Padding(octets) => format!(
            "{target} refuses: it demands requests that are {} longer, against amplification, even after it got what it demanded, or more than we send",
            count(octets, "octet")
        ),
        Refusal::Other(status, value) => format!(
            "{target} refuses with status {status} (value {value}), which this version does not know"
        ),
    };
    // Writing to a String cannot fail.
    let _ = write!(sentence, "{}", in_its_words(text));
    sentence
}

fn in_its_words(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("; it says: \"{}\"", printable(text)) }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::{Duration, Instant};

    use otherhalf_client::Secret;
    use otherhalf_client::query::{Answer, Query};
    use otherhalf_client::trace::Step;
    use otherhalf_wire::probe::Protocol;

    use super::*;

    /// A reverse trace whose first request was answered so.
    fn ended(answer: impl Fn(u16) -> Answer) -> Trace {
        let [us, target]: [IpAddr; 2] = [[192, 0, 2, 1].into(), [192, 0, 2, 2].into()];
        let options = Options::new(Direction::Reverse, Protocol::Tcp, us, target);
        let mut trace = Trace::new(options, Secret::from_bytes([1; 16]));
        let now = Instant::now();
        let Step::Send(Query::Request { request, .. }) = trace.poll(now) else {
            panic!("a reverse trace begins with a request");
        };
        assert!(trace.handle(&answer(request.identifier), now));
        trace
    }

    #[test]
    fn every_status_has_its_sentence_and_text_gives_no_orders() {
        let text = "\x1b[31mno\n".to_owned();
        let cases = [
            (Refusal::Ttl, "of such a TTL"),
            (Refusal::Protocol, "over TCP; try another protocol"),
            (Refusal::Flow, "of flow 80; try another --flow"),
            (Refusal::Extension(0x0500), "it does not probe this one"),
            (Refusal::Extension(0x0904), "class 9, type 4"),
            (Refusal::Padding(2000), "2000 octets longer"),
            (Refusal::Other(9, 7), "status 9 (value 7)"),
        ];
        for (refusal, words) in cases {
            let trace =
                ended(|identifier| Answer::Refused { identifier, refusal, text: text.clone() });
            let (code, sentence) = of_trace(&trace, "www", "here");
            let sentence = sentence.unwrap();
            assert_eq!(code, Code::Refused);
            assert!(sentence.starts_with("www refuses") && sentence.contains(words), "{sentence}");
            assert!(sentence.ends_with(r#"; it says: "\u{1b}[31mno\u{a}""#), "{sentence}");
        }
    }

    #[test]
    fn a_mirror_and_a_dead_end() {
        let flow = 80u16.to_be_bytes();
        let mirror =
            ended(|identifier| Answer::Mirrored { identifier, echoed: [1, 6, flow[0], flow[1]] });
        let (code, sentence) = of_trace(&mirror, "www", "here");
        assert_eq!(code, Code::NotSpoken);
        assert!(sentence.unwrap().contains("does not speak reverse traceroute"));
        let from = [10, 0, 0, 1].into();
        let lost = ended(|identifier| Answer::Undelivered {
            identifier,
            from,
            reply: Reply::TimeExceeded,
        });
        let (code, sentence) = of_trace(&lost, "www", "here");
        assert_eq!(code, Code::NoAnswer);
        assert!(sentence.unwrap().starts_with("requests do not reach www: 10.0.0.1 says"));
    }

    #[test]
    fn what_a_check_says() {
        let rtt = Duration::from_millis(3);
        let ping = Some(rtt);
        let speaks = Speaks::Yes { rtt, refusal: Some(Refusal::Ttl), text: String::new() };
        let found = |ping, speaks| Check { ping, ping_error: None, speaks, features: None };
        let (code, lines) = of_check(&found(ping, speaks.clone()), "www");
        assert_eq!(code, Code::Reached);
        assert_eq!(
            lines,
            ["www answers ping: 3.000 ms", "www speaks reverse traceroute: 3.000 ms"]
        );
        let features = Some(Features {
            udp: Ability::Yes,
            tcp: Ability::No(Refusal::Protocol),
            icmp: Ability::Silent,
            indirect: Ability::No(Refusal::Extension(INDIRECT)),
            padding: Some(24),
        });
        let (_, [_, line]) = of_check(&Check { features, ..found(ping, speaks) }, "www");
        assert_eq!(
            line,
            "www speaks reverse traceroute: 3.000 ms\n  \
             probes: UDP, ICMP (its first router kept silent), not TCP\n  \
             towards others: no\n  demands 24 octets of padding"
        );
        let codes = [
            (found(ping, Speaks::PingOnly { rtt }), Code::NotSpoken),
            (found(ping, Speaks::Silent), Code::NoAnswer),
            (found(None, Speaks::Silent), Code::NoAnswer),
        ];
        let sentences: std::collections::HashSet<_> =
            codes.iter().map(|(check, _)| of_check(check, "www").1).collect();
        assert_eq!(sentences.len(), 3);
        for (check, code) in codes {
            assert_eq!(of_check(&check, "www").0, code);
            assert_eq!(of_silence(&check, "www").0, code);
        }
    }
}

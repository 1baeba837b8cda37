//! Values of options that have limits of their own.

use std::num::NonZeroU16;
use std::time::Duration;

use otherhalf_client::Ttl;

/// The longest wait that makes sense, in seconds.
const LONGEST: f64 = 3600.0;

/// The shortest: no answer comes in less.
const SHORTEST: f64 = 0.001;

pub(super) fn wait(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|seconds| (SHORTEST..=LONGEST).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("a wait is {SHORTEST} to {LONGEST} seconds"))
}

/// The shortest from one round to the next: routers answer no faster, and others use them too.
const LEAST_INTERVAL: f64 = 0.1;

pub(super) fn interval(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|seconds| (LEAST_INTERVAL..=LONGEST).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("an interval is {LEAST_INTERVAL} to {LONGEST} seconds"))
}

/// traceroute's rule: more than 10 are milliseconds.
pub(super) fn pause(text: &str) -> Result<Duration, String> {
    let value =
        text.parse().ok().filter(|value| (0.0..=LONGEST).contains(value)).ok_or_else(|| {
            format!("a pause is 0 to 10 seconds, or more than 10 to {LONGEST} milliseconds")
        })?;
    Ok(Duration::from_secs_f64(if value > 10.0 { value / 1000.0 } else { value }))
}

/// The longest time between two traces, in seconds: a day.
const LONGEST_INTERVAL: f64 = 86_400.0;

pub(super) fn watch_interval(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|seconds| (1.0..=LONGEST_INTERVAL).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("an interval is 1 to {LONGEST_INTERVAL} seconds"))
}

pub(super) fn parallel(text: &str) -> Result<NonZeroU16, String> {
    text.parse().map_err(|_| format!("queries in flight are 1 to {}", u16::MAX))
}

pub(super) fn gap(text: &str) -> Result<Ttl, String> {
    text.parse().map_err(|_| format!("a gap is {} to {} hops", Ttl::MIN, Ttl::MAX))
}

/// An octet, also as C writes it in hexadecimal.
pub(super) fn tos(text: &str) -> Result<u8, String> {
    let octet = match text.strip_prefix("0x") {
        Some(digits) => u8::from_str_radix(digits, 16),
        None => text.parse(),
    };
    octet.map_err(|_| "a type of service is 0 to 255, or 0x00 to 0xff".to_owned())
}

/// A code point (RFC 2474) by its number or its name, as the type of service that has it.
pub(super) fn dscp(text: &str) -> Result<u8, String> {
    let name = text.to_ascii_lowercase();
    let number = |text: &str| text.parse::<u8>().ok();
    // RFC 2474 §4.2.2, RFC 2597 §6, RFC 3246 §2, RFC 5865 §4, RFC 8622 §5.
    let code_point = match name.as_str() {
        "ef" => Some(46),
        "va" => Some(44),
        "le" => Some(1),
        _ => match (name.strip_prefix("cs"), name.strip_prefix("af"), number(&name)) {
            (Some(class), ..) => number(class).filter(|class| *class < 8).map(|class| class * 8),
            (_, Some(class), _) => number(class)
                .map(|class| (class / 10, class % 10))
                .filter(|(class, drop)| (1..=4).contains(class) && (1..=3).contains(drop))
                .map(|(class, drop)| class * 8 + drop * 2),
            (.., number) => number,
        },
    };
    code_point
        .filter(|code_point| *code_point < 64)
        .map(|code_point| code_point << 2)
        .ok_or_else(|| "a DSCP is 0 to 63, or a name such as ef, af41, cs6, le".to_owned())
}

pub(super) fn size(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("a packet has up to {} octets", u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(wait("0.5"), Ok(Duration::from_millis(500)));
        assert!(
            wait("0").is_err()
                && wait("-1").is_err()
                && wait("nan").is_err()
                && wait("1e9").is_err()
        );
        assert_eq!(interval("0.1"), Ok(Duration::from_millis(100)));
        assert!(interval("0.09").is_err() && interval("-1").is_err() && interval("nan").is_err());
        assert_eq!(pause("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(pause("50"), Ok(Duration::from_millis(50)));
        assert_eq!(pause("10"), Ok(Duration::from_secs(10)));
    }

    #[test]
    fn types_of_service() {
        assert_eq!([tos("184"), tos("0xb8")], [Ok(184), Ok(184)]);
        assert!(tos("256").is_err() && tos("0x100").is_err() && tos("-1").is_err());
        for (text, code_point) in
            [("0", 0), ("63", 63), ("EF", 46), ("af41", 34), ("AF13", 14), ("cs6", 48), ("le", 1)]
        {
            assert_eq!(dscp(text), Ok(code_point << 2), "{text}");
        }
        for text in ["64", "af", "af54", "af14", "cs8", "xx", "-1", ""] {
            assert!(dscp(text).is_err(), "{text}");
        }
    }
}

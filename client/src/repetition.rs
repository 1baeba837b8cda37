//! The end of a reverse path, told by one address that answers at several TTLs.
//!
//! Nothing in a response says why a probe was answered, and behind an address translator we do not know our own address
//! as the target sees it. So a filter on the way, and the translator in front of us, show only by their repetition.

use std::net::IpAddr;

use crate::hop::Hop;
use crate::options::Options;
use crate::trace::End;
use crate::ttl::Ttl;

/// A translator answers for itself and for all behind it, so its address shows at every TTL from its own on: at so many
/// it is taken for the end. Two are too few, as a router on the way may show twice.
pub(crate) const TRANSLATOR_HOPS: usize = 3;
/// ... unless silence follows: translators limit their errors, Linux to six at once (`icmp_ratelimit`), which is two hops.
pub(crate) const TRANSLATOR_HOPS_BEFORE_SILENCE: usize = 2;

/// Where and how a path ends of which `hops` are known by now, if one address repeats enough.
pub(crate) fn end(hops: &[Hop], options: &Options) -> Option<(Ttl, End)> {
    translator(hops, options.end(), TRANSLATOR_HOPS).or_else(|| {
        // A gap of 1 would take every hop for a repetition; a translator must have its chance before.
        filter(hops, usize::from(options.gap.get()).max(TRANSLATOR_HOPS))
    })
}

/// The same for a path that fell silent.
pub(crate) fn end_before_silence(hops: &[Hop], options: &Options) -> Option<(Ttl, End)> {
    translator(hops, options.end(), TRANSLATOR_HOPS_BEFORE_SILENCE)
}

/// The translator in front of `source`, if one public address alone answered at the last `least` hops or more,
/// two of them successive: the second of these two is the end.
fn translator(hops: &[Hop], source: IpAddr, least: usize) -> Option<(Ttl, End)> {
    if !is_private(source) {
        return None;
    }
    let settled = hops.iter().take_while(|hop| hop.is_settled()).count();
    let farthest = hops.iter().take(settled).rfind(|hop| hop.is_answered())?;
    let address = farthest.only_address().filter(|address| !is_private(*address))?;
    // If another address shows farther on, be it at a hop that is not settled, this is a router on the way.
    let begin = hops
        .iter()
        .rposition(|hop| hop.samples().any(|sample| sample.from != address))
        .map_or(0, |other| other + 1);
    let tail = hops.get(begin..settled)?;
    let shown = tail.iter().filter(|hop| hop.is_answered()).count();
    let [_, second] = tail.array_windows().find(|[a, b]| a.is_answered() && b.is_answered())?;
    (shown >= least).then(|| (second.ttl(), End::ReachedTranslator(address)))
}

/// The one address that answers at `least` successive hops.
fn filter(hops: &[Hop], least: usize) -> Option<(Ttl, End)> {
    let mut run: Option<(IpAddr, usize)> = None;
    for hop in hops.iter().take_while(|hop| hop.is_settled()) {
        run = hop.only_address().map(|address| match run {
            Some((same, length)) if address == same => (address, length + 1),
            _ => (address, 1),
        });
        if let Some((address, length)) = run
            && length >= least
        {
            return Some((hop.ttl(), End::Repeating(address)));
        }
    }
    None
}

/// Whether `address` is one that a translator stands in front of (RFC 1918, RFC 6598, RFC 4193).
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private() || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

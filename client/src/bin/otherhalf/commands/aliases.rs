//! Which addresses of a trace belong to one router.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicBool;

use otherhalf_client::alias::{self, Aliases};
use otherhalf_client::document::{Router, Technique};
use otherhalf_client::{Names, RawNetwork, Trace};

use super::proceed;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::words::count;
use crate::{cli, privileges};

/// By names; if `ask`, also by datagrams to the addresses that answered, ours (`source`) left out; no more sockets can be opened after that.
pub(super) fn find(
    traces: &[Trace],
    names: &Names,
    ask: bool,
    common: &cli::Common,
    source: IpAddr,
    interrupted: &AtomicBool,
) -> Result<Aliases, Failure> {
    let mut addresses = Vec::new();
    for address in traces.iter().flat_map(Trace::hops).flat_map(otherhalf_client::Hop::addresses) {
        if address != source && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    let mut aliases = Aliases::by_name(&addresses, |address| names.get(address));
    if !ask || proceed(interrupted).is_break() {
        return Ok(aliases);
    }
    let progress = Progress::new();
    let asking = u64::try_from(addresses.len().min(alias::MOST)).unwrap_or(u64::MAX);
    progress.say(format!("asking {} whose they are,", count(asking, "address")));
    let mut asked = Vec::new();
    let mut networks = Vec::new();
    for address in addresses.into_iter().take(alias::MOST) {
        // No route to it, or an address of a link: nothing to ask then.
        if let Ok(network) = RawNetwork::open_by(SocketAddr::new(address, 0), &[], &common.route())
        {
            asked.push(address);
            networks.push(network);
        }
    }
    privileges::drop_all();
    let Some(first) = networks.first() else { return Ok(aliases) };
    let secret = first.secret()?;
    let options = alias::Options::default();
    let told = alias::sample(&mut networks, &options, &secret, || proceed(interrupted))?;
    aliases.learn(&asked, &told);
    Ok(aliases)
}

/// A line for each router, or one that says that there is none.
pub(super) fn lines(routers: &[Router]) -> Vec<String> {
    if routers.is_empty() {
        return vec!["No two addresses are known to be of one router.".to_owned()];
    }
    routers
        .iter()
        .map(|router| {
            let addresses: Vec<_> = router.addresses.iter().map(ToString::to_string).collect();
            let mut techniques: Vec<_> =
                router.evidence.iter().map(|evidence| evidence.technique).collect();
            techniques.sort_unstable();
            techniques.dedup();
            let why: Vec<_> = techniques.into_iter().map(words).collect();
            format!("One router: {} ({})", addresses.join(", "), why.join("; "))
        })
        .collect()
}

const fn words(technique: Technique) -> &'static str {
    match technique {
        Technique::CommonSource => "one address answers for the others",
        Technique::SharedCounter => "their packets are numbered by one counter",
        Technique::Name => "by their names",
    }
}

#[cfg(test)]
mod tests {
    use otherhalf_client::document::Evidence;

    use super::*;

    #[test]
    fn no_router_is_said_so() {
        assert_eq!(lines(&[]), ["No two addresses are known to be of one router."]);
    }

    #[test]
    fn a_router_in_a_line() {
        let [a, b, c]: [IpAddr; 3] = [1, 2, 3].map(|last| [192, 0, 2, last].into());
        let tie = |between, technique| Evidence { between, technique, confidence: None };
        let router = Router {
            addresses: vec![a, b, c],
            evidence: vec![
                tie([a, b], Technique::Name),
                tie([b, c], Technique::Name),
                tie([a, c], Technique::CommonSource),
            ],
        };
        assert_eq!(
            lines(&[router]),
            [
                "One router: 192.0.2.1, 192.0.2.2, 192.0.2.3 (one address answers for the others; by their names)"
            ]
        );
    }
}

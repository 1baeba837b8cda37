//! Asks all responders of a directory, side by side: who is alive, and how far away?

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use otherhalf_wire::ip::Family;

use super::Endpoint;
use crate::check::{self, Check, Speaks};
use crate::options::Queries;
use crate::raw::{self, RawNetwork, Route};
use crate::resolve;

/// Responders asked at once: each costs two threads and a raw socket or two.
const AT_ONCE: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// The least time from the begin of one to that of the next: 20 a second, of a few packets each.
const PAUSE: Duration = Duration::from_millis(50);

/// How often a thread that waits for its turn looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(50);

/// How to ask.
#[derive(Debug, Clone)]
pub struct Options {
    /// The family to ask over; `None` for whichever the name leads to first.
    pub family: Option<Family>,
    /// Attempts for each responder, a second apart.
    pub attempts: Queries,
    /// How long the last attempt's answer may take.
    pub wait: Duration,
    /// Responders at once.
    pub at_once: NonZeroUsize,
    /// The least time from the begin of one to that of the next.
    pub pause: Duration,
    /// How packets leave this machine.
    pub route: Route,
    /// Whether those that are alive are asked what they can do as well.
    pub features: bool,
}

impl Default for Options {
    /// At most 16 at once, at most 20 begun in a second.
    fn default() -> Self {
        Self {
            family: None,
            attempts: Queries::default(),
            wait: Duration::from_secs(5),
            at_once: AT_ONCE,
            pause: PAUSE,
            route: Route::default(),
            features: false,
        }
    }
}

/// What was found out about a responder.
#[derive(Debug)]
pub struct Found {
    /// Where it is in the directory.
    pub index: usize,
    /// What became of asking it.
    pub standing: Standing,
}

/// What became of asking a responder.
#[derive(Debug)]
pub enum Standing {
    /// It was asked.
    Checked {
        /// At this address.
        address: IpAddr,
        /// What it said.
        check: Check,
    },
    /// Its name leads nowhere.
    NoAddress(resolve::Error),
    /// Nothing could be sent to it.
    Failed(raw::Error),
    /// The user wanted no more.
    Interrupted,
}

impl Standing {
    /// From a request to its response, if it is a responder that is alive.
    #[must_use]
    pub const fn rtt(&self) -> Option<Duration> {
        match self {
            Self::Checked { check: Check { speaks: Speaks::Yes { rtt, .. }, .. }, .. } => {
                Some(*rtt)
            }
            _ => None,
        }
    }
}

/// Asks one responder, as [`check::check`] and, where that is wanted, [`check::features`] do.
///
/// `opened` is called once there are sockets, before anything is read: the place to give privileges up.
pub fn ask(
    endpoint: &Endpoint,
    options: &Options,
    opened: impl FnOnce(),
    mut watch: impl FnMut() -> ControlFlow<()>,
) -> Standing {
    let target = match resolve::target(&endpoint.address, options.family) {
        Ok(target) => target,
        Err(error) => return Standing::NoAddress(error),
    };
    let asked = || {
        let mut network = RawNetwork::open_by(target, &[], &options.route)?;
        opened();
        let secret = network.secret()?;
        let questions =
            check::Options { target: target.ip(), attempts: options.attempts, wait: options.wait };
        let mut found = check::check(&mut network, &questions, &secret, &mut watch)?;
        if let Speaks::Yes { rtt, .. } = found.speaks
            && options.features
            && watch().is_continue()
        {
            let ends = [network.source(), target.ip()];
            let features = check::features(&mut network, ends, rtt, &secret, &mut watch)?;
            // Questions broken off are no silence.
            found.features = watch().is_continue().then_some(features);
        }
        Ok(found)
    };
    match asked() {
        Ok(check) => Standing::Checked { address: target.ip(), check },
        Err(error) => Standing::Failed(error),
    }
}

/// Asks all `endpoints` by `ask`, each on a thread of its own; tells `told` of each as soon as it is known. In the directory's order.
///
/// Once `watch` breaks, no other is asked; `ask` should look at it too.
pub fn survey(
    endpoints: &[Endpoint],
    options: &Options,
    ask: impl Fn(&Endpoint) -> Standing + Sync,
    watch: impl Fn() -> ControlFlow<()> + Sync,
    mut told: impl FnMut(&Found),
) -> Vec<Found> {
    let (sender, results) = channel();
    let next = AtomicUsize::new(0);
    let begin = Instant::now();
    let work = |sender: std::sync::mpsc::Sender<Found>| {
        loop {
            // Relaxed: a number of its own for each is all that is needed.
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(endpoint) = endpoints.get(index) else { return };
            let turn =
                begin + options.pause.saturating_mul(u32::try_from(index).unwrap_or(u32::MAX));
            let standing = if wait_until(turn, &watch).is_break() {
                Standing::Interrupted
            } else {
                // A thread that lives no longer: what it gives up, the next one still has.
                let asked = thread::scope(|scope| scope.spawn(|| ask(endpoint)).join());
                asked.unwrap_or_else(|panic| resume_unwind(panic))
            };
            // The receiver lives as long as the scope.
            let _ = sender.send(Found { index, standing });
        }
    };
    let mut found = thread::scope(|scope| {
        for _ in 0..options.at_once.get().min(endpoints.len()) {
            let sender = sender.clone();
            let work = &work;
            scope.spawn(move || work(sender));
        }
        drop(sender);
        results.iter().inspect(|found| told(found)).collect::<Vec<_>>()
    });
    found.sort_unstable_by_key(|found| found.index);
    found
}

fn wait_until(turn: Instant, watch: &impl Fn() -> ControlFlow<()>) -> ControlFlow<()> {
    loop {
        watch()?;
        let left = turn.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return ControlFlow::Continue(());
        }
        thread::sleep(left.min(LOOK));
    }
}

/// The one that answers first of those that are alive.
#[must_use]
pub fn nearest(found: &[Found]) -> Option<&Found> {
    found.iter().filter(|found| found.standing.rtt().is_some()).min_by_key(|f| f.standing.rtt())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use otherhalf_wire::trace::Refusal;

    use super::*;

    fn endpoints(count: usize) -> Vec<Endpoint> {
        (0..count)
            .map(|number| Endpoint {
                address: format!("{number}.example.com"),
                asn: None,
                contact: None,
                note: None,
            })
            .collect()
    }

    fn alive(rtt: Duration) -> Standing {
        let speaks = Speaks::Yes { rtt, refusal: Some(Refusal::Ttl), text: String::new() };
        let check = Check { ping: None, ping_error: None, speaks, features: None };
        Standing::Checked { address: [192, 0, 2, 1].into(), check }
    }

    fn silent() -> Standing {
        let check = Check {
            ping: Some(Duration::ZERO),
            ping_error: None,
            speaks: Speaks::Silent,
            features: None,
        };
        Standing::Checked { address: [192, 0, 2, 1].into(), check }
    }

    #[test]
    fn each_is_asked_once_side_by_side_and_no_more_than_allowed() {
        let endpoints = endpoints(40);
        let options = Options {
            at_once: NonZeroUsize::new(8).unwrap(),
            pause: Duration::from_millis(1),
            ..Options::default()
        };
        let now = Mutex::new((0, 0));
        let ask = |_: &Endpoint| {
            {
                let mut now = now.lock().unwrap();
                now.0 += 1;
                now.1 = now.1.max(now.0);
            }
            thread::sleep(Duration::from_millis(100));
            now.lock().unwrap().0 -= 1;
            silent()
        };
        let mut told = BTreeSet::new();
        let start = Instant::now();
        let found = survey(
            &endpoints,
            &options,
            ask,
            || ControlFlow::Continue(()),
            |found| {
                assert!(told.insert(found.index));
            },
        );
        assert!(found.iter().map(|found| found.index).eq(0..40));
        assert_eq!(told.len(), 40);
        assert_eq!(now.lock().unwrap().1, 8);
        assert!(start.elapsed() < Duration::from_secs(3), "one after the other takes 4 s");
        assert!(nearest(&found).is_none());
    }

    #[test]
    fn begins_are_spread_over_time() {
        let begins = Mutex::new(Vec::new());
        let options = Options { pause: Duration::from_millis(20), ..Options::default() };
        let ask = |_: &Endpoint| {
            begins.lock().unwrap().push(Instant::now());
            silent()
        };
        survey(&endpoints(10), &options, ask, || ControlFlow::Continue(()), |_| {});
        let begins = begins.into_inner().unwrap();
        let (first, last) = (begins.iter().min().unwrap(), begins.iter().max().unwrap());
        assert!(*last - *first > Duration::from_millis(170));
    }

    #[test]
    fn the_nearest_is_alive_and_answers_first() {
        let ms = Duration::from_millis;
        let standings =
            [silent(), alive(ms(30)), alive(ms(10)), Standing::Interrupted, alive(ms(20))];
        let found: Vec<_> = standings
            .into_iter()
            .enumerate()
            .map(|(index, standing)| Found { index, standing })
            .collect();
        assert_eq!(nearest(&found).map(|found| found.index), Some(2));
    }

    #[test]
    fn an_interruption_ends_it_soon() {
        let options = Options { pause: Duration::from_mins(1), ..Options::default() };
        let asked = AtomicUsize::new(0);
        let ask = |_: &Endpoint| {
            asked.fetch_add(1, Ordering::Relaxed);
            silent()
        };
        let watch = || match asked.load(Ordering::Relaxed) {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        };
        let start = Instant::now();
        let found = survey(&endpoints(5), &options, ask, watch, |_| {});
        assert!(start.elapsed() < Duration::from_secs(5));
        let interrupted = |found: &&Found| matches!(found.standing, Standing::Interrupted);
        assert_eq!((found.len(), found.iter().filter(interrupted).count()), (5, 4));
    }

    #[test]
    fn a_name_that_leads_nowhere_is_said_so() {
        let endpoint = &endpoints(1)[0];
        // Too long a label to ask a server for (RFC 1035, section 2.3.4).
        let endpoint = Endpoint { address: "x".repeat(64), ..endpoint.clone() };
        let standing = ask(&endpoint, &Options::default(), || (), || ControlFlow::Continue(()));
        assert!(matches!(standing, Standing::NoAddress(resolve::Error::Unknown { .. })));
    }
}

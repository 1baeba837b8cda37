//! The ports' links, looked at ten times a second, and the routes that are taken for it: of several routes to one prefix the
//! first whose port has a link and whose router answers.

use std::time::{Duration, Instant};

use dpdk::Port;
use otherhalf_engine::{Network, NextHop, PortId};
use tracing::{info, warn};

use crate::control::Control;
use crate::logs;
use crate::shared::Snapshot;

/// A port's link as it was last seen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Link {
    /// Whether there was one.
    pub up: bool,
    /// Its speed in Mbit/s, if known.
    pub speed_mbps: Option<u32>,
    /// Times that it came or went.
    pub changes: u64,
    /// Since when there is none, if it was ever seen to go.
    lost: Option<Instant>,
}

/// What became of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Lost,
    /// There is one, perhaps again, after this long.
    Back(Option<Duration>),
}

impl Link {
    /// That of `port`, as it is now.
    #[must_use]
    pub fn of(port: &Port) -> Self {
        let mut link = Self::default();
        if let Ok(seen) = port.link() {
            (link.up, link.speed_mbps) = (seen.up, seen.speed_mbps);
        }
        link
    }

    fn see(&mut self, seen: dpdk::Link, now: Instant) -> Option<Change> {
        self.speed_mbps = seen.speed_mbps;
        if self.up == seen.up {
            return None;
        }
        self.up = seen.up;
        self.changes += 1;
        if seen.up {
            let lost = self.lost.take();
            Some(Change::Back(lost.map(|since| now.saturating_duration_since(since))))
        } else {
            self.lost = Some(now);
            Some(Change::Lost)
        }
    }
}

impl Control {
    /// Looks at the ports' links, and at those of a bond's members, which the bond then knows of. A port that can't tell keeps what it had. One that came back is told of with the time that
    /// it was away; what is behind it may be others than before, so its neighbours are asked again.
    pub(crate) fn look_at_links(&mut self, now: Instant) {
        for (member, up) in self.members.look() {
            if up {
                info!(name: logs::REPEATS, member, "a bond's member has a link");
            } else {
                warn!(member, "a bond's member has no link");
            }
        }
        let mut changed = false;
        for (id, (port, link)) in (0u16..).map(PortId).zip(self.ports.iter().zip(&mut self.links)) {
            let Ok(seen) = port.link() else { continue };
            match link.see(seen, now) {
                None => continue,
                Some(Change::Lost) => warn!(port = port.name(), "the link is down"),
                Some(Change::Back(after)) => {
                    let down_ms = after.map(|time| time.as_millis());
                    info!(name: logs::REPEATS, port = port.name(), down_ms, "the link is up");
                    let snapshot = self.shared.snapshot.load();
                    let of_port = |interface| {
                        snapshot.network.interface(interface).is_some_and(|it| it.port == id)
                    };
                    self.neighbours.link_is_back(of_port, now);
                }
            }
            changed = true;
        }
        if changed {
            self.choose_routes();
        }
    }

    /// `network`, with the routes that are to be taken as links and routers are now.
    pub(crate) fn with_chosen_routes(&self, network: Network) -> Network {
        let links: Vec<bool> = self.links.iter().map(|link| link.up).collect();
        let ports: Vec<PortId> = network.interfaces().iter().map(|it| it.port).collect();
        network.choose(|hop| {
            let port = ports.get(usize::from(hop.interface.0));
            let up = port.and_then(|port| links.get(usize::from(port.0))).copied();
            up.unwrap_or(false) && !self.neighbours.is_silent(hop)
        })
    }

    /// Hands workers the routes that are to be taken now, if they are others than so far.
    pub(crate) fn choose_routes(&mut self) {
        let now = self.shared.snapshot.load_full();
        let network = self.with_chosen_routes(now.network.clone());
        if network == now.network {
            return;
        }
        let before: Vec<_> = now.network.routes().collect();
        for route in network.routes().filter(|route| !before.contains(route)) {
            if let Some(NextHop { address, interface }) = route.router() {
                let interface =
                    self.interfaces.get(usize::from(interface.0)).map_or("", String::as_str);
                warn!(to = %route.to, via = %address, interface, "another router is taken");
            }
        }
        self.replace(|old| Snapshot {
            network,
            neighbours: old.neighbours.clone(),
            policy: old.policy.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_comes_back_says_how_long_it_was_away() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let (up, down) = (
            dpdk::Link { up: true, speed_mbps: Some(10_000) },
            dpdk::Link { up: false, speed_mbps: None },
        );
        let mut link = Link::default();
        assert_eq!(link.see(down, at(0)), None);
        assert_eq!(link.see(up, at(100)), Some(Change::Back(None)), "for the first time");
        assert_eq!(link.see(up, at(200)), None);
        assert_eq!(link.see(down, at(300)), Some(Change::Lost));
        assert_eq!(link.see(down, at(400)), None, "once");
        assert_eq!(link.see(up, at(1700)), Some(Change::Back(Some(Duration::from_millis(1400)))));
        assert_eq!((link.up, link.speed_mbps, link.changes), (true, Some(10_000), 3));
    }
}

//! The routes as an operator wants to see them.

use std::net::IpAddr;

use otherhalf_control::Reply;
use otherhalf_control::message::Route;
use otherhalf_engine::NextHop;

use crate::shared::Snapshot;

/// Shows the routes of a snapshot.
#[derive(Debug)]
pub struct Routes {
    /// The names of the interfaces, in their order.
    pub interfaces: Vec<String>,
}

impl Routes {
    /// All of them, or the one that decides for the address `to`.
    #[must_use]
    pub fn list(&self, snapshot: &Snapshot, to: Option<IpAddr>) -> Reply {
        let routes = snapshot.network.routes();
        let Some(to) = to else {
            // IPv4 first, as people look for a route.
            let mut all = snapshot.network.all_routes().to_vec();
            all.sort_by_key(|route| route.to.addr().is_ipv6());
            let all = all.into_iter().map(|route| self.shown(snapshot, route, route.via));
            return Reply::Routes(all.collect());
        };
        if !snapshot.network.may_be_sent_to(to) {
            return Reply::Error(format!(
                "nothing is ever sent to {to}: it is no other host's address"
            ));
        }
        match { routes }.find(|route| route.to.contains(&to)) {
            Some(route) => Reply::Routes(vec![self.shown(snapshot, route, route.via.or(Some(to)))]),
            None => Reply::Error(format!("no route leads to {to}")),
        }
    }

    /// `route`, whose packets go to the neighbour `next`, if it is one.
    fn shown(
        &self,
        snapshot: &Snapshot,
        route: otherhalf_engine::network::Route,
        next: Option<IpAddr>,
    ) -> Route {
        let interface = route.interface;
        let known =
            next.and_then(|address| snapshot.neighbours.get(NextHop { interface, address }));
        Route {
            to: route.to.to_string(),
            via: route.via,
            interface: self.interfaces.get(usize::from(interface.0)).cloned().unwrap_or_default(),
            mac: known.map(|mac| mac.to_string()),
            standby: !snapshot.network.routes().any(|taken| taken == route),
        }
    }
}

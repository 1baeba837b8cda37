//! The network that a configuration makes.

use otherhalf_engine::kernel::Exceptions;
use otherhalf_engine::network::{self, Interface, Network, StaticRoute};
use otherhalf_engine::{InterfaceId, PortId};
use otherhalf_wire::ethernet::Mac;

use super::Findings;
use crate::config::mistake::MOST;
use crate::config::{Config, Invalid, Kernel, Problem, Route};

/// The hardware addresses are not known before the ports are open, and do not matter for a check.
const NO_MAC: Mac = Mac([2, 0, 0, 0, 0, 0]);

impl Config {
    /// The names of the interfaces, in the order of their [`InterfaceId`].
    #[must_use]
    pub fn interface_names(&self) -> Vec<String> {
        self.port
            .iter()
            .flat_map(|port| port.interface.iter().map(|interface| interface.name(port)))
            .collect()
    }

    /// The interfaces, with the hardware addresses `macs` of the ports.
    fn interfaces(&self, macs: &[Mac]) -> Vec<Interface> {
        let ports = (0u16..).map(PortId).zip(macs).zip(&self.port);
        let interfaces = ports.flat_map(|((id, mac), port)| {
            port.interface.iter().map(move |interface| Interface {
                port: id,
                vlan: interface.vlan,
                mac: *mac,
                addresses: interface.addresses.clone(),
            })
        });
        interfaces.collect()
    }

    /// The network, with the hardware addresses `macs` of the ports.
    pub fn network(&self, macs: &[Mac]) -> Result<Network, Invalid> {
        let mut routes: Vec<(u32, StaticRoute)> = self
            .static_routes()
            .into_iter()
            .zip(&self.route)
            .map(|(route, Route { preference, .. })| Ok((*preference, route?)))
            .collect::<Result<_, _>>()?;
        // In the order of the wishes.
        routes.sort_by_key(|(preference, _)| *preference);
        let routes: Vec<StaticRoute> = routes.into_iter().map(|(_, route)| route).collect();
        let made = Network::new(self.interfaces(macs), &routes)
            .and_then(|network| network.with_kernel(self.exceptions()));
        made.map_err(|error| {
            // Which part it is shows when each is tried on its own.
            let mut found = Findings { unread: &[], invalid: Vec::new() };
            self.try_each(&mut found);
            found.invalid.into_iter().next().unwrap_or_else(|| Invalid::new("port", error))
        })
    }

    /// What the kernel gets, by port.
    fn exceptions(&self) -> Vec<(PortId, Exceptions)> {
        let ports = (0u16..).map(PortId).zip(&self.port);
        let exceptions = |kernel: &Kernel| Exceptions {
            addresses: kernel.addresses.clone(),
            tcp: kernel.tcp.clone(),
            udp: kernel.udp.clone(),
            multicast: kernel.multicast,
            frames_per_second: kernel.frames_per_second.into(),
        };
        ports.filter_map(|(id, port)| Some((id, exceptions(port.kernel.as_ref()?)))).collect()
    }

    /// The routes, with the interfaces that they name.
    fn static_routes(&self) -> Vec<Result<StaticRoute, Invalid>> {
        let names = self.interface_names();
        let by_name = |place: usize, wanted: &String| {
            let mut ids = (0u16..).map(InterfaceId).zip(&names);
            ids.find(|(_, name)| *name == wanted).map(|(id, _)| id).ok_or_else(|| {
                let problem =
                    Problem::NoSuchInterface { interface: wanted.clone(), known: names.join(", ") };
                Invalid::new(format!("route[{place}].interface"), problem)
            })
        };
        let routes = self.route.iter().enumerate().map(|(place, route)| {
            let interface =
                route.interface.as_ref().map(|name| by_name(place, name)).transpose()?;
            Ok(StaticRoute { to: route.to, via: route.via, interface })
        });
        routes.collect()
    }

    /// What is wrong with interfaces and routes as a network.
    pub(super) fn check_network(&self, found: &mut Findings<'_>) {
        if self.network(&vec![NO_MAC; self.port.len()]).is_err() {
            self.try_each(found);
        }
    }

    /// Tries each interface, address and route with those before it that are good.
    fn try_each(&self, found: &mut Findings<'_>) {
        let good = self.try_interfaces(found);
        self.try_kernel(&good, found);
        // Whether a router is near can't be told by addresses that are wrong.
        let ports_are_good = !found.has("port")
            && !found.invalid.iter().any(|invalid| invalid.key.starts_with("port"));
        let mut wrong = Vec::new();
        let mut routes = Vec::new();
        for (place, route) in self.static_routes().into_iter().enumerate() {
            match route {
                Ok(route) => routes.push((place, route)),
                Err(invalid) => wrong.push(invalid),
            }
        }
        try_routes(&good, &routes, &mut wrong);
        for Invalid { key, problem } in wrong {
            let by_ports = matches!(
                problem,
                Problem::NoSuchInterface { .. }
                    | Problem::Network(network::Error::UnreachableRouter(_))
            );
            if ports_are_good || !by_ports {
                found.add(key, problem);
            }
        }
    }

    /// The interfaces, as far as they are good.
    fn try_interfaces(&self, found: &mut Findings<'_>) -> Vec<Interface> {
        let mut good = Vec::<Interface>::new();
        let all = self.interfaces(&vec![NO_MAC; self.port.len()]);
        let keys = self.port.iter().enumerate().flat_map(|(port_place, port)| {
            let interfaces = 0..port.interface.len();
            interfaces.map(move |place| format!("port[{port_place}].interface[{place}]"))
        });
        for (key, interface) in keys.zip(all) {
            let none = Interface { addresses: Vec::new(), ..interface.clone() };
            let tried = Network::new([good.clone(), vec![none.clone()]].concat(), &[]);
            good.push(match tried {
                Ok(_) => none,
                Err(error) => {
                    let own = port_of_its_own(good.len());
                    found.add(format!("{key}.vlan"), error);
                    // So that the other interfaces keep their places.
                    Interface { port: own, ..none }
                }
            });
            for (place, prefix) in interface.addresses.iter().enumerate() {
                let mut more = good.clone();
                if let Some(last) = more.last_mut() {
                    last.addresses.push(*prefix);
                }
                match Network::new(more.clone(), &[]) {
                    Ok(_) => good = more,
                    Err(error) => found.add(format!("{key}.addresses[{place}]"), error),
                }
            }
        }
        good
    }

    /// The kernel's addresses, beside the `interfaces`.
    fn try_kernel(&self, interfaces: &[Interface], found: &mut Findings<'_>) {
        let Ok(network) = Network::new(interfaces.to_vec(), &[]) else { return };
        let mut good: Vec<(PortId, Exceptions)> = Vec::new();
        for (id, exceptions) in self.exceptions() {
            good.push((id, Exceptions { addresses: Vec::new(), ..exceptions }));
            for (place, address) in exceptions.addresses.iter().enumerate() {
                let mut more = good.clone();
                if let Some((_, last)) = more.last_mut() {
                    last.addresses.push(*address);
                }
                match network.clone().with_kernel(more.clone()) {
                    Ok(_) => good = more,
                    Err(error) => {
                        found.add(format!("port[{}].kernel.addresses[{place}]", id.0), error);
                    }
                }
            }
        }
    }
}

/// Notes which of `routes`, with their places, are wrong on the good interfaces. Halves that are good are not looked at further.
fn try_routes(good: &[Interface], routes: &[(usize, StaticRoute)], wrong: &mut Vec<Invalid>) {
    let all: Vec<StaticRoute> = routes.iter().map(|(_, route)| *route).collect();
    let Err(error) = Network::new(good.to_vec(), &all) else { return };
    if let [(place, _)] = routes {
        wrong.push(Invalid::new(format!("route[{place}].{}", key_of(&error)), error));
    } else if wrong.len() <= MOST {
        let (first, second) = routes.split_at(routes.len() / 2);
        try_routes(good, first, wrong);
        try_routes(good, second, wrong);
    }
}

/// A port that no configuration has.
fn port_of_its_own(place: usize) -> PortId {
    PortId(u16::try_from(place).map_or(0, |place| u16::MAX - place))
}

/// The key of a route that `error` is about.
const fn key_of(error: &network::Error) -> &'static str {
    use network::Error as E;
    match error {
        E::LinkLocalRouter(_) | E::NoSuchInterface(_) => "interface",
        _ => "via",
    }
}

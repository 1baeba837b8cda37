use super::*;

fn interface(port: u16, vlan: Option<u16>, addresses: &[&str]) -> Interface {
    Interface {
        port: PortId(port),
        vlan: vlan.and_then(VlanId::new),
        mac: Mac([2, 0, 0, 0, 0, u8::try_from(port).unwrap()]),
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
    }
}

fn route(to: &str, via: &str) -> StaticRoute {
    StaticRoute { to: to.parse().unwrap(), via: via.parse().unwrap(), interface: None }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn network() -> Network {
    let interfaces = vec![
        interface(0, None, &["192.0.2.2/24", "2001:db8::2/64"]),
        interface(0, Some(100), &["198.51.100.2/30", "2001:db8:1::2/64"]),
    ];
    let routes = [
        route("0.0.0.0/0", "192.0.2.1"),
        route("203.0.113.0/24", "198.51.100.1"),
        route("203.0.113.64/26", "192.0.2.9"),
        route("::/0", "2001:db8::1"),
    ];
    Network::new(interfaces, &routes).unwrap()
}

#[test]
fn the_longest_prefix_wins() {
    let network = network();
    let hop = |to: &str| {
        network
            .next_hop(ip(to), InterfaceId(1))
            .map(|hop| (hop.interface.0, hop.address.to_string()))
    };
    assert_eq!(hop("8.8.8.8"), Some((0, "192.0.2.1".into())));
    assert_eq!(hop("203.0.113.1"), Some((1, "198.51.100.1".into())));
    assert_eq!(hop("203.0.113.65"), Some((0, "192.0.2.9".into())));
    assert_eq!(hop("192.0.2.77"), Some((0, "192.0.2.77".into())), "on the link");
    assert_eq!(hop("2001:db8:1::9"), Some((1, "2001:db8:1::9".into())));
    assert_eq!(hop("2001:db8:2::9"), Some((0, "2001:db8::1".into())));
    assert_eq!(hop("fe80::9"), Some((1, "fe80::9".into())), "link-local stays on the link");
    let bare = Network::new(vec![interface(0, None, &["192.0.2.2/24"])], &[]).unwrap();
    assert_eq!(bare.next_hop(ip("8.8.8.8"), InterfaceId(0)), None);
}

#[test]
fn own_addresses() {
    let network = network();
    assert!(
        network.owns(ip("198.51.100.2"), InterfaceId(0)),
        "an address of another interface is ours too"
    );
    assert!(!network.owns(ip("198.51.100.1"), InterfaceId(0)));
    assert!(network.owns(ip("fe80::ff:fe00:0"), InterfaceId(0)));
    assert_eq!(network.link_local(InterfaceId(0)), Some("fe80::ff:fe00:0".parse().unwrap()));
    assert_eq!(network.routers().count(), 4);
}

#[test]
fn nothing_is_sent_to_many_or_to_ourselves() {
    let network = network();
    let never = [
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.255",
        "192.0.2.0",
        "198.51.100.3",
        "192.0.2.2",
        "::",
        "::1",
        "ff02::1",
        "::ffff:192.0.2.9",
        "2001:db8::2",
        "fe80::ff:fe00:0",
    ];
    for address in never {
        assert!(!network.may_be_sent_to(ip(address)), "{address}");
        assert!(!network.is_on_link(ip(address), InterfaceId(0)), "{address}");
    }
    for address in ["192.0.2.1", "8.8.8.8", "198.51.100.1", "2001:db8::1", "fe80::1"] {
        assert!(network.may_be_sent_to(ip(address)), "{address}");
    }
    assert!(
        network.is_on_link(ip("192.0.2.9"), InterfaceId(0))
            && !network.is_on_link(ip("192.0.2.9"), InterfaceId(1))
    );
}

#[test]
fn mistakes_have_names() {
    let one = || vec![interface(0, None, &["192.0.2.2/24", "2001:db8::2/64"])];
    let error = |interfaces: Vec<Interface>, routes: &[StaticRoute]| {
        Network::new(interfaces, routes).unwrap_err()
    };
    assert_eq!(error([one(), one()].concat(), &[]), Error::SameInterface { vlan: None });
    assert_eq!(
        error(vec![interface(0, None, &["224.0.0.1/4"])], &[]),
        Error::NotUnicast(ip("224.0.0.1"))
    );
    let two = vec![interface(0, None, &["192.0.2.2/24"]), interface(1, None, &["192.0.2.2/24"])];
    assert_eq!(error(two, &[]), Error::SameAddress(ip("192.0.2.2")));
    assert_eq!(
        error(one(), &[route("0.0.0.0/0", "198.51.100.1")]),
        Error::UnreachableRouter(ip("198.51.100.1"))
    );
    assert_eq!(error(one(), &[route("0.0.0.0/0", "192.0.2.2")]), Error::OwnRouter(ip("192.0.2.2")));
    assert_eq!(error(one(), &[route("::/0", "fe80::1")]), Error::LinkLocalRouter(ip("fe80::1")));
    assert!(matches!(error(one(), &[route("::/0", "192.0.2.1")]), Error::FamilyMismatch { .. }));
    let elsewhere = StaticRoute { interface: Some(InterfaceId(7)), ..route("::/0", "fe80::1") };
    assert_eq!(error(one(), &[elsewhere]), Error::NoSuchInterface(InterfaceId(7)));
    for via in ["198.51.100.1", "224.0.0.1"] {
        let named = StaticRoute { interface: Some(InterfaceId(0)), ..route("0.0.0.0/0", via) };
        assert_eq!(
            error(one(), &[named]),
            Error::UnreachableRouter(ip(via)),
            "an interface does not make it near"
        );
    }
    assert!(error([one(), one()].concat(), &[]).to_string().contains("without VLAN"));
}

#[test]
fn of_several_routers_the_first_usable_one_is_taken() {
    let interfaces = vec![
        interface(0, None, &["192.0.2.2/24", "2001:db8::2/64"]),
        interface(1, None, &["198.51.100.2/24"]),
    ];
    let routes = [
        route("0.0.0.0/0", "192.0.2.1"),
        route("203.0.113.0/24", "198.51.100.7"),
        route("0.0.0.0/0", "198.51.100.1"),
        route("0.0.0.0/0", "192.0.2.9"),
        route("::/0", "2001:db8::1"),
        // On the link already.
        route("198.51.100.0/24", "192.0.2.1"),
    ];
    let network = Network::new(interfaces, &routes).unwrap();
    assert_eq!(network.routers().count(), 6);
    let by = |silent: &[&str]| {
        let silent: Vec<IpAddr> = silent.iter().map(|text| ip(text)).collect();
        let chosen = network.clone().choose(|hop| !silent.contains(&hop.address));
        let hop =
            |to| chosen.next_hop(ip(to), InterfaceId(0)).map(|hop| (hop.interface.0, hop.address));
        assert_eq!(chosen.routers().count(), 6, "all are looked after");
        assert_eq!(hop("198.51.100.77"), Some((1, ip("198.51.100.77"))));
        assert_eq!(
            (chosen.all_routes().len(), chosen.routes().count()),
            (9, 6),
            "one to each prefix"
        );
        ["10.0.0.1", "203.0.113.1", "2001:db8:1::1"].map(|to| hop(to).unwrap())
    };
    let [ours, theirs] = [(1, ip("198.51.100.7")), (0, ip("2001:db8::1"))];
    assert_eq!(by(&[]), [(0, ip("192.0.2.1")), ours, theirs]);
    assert_eq!(by(&["192.0.2.1"]), [(1, ip("198.51.100.1")), ours, theirs]);
    assert_eq!(by(&["192.0.2.1", "198.51.100.1"]), [(0, ip("192.0.2.9")), ours, theirs]);
    let all = ["192.0.2.1", "198.51.100.1", "192.0.2.9", "198.51.100.7", "2001:db8::1"];
    assert_eq!(by(&all), [(0, ip("192.0.2.1")), ours, theirs], "better than none");
}

//! What is said of parts that do not fit together.

/// Something put behind the least configuration, and all that is said of it, without the place.
pub(crate) type Said = (&'static str, &'static str);

pub(crate) const NUMBERS: &[Said] = &[
    ("[workers]\ncpus = []", "workers.cpus: there is none (name one CPU for each worker)"),
    (
        "[eal]\ncontrol_cpus = []",
        "eal.control_cpus: there is none (name at least one CPU for the control thread)",
    ),
    (
        "[eal]\nfile_prefix = \"a/b\"",
        "eal.file_prefix: \"a/b\" can't name an instance (file_prefix takes up to 64 letters, digits, '-', '_' and '.', no '.' in front)",
    ),
    (
        "[[route]]\nto = \"10.1.2.3/8\"\nvia = \"192.0.2.1\"",
        "route[0].to: 10.1.2.3/8 has bits set behind its prefix length (write 10.0.0.0/8, or the length that was meant)",
    ),
    (
        "[eal]\nmemory_mb = 0",
        "eal.memory_mb: 0 is out of range: 1 to 1048576 (memory_mb takes megabytes, 1 to 1048576)",
    ),
    (
        "[workers]\nidle_sleep_us = 10001",
        "workers.idle_sleep_us: 10001 is out of range: 0 to 10000 (idle_sleep_us takes microseconds, 0 to 10000)",
    ),
    (
        "[pending]\nentries = 0",
        "pending.entries: 0 is out of range: 1 to 1073741824 (entries takes probes, 1 to 1073741824)",
    ),
    (
        "[pending]\nentries = 1073741825",
        "pending.entries: 1073741825 is out of range: 1 to 1073741824 (entries takes probes, 1 to 1073741824)",
    ),
    (
        "[pending]\ntimeout_ms = 3600001",
        "pending.timeout_ms: 3600001 is out of range: 1 to 3600000 (timeout_ms takes milliseconds, 1 to 3600000)",
    ),
    (
        "[neighbours]\nentries = 0",
        "neighbours.entries: 0 is out of range: 1 to 65536 (entries takes neighbours, 1 to 65536)",
    ),
    (
        "[requests]\nmax_amplification = 0.01",
        "requests.max_amplification: 0.01 is out of range: 0.1 to 10 (max_amplification takes a factor, 0.1 to 10.0)",
    ),
    (
        "[requests]\nmax_amplification = nan",
        "requests.max_amplification: NaN is out of range: 0.1 to 10 (max_amplification takes a factor, 0.1 to 10.0)",
    ),
    (
        "[requests]\nunpadded = [\"192.0.2.1/24\"]",
        "requests.unpadded[0]: 192.0.2.1/24 has bits set behind its prefix length (write 192.0.2.0/24, or the length that was meant)",
    ),
    (
        "[drain]\ngrace_ms = 600001",
        "drain.grace_ms: 600001 is out of range: 0 to 600000 (grace_ms takes milliseconds, 0 to 600000)",
    ),
];

pub(crate) const PORTS: &[Said] = &[
    (
        "[[port]]\ndevice = \"net_null0,size=64\"\n[[port.interface]]\nname = \"b\"\naddresses = [\"10.0.0.1/8\"]",
        "port[1].device: port[0] has the device \"net_null0\" too (a device can be one port only: remove one of both)",
    ),
    (
        "[[port]]\ndevice = \",size=64\"\n[[port.interface]]\naddresses = [\"10.0.0.1/8\"]",
        "port[1].device: \"\" names no device (device takes a name, such as \"0000:03:00.0\" or \"net_tap0,iface=otherhalf0\")",
    ),
    (
        "[[port]]\ndevice = \"03:00.0\"\n[[port.interface]]\naddresses = [\"10.0.0.1/8\"]",
        "port[1].device: \"03:00.0\" is a PCI address without its domain (write \"0000:03:00.0\")",
    ),
    (
        "[[port]]\ndevice = \"net_null1\"",
        "port[1].interface: there is none, so nothing could be asked of \"net_null1\" (add [[port.interface]] with its addresses)",
    ),
    (
        "[[port]]\ndevice = \"net_null1\"\nmtu = 1279\n[[port.interface]]\naddresses = [\"10.0.0.1/8\"]",
        "port[1].mtu: 1279 is out of range: 1280 to 65000 (mtu takes bytes, 1280 to 65000)",
    ),
    (
        "[[port]]\ndevice = \"net_null1\"\nwait_s = 3601\n[[port.interface]]\naddresses = [\"10.0.0.1/8\"]",
        "port[1].wait_s: 3601 is out of range: 0 to 3600 (wait_s takes seconds, 0 to 3600)",
    ),
    (
        "[[port]]\ndevice = \"0000:03:00.0\"\nwait_s = 1\n[[port.interface]]\naddresses = [\"10.0.0.1/8\"]",
        "port[1].wait_s: a PCI device is not waited for (remove it, and have the device bound before the start, by dpdk-config/bind-port)",
    ),
    (
        "[[port]]\ndevice = \"net_null1\"\nrx_descriptors = 0\n[[port.interface]]\naddresses = [\"10.0.0.1/8\"]",
        "port[1].rx_descriptors: 0 is out of range: 1 to 32768 (rx_descriptors takes frames, 1 to 32768)",
    ),
    (
        "[[port.interface]]\nvlan = 7\naddresses = []",
        "port[0].interface[1].addresses: there is none (addresses takes a list of addresses with prefix length, such as [\"192.0.2.2/24\", \"2001:db8::2/64\"])",
    ),
    (
        "[[port.interface]]\nname = \"net_null0\"\nvlan = 7\naddresses = [\"10.0.0.1/8\"]",
        "port[0].interface[1].name: another interface is called \"net_null0\" too (give each a name of its own)",
    ),
    (
        "[[port.interface]]\nname = \"b\"\naddresses = [\"10.0.0.1/8\"]",
        "port[0].interface[1].vlan: two interfaces on the same port without VLAN: give each a \
             VLAN of its own",
    ),
    (
        "[[port.interface]]\nvlan = 7\naddresses = [\"10.0.0.1/8\", \"192.0.2.2/32\"]",
        "port[0].interface[1].addresses[1]: 192.0.2.2 stands on two interfaces: an address \
             belongs to one",
    ),
    (
        "[[port.interface]]\nvlan = 7\naddresses = [\"10.0.0.0/8\"]",
        "port[0].interface[1].addresses[0]: 10.0.0.0/8 is the address of a network, or its \
             broadcast address, not that of a host in it (give the address of a host, or a prefix of its length)",
    ),
    (
        "[[port.interface]]\nvlan = 7\naddresses = [\"10.255.255.255/8\"]",
        "port[0].interface[1].addresses[0]: 10.255.255.255/8 is the address of a network, or its \
             broadcast address, not that of a host in it (give the address of a host, or a prefix of its length)",
    ),
    (
        "[[port.interface]]\nvlan = 7\naddresses = [\"2001:db8:7::/64\"]",
        "port[0].interface[1].addresses[0]: 2001:db8:7::/64 is the address of a network, or its \
             broadcast address, not that of a host in it (give the address of a host, or a prefix of its length)",
    ),
    (
        "[port.kernel]\ninterface = \"a/b\"",
        "port[0].kernel.interface: \"a/b\" can't be the name of an interface (interface takes up to 15 letters, digits, '-', '_' and '.', no '.' in front)",
    ),
    (
        "[port.kernel]\ninterface = \"k\"\ntcp = [22, 0]",
        "port[0].kernel.tcp[1]: 0 is out of range: 1 to 65535 (tcp takes a list of ports, 1 to 65535, such as [22, 179])",
    ),
    (
        "[port.kernel]\ninterface = \"k\"\naddresses = [\"198.51.100.9\", \"192.0.2.2\"]",
        "port[0].kernel.addresses[1]: 192.0.2.2 is an address of this responder, so it can't be the kernel's alone: list under tcp or udp \
             which of its ports are the kernel's",
    ),
    (
        "[port.kernel]\nmulticast = true",
        "port[0].kernel.interface: it is missing, and can't be left out (add interface = \"otherhalf-k0\")",
    ),
    (
        "[[port.interface]]\nvlan = 7\naddresses = [\"224.0.0.1/24\"]",
        "port[0].interface[1].addresses[0]: 224.0.0.1 can't be the address of an interface: it is \
             not a unicast address",
    ),
];

pub(crate) const ROUTES_AND_FLOWS: &[Said] = &[
    (
        "[[route]]\nto = \"::/0\"\nvia = \"2001:db8::1\"\n[[route]]\nto = \"0.0.0.0/0\"\n\
             via = \"198.51.100.1\"",
        "route[1].via: no interface reaches the router 198.51.100.1: it must be in the prefix \
             of an interface's address",
    ),
    (
        "[[route]]\nto = \"0.0.0.0/0\"\nvia = \"192.0.2.2\"",
        "route[0].via: the router 192.0.2.2 is an address of this responder",
    ),
    (
        "[[route]]\nto = \"0.0.0.0/0\"\nvia = \"2001:db8::1\"",
        "route[0].via: the route to 0.0.0.0/0 has a router of the other family: 2001:db8::1",
    ),
    (
        "[[route]]\nto = \"::/0\"\nvia = \"fe80::1\"",
        "route[0].interface: the router fe80::1 is link-local: name the interface that it is \
             reached by",
    ),
    (
        "[[route]]\nto = \"::/0\"\nvia = \"fe80::1\"\ninterface = \"eth0\"",
        "route[0].interface: there is no interface \"eth0\" (there are: net_null0)",
    ),
    (
        "[[route]]\nto = \"10.0.0.0/8\"\nvia = \"192.0.2.1\"\n[[route]]\nto = \"10.0.0.0/8\"\n\
             via = \"192.0.2.3\"",
        "route[1].to: route[0] leads to 10.0.0.0/8 too, with the same preference (remove one of both, or give each a preference: the lower is taken first)",
    ),
    (
        "[probe.udp]\nflows = [\"33434-33534\"]",
        "probe.udp.default_flow: 53 is not within probe.udp.flows (add it there, or set another \
             default_flow)",
    ),
    (
        "[probe.icmp]\nflows = []",
        "probe.icmp.default_flow: 48815 is not within probe.icmp.flows (add it there, or set \
             another default_flow)",
    ),
];

//! Configuration files: what is accepted, and what is said of those that are not.

use std::fs;
use std::path::Path;

use otherhalf_engine::policy::Reply;
use otherhalf_engine::{InterfaceId, NextHop};
use otherhalf_responder::config::{Config, Error};
use otherhalf_wire::ethernet::{Mac, VlanId};

/// Every key, none at its default.
const FULL: &str = r#"
[eal]
huge_pages = false
memory_mb = 128
file_prefix = "full"
control_cpus = [0, 1]
telemetry = true
extra = ["--iova-mode=va"]

[workers]
cpus = [0, 1]
idle_sleep_us = 50

[[port]]
device = "0000:03:00.0"
rx_descriptors = 512
tx_descriptors = 256
mtu = 9000
promiscuous = true

[[port.interface]]
name = "uplink"
addresses = ["192.0.2.2/24", "2001:db8::2/64"]

[[port.interface]]
vlan = 100
addresses = ["198.51.100.2/31"]

[[port]]
device = "net_tap0,iface=dtap0,mac=02:00:00:00:00:02"

[[port.interface]]
addresses = ["203.0.113.2/24"]

[[route]]
to = "0.0.0.0/0"
via = "192.0.2.1"

[[route]]
to = "::/0"
via = "fe80::1"
interface = "uplink"

[pending]
entries = 5000
timeout_ms = 3000
secret = "00112233445566778899aabbccddeeff"

[reply]
path = "hairpin"
closed_ports = false

[probe.icmp]
enabled = false

[probe.tcp]
flows = [80, "443", "8000-8099"]
default_flow = 443

[probe.udp]
flows = ["33434-33534"]
default_flow = 33434

[neighbours]
entries = 100
"#;

/// What is needed at least; parts of it are put wrong.
const LEAST: &str = r#"
[[port]]
device = "net_null0"

[[port.interface]]
addresses = ["192.0.2.2/24", "2001:db8::2/64"]
"#;

/// Loads `text` from a file; the error, without the file's name.
fn load(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.toml");
    fs::write(&path, text).unwrap();
    Config::load(&path).map_err(|error| {
        let text = error.to_string();
        let prefix = format!("{}: ", path.display());
        text.strip_prefix(&prefix).unwrap_or_else(|| panic!("no file name: {text}")).to_owned()
    })
}

fn error(text: &str) -> String {
    load(text).err().unwrap_or_else(|| panic!("this was accepted:\n{text}"))
}

/// The error of `LEAST` with `more` behind it.
fn with(more: &str) -> String {
    error(&format!("{LEAST}\n{more}"))
}

#[test]
fn every_key_is_taken_and_means_what_it_says() {
    let config = load(FULL).unwrap();
    assert_eq!((config.eal.huge_pages, config.eal.memory_mb), (false, 128));
    assert_eq!((config.eal.file_prefix.as_str(), config.eal.telemetry), ("full", true));
    assert_eq!(
        (&config.eal.control_cpus[..], &config.workers.cpus[..]),
        (&[0, 1][..], &[0, 1][..])
    );
    assert_eq!(config.eal.extra, ["--iova-mode=va"]);
    assert_eq!(config.workers.idle_sleep_us, 50);
    let [pci, tap] = &config.port[..] else { panic!("two ports") };
    assert!(pci.is_pci() && !tap.is_pci());
    assert_eq!((pci.rx_descriptors, pci.tx_descriptors, pci.mtu), (512, 256, Some(9000)));
    assert!(pci.promiscuous && !tap.promiscuous);
    assert_eq!((tap.rx_descriptors, tap.tx_descriptors, tap.mtu), (1024, 1024, None));
    assert_eq!(tap.device_name(), "net_tap0");
    assert_eq!(config.interface_names(), ["uplink", "0000:03:00.0.100", "net_tap0"]);
    assert_eq!(pci.interface[1].vlan, VlanId::new(100));
    assert_eq!((config.pending.entries, config.pending.timeout_ms), (5000, 3000));
    let secret = config.pending.secret.unwrap();
    assert_eq!(secret.0, [0x0011_2233_4455_6677, 0x8899_aabb_ccdd_eeff]);
    assert!(!format!("{config:?}").contains("4455"), "secrets are not shown");
    assert_eq!(config.neighbours.entries, 100);

    let policy = config.policy().unwrap();
    assert_eq!(policy.reply, Reply::Hairpin);
    assert!(!policy.closed_ports);
    assert!(policy.icmp.is_none());
    let tcp = policy.tcp.unwrap();
    assert_eq!((tcp.default, &tcp.allowed[..]), (443, &[80..=80, 443..=443, 8000..=8099][..]));
    assert!(policy.udp.unwrap().allow(33500));

    let network = config.network(&[Mac([2; 6]), Mac([4; 6])]).unwrap();
    let hop = |interface, address: &str| {
        Some(NextHop { interface: InterfaceId(interface), address: address.parse().unwrap() })
    };
    let next = |text: &str| network.next_hop(text.parse().unwrap(), InterfaceId(2));
    assert_eq!(next("192.0.2.9"), hop(0, "192.0.2.9"));
    assert_eq!(next("198.51.100.3"), hop(1, "198.51.100.3"));
    assert_eq!(next("8.8.8.8"), hop(0, "192.0.2.1"));
    assert_eq!(next("2001:db8:1::1"), hop(0, "fe80::1"));
    assert_eq!(network.interface(InterfaceId(2)).unwrap().mac, Mac([4; 6]));
}

#[test]
fn what_is_left_out_has_a_default() {
    let config = load(LEAST).unwrap();
    assert_eq!((config.eal.huge_pages, config.eal.memory_mb), (true, 512));
    assert_eq!((&config.eal.control_cpus[..], &config.workers.cpus[..]), (&[0][..], &[1][..]));
    assert_eq!((config.pending.entries, config.pending.timeout_ms), (1 << 20, 5000));
    assert!(config.pending.secret.is_none());
    assert_eq!(config.neighbours.entries, 4096);
    let policy = config.policy().unwrap();
    assert_eq!(policy, otherhalf_engine::Policy::default());
}

#[test]
fn keys_that_do_not_exist_are_refused_with_their_line() {
    assert_eq!(
        with("[workers]\ncpu = [1]"),
        "TOML parse error at line 9, column 1\n  |\n9 | cpu = [1]\n  | ^^^\n\
         unknown field `cpu`, expected `cpus` or `idle_sleep_us`"
    );
    // In each table there is.
    let tables = [
        ("", 2),
        ("[eal]", 3),
        ("[workers]", 3),
        ("[pending]", 3),
        ("[reply]", 3),
        ("[probe]", 3),
        ("[probe.icmp]", 3),
        ("[probe.tcp]", 3),
        ("[probe.udp]", 3),
        ("[neighbours]", 3),
        ("[[route]]\nto = \"::/0\"\nvia = \"::1\"", 5),
        ("[[port]]\ndevice = \"net_null1\"", 4),
        ("[[port]]\ndevice = \"net_null1\"\n[[port.interface]]\naddresses = []", 6),
    ];
    for (table, line) in tables {
        let text = error(&format!("\n{table}\nnonsense = 1"));
        let line = if table.is_empty() { line + 1 } else { line };
        assert!(
            text.starts_with(&format!("TOML parse error at line {line}, column 1\n")),
            "{text}"
        );
        assert!(text.contains("unknown field `nonsense`, expected "), "{text}");
    }
}

#[test]
fn values_of_another_kind_are_refused_with_their_line() {
    let expected = [
        ("[eal]\nhuge_pages = 1", "expected a boolean"),
        ("[eal]\nmemory_mb = -1", "invalid value: integer `-1`, expected u32"),
        ("[eal]\nextra = \"--x\"", "expected a sequence"),
        ("[workers]\ncpus = [-1]", "expected usize"),
        ("[workers]\ncpus = 1", "expected a sequence"),
        ("[reply]\npath = \"best\"", "unknown variant `best`, expected `route` or `hairpin`"),
        ("[probe.udp]\nflows = [\"a-b\"]", "\"a\" in \"a-b\" is no flow: they are 0 to 65535"),
        ("[probe.udp]\nflows = [\"9-8\"]", "the range \"9-8\" runs backwards"),
        ("[probe.udp]\nflows = [65536]", "65536 is no flow: they are 0 to 65535"),
        ("[probe.udp]\nflows = [-1]", "-1 is no flow: they are 0 to 65535"),
        (
            "[probe.udp]\nflows = [true]",
            "expected a number from 0 to 65535 or a range such as \"33434-33534\"",
        ),
        ("[probe.udp]\nflows = [\"\"]", "\"\" in \"\" is no flow"),
        ("[[route]]\nto = \"10.0.0.0/33\"", "invalid IP address syntax"),
        ("[pending]\nentries = \"many\"", "expected usize"),
    ];
    for (more, message) in expected {
        let text = with(more);
        assert!(text.starts_with("TOML parse error at line 9, column "), "{text}");
        assert!(text.contains(message), "{more}: {text}");
    }
    for vlan in ["0", "4095"] {
        let text = with(&format!("vlan = {vlan}"));
        assert!(text.contains("line 8, column 8"), "{text}");
        assert!(text.ends_with(&format!("{vlan} is no VLAN: they are 1 to 4094")), "{text}");
    }
    assert!(with("vlan = 70000").ends_with("expected u16"));
    let text = error("[[port]]\n[[port.interface]]\naddresses = [\"192.0.2.2/24\"]");
    assert!(
        text.contains("line 1, column 1") && text.ends_with("missing field `device`"),
        "{text}"
    );
    let text = error("[[port]]\ndevice = \"x\"\n[[port.interface]]\naddresses = [\"192.0.2.2\"]");
    assert!(
        text.contains("line 4, column ")
            && text.ends_with("192.0.2.2 lacks the length of its prefix: write it as 192.0.2.2/24"),
        "{text}"
    );
    assert!(error("[[port]\n").starts_with("TOML parse error at line 1, column "));
}

/// Something put behind [`LEAST`], and all that is said of it.
type Said = (&'static str, &'static str);

const NUMBERS: &[Said] = &[
    ("[workers]\ncpus = []", "workers.cpus: there is none: name one CPU for each worker"),
    (
        "[eal]\ncontrol_cpus = []",
        "eal.control_cpus: there is none: name at least one CPU for the control thread",
    ),
    (
        "[eal]\nfile_prefix = \"a/b\"",
        "eal.file_prefix: \"a/b\" can't name an instance: take up to 64 letters, digits, '-', '_' and '.', no '.' in front",
    ),
    (
        "[[route]]\nto = \"10.1.2.3/8\"\nvia = \"192.0.2.1\"",
        "route[0].to: 10.1.2.3/8 has bits set behind its prefix length: write 10.0.0.0/8, or the length that was meant",
    ),
    ("[eal]\nmemory_mb = 0", "eal.memory_mb: 0 is out of range: 1 to 1048576 (a terabyte)"),
    (
        "[workers]\nidle_sleep_us = 10001",
        "workers.idle_sleep_us: 10001 is out of range: 0 to 10000 (10 ms)",
    ),
    ("[pending]\nentries = 0", "pending.entries: 0 is out of range: 1 to 1073741824"),
    (
        "[pending]\nentries = 1073741825",
        "pending.entries: 1073741825 is out of range: 1 to 1073741824",
    ),
    (
        "[pending]\ntimeout_ms = 3600001",
        "pending.timeout_ms: 3600001 is out of range: 1 to 3600000 (an hour)",
    ),
    ("[neighbours]\nentries = 0", "neighbours.entries: 0 is out of range: 1 to 1048576"),
];

const PORTS: &[Said] = &[
    (
        "[[port]]\ndevice = \"net_null0,size=64\"",
        "port[1].device: port[0] has the device \"net_null0\" too: each can be one port only",
    ),
    (
        "[[port]]\ndevice = \",size=64\"",
        "port[1].device: \"\" names no device: give a PCI address or a virtual device, such as \
             \"net_tap0,iface=dtap0\"",
    ),
    (
        "[[port]]\ndevice = \"03:00.0\"",
        "port[1].device: write the PCI address with its domain: \"0000:03:00.0\"",
    ),
    (
        "[[port]]\ndevice = \"net_null1\"",
        "port[1].interface: there is none, so nothing could be asked of \"net_null1\": add \
             [[port.interface]] with its addresses",
    ),
    (
        "[[port]]\ndevice = \"net_null1\"\nmtu = 1279",
        "port[1].mtu: 1279 is out of range: 1280 to 65000",
    ),
    (
        "[[port]]\ndevice = \"net_null1\"\nrx_descriptors = 0",
        "port[1].rx_descriptors: 0 is out of range: 1 to 32768",
    ),
    (
        "[[port.interface]]\nvlan = 7\naddresses = []",
        "port[0].interface[1].addresses: there is none: give at least one with its prefix \
             length, such as \"192.0.2.2/24\"",
    ),
    (
        "[[port.interface]]\nname = \"net_null0\"\nvlan = 7\naddresses = [\"10.0.0.1/8\"]",
        "port[0].interface[1].name: another interface is called \"net_null0\" too: give each a \
             name of its own",
    ),
    (
        "[[port.interface]]\nname = \"b\"\naddresses = [\"10.0.0.1/8\"]",
        "port[0].interface[1].vlan: two interfaces on the same port without VLAN: give each a \
             VLAN of its own",
    ),
    (
        "[[port.interface]]\nvlan = 7\naddresses = [\"10.0.0.1/8\", \"192.0.2.2/32\"]",
        "port[0].interface[1].addresses: 192.0.2.2 stands on two interfaces: an address \
             belongs to one",
    ),
    (
        "[[port.interface]]\nvlan = 7\naddresses = [\"10.0.0.0/8\"]",
        "port[0].interface[1].addresses: 10.0.0.0/8 is the address of a network, or its \
             broadcast address, not that of a host in it",
    ),
    (
        "[[port.interface]]\nvlan = 7\naddresses = [\"10.255.255.255/8\"]",
        "port[0].interface[1].addresses: 10.255.255.255/8 is the address of a network, or its \
             broadcast address, not that of a host in it",
    ),
    (
        "[[port.interface]]\nvlan = 7\naddresses = [\"2001:db8:7::/64\"]",
        "port[0].interface[1].addresses: 2001:db8:7::/64 is the address of a network, or its \
             broadcast address, not that of a host in it",
    ),
    (
        "[[port.interface]]\nvlan = 7\naddresses = [\"224.0.0.1/24\"]",
        "port[0].interface[1].addresses: 224.0.0.1 can't be the address of an interface: it is \
             not a unicast address",
    ),
];

const ROUTES_AND_FLOWS: &[Said] = &[
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
        "route[0].interface: there is no interface \"eth0\"; there are: net_null0",
    ),
    (
        "[[route]]\nto = \"10.0.0.0/8\"\nvia = \"192.0.2.1\"\n[[route]]\nto = \"10.0.0.0/8\"\n\
             via = \"192.0.2.3\"",
        "route[1].to: route[0] leads to 10.0.0.0/8 too: remove one",
    ),
    (
        "[probe.udp]\nflows = [\"33434-33534\"]",
        "probe.udp.default_flow: 53 is not within probe.udp.flows: add it there, or set another \
             default_flow",
    ),
    (
        "[probe.icmp]\nflows = []",
        "probe.icmp.default_flow: 48815 is not within probe.icmp.flows: add it there, or set \
             another default_flow",
    ),
];

#[test]
fn what_does_not_fit_together_is_said_where_it_is() {
    for (more, text) in [NUMBERS, PORTS, ROUTES_AND_FLOWS].into_iter().flatten() {
        assert_eq!(with(more), *text);
    }
    assert_eq!(
        error(""),
        "port: there is none, and a responder needs one: add [[port]] with its device"
    );
}

#[test]
fn links_of_two_and_of_one_need_all_their_addresses() {
    for address in ["10.0.0.0/31", "10.0.0.1/31", "10.0.0.1/32", "fd00::/127", "fd00::/128"] {
        let text = LEAST.replace("192.0.2.2/24", address);
        assert!(load(&text).is_ok(), "{address}");
    }
}

#[test]
fn what_is_switched_off_may_be_anything() {
    let text = format!("{LEAST}\n[probe.udp]\nenabled = false\nflows = [1]");
    assert!(load(&text).unwrap().policy().unwrap().udp.is_none());
}

#[test]
fn a_secret_is_not_shown_however_wrong_it_is() {
    let expected = "a secret has 32 hexadecimal digits: make one with `openssl rand -hex 16`";
    for secret in [
        "\"0011223344556677\"",
        "\"+0112233445566778899aabbccddeeff\"",
        "\"0011223344556677889900aabbccddeeff\"",
        "\"g0112233445566778899aabbccddeeff\"",
    ] {
        let text = with(&format!("[pending]\nsecret = {secret}"));
        assert_eq!(
            text,
            format!(
                "TOML parse error at line 9, column 10 (not shown, it may be secret)\n{expected}"
            )
        );
    }
    let kinds = ["11223344", "[\"11223344\"]", "11223344556677889900112233445566", "aa11223344"];
    for secret in kinds {
        let text = with(&format!("[pending]\nsecret = {secret}"));
        assert!(text.starts_with("TOML parse error at line 9, column "), "{text}");
        assert!(!text.contains("11223344"), "{text}");
    }
    let text = with("[pending]\nsecrets = \"00112233445566778899aabbccddeeff\"");
    assert!(text.contains("unknown field `secrets`") && !text.contains("1122"), "{text}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Config::load(Path::new("no/such.toml")).unwrap_err();
    assert!(matches!(error, Error::Read { .. }));
    let text = error.to_string();
    assert!(text.starts_with("can't read the configuration no/such.toml: No such file"), "{text}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("binary.toml");
    fs::write(&path, [0xff, 0xfe]).unwrap();
    let text = Config::load(&path).unwrap_err().to_string();
    assert!(text.contains("did not contain valid UTF-8"), "{text}");
}

#[test]
fn the_profiles_are_good() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dpdk-config");
    let mut profiles = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            Config::load(&path).unwrap();
            profiles += 1;
        }
    }
    assert_eq!(profiles, 6, "a profile came or went");
}

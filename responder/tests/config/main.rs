//! Configuration files: what is accepted, and what is said of those that are not.

mod default_file;
mod files;
mod said;

use std::fs;
use std::path::Path;

use otherhalf_engine::policy::Reply;
use otherhalf_engine::{Bogons, InterfaceId, LeastRequest, NextHop};
use otherhalf_responder::config::{Config, Error, LogFormat, LogTarget, keys, print};
use otherhalf_wire::ethernet::{Mac, VlanId};
use said::{NUMBERS, PORTS, ROUTES_AND_FLOWS};

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

[port.kernel]
interface = "k0"
driver = "vhost-net"
addresses = ["198.51.100.9"]
tcp = [22, 179]
udp = [3784]
multicast = true
frames_per_second = 500

[[port]]
device = "net_tap0,iface=dtap0,mac=02:00:00:00:00:02"
wait_s = 90

[[port.interface]]
addresses = ["203.0.113.2/24"]

[[route]]
to = "0.0.0.0/0"
via = "192.0.2.1"

[[route]]
to = "::/0"
via = "fe80::1"
interface = "uplink"
preference = 7

[pending]
entries = 5000
timeout_ms = 3000
secret = "00112233445566778899aabbccddeeff"

[reply]
path = "hairpin"
closed_ports = false

[requests]
bogons = "drop"
strict_source = true
max_amplification = 1.0
unpadded = ["192.0.2.0/24", "2001:db8::/32"]

[probe.icmp]
enabled = false

[probe.tcp]
flows = [80, "443", "8000-8099"]
default_flow = 443

[probe.udp]
flows = ["33434-33534"]
default_flow = 33434

[access]
allow = ["192.0.2.0/24", "2001:db8:1::/48"]
allow_files = ["allow.txt", "/etc/otherhalf/allow.txt"]
deny = ["192.0.2.77"]
deny_files = ["deny.txt"]

[opt_out]
prefixes = ["203.0.113.0/25"]
files = ["opt-out.txt"]

[indirect]
allow = ["192.0.2.0/25", "2001:db8:1:2::/64"]
allow_files = ["indirect.txt"]
deny = ["192.0.2.7"]
deny_files = ["/etc/otherhalf/not-indirect.txt"]
private_targets = true

[neighbours]
entries = 100
reachable_s = 5

[drain]
grace_ms = 2000
deadline_ms = 1000

[control]
socket = "/run/otherhalf/control.sock"
mode = "0600"
group = "operators"

[http]
listen = ["127.0.0.1:9469", "[::1]:9470"]

[log]
level = "warn,otherhalf_responder=debug"
format = "json"
target = "stderr"
"#;

/// What is needed at least; parts of it are put wrong.
const LEAST: &str = r#"
[[port]]
device = "net_null0"

[[port.interface]]
addresses = ["192.0.2.2/24", "2001:db8::2/64"]
"#;

/// Loads `text` from a file; the error, a line for each mistake, without the file's name.
fn load(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.toml");
    fs::write(&path, text).unwrap();
    Config::load(&path).map_err(|error| {
        let text = error.to_string();
        let prefix = format!("{}:", path.display());
        let lines = text.lines().map(|line| {
            line.strip_prefix(&prefix).unwrap_or_else(|| panic!("no file name: {text}"))
        });
        lines.collect::<Vec<_>>().join("\n")
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
    assert_eq!((pci.wait_s, tap.wait_s), (0, 90));
    assert_eq!(tap.device_name(), "net_tap0");
    assert_eq!(config.interface_names(), ["uplink", "0000:03:00.0.100", "net_tap0"]);
    assert_eq!(pci.interface[1].vlan, VlanId::new(100));
    assert_eq!((config.pending.entries, config.pending.timeout_ms), (5000, 3000));
    let secret = config.pending.secret.unwrap();
    assert_eq!(secret.0, [0x0011_2233_4455_6677, 0x8899_aabb_ccdd_eeff]);
    assert!(!format!("{config:?}").contains("4455"), "secrets are not shown");
    assert_eq!((config.neighbours.entries, config.neighbours.reachable_s), (100, 5));
    assert_eq!([config.route[0].preference, config.route[1].preference], [0, 7]);
    let listen: Vec<String> = config.http.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["127.0.0.1:9469", "[::1]:9470"]);
    assert_eq!(config.log.level.0, "warn,otherhalf_responder=debug");
    assert_eq!((config.log.format, config.log.target), (LogFormat::Json, LogTarget::Stderr));

    let prefixes = |prefixes: &[ipnet::IpNet]| {
        prefixes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(prefixes(&config.access.allow), "192.0.2.0/24 2001:db8:1::/48");
    assert_eq!(prefixes(&config.access.deny), "192.0.2.77/32");
    assert_eq!(prefixes(&config.opt_out.prefixes), "203.0.113.0/25");
    // In the folder of the configuration, but for a whole path.
    let [beside, whole] = &config.access.allow_files[..] else { panic!("two files") };
    assert!(beside.is_absolute() && beside.ends_with("allow.txt"), "{}", beside.display());
    assert_eq!(whole, Path::new("/etc/otherhalf/allow.txt"));
    assert!(config.access.deny_files[0].ends_with("deny.txt"));
    assert!(config.opt_out.files[0].ends_with("opt-out.txt"));
    let indirect = &config.indirect;
    assert_eq!(prefixes(&indirect.allow), "192.0.2.0/25 2001:db8:1:2::/64");
    assert_eq!(prefixes(&indirect.deny), "192.0.2.7/32");
    assert_eq!(indirect.allow_files, [beside.with_file_name("indirect.txt")]);
    assert_eq!(indirect.deny_files, [Path::new("/etc/otherhalf/not-indirect.txt")]);
    assert!(indirect.private_targets);

    let policy = config.policy().unwrap();
    assert_eq!(policy.reply, Reply::Hairpin);
    assert!(!policy.closed_ports);
    assert_eq!((policy.bogons, policy.strict_source), (Bogons::Drop, true));
    assert_eq!(policy.least_request, LeastRequest::at_most(100));
    let unpadded = |text: &str| policy.unpadded.get(text.parse().unwrap());
    assert_eq!(["192.0.2.9", "192.0.3.9", "2001:db8::1"].map(unpadded), [1, 0, 1]);
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
    assert!(!config.indirect.private_targets);
    let policy = config.policy().unwrap();
    assert!(policy.rate.is_some(), "a public responder is limited");
    assert_eq!(policy, otherhalf_engine::Policy { rate: policy.rate, ..Default::default() });
}

#[test]
fn keys_that_do_not_exist_are_refused_with_their_line() {
    assert_eq!(
        with("[workers]\ncpu = [1]"),
        "9:1: workers.cpu: there is no such key (did you mean cpus?)"
    );
    assert_eq!(
        with("[eal]\ncpus = [1]"),
        "9:1: eal.cpus: there is no such key (cpus is a key of [workers])"
    );
    assert_eq!(
        with("[[ruote]]\nto = \"::/0\""),
        "8:3: ruote: there is no such key (did you mean route?)"
    );
    // In each table there is.
    let tables = [
        ("", 2, "a file has "),
        ("[eal]", 3, "[eal] has control_cpus, extra, "),
        ("[workers]", 3, "[workers] has cpus, idle_sleep_us"),
        ("[pending]", 3, "[pending] has entries, secret, timeout_ms"),
        ("[reply]", 3, "[reply] has closed_ports, path"),
        ("[probe]", 3, "[probe] has check_identification, icmp, tcp, udp"),
        ("[probe.icmp]", 3, "[probe.icmp] has default_flow, enabled, flows"),
        ("[probe.tcp]", 3, "[probe.tcp] has default_flow, enabled, flows"),
        ("[probe.udp]", 3, "[probe.udp] has default_flow, enabled, flows"),
        ("[access]", 3, "[access] has allow, allow_files, deny, deny_files"),
        ("[opt_out]", 3, "[opt_out] has files, prefixes"),
        ("[indirect]", 3, "[indirect] has allow, allow_files, deny, deny_files, private_targets"),
        ("[neighbours]", 3, "[neighbours] has entries, reachable_s"),
        ("[requests]", 3, "[requests] has bogons, max_amplification, strict_source, unpadded"),
        ("[drain]", 3, "[drain] has deadline_ms, grace_ms"),
        ("[log]", 3, "[log] has format, level, target"),
        (
            "[[route]]\nto = \"::/0\"\nvia = \"2001:db8::1\"",
            5,
            "[[route]] has interface, preference, to, via",
        ),
    ];
    for (table, line, has) in tables {
        let text = match table {
            "" => error(&format!("\nnonsense = 1\n{LEAST}")),
            table => error(&format!("\n{table}\nnonsense = 1\n{LEAST}")),
        };
        assert!(text.starts_with(&format!("{line}:1: ")), "{text}");
        assert!(text.contains(&format!("nonsense: there is no such key ({has}")), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    let text = error("[[port]]\ndevice = \"a\"\nnonsense = 1\n[[port.interface]]\nnonsense = 2");
    assert_eq!(
        text.lines().map(|line| line.split_once(" (").unwrap().0).collect::<Vec<_>>(),
        [
            "3:1: port[0].nonsense: there is no such key",
            "4:1: port[0].interface[0].addresses: it is missing, and can't be left out",
            "5:1: port[0].interface[0].nonsense: there is no such key",
        ]
    );
}

#[test]
fn values_of_another_kind_are_refused_with_their_line() {
    let expected = [
        (
            "[eal]\nhuge_pages = 1",
            "14: eal.huge_pages: invalid type: integer `1` (huge_pages takes true or false)",
        ),
        (
            "[eal]\nmemory_mb = -1",
            "13: eal.memory_mb: invalid value: integer `-1` (memory_mb takes megabytes, 1 to 1048576)",
        ),
        (
            "[eal]\nextra = \"--x\"",
            "9: eal.extra: invalid type: string \"--x\" (extra takes a list of arguments, such as [\"--iova-mode=va\"])",
        ),
        (
            "[workers]\ncpus = [0, -1]",
            "12: workers.cpus[1]: invalid value: integer `-1` (cpus takes a list of CPU numbers, one for each worker)",
        ),
        (
            "[workers]\ncpus = 1",
            "8: workers.cpus: invalid type: integer `1` (cpus takes a list of CPU numbers, one for each worker)",
        ),
        (
            "[reply]\npath = \"best\"",
            "8: reply.path: unknown variant `best`, expected `route` or `hairpin` (path takes \"route\" or \"hairpin\")",
        ),
        (
            "[requests]\nbogons = \"no\"",
            "10: requests.bogons: unknown variant `no`, expected one of `public`, `drop`, `allow` (bogons takes \"public\", \"drop\" or \"allow\")",
        ),
        (
            "[pending]\nentries = \"many\"",
            "11: pending.entries: invalid type: string \"many\" (entries takes probes, 1 to 1073741824)",
        ),
        (
            "[indirect]\nprivate_targets = \"no\"",
            "19: indirect.private_targets: invalid type: string \"no\" (private_targets takes true or false)",
        ),
        (
            "[log]\nlevel = \"inf\"",
            "9: log.level: \"inf\" is no level of the log (\"inf\" is not known): error, warn, info, debug or trace",
        ),
        (
            "[eal]\nextra = [\n\"--x\",\n7]",
            "1: eal.extra[1]: invalid type: integer `7` (extra takes a list of arguments, such as [\"--iova-mode=va\"])",
        ),
    ];
    for (more, message) in expected {
        let line = more.matches('\n').count() + 8;
        assert_eq!(with(more), format!("{line}:{message}"));
    }
    let flows = [
        ("[\"a-b\"]", "\"a\" in \"a-b\" is no flow: they are 0 to 65535"),
        ("[\"9-8\"]", "the range \"9-8\" runs backwards"),
        ("[65536]", "65536 is no flow: they are 0 to 65535"),
        ("[-1]", "-1 is no flow: they are 0 to 65535"),
        (
            "[true]",
            "invalid type: boolean `true` (flows takes a list of numbers and ranges, 0 to 65535, such as [80, \"33434-33534\"])",
        ),
        ("[\"\"]", "\"\" in \"\" is no flow: they are 0 to 65535"),
    ];
    for (flows, message) in flows {
        let text = with(&format!("[probe.udp]\nflows = {flows}"));
        assert_eq!(text, format!("9:10: probe.udp.flows[0]: {message}"));
    }
    for vlan in ["0", "4095"] {
        assert_eq!(
            with(&format!("vlan = {vlan}")),
            format!("8:8: port[0].interface[0].vlan: {vlan} is no VLAN: they are 1 to 4094")
        );
    }
    assert_eq!(
        error("[[port]]\n[[port.interface]]\naddresses = [\"192.0.2.2/24\"]"),
        "1:1: port[0].device: it is missing, and can't be left out \
         (add device = \"net_tap0,iface=otherhalf0\")"
    );
    let text = error("[[port]]\ndevice = \"x\"\n[[port.interface]]\naddresses = [\"192.0.2.2\"]");
    assert!(
        text == "4:14: port[0].interface[0].addresses[0]: 192.0.2.2 lacks the length of its prefix: \
                 write it as 192.0.2.2/24",
        "{text}"
    );
}

#[test]
fn what_is_no_prefix_is_refused_with_its_place() {
    for (prefix, message) in [
        (
            "192.0.2.1/24",
            "has bits set behind its prefix length: write 192.0.2.0/24, or the length that was meant",
        ),
        (
            "2001:db8::/129",
            "has a length that is none: they are 0 to 128: a host is a prefix of the length 128",
        ),
        ("any", "is no prefix: write it as 192.0.2.0/24 or 2001:db8::/32; comments stand behind #"),
    ] {
        for (section, key) in [
            ("access", "allow"),
            ("access", "deny"),
            ("opt_out", "prefixes"),
            ("indirect", "allow"),
            ("indirect", "deny"),
        ] {
            let text = with(&format!("[{section}]\n{key} = [\"192.0.2.0/24\", {prefix:?}]"));
            let at = format!("9:{}", key.len() + 21);
            assert_eq!(text, format!("{at}: {section}.{key}[1]: {prefix:?} {message}"));
        }
    }
}

#[test]
fn sections_are_sections() {
    assert_eq!(
        with("[workers.cpus]\nx = 1").lines().next(),
        Some(
            "8:1: workers.cpus: invalid type: map (cpus takes a list of CPU numbers, one for each worker)"
        )
    );
    assert_eq!(
        error("eal = 1\n[port]\ndevice = \"net_null0\""),
        "1:7: eal: it is a section, not a integer (write [eal] on a line of its own, and its keys below)\n\
         2:1: port: there may be several of it, not a table (write [[port]] on a line of its own, and its keys below)"
    );
}

#[test]
fn what_is_no_toml_is_told_where_it_is() {
    // After a value that is none, all else is as it seems.
    assert_eq!(
        with("[eal]\nmemory_mb = 5oo\nhuge_page = true\n[drain]\ngrace_ms = yes"),
        "9:13: string values must be quoted, expected literal string (a text stands in quotes; numbers, true and false do not, and have no unit)\n\
         10:1: eal.huge_page: there is no such key (did you mean huge_pages?)\n\
         12:12: string values must be quoted, expected literal string (a text stands in quotes; numbers, true and false do not, and have no unit)"
    );
    // After a bracket or quote that is not closed, nothing is.
    for (broken, message) in [
        ("[eal\nmemory_mb = -1", "9:5: unclosed table, expected `]`"),
        (
            "[eal]\nextra = [\nmemory_mb = -1\nx = 1\n[drain]\n",
            "11:1: string values must be quoted, expected literal string",
        ),
        ("[eal]\nextra = [\"a]\nmemory_mb = -1", "invalid basic string, expected `\"`"),
    ] {
        let text = error(&format!("huge = 1\n{LEAST}\n{broken}"));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].starts_with("1:1: huge: there is no such key "), "{text}");
        assert!(lines[1].contains(message), "{text}");
    }
}

#[test]
fn what_does_not_fit_together_is_said_where_it_is() {
    for (more, text) in [NUMBERS, PORTS, ROUTES_AND_FLOWS].into_iter().flatten() {
        let said = with(more);
        let (_, said) = said.split_once(": ").unwrap();
        assert_eq!(said, *text);
    }
    assert_eq!(
        error(""),
        "1:1: port: there is none, and a responder needs one (add [[port]] with its device and a [[port.interface]])"
    );
}

/// Every kind of mistake in one file; beside it, what `check-config` says.
#[test]
fn all_mistakes_are_told_at_once() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/mistakes");
    for name in ["many", "syntax", "values"] {
        let file = format!("{name}.toml");
        let text = fs::read_to_string(folder.join(&file)).unwrap();
        let Error::Wrong { report, mistakes, .. } =
            Config::parse(&text, Path::new(&file)).unwrap_err()
        else {
            panic!("{file} is not read")
        };
        let expected = fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
        assert!(report == expected, "{file}:\n{report}");
        let places: Vec<_> =
            mistakes.iter().map(|mistake| (mistake.line, mistake.column)).collect();
        assert!(places.is_sorted(), "{places:?}");
        assert!(!report.contains("00112233"), "secrets are not shown");
    }
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

/// All that is said of `text`, lines and all.
fn report(text: &str) -> String {
    match Config::parse(text, Path::new("a.toml")).unwrap_err() {
        Error::Wrong { report, .. } => report,
        error @ Error::Read { .. } => panic!("{error}"),
    }
}

#[test]
fn a_secret_is_not_shown_however_wrong_it_is() {
    let expected =
        "pending.secret: a secret has 32 hexadecimal digits: make one with `openssl rand -hex 16`";
    for secret in [
        "\"0011223344556677\"",
        "\"+0112233445566778899aabbccddeeff\"",
        "\"0011223344556677889900aabbccddeeff\"",
        "\"g0112233445566778899aabbccddeeff\"",
    ] {
        let text = report(&format!("{LEAST}\n[pending]\nsecret = {secret}"));
        let (said, note) = text.split_once("\n = note: ").unwrap();
        assert_eq!(said, format!("error: {expected}\n--> a.toml:9:10"));
        assert!(note.starts_with("the line is not shown, it may be secret\n"), "{text}");
    }
    // Of another type, or where the file can't be read: not even then.
    for secret in [
        "11223344",
        "[\"11223344\"]",
        "[\n\"11223344\"]",
        "11223344556677889900112233445566",
        "aa11223344",
        "\"\"\"\n11223344\n",
        "\"\"\"\n11223344\nb = 1",
        "[\n11223344\n[eal\n",
        "'11223344",
    ] {
        let text = report(&format!("{LEAST}\n[pending]\nsecret = {secret}"));
        assert!(text.contains("the line is not shown, it may be secret"), "{text}");
        assert!(!text.contains("11223344"), "{text}");
    }
    // Under another name, or in another place.
    for line in [
        "[pending]\nscret = \"00112233445566778899aabbccddeeff\"",
        "[pending]\nsecr]et = \"00112233445566778899aabbccddeeff\"",
        "[pending]\nentries = \"00112233445566778899aabbccddeeff\"",
        "[probe.udp]\nflows = [\"00112233445566778899aabbccddeeff\"]",
        "[pending] = \"00112233445566778899aabbccddeeff\"",
    ] {
        let text = report(&format!("{LEAST}\n{line}"));
        assert!(text.contains("the line is not shown, it may be secret"), "{text}");
        assert!(!text.contains("00112233"), "{text}");
        assert!(!error(&format!("{LEAST}\n{line}")).contains("00112233"), "{text}");
    }
    let text = report("[pending]\nsecrets = \"00112233445566778899aabbccddeeff\"");
    assert!(text.contains("pending.secrets: there is no such key"), "{text}");
    assert!(text.contains("did you mean secret?") && !text.contains("1122"), "{text}");
}

#[test]
fn what_is_in_effect_is_read_again_as_it_is() {
    for text in [FULL, LEAST] {
        let config = load(text).unwrap();
        let printed = print::print(&config).unwrap();
        let mut again = load(&printed).unwrap_or_else(|error| panic!("{error}\n{printed}"));
        assert!(again.pending.secret.is_none() && !printed.contains("00112233"), "{printed}");
        assert_eq!(
            printed.contains("# secret: it is set, and not shown\n"),
            config.pending.secret.is_some()
        );
        again.pending.secret = config.pending.secret;
        assert_eq!(again, config, "{printed}");
        // Every key is there: those with a value, the others in comments.
        for key in keys::sections().iter().flat_map(|section| &section.keys) {
            let section = key.path.rsplit_once('.').unwrap().0;
            let header = keys::section(section).unwrap().header();
            let named = |line: &str| line.trim_start_matches("# ").starts_with(key.name());
            assert!(!printed.contains(&header) || printed.lines().any(named), "{}", key.path);
        }
    }
}

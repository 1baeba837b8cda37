//! The topology format, without building anything.

use std::path::{Path, PathBuf};

use otherhalf_lab::{Family, Kind, Topology};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lab")
}

fn refusal(text: &str) -> String {
    Topology::parse(text, Path::new("test.toml")).expect_err("this topology is wrong").to_string()
}

const TWO_NODES: &str = r#"
[[node]]
name = "a"
kind = "host"
v4 = "192.0.2.1"
v6 = "2001:db8::1"

[[node]]
name = "b"
kind = "host"
v4 = "192.0.2.2"
v6 = "2001:db8::2"
"#;

#[test]
fn every_file_of_the_lab_is_sound() {
    let mut files = 0;
    for entry in folder().read_dir().unwrap() {
        let topology = Topology::read(entry.unwrap().path()).unwrap();
        topology.check().unwrap();
        let www = topology.node("www").unwrap();
        assert_eq!(www.kind, Kind::Responder);
        assert_eq!(www.display_name(), "www.example.com");
        assert_eq!(www.address(Family::V4).to_string(), "192.0.2.80");
        assert_eq!(www.address(Family::V6).to_string(), "2001:db8:b::80");
        files += 1;
    }
    assert_eq!(files, 7);
}

#[test]
fn a_mistake_is_told_with_its_line() {
    let unknown_key = refusal(&TWO_NODES.replacen("kind", "colour = 1\nkind", 1));
    assert!(unknown_key.contains("line 4") && unknown_key.contains("colour"), "{unknown_key}");
    let bad_address = refusal(&TWO_NODES.replace("192.0.2.2", "192.0.2.256"));
    assert!(bad_address.contains("line 11"), "{bad_address}");
    let route = refusal(&format!("{TWO_NODES}routes = {{ default = \"a\" }}\n"));
    assert!(route.contains("line 8") && route.contains("no link"), "{route}");
    let link = refusal(&format!("{TWO_NODES}\n[[link]]\nbetween = [\"a\", \"c\"]\n"));
    assert!(link.contains("line 14") && link.contains("no node c"), "{link}");
}

#[test]
fn contradictions_are_refused() {
    let link = |rest: &str| format!("{TWO_NODES}\n[[link]]\nbetween = [\"a\", \"b\"]\n{rest}");
    for (text, reason) in [
        (TWO_NODES.replace("\"b\"", "\"a\""), "two nodes named a"),
        (TWO_NODES.replace("192.0.2.2", "192.0.2.1"), "share an address"),
        (TWO_NODES.replace("\"b\"", "\"a name too long\""), "a node's name is"),
        (TWO_NODES.replacen("host", "responder", 1), "a responder has one link"),
        (format!("{TWO_NODES}filter = [{{ protocol = \"udp\", to = \"a\" }}]\n"), "only a router"),
        (link("vlan = 4095\n"), "1 to 4094"),
        (link("subnets = [\"192.0.2.0/31\"]\n"), "192.0.2.2 of b is not in"),
        (link("[[link]]\nbetween = [\"b\", \"a\"]\n"), "one link between two nodes"),
        (link("").replacen("host", "responder", 1), "needs an IPv4 and an IPv6 subnet"),
        (
            link("").replace("between = [\"a\", \"b\"]", "between = [\"a\", \"a\"]"),
            "two different nodes",
        ),
        (format!("{TWO_NODES}routes = {{ nowhere = \"a\" }}\n"), "not to \"nowhere\""),
        (format!("{TWO_NODES}routes = {{ default = [] }}\n"), "via nobody"),
        (format!("{TWO_NODES}routes = {{ default = [\"c\"] }}\n"), "goes via \"c\", which no link"),
        (format!("{TWO_NODES}masquerade = \"a\"\n"), "masquerades towards \"a\", which no link"),
    ] {
        let refusal = refusal(&text);
        assert!(refusal.contains(reason), "{refusal:?} does not say {reason:?}");
    }
}

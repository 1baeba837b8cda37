use std::fmt::Write as _;
use std::fs;

use super::*;

/// The configuration of `text` behind the least that is one, in a folder with `files`.
fn config(text: &str, files: &[(&str, &str)]) -> (tempfile::TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let least =
        "[[port]]\ndevice = \"net_null0\"\n[[port.interface]]\naddresses = [\"192.0.2.2/24\"]\n";
    let path = folder.path().join("otherhalfd.toml");
    let config = Config::parse(&format!("{least}{text}"), &path).unwrap();
    (folder, config)
}

/// Who may ask and who is probed, as workers have it.
fn access(lists: &Lists, config: &Config) -> Option<Arc<Access>> {
    lists.policy(config).unwrap().access
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn without_lists_there_is_nothing_to_look_at() {
    let (_folder, config) = config("", &[]);
    let lists = Lists::load(&config).unwrap();
    assert!(lists.access.is_empty() && lists.opt_out.is_empty() && lists.indirect.is_empty());
    let policy = lists.policy(&config).unwrap();
    assert!(policy.access.is_none() && policy.indirect.is_none());
    let sources = Sources::read(&config).unwrap();
    assert!(sources.deciding(Purpose::Access, ip("192.0.2.1")).is_none());
}

#[test]
fn keys_and_files_are_one_list_and_the_longest_prefix_decides() {
    let text = "[access]\ndeny = [\"198.51.100.0/24\"]\ndeny_files = [\"bad\", \"worse\"]\nallow_files = [\"good\"]\n\
        allow = [\"203.0.113.0/24\"]\n[opt_out]\nprefixes = [\"2001:db8:7::/48\", \"192.0.2.7\"]\n";
    let files = [
        ("bad", "# all of it\n::/0\n\n203.0.113.0/25\n"),
        ("worse", "203.0.113.0/24 # as allowed\n203.0.113.0/25\n"),
        ("good", "198.51.100.64/26\n2001:db8::/32\n"),
    ];
    let (folder, config) = config(text, &files);
    let sources = Sources::read(&config).unwrap();
    let lists = sources.lists();
    assert_eq!((lists.access.len(), lists.opt_out.len()), (6, 2));
    let workers = access(&lists, &config).unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    for (address, prefix, place) in [
        ("198.51.100.1", "198.51.100.0/24", "access.deny[0]".to_owned()),
        (
            "198.51.100.65",
            "198.51.100.64/26",
            format!("{}:1 (access.allow_files[0])", file("good")),
        ),
        ("203.0.113.1", "203.0.113.0/25", format!("{}:4 (access.deny_files[0])", file("bad"))),
        ("203.0.113.200", "203.0.113.0/24", format!("{}:1 (access.deny_files[1])", file("worse"))),
        ("2001:db8::1", "2001:db8::/32", format!("{}:2 (access.allow_files[0])", file("good"))),
        ("2001:db9::1", "::/0", format!("{}:2 (access.deny_files[0])", file("bad"))),
    ] {
        let found = sources.deciding(Purpose::Access, ip(address)).unwrap();
        assert_eq!(
            (found.prefix.to_string().as_str(), &found.place),
            (prefix, &place),
            "{address}"
        );
        assert_eq!(found.denied, workers.denies(ip(address)), "{address}");
        assert_eq!(found.denied, place.contains("deny"), "{address}");
    }
    let found = sources.deciding(Purpose::OptOut, ip("192.0.2.7")).unwrap();
    assert_eq!((found.place.as_str(), found.denied), ("opt_out.prefixes[1]", true));
    assert!(workers.spares(ip("2001:db8:7::9")));
    assert!(!workers.spares(ip("192.0.2.8")));
}

#[test]
fn nobody_may_have_others_traced_whom_no_prefix_allows() {
    let indirect = |text: &str| {
        let files = [("friends", "203.0.113.0/24 # ours\n"), ("none", "# of them\n")];
        let (_folder, config) = config(&format!("[indirect]\n{text}"), &files);
        let lists = Lists::load(&config).unwrap();
        (lists.indirect.len(), lists.policy(&config).unwrap().indirect, lists)
    };
    for text in [
        "",
        "private_targets = true",
        "deny = [\"192.0.2.0/24\"]",
        "allow_files = [\"none\"]",
        // The denial decides.
        "allow = [\"192.0.2.0/24\"]\ndeny = [\"192.0.2.0/24\"]",
    ] {
        assert!(indirect(text).1.is_none(), "{text}");
    }
    let text = "allow_files = [\"friends\"]\nallow = [\"2001:db8::/32\"]\ndeny = [\"203.0.113.7\"]";
    let (len, workers, lists) = indirect(text);
    let expected = |private| {
        let prefixes =
            [("203.0.113.0/24", ALLOW), ("2001:db8::/32", ALLOW), ("203.0.113.7/32", DENY)];
        let prefixes = prefixes.map(|(prefix, value)| (prefix.parse().unwrap(), value));
        Arc::new(Indirect::new(prefixes, private))
    };
    assert_eq!((len, workers), (3, Some(expected(false))));
    assert!(lists.bytes() > 0);
    let (_, workers, with_private) = indirect(&format!("{text}\nprivate_targets = true"));
    assert_eq!(workers, Some(expected(true)));
    // That is no difference of lists, and yet another policy.
    assert_eq!(with_private.differences(&lists), []);
    assert_ne!(with_private, lists);
}

/// What is the same stays the very same memory, each part for itself.
#[test]
fn what_workers_have_in_their_caches_stays_there() {
    let load = |text: &str| {
        let (_folder, config) = config(text, &[]);
        let lists = Lists::load(&config).unwrap();
        (lists, config)
    };
    let text = "[access]\ndeny = [\"192.0.2.0/24\"]\n[indirect]\nallow = [\"203.0.113.0/24\"]\n";
    let (old, config) = load(text);
    let before = old.policy(&config).unwrap();
    for (text, same) in [
        (text.to_owned(), [true, true]),
        (text.replace("192.0.2.0/24", "192.0.3.0/24"), [false, true]),
        (text.replace("203.0.113.0/24", "203.0.113.0/25"), [true, false]),
        (format!("{text}private_targets = true\n"), [true, false]),
    ] {
        let (mut new, config) = load(&text);
        let meant = new.policy(&config).unwrap();
        new.keep(&old);
        let kept = new.policy(&config).unwrap();
        assert_eq!(kept, meant, "{text}");
        let is_same = [
            Arc::ptr_eq(&kept.access.unwrap(), before.access.as_ref().unwrap()),
            Arc::ptr_eq(&kept.indirect.unwrap(), before.indirect.as_ref().unwrap()),
        ];
        assert_eq!(is_same, same, "{text}");
    }
}

#[test]
fn all_mistakes_of_all_files_are_told() {
    let text =
        "[access]\ndeny_files = [\"a\", \"b\"]\n[opt_out]\nfiles = [\"missing\", \"/dev/zero\"]\n";
    let (folder, config) =
        config(text, &[("a", "192.0.2.1/24\n192.0.2.0/24\nx\n"), ("b", "192.0.2.0/33\n")]);
    let told = Lists::load(&config).unwrap_err().to_string();
    let folder = folder.path().display();
    let expected = format!(
        "{folder}/a:1: \"192.0.2.1/24\" has bits set behind its prefix length (write 192.0.2.0/24, or the length that was meant)\n\
        {folder}/a:3: \"x\" is no prefix (write it as 192.0.2.0/24 or 2001:db8::/32; comments stand behind #)\n\
        {folder}/b:1: \"192.0.2.0/33\" has a length that is none: they are 0 to 32 (a host is a prefix of the length 32)\n\
        {folder}/missing: can't read the list of prefixes: No such file or directory (os error 2)\n\
        /dev/zero: can't read the list of prefixes: it is no regular file: give the path of a list of prefixes"
    );
    assert_eq!(told, expected);
}

#[test]
fn mistakes_have_a_bounded_number() {
    let text = "[access]\ndeny_files = [\"a\", \"b\", \"missing\"]\n";
    let (_folder, config) = config(text, &[("a", &"x\n".repeat(70)), ("b", &"y\n".repeat(1000))]);
    let error = Lists::load(&config).unwrap_err();
    assert_eq!((error.mistakes.len(), error.more), (100, 971));
    assert!(
        error.to_string().ends_with("there are 971 mistakes more: are these lists of prefixes?")
    );
}

#[test]
fn what_came_and_what_went() {
    let list = |text: &str| {
        let (_folder, config) = config("[access]\ndeny_files = [\"a\"]\n", &[("a", text)]);
        Lists::load(&config).unwrap()
    };
    let old = list("192.0.2.0/24\n198.51.100.0/24\n2001:db8::/32\n");
    // In another order, and twice: the same.
    let same = list("2001:db8::/32\n198.51.100.0/24 # why\n192.0.2.0/24\n192.0.2.0/24\n");
    assert_eq!(same.differences(&old), []);
    assert_eq!(same, old);
    let new = list("192.0.2.0/25\n192.0.2.0/24\n203.0.113.0/24\n");
    let expected = Difference { came: 2, went: 2 };
    assert_eq!(new.differences(&old), [(Purpose::Access, expected)]);
    let none = Lists::default();
    assert_eq!(none.differences(&old), [(Purpose::Access, Difference { came: 0, went: 3 })]);
    let allowed = {
        let (_folder, config) = config("[access]\nallow = [\"192.0.2.0/24\"]\n", &[]);
        Lists::load(&config).unwrap()
    };
    let denied = list("192.0.2.0/24\n");
    let turned = [(Purpose::Access, Difference { came: 1, went: 1 })];
    assert_eq!(allowed.differences(&denied), turned);
    let (_folder, config) = config("[indirect]\nallow = [\"192.0.2.0/24\"]\n", &[]);
    let came = [(Purpose::Indirect, Difference { came: 1, went: 0 })];
    assert_eq!(Lists::load(&config).unwrap().differences(&none), came);
}

/// Not timed here: how long it takes stands in docs/adr/0031, measured. What is shown is that it works at that size.
#[test]
fn a_hundred_thousand_prefixes_of_both_families() {
    let mut text = String::new();
    for n in 0..50_000 {
        writeln!(text, "10.{}.{}.{}/32\n2001:db8:{:x}::/48", n >> 16, n >> 8 & 255, n & 255, n)
            .unwrap();
    }
    let (_folder, config) = config("[access]\ndeny_files = [\"a\"]\n", &[("a", &text)]);
    let lists = Lists::load(&config).unwrap();
    assert_eq!(lists.access.len(), 100_000);
    let workers = access(&lists, &config).unwrap();
    assert!(workers.denies(ip("10.0.195.79")));
    assert!(!workers.denies(ip("10.0.195.80")));
    assert!(workers.denies(ip("2001:db8:c34f::1")));
    assert!(!workers.denies(ip("2001:db8:c350::1")));
}

//! Files that are read, are none, or are the wrong ones.

use std::fs;
use std::path::Path;

use otherhalf_responder::config::{Config, Error};

use super::LEAST;

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
fn what_is_no_small_file_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    let mode = rustix::fs::Mode::from(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).unwrap();
    let huge = folder.path().join("huge");
    fs::File::create(&huge).unwrap().set_len(1 << 40).unwrap();
    for (path, said) in [
        (fifo.as_path(), "it is no regular file: give the path of a TOML file"),
        (Path::new("/dev/zero"), "it is no regular file: give the path of a TOML file"),
        (folder.path(), "it is a folder: give the path of a TOML file"),
        (
            huge.as_path(),
            "it is larger than 256 KiB, which no TOML file may be: is it the right file?",
        ),
    ] {
        let error = Config::load(path).unwrap_err().to_string();
        assert_eq!(error, format!("can't read the configuration {}: {said}", path.display()));
    }
}

/// Files as large as are taken, of nothing but mistakes: said of the first hundred, and not in hours.
#[test]
fn the_wrong_file_is_soon_said_to_be_it() {
    let fill = |text: &dyn Fn(usize) -> String| {
        let mut file = String::new();
        for n in 0.. {
            let more = text(n);
            if file.len() + more.len() > 256 << 10 {
                break;
            }
            file += &more;
        }
        file
    };
    let files = [
        fill(&|n| format!("k{n} = 1\n")),
        fill(&|n| format!("{n}\n")),
        fill(&|n| format!("x{n} = y\n")),
        fill(&|_| "[".to_owned()),
        fill(&|n| format!("[[port]]\ndevice = \"d{n}\"\n")),
        fill(&|n| {
            format!(
                "[[route]]\nto = \"10.{}.{}.0/24\"\nvia = \"192.0.2.1\"\n",
                n / 256 % 256,
                n % 256
            )
        }),
        format!("[workers]\ncpus = [{}]", fill(&|_| "-1,".to_owned())),
        format!(
            "{LEAST}{}",
            fill(&|n| format!("[[route]]\nto = \"fd00:{n:x}::/32\"\nvia = \"fe80::1\"\n"))
        ),
    ];
    for file in &files {
        let Error::Wrong { report, mistakes, .. } =
            Config::parse(file, Path::new("a.toml")).unwrap_err()
        else {
            panic!("it is not read")
        };
        assert!(!mistakes.is_empty() && mistakes.len() <= 101, "{}", mistakes.len());
        assert!(report.len() < 100_000, "{}", report.len());
    }
}

#[test]
fn the_profiles_are_good() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dpdk-config");
    let page = fs::read_to_string(folder.join("README.md")).unwrap();
    let mut profiles = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            Config::load(&path).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(page.contains(&format!("| `{name}` |")), "README.md has no row for {name}");
            profiles += 1;
        }
    }
    assert!(profiles > 10, "{profiles}: profiles went");
}

//! Replays what fuzzers found worth keeping. A panic anywhere fails the test, which names the input.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use otherhalf_fuzz::TARGETS;

fn kept(what: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(what)
}

#[test]
fn the_corpus_finds_nothing() {
    for (target, run) in TARGETS {
        let archive = kept("corpus").join(target).with_extension("tar.gz");
        let file = File::open(&archive).unwrap_or_else(|error| panic!("{target}: {error}"));
        let mut replayed = 0;
        for entry in tar::Archive::new(GzDecoder::new(file)).entries().unwrap() {
            let mut entry = entry.unwrap();
            if !entry.header().entry_type().is_file() {
                continue;
            }
            // Shown if the run panics.
            println!("{target}: {}", entry.path().unwrap().display());
            let mut octets = Vec::new();
            entry.read_to_end(&mut octets).unwrap();
            run(&octets);
            replayed += 1;
        }
        assert!(replayed > 0, "{target} has no corpus");
    }
}

#[test]
fn what_was_once_found_is_mended() {
    for (target, run) in TARGETS {
        let Ok(files) = fs::read_dir(kept("crashes").join(target)) else { continue };
        for file in files {
            let path = file.unwrap().path();
            println!("{}", path.display());
            run(&fs::read(&path).unwrap());
        }
    }
}

#[test]
fn each_target_has_its_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    let mut programs: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    programs.sort();
    assert_eq!(programs, TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
}

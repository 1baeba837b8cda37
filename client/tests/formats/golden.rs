//! Fixed documents in every format, compared with files to the octet.
//!
//! `BLESS=1 cargo test -p otherhalf-client --test formats` writes the files anew; read the difference before you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use otherhalf_client::{Document, Format, document, formats};

/// The folder of the documents, and beside it those of what they become.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats").join(name)
}

/// Each fixed document by its name.
pub(crate) fn documents() -> Vec<(String, String)> {
    let mut found: Vec<_> = fs::read_dir(folder("documents"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|file| {
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(file).unwrap())
        })
        .collect();
    found.sort();
    assert_eq!(found.len(), 8, "a document came or went");
    found
}

/// The formats whose octets are fixed: a document has no packets, and pictures have tests of their own.
const FIXED: [Format; 7] = [
    Format::Json,
    Format::Atlas,
    Format::Scamper,
    Format::Mtr,
    Format::Trippy,
    Format::HsaNet,
    Format::Csv,
];

fn golden(name: &str, format: Format) -> PathBuf {
    let extension = match format {
        Format::Csv => "csv",
        Format::Scamper => "jsonl",
        _ => "json",
    };
    folder("golden").join(format!("{name}.{format}.{extension}"))
}

#[test]
fn every_document_in_every_format() {
    let bless = std::env::var_os("BLESS").is_some();
    for (name, text) in documents() {
        let document = document::read(&text).unwrap();
        for format in FIXED {
            let written = format.render(&document, None).unwrap();
            let file = golden(&name, format);
            if bless {
                fs::write(&file, &written).unwrap();
            }
            let wanted = fs::read(&file).unwrap_or_default();
            assert!(
                wanted == written,
                "{} is not what is written:\n{}",
                file.display(),
                String::from_utf8_lossy(&written)
            );
        }
    }
}

#[test]
fn our_own_format_is_read_again() {
    for (name, text) in documents() {
        let document: Document = document::read(&text).unwrap();
        let written = Format::Json.render(&document, None).unwrap();
        let again = document::read(std::str::from_utf8(&written).unwrap()).unwrap();
        assert_eq!(again, document, "{name}");
    }
}

#[test]
fn a_saved_trace_has_no_packets() {
    let (_, text) = documents().swap_remove(0);
    let document = document::read(&text).unwrap();
    let refused = Format::Pcap.render(&document, None);
    assert!(matches!(refused, Err(formats::Error::NoPackets)));
}

#[test]
fn pictures_are_formats_too() {
    let (_, text) = documents().swap_remove(0);
    let document = document::read(&text).unwrap();
    for (format, begin) in
        [(Format::Dot, "digraph"), (Format::Svg, "<?xml"), (Format::Html, "<!DOCTYPE html>")]
    {
        let written = String::from_utf8(format.render(&document, None).unwrap()).unwrap();
        assert!(written.trim_start().starts_with(begin), "{written}");
    }
}

#[test]
fn names() {
    for format in Format::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    let error = "warts".parse::<Format>().unwrap_err().to_string();
    assert_eq!(
        error,
        "the formats are json, atlas, scamper, mtr, trippy, hsanet, csv, dot, svg, html, pcap"
    );
}

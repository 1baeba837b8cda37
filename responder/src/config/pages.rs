//! Pages about the configuration, made from the commented default file: docs/configuration.md and otherhalfd.toml(5).

use std::fmt::Write;

use roff::{Roff, bold, italic, roman};

use super::keys::{self, Absent, Change, Key, Section};

const INTRODUCTION: &str = "otherhalfd reads one TOML file, which --config names. Every key that is unknown and every value that does not fit is an \
error: `otherhalfd check-config --config FILE` tells all of them, with line, column and a hint, and starts nothing. \
`otherhalfd print-config` shows the values in effect, `otherhalfd explain` what would happen to a request from an address and which key decides.";

const CHANGES: &str = "A change is taken up either by a reload (SIGHUP, or `otherhalfctl reload`), without a lost packet, or at the next start; a \
reload names the keys that changed and wait for that. A file that is wrong changes nothing.";

/// What a key is if it is left out.
fn default(key: &Key) -> String {
    match &key.absent {
        Absent::Value => format!("`{}`", key.shown),
        Absent::Words(words) => words.clone(),
        Absent::Wrong => "none, it must be there".to_owned(),
    }
}

const fn change(key: &Key) -> &'static str {
    match key.change {
        Change::Reload => "by a reload",
        Change::Restart => "at the next start",
    }
}

/// docs/configuration.md.
#[must_use]
pub fn markdown() -> String {
    let mut text = format!(
        "# The configuration of otherhalfd\n\n\
         <!-- otherhalfd generate reference > docs/configuration.md -->\n\n\
         {INTRODUCTION}\n\n{CHANGES}\n\n\
         A file to begin with, with every key and its default: `otherhalfd generate config`.\n\
         Whole files for kinds of ports: [dpdk-config](../dpdk-config/README.md).\n\n"
    );
    // Writing to a String cannot fail.
    for Section { path, .. } in keys::sections() {
        let anchor = path.replace('.', "");
        let _ = writeln!(text, "- [{path}](#{anchor})");
    }
    for section in keys::sections() {
        let _ =
            write!(text, "\n## {}\n\n`{}`: {}\n", section.path, section.header(), section.about);
        if section.keys.is_empty() {
            continue;
        }
        let _ = write!(
            text,
            "\n| key | what it is | value | default | change |\n|---|---|---|---|---|\n"
        );
        for key in &section.keys {
            let (name, about, value) = (key.name(), &key.about, &key.value);
            let (default, change) = (default(key), change(key));
            let row = format!("| `{name}` | {about} | {value} | {default} | {change} |");
            let _ = writeln!(text, "{row}");
        }
    }
    text
}

/// otherhalfd.toml(5), for version `version`.
#[must_use]
pub fn manual(version: &str) -> String {
    let mut page = Roff::new();
    page.control(
        "TH",
        ["otherhalfd.toml", "5", "", &format!("otherhalfd {version}"), "File formats"],
    );
    page.control("SH", ["NAME"]);
    page.text([roman(
        "otherhalfd.toml - configuration of the reverse traceroute responder otherhalfd",
    )]);
    page.control("SH", ["DESCRIPTION"]);
    for paragraph in [INTRODUCTION, CHANGES] {
        page.text([roman(paragraph.replace('`', ""))]);
        page.control("PP", []);
    }
    for section in keys::sections() {
        page.control("SH", [section.header().as_str()]);
        page.text([roman(section.about.as_str())]);
        for key in &section.keys {
            page.control("TP", []);
            page.text([bold(key.name())]);
            page.text([roman(key.about.as_str())]);
            page.control("RS", []);
            for (name, value) in [
                ("Value", key.value.clone()),
                ("Default", default(key).replace('`', "")),
                ("Change", change(key).to_owned()),
            ] {
                page.control("br", []);
                page.text([italic(name), roman(format!(": {value}"))]);
            }
            page.control("RE", []);
        }
    }
    page.control("SH", ["FILES"]);
    page.text([italic("/etc/otherhalf/otherhalfd.toml"), roman(" where the package puts it")]);
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("otherhalfd"), roman("(8), "), bold("otherhalfctl"), roman("(1)")]);
    page.to_roff()
}

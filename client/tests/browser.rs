//! Pages and pictures in headless Chromium, in a network namespace of its own. Needs root and chromium; fails without.

use std::fs;
use std::path::Path;
use std::process::Command;

use otherhalf_client::{document, picture, report};
use tempfile::TempDir;

/// The picture of `page` as a PNG file, with a scheme of Chromium's (0 is dark, 1 light).
fn screenshot(folder: &Path, page: &Path, scheme: u8) -> Vec<u8> {
    let file = folder.join(format!("scheme{scheme}.png"));
    let mut command = Command::new("timeout");
    command.args([
        "60",
        "unshare",
        "-n",
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
    ]);
    command.arg(format!("--user-data-dir={}", folder.join("profile").display()));
    command.args(["--hide-scrollbars", "--window-size=1700,1500"]);
    command.arg(format!("--blink-settings=preferredColorScheme={scheme}"));
    command.arg(format!("--screenshot={}", file.display()));
    let output = command.arg(page).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    fs::read(&file).unwrap_or_else(|error| panic!("no screenshot: {error}: {said}"))
}

#[test]
fn pages_are_drawn_on_light_and_on_dark() {
    let saved = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/saved/multipath.json");
    let document = document::read(&fs::read_to_string(saved).unwrap()).unwrap();
    let folder = TempDir::new().unwrap();
    for (name, text) in [
        ("picture.svg", picture::svg(&document)),
        ("picture.html", picture::html(&document)),
        ("report.html", report::html(std::slice::from_ref(&document))),
    ] {
        let page = folder.path().join(name);
        fs::write(&page, text).unwrap();
        let [dark, light] = [0, 1].map(|scheme| screenshot(folder.path(), &page, scheme));
        for image in [&dark, &light] {
            assert_eq!(&image[1..4], b"PNG", "{name}");
            // A blank page of this size is a few kilobytes; this many lines and letters are not.
            assert!(image.len() > 60_000, "{name}: {} octets", image.len());
        }
        assert_ne!(dark, light, "{name}");
    }
}

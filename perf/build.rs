//! Builds the floor as a responder on a port (`yardstick/responder.c`): a C program that is measured
//! beside otherhalfd, compiled and linked as pkg-config says for a C program on DPDK.

use std::env;
use std::path::PathBuf;
use std::process::{Command, exit};

const FOLDER: &str = "yardstick";
const PROGRAM: &str = "otherhalf-floor";

fn main() {
    println!("cargo:rerun-if-changed={FOLDER}");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join(PROGRAM);
    let mut build = cc::Build::new();
    build.opt_level(3).warnings(true);
    let mut compiler = build.get_compiler().to_command();
    compiler.args(pkg_config("--cflags"));
    for source in ["responder.c", "floor.c"] {
        compiler.arg(format!("{FOLDER}/{source}"));
    }
    compiler.arg("-o").arg(&out).args(pkg_config("--libs"));
    match compiler.status() {
        Ok(status) if status.success() => {}
        Ok(status) => fail(&format!("the C compiler ended with {status}: its own words are above")),
        Err(error) => fail(&format!("can't run the C compiler: {error}")),
    }
    println!("cargo:rustc-env=OTHERHALF_FLOOR={}", out.display());
}

/// What pkg-config says of libdpdk.
fn pkg_config(question: &str) -> Vec<String> {
    match Command::new("pkg-config").args([question, "libdpdk"]).output() {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect()
        }
        Ok(output) => fail(&String::from_utf8_lossy(&output.stderr)),
        Err(error) => fail(&format!("can't run pkg-config: {error}")),
    }
}

fn fail(message: &str) -> ! {
    eprintln!("\n{message}\nDPDK 22.11 or later is needed: apt-get install libdpdk-dev pkg-config");
    exit(1)
}

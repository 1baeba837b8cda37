//! Builds what is C, compiled and linked as pkg-config says for C on DPDK: the floor as a responder on a port (`yardstick/responder.c`), a
//! program that is measured beside otherhalfd, and the library by which the soak takes otherhalfd's buffers (`hoard/hoard.c`).

use std::env;
use std::path::PathBuf;
use std::process::{Command, exit};

fn main() {
    println!("cargo:rerun-if-changed=yardstick");
    println!("cargo:rerun-if-changed=hoard");
    println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
    let floor = ["yardstick/responder.c", "yardstick/floor.c"];
    build("OTHERHALF_FLOOR", "otherhalf-floor", &floor, &[]);
    build("OTHERHALF_HOARD", "libotherhalf-hoard.so", &["hoard/hoard.c"], &["-shared", "-fPIC"]);
}

/// Builds `sources` as `file`; the path of that is then known to the crate by `name`.
fn build(name: &str, file: &str, sources: &[&str], options: &[&str]) {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join(file);
    let mut compiler = cc::Build::new().opt_level(3).warnings(true).get_compiler().to_command();
    compiler.args(pkg_config("--cflags")).args(options).args(sources);
    compiler.arg("-o").arg(&out).args(pkg_config("--libs"));
    match compiler.status() {
        Ok(status) if status.success() => {}
        Ok(status) => fail(&format!("the C compiler ended with {status}: its own words are above")),
        Err(error) => fail(&format!("can't run the C compiler: {error}")),
    }
    println!("cargo:rustc-env={name}={}", out.display());
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

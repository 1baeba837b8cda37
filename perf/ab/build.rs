//! Compiles the yardstick with the optimisation and the instruction set that DPDK's own flags name,
//! as a C responder on DPDK would be compiled.

const FOLDER: &str = "../yardstick";
/// What DPDK's flags name on x86-64, where they cannot be asked.
const INSTRUCTIONS: &str = "-march=corei7";

fn main() {
    println!("cargo:rerun-if-changed={FOLDER}");
    let mut build = cc::Build::new();
    for file in ["yardstick.c", "floor.c"] {
        build.file(format!("{FOLDER}/{file}"));
    }
    build.flag(instructions()).opt_level(3).warnings(true).extra_warnings(true);
    build.compile("yardstick");
}

/// The `-march` of libdpdk.
fn instructions() -> String {
    let asked = std::process::Command::new("pkg-config").args(["--cflags", "libdpdk"]).output();
    let flags = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    flags
        .ok()
        .and_then(|flags| {
            flags.split_whitespace().find(|flag| flag.starts_with("-march=")).map(str::to_owned)
        })
        .unwrap_or_else(|| INSTRUCTIONS.to_owned())
}

//! Generates the bindings from the installed headers, compiles the shim, and
//! links DPDK's shared libraries. The drivers are plugins, which EAL loads itself.

use std::env;
use std::path::PathBuf;
use std::process::{Command, exit};

/// The oldest release whose headers the bindings and the shim were written for.
const OLDEST_DPDK: &str = "22.11";

const FUNCTIONS: &[&str] = &[
    "dsys_.*",
    "rte_eal_(init|cleanup|process_type|get_runtime_dir|hotplug_add)",
    "rte_log_(get|set)_global_level",
    "rte_eal_(remote_launch|wait_lcore|mp_wait_lcore|get_lcore_state)",
    "rte_(strerror|version|get_tsc_hz|get_main_lcore|get_next_lcore)",
    "rte_thread_(register|unregister)",
    "rte_lcore_.*|rte_socket_.*",
    "rte_eth_(dev_.*|macaddr_.*|[rt]x_queue_.*|promiscuous_.*|allmulticast_.*|stats_.*|xstats_.*)",
    "rte_eth_(link_get.*|find_next_owned_by)",
    "rte_pktmbuf_(pool_create.*|free_bulk)",
    "rte_mempool_(create|free|in_use_count|avail_count|lookup)",
    "rte_telemetry_register_cmd|rte_tel_data_(start_dict|add_dict_string)",
    "rte_ring_(create|free|lookup)|rte_eth_from_rings|rte_zmalloc_socket",
];

const TYPES: &[&str] = &[
    "rte_mbuf|rte_mempool|rte_ring|rte_cpuset_t|rte_lcore_state_t",
    "rte_eth_.*|rte_ether_.*",
    "rte_ipv4_hdr|rte_ipv6_hdr|rte_icmp_hdr",
];

const VARIABLES: &[&str] = &[
    "DSYS_.*",
    "RTE_(MBUF_.*|PKTMBUF_.*|ETHER_.*|ETH_NAME_MAX_LEN)",
    "RTE_(MAX_ETHPORTS|MAX_LCORE|MAX_QUEUES_PER_PORT|CACHE_LINE_SIZE|MEMPOOL_CACHE_MAX_SIZE)",
    "RTE_ETH_(SPEED_NUM_.*|DEV_NO_OWNER)",
    "SOCKET_ID_ANY|LCORE_ID_ANY|rte_eth_fp_ops|RING_F_S[PC]_(ENQ|DEQ)",
];

/// The C that the engine is measured against, with the feature `yardstick`.
const YARDSTICK: &str = "../../perf/yardstick";

/// Types with an `align` inside a `packed`, which Rust cannot express (E0588).
/// Nothing here reads them.
const OPAQUE: &str = "rte_arp_hdr|rte_arp_ipv4|rte_l2tpv2_combined_msg_hdr|rte_gtp_psc_.*";

fn main() {
    for file in ["build.rs", "wrapper.h", "shim.c", "facts.c"] {
        println!("cargo:rerun-if-changed={file}");
    }
    for variable in ["PKG_CONFIG", "PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    check_version();

    // All of libdpdk's flags: its `-include rte_config.h` decides struct layouts,
    // its `-march` enables the instructions that the inline functions use.
    // Without _GNU_SOURCE the cpuset and thread functions are missing.
    let mut flags = vec!["-D_GNU_SOURCE".to_owned()];
    flags.extend(pkg_config(&["--cflags"]));

    let with_yardstick = env::var_os("CARGO_FEATURE_YARDSTICK").is_some();
    bindings(&flags, with_yardstick);
    shim(&flags);
    if with_yardstick {
        yardstick(&flags);
    }
    link();
}

fn pkg_config(arguments: &[&str]) -> Vec<String> {
    let program = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".to_owned());
    let output = Command::new(&program).args(arguments).arg("libdpdk").output();
    let output = output.unwrap_or_else(|error| {
        fail(&format!("cannot run {program}: {error}\nInstall it: apt-get install pkg-config"))
    });
    if !output.status.success() {
        fail(&format!(
            "DPDK {OLDEST_DPDK} or later was not found: {}\n\
             Install it: apt-get install libdpdk-dev libclang-dev",
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect()
}

fn check_version() {
    let version = pkg_config(&["--modversion"]).concat();
    // pkg-config compares versions as packagers do; the exit status is the answer.
    let program = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".to_owned());
    let new_enough = Command::new(program)
        .args(["--atleast-version", OLDEST_DPDK, "libdpdk"])
        .status()
        .is_ok_and(|status| status.success());
    if !new_enough {
        fail(&format!(
            "DPDK {OLDEST_DPDK} or later is needed, and {version} is installed.\n\
             Debian 12 and later have it: apt-get install libdpdk-dev libclang-dev"
        ));
    }
}

fn bindings(flags: &[String], with_yardstick: bool) {
    let mut builder = bindgen::Builder::default()
        .header("wrapper.h")
        .clang_args(flags)
        .rust_edition(bindgen::RustEdition::Edition2024)
        .use_core()
        .layout_tests(true)
        .derive_default(true)
        .derive_debug(false)
        // doxygen is no rustdoc: its indented lines would be taken for doctests.
        .generate_comments(false)
        .prepend_enum_name(false)
        .default_enum_style(bindgen::EnumVariation::Consts)
        // Thread-local variables, which bindgen would declare as plain statics:
        // rust-lld links those silently, and the program crashes.
        .blocklist_item("per_lcore_.*")
        .opaque_type(OPAQUE);
    if with_yardstick {
        builder = builder
            .header(format!("{YARDSTICK}/yardstick.h"))
            .allowlist_function("(yardstick|floor)_.*")
            .allowlist_var("YARDSTICK_BURST");
    }
    for pattern in FUNCTIONS {
        builder = builder.allowlist_function(pattern);
    }
    for pattern in TYPES {
        builder = builder.allowlist_type(pattern);
    }
    for pattern in VARIABLES {
        builder = builder.allowlist_var(pattern);
    }
    let bindings = builder.generate().unwrap_or_else(|error| {
        fail(&format!(
            "the DPDK headers could not be read: {error}\n\
             Install what they need: apt-get install libdpdk-dev libclang-dev"
        ))
    });
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    bindings.write_to_file(out.join("bindings.rs")).expect("OUT_DIR is writable");
}

fn shim(flags: &[String]) {
    let mut compiler = cc::Build::new();
    // facts.c is an object of its own: only the test that names it links it.
    compiler.files(["shim.c", "facts.c"]).opt_level(3);
    // DPDK's inline functions do not pass -Wextra.
    compiler.extra_warnings(false);
    for flag in flags {
        compiler.flag(flag);
    }
    compiler.compile("dpdk_sys_shim");
}

/// Compiled as a C responder on DPDK would be: optimised, with the instruction set of DPDK's own flags.
fn yardstick(flags: &[String]) {
    println!("cargo:rerun-if-changed={YARDSTICK}");
    let mut compiler = cc::Build::new();
    for file in ["yardstick.c", "turn.c", "floor.c"] {
        compiler.file(format!("{YARDSTICK}/{file}"));
    }
    compiler.opt_level(3).extra_warnings(false);
    for flag in flags {
        compiler.flag(flag);
    }
    compiler.compile("yardstick");
}

fn link() {
    for flag in pkg_config(&["--libs"]) {
        if let Some(library) = flag.strip_prefix("-l") {
            println!("cargo:rustc-link-lib=dylib={library}");
        } else if let Some(folder) = flag.strip_prefix("-L") {
            println!("cargo:rustc-link-search=native={folder}");
        }
    }
    // rte_eth_from_rings is in a driver, and pkg-config names no drivers. A program that does
    // not call it is not linked with it; one that does shares it with EAL's own plugin.
    println!("cargo:rustc-link-lib=dylib=rte_net_ring");
}

fn fail(message: &str) -> ! {
    eprintln!("\n{message}\n");
    exit(1)
}

//! Two processes with an EAL each, at the same time, and nothing left of them.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::{env, io};

use dpdk::{Burst, Mempool, MempoolConfig, Port, PortConfig, Vdev};

/// Set for the processes that the test starts of itself.
const CHILD: &str = "OTHERHALF_TEST_CHILD";

#[test]
fn two_processes_side_by_side() {
    if env::var_os(CHILD).is_some() {
        return instance();
    }
    let mut children = [start(), start()];
    // Both are up before either goes on.
    for child in &mut children {
        wait_for(child, "ready");
    }
    for child in &mut children {
        child.stdin.take().expect("piped").write_all(b"go\n").expect("it reads");
    }
    for child in &mut children {
        wait_for(child, "done");
        assert!(child.wait().expect("it ends").success());
        let folder = format!("/var/run/dpdk/oh-test-instance-{}", child.id());
        assert!(!std::path::Path::new(&folder).exists(), "{folder} was left behind");
    }
}

fn start() -> Child {
    Command::new(env::current_exe().expect("this program"))
        .args(["--exact", "two_processes_side_by_side", "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts")
}

/// Reads the child's lines up to this one; libtest writes some, too.
fn wait_for(child: &mut Child, word: &str) {
    let mut output = BufReader::with_capacity(1, child.stdout.as_mut().expect("piped"));
    let mut line = String::new();
    while line.trim() != word {
        line.clear();
        let length = output.read_line(&mut line).expect("text");
        assert_ne!(length, 0, "the child ended before it was {word}");
    }
}

fn instance() {
    let eal = common::eal("instance", 64).vdev(Vdev::null(0, 64)).init().expect("EAL");
    let config = MempoolConfig { name: "same", buffers: 2047, ..Default::default() };
    let pool = Mempool::new(&eal, &config).expect("a mempool");
    println!("\nready");
    io::stdin().read_exact(&mut [0; 3]).expect("the parent says when");

    let id = eal.port_by_name("net_null0").expect("it exists");
    let mut port = Port::configure(&eal, id, &PortConfig::default(), std::slice::from_ref(&pool))
        .expect("configured");
    let (mut rx, mut tx) = port.start().expect("started");
    let mut burst = Burst::<32>::new();
    for _ in 0..1000 {
        assert_eq!(rx[0].receive(&mut burst), 32);
        assert_eq!(tx[0].send(&mut burst), 32);
    }
    drop((rx, tx, port));
    assert_eq!(pool.in_use(), 0);
    drop(pool);
    drop(eal);
    println!("\ndone");
}

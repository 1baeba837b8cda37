//! Ports whose devices may come later than the start (`port.wait_s`), which waits for them.
//!
//! It waits for all before it opens any: the engine's network is made of the hardware addresses of all ports, and a responder
//! that answers by some of its ports only says that it is not ready anyway.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use dpdk::{Eal, Vdev};
use tracing::{info, warn};

use crate::config::{Config, Port};
use crate::service;

/// Between two looks for a device.
const PAUSE: Duration = Duration::from_millis(200);

/// Waits until the devices of all ports are there that may come late, each as long as it may. Whether they are: false if
/// `told_to_end` before.
///
/// # Errors
/// If one is not there in time.
pub(crate) fn wait_for_ports(
    eal: &Eal,
    config: &Config,
    told_to_end: impl Fn() -> bool,
) -> Result<bool> {
    let start = Instant::now();
    let mut absent: Vec<&Port> = config.port.iter().filter(|port| port.wait_s > 0).collect();
    let mut told = false;
    loop {
        absent.retain(|port| !has_come(eal, port, start));
        let names = absent.iter().map(|port| port.device_name()).collect::<Vec<_>>().join(" ");
        if absent.is_empty() {
            if told {
                service::waited();
            }
            return Ok(true);
        }
        for port in &absent {
            if start.elapsed() >= Duration::from_secs(port.wait_s) {
                add_at_last(eal, port)?;
            }
        }
        if !told {
            told = true;
            warn!(devices = names, "waiting for devices that are not there yet");
        }
        service::waiting(&format!("waiting for {names}"));
        if told_to_end() {
            return Ok(false);
        }
        thread::sleep(PAUSE);
    }
}

/// Whether the device of `port` is there by now.
fn has_come(eal: &Eal, port: &Port, start: Instant) -> bool {
    if eal.port_by_name(port.device_name()).is_ok() {
        return true;
    }
    let come = eal.try_vdev(&Vdev::from(port.device.as_str())).is_ok();
    if come {
        info!(
            port = port.device_name(),
            after_ms = start.elapsed().as_millis(),
            "the device is there"
        );
    }
    come
}

/// Tries once more, so that DPDK says what it misses.
fn add_at_last(eal: &Eal, port: &Port) -> Result<()> {
    // Its error number is left out: drivers mostly say EINVAL, whatever they missed.
    eal.add_vdev(&Vdev::from(port.device.as_str())).map(drop).map_err(|_| {
        anyhow!(
            "port {:?} did not come within wait_s = {}; DPDK's own lines above say what it misses",
            port.device_name(),
            port.wait_s
        )
    })
}

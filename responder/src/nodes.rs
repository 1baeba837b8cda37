//! NUMA nodes: who is on which, and what memory is near.

use anyhow::{Context, Result};
use dpdk::{Eal, LcoreId};

use crate::config::Config;

/// Where ports and workers are; `None` is nowhere in particular, as virtual ports are.
#[derive(Debug)]
pub(crate) struct Nodes {
    /// In the order of the configuration.
    ports: Vec<Option<u32>>,
    /// In the order of the configuration.
    workers: Vec<Option<u32>>,
}

impl Nodes {
    /// Asks DPDK for the nodes of the ports and of the first lcores, which are the workers.
    pub(crate) fn of(eal: &Eal, config: &Config) -> Result<Self> {
        let port = |wanted: &crate::config::Port| {
            let found = eal.port_by_name(wanted.device_name()).and_then(|port| eal.port_info(port));
            found.with_context(|| format!("port {:?}", wanted.device_name()))
        };
        let ports: Result<Vec<_>> =
            config.port.iter().map(|wanted| Ok(port(wanted)?.socket)).collect();
        let lcores = eal.workers().iter().take(config.workers.cpus.len());
        Ok(Self {
            ports: ports?,
            workers: lcores.map(|lcore: &LcoreId| eal.socket_of(*lcore)).collect(),
        })
    }

    /// Where frames are to be: where the devices write and read them. Ports that are nowhere are memory of this
    /// machine, which the workers alone use.
    pub(crate) fn of_frames(&self) -> Option<u32> {
        if self.ports.iter().any(Option::is_some) {
            common(&self.ports)
        } else {
            common(&self.workers)
        }
    }

    /// Where the pending table is to be: all workers use it.
    pub(crate) fn of_table(&self) -> Option<u32> {
        common(&self.workers)
    }

    /// What is slower than it need be, and what to do about it.
    pub(crate) fn warnings(&self, config: &Config) -> Vec<String> {
        let mut warnings = Vec::new();
        for (port, wanted) in self.ports.iter().zip(&config.port) {
            let Some(node) = port else { continue };
            let workers = config.workers.cpus.iter().zip(&self.workers);
            let far: Vec<usize> = workers
                .filter(|(_, worker)| worker.is_some_and(|worker| worker != *node))
                .map(|(cpu, _)| *cpu)
                .collect();
            if !far.is_empty() {
                warnings.push(format!(
                    "port {:?} is on NUMA node {node}, and the workers on CPUs {far:?} are not: all that they move crosses between nodes, which is slower; choose CPUs of node {node} (lscpu lists them)",
                    wanted.device_name()
                ));
            }
        }
        if are_several(&self.ports) || are_several(&self.workers) {
            warnings.push(
                "ports or workers are on several NUMA nodes, and frames and the pending table are not: an otherhalfd for each node, with an address of its own, is faster".to_owned(),
            );
        }
        warnings
    }
}

/// The node of all that are somewhere, if it is the same.
fn common(nodes: &[Option<u32>]) -> Option<u32> {
    nodes.iter().flatten().next().copied().filter(|_| !are_several(nodes))
}

/// Whether some are on another node than others.
fn are_several(nodes: &[Option<u32>]) -> bool {
    let mut known = nodes.iter().flatten();
    known.next().is_some_and(|first| known.any(|node| node != first))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_PORTS_TWO_WORKERS: &str = r#"
        workers = { cpus = [2, 9] }
        [[port]]
        device = "0000:03:00.0"
        [[port]]
        device = "net_null0"
    "#;

    fn nodes(ports: &[Option<u32>], workers: &[Option<u32>]) -> Nodes {
        Nodes { ports: ports.to_vec(), workers: workers.to_vec() }
    }

    fn warnings(nodes: &Nodes) -> Vec<String> {
        nodes.warnings(&toml::from_str(TWO_PORTS_TWO_WORKERS).unwrap())
    }

    #[test]
    fn frames_are_near_the_device_and_the_table_near_the_workers() {
        let all = nodes(&[Some(1), None], &[Some(0), Some(0)]);
        assert_eq!((all.of_frames(), all.of_table()), (Some(1), Some(0)));
        let virtual_ports = nodes(&[None, None], &[Some(1), Some(1)]);
        assert_eq!(virtual_ports.of_frames(), Some(1));
        let spread = nodes(&[Some(0), Some(1)], &[Some(0), Some(1)]);
        assert_eq!((spread.of_frames(), spread.of_table()), (None, None));
        assert_eq!(nodes(&[None], &[None]).of_frames(), None);
    }

    #[test]
    fn who_is_far_is_named() {
        let near = nodes(&[Some(1), None], &[Some(1), Some(1)]);
        assert_eq!(warnings(&near), Vec::<String>::new());
        assert_eq!(warnings(&nodes(&[None, None], &[Some(0), Some(0)])), Vec::<String>::new());
        let one_far = warnings(&nodes(&[Some(1), None], &[Some(1), Some(0)]));
        assert_eq!(one_far.len(), 2, "{one_far:?}");
        assert!(one_far[0].contains("\"0000:03:00.0\" is on NUMA node 1"), "{one_far:?}");
        assert!(one_far[0].contains("CPUs [9]"), "{one_far:?}");
        let all_far = warnings(&nodes(&[Some(1), None], &[Some(0), Some(0)]));
        assert_eq!(all_far.len(), 1, "{all_far:?}");
        assert!(all_far[0].contains("CPUs [2, 9]"), "{all_far:?}");
    }
}

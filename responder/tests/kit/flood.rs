//! Requesters that ask for more than they may.

use std::time::{Duration, Instant};

use otherhalf_lab::{Family, Lab};
use otherhalf_wire::probe::Protocol;

use super::client::Client;
use super::crowd::addresses;

/// The client, by many addresses of one prefix that its own is not in.
pub(crate) struct Flood {
    clients: Vec<Client>,
    began: Instant,
    sent: u64,
}

impl Flood {
    /// From `sources` addresses of `family` to `node`.
    #[track_caller]
    pub(crate) fn gather(lab: &Lab, family: Family, sources: u16, node: &str) -> Self {
        let own = addresses(lab, family, sources);
        let clients = own.into_iter().map(|own| Client::open(lab, own, lab.address(node, family)));
        Self { clients: clients.collect(), began: Instant::now(), sent: 0 }
    }

    /// Sends `count` requests for UDP probes of TTL 1, each by the next address, and hears no answer.
    #[track_caller]
    pub(crate) fn ask(&mut self, count: u64) {
        let clients = self.clients.len() as u64;
        for number in self.sent..self.sent + count {
            let client = &mut self.clients[usize::try_from(number % clients).unwrap()];
            let request = client.request(client.number(Protocol::Udp), 1, 33434);
            client.send(request);
        }
        self.sent += count;
    }

    /// How many requests were sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// For how long it lasts.
    pub(crate) fn lasts(&self) -> Duration {
        self.began.elapsed()
    }
}

//! A responder without a port: frames come by a channel, and so it needs no root.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use capsule::Mbuf;
use capsule::batch::{Batch, Disposition};
use capsule::net::MacAddr;
use otherhalf_capsule::{Answers, Config, Shared};

/// The responder's hardware address.
pub(crate) fn our_mac() -> MacAddr {
    MacAddr::new(2, 0, 0, 0, 1, 0)
}

/// Its neighbour's.
pub(crate) fn peer_mac() -> MacAddr {
    MacAddr::new(2, 0, 0, 0, 2, 1)
}

/// Who takes part in an exchange of one family.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) own: IpAddr,
    /// Far away.
    pub(crate) client: IpAddr,
    /// A router between them.
    pub(crate) hop: IpAddr,
}

pub(crate) fn ends(texts: [&str; 3]) -> Ends {
    let [own, client, hop] = texts.map(|text| text.parse().unwrap());
    Ends { own, client, hop }
}

pub(crate) fn v4() -> Ends {
    ends(["192.0.2.2", "10.1.0.9", "10.99.0.1"])
}

pub(crate) fn v6() -> Ends {
    ends(["2001:db8::2", "2001:db8:f1::9", "2001:db8:f99::1"])
}

pub(crate) struct Bench {
    answers: Answers<Receiver<Mbuf>>,
    wire: Sender<Mbuf>,
    pub(crate) shared: Arc<Shared>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let config = r#"
            addresses = ["192.0.2.2/24", "2001:db8::2/64"]
            pending = { entries = 1024, secret = "00112233445566778899aabbccddeeff" }
            capsule = { app_name = "oracle", master_core = 0, ports = [
                { name = "wire", device = "none", cores = [0] },
            ] }
        "#;
        let shared = Arc::new(Shared::new(Config::parse(config).unwrap()).unwrap());
        let (wire, queue) = mpsc::channel();
        let answers = Answers::new(queue, our_mac(), Arc::clone(&shared)).unwrap();
        Self { answers, wire, shared }
    }

    /// What is sent when `frames` come in together.
    pub(crate) fn burst(&mut self, frames: impl IntoIterator<Item = Mbuf>) -> Vec<Mbuf> {
        for frame in frames {
            self.wire.send(frame).unwrap();
        }
        self.answers.replenish();
        let mut sent = Vec::new();
        while let Some(disposition) = self.answers.next() {
            match disposition {
                Disposition::Act(mbuf) => sent.push(mbuf),
                Disposition::Drop(mbuf) => drop(mbuf),
                Disposition::Emit | Disposition::Abort(_) => panic!("neither is ever yielded"),
            }
        }
        sent
    }

    /// The one frame that is sent when `frame` comes in.
    #[track_caller]
    pub(crate) fn play(&mut self, frame: Mbuf) -> Mbuf {
        let mut sent = self.burst([frame]);
        assert_eq!(sent.len(), 1, "{}", self.shared.tally);
        sent.remove(0)
    }
}

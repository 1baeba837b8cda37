//! Puts frames on the responder's link that no kernel would send or forward.

use otherhalf_lab::Lab;
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use super::output;

/// An interface beside the responder's tap: each frame written to it leaves by the tap as it is.
pub(crate) struct Injector(SyncDevice);

const RULES: &str = "\
table netdev injector {
  chain forward {
    type filter hook ingress device inject0 priority 0
    fwd to dtap0
  }
}
";

impl Injector {
    pub(crate) fn new(lab: &Lab) -> Self {
        let make = || DeviceBuilder::new().name("inject0").layer(Layer::L2).build_sync();
        let device = lab.within("www", make).unwrap().unwrap();
        output(lab.command("www", "ip").args(["link", "set", "inject0", "up"]));
        output(lab.command("www", "nft").arg(RULES));
        Self(device)
    }

    /// Sends a frame of 14 octets or more.
    #[track_caller]
    pub(crate) fn send(&self, frame: &[u8]) {
        assert_eq!(self.0.send(frame).unwrap(), frame.len());
    }
}

//! What the receiving device vouches for is not verified again, and nothing else is believed.

mod common;

use common::{
    FAMILIES, Responder, ends, request, request_packet, routed, tcp_answer_packet, time_exceeded,
};
use otherhalf_engine::{Outcome, Vouched};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;
use otherhalf_wire::quote::LEAST;
use otherhalf_wire::tcp::flag::{ACK, RST};

#[test]
fn what_the_device_vouches_for_is_not_verified_again() {
    for (family, protocol) in
        FAMILIES.into_iter().flat_map(|family| Protocol::ALL.map(|protocol| (family, protocol)))
    {
        let mut ours = Responder::new();
        let mut asked = routed(&request_packet(ends(family), request(family, protocol, 9, 4321)));
        if family == Family::V4 {
            // The header checksum of a packet that the device has looked at may be anything.
            let at = asked.len() - 12 - 10;
            asked[at] ^= 1;
            assert_eq!(ours.dropped(&asked), Outcome::DropBadIpChecksum);
            ours.vouched.ipv4 = true;
        }
        let probe = ours.play(&asked).frame;
        ours.vouched = Vouched { ipv4: false, transport: true };
        // No device looks at ICMP.
        let mut error = time_exceeded(family, &probe, LEAST);
        *error.last_mut().unwrap() ^= 1;
        assert_eq!(ours.dropped(&error), Outcome::DropBadChecksum);
        if protocol == Protocol::Tcp {
            let mut direct = routed(&tcp_answer_packet(&probe, RST | ACK));
            let at = direct.len() - 4;
            direct[at] ^= 1;
            ours.vouched.transport = false;
            assert_eq!(ours.dropped(&direct), Outcome::DropBadChecksum);
            ours.vouched.transport = true;
            assert_eq!(ours.play(&direct).fate.outcome, Outcome::ResponseReset);
        }
    }
}

//! What became of a frame: every one ends in exactly one of these.

macro_rules! outcomes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// What became of a frame. The counters of all add up to the frames received.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Outcome {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Outcome {
            /// All of them, in the order in which a frame may meet them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The name of its counter.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// What the counter counts, in one sentence or two.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc,)+).trim_ascii(),)+
                }
            }
        }
    };
}

outcomes! {
    /// A request was answered by an ICMP probe.
    ProbeIcmp = "probe_icmp",
    /// A request was answered by a TCP probe.
    ProbeTcp = "probe_tcp",
    /// A request was answered by a UDP probe.
    ProbeUdp = "probe_udp",
    /// A request for the TTL 0 was refused: that is how clients ask whether we speak this.
    RefusedTtl = "refused_ttl",
    /// A request for a protocol that we do not send was refused.
    RefusedProtocol = "refused_protocol",
    /// A request for a flow that we do not send was refused.
    RefusedFlow = "refused_flow",
    /// A request with an extension that we do not know or allow was refused.
    RefusedExtension = "refused_extension",
    /// A router's time exceeded became a response.
    ResponseTimeExceeded = "response_time_exceeded",
    /// A destination unreachable became a response.
    ResponseUnreachable = "response_unreachable",
    /// The target's echo reply became a response.
    ResponseEchoReply = "response_echo_reply",
    /// The target's RST became a response.
    ResponseReset = "response_reset",
    /// The target's SYN+ACK became a response; the target got a RST besides.
    ResponseSynAck = "response_syn_ack",
    /// A SYN+ACK to a probe of ours that nothing waits for any more was answered by a RST, as any host does.
    StraySynAckReset = "stray_syn_ack_reset",
    /// A datagram to an address of ours was answered by a port unreachable, as any host does.
    ClosedUdpUnreachable = "closed_udp_unreachable",
    /// A TCP segment to an address of ours was answered by a RST, as any host does.
    ClosedTcpReset = "closed_tcp_reset",
    /// A ping of an address of ours was answered.
    PingReply = "ping_reply",
    /// Somebody asked for our hardware address and got it.
    NeighbourReply = "neighbour_reply",
    /// A neighbour told its hardware address.
    NeighbourLearned = "neighbour_learned",
    /// The kernel of our machine got it: we had no use for it, and the exception path takes such.
    KernelPassed = "kernel_passed",
    /// Shorter than its headers say.
    DropTruncated = "drop_truncated",
    /// For another station's hardware address, or from one that is no station's.
    DropNotOurMac = "drop_not_our_mac",
    /// In a VLAN that no interface has.
    DropUnknownVlan = "drop_unknown_vlan",
    /// Neither IP nor ARP.
    DropUnknownEthertype = "drop_unknown_ethertype",
    /// An IP header that contradicts itself.
    DropBadIpHeader = "drop_bad_ip_header",
    /// A wrong checksum in an IPv4 header.
    DropBadIpChecksum = "drop_bad_ip_checksum",
    /// A fragment.
    DropFragment = "drop_fragment",
    /// Too many IPv6 extension headers, or one that hides what follows.
    DropExtensionHeaders = "drop_extension_headers",
    /// For an IP address that is not ours: a packet merely routed by.
    DropNotOurAddress = "drop_not_our_address",
    /// From an address that nothing may be sent to: multicast, broadcast, loopback, unspecified, our own.
    DropBadSource = "drop_bad_source",
    /// A wrong checksum of ICMP or TCP.
    DropBadChecksum = "drop_bad_checksum",
    /// A request too short to be one.
    DropShortRequest = "drop_short_request",
    /// A request while the responder goes out of service.
    DropDraining = "drop_draining",
    /// A request while the pending table had no room for it.
    DropTableFull = "drop_table_full",
    /// A request while all identifiers tried were taken for its target.
    DropNoIdentifier = "drop_no_identifier",
    /// No route to where the answer should go.
    DropNoRoute = "drop_no_route",
    /// The neighbour that the answer should go to did not tell its hardware address in time.
    DropNeighbourUnresolved = "drop_neighbour_unresolved",
    /// Too many frames wait for hardware addresses of neighbours already.
    DropHoldFull = "drop_hold_full",
    /// An ICMP error whose quote can't be read.
    DropBadQuote = "drop_bad_quote",
    /// An ICMP error or a direct answer that is not about a probe of ours.
    DropNotOurProbe = "drop_not_our_probe",
    /// An answer that nothing waits for (any more): late, repeated, or made up.
    DropUnmatched = "drop_unmatched",
    /// An answer that lacks the keyed bits of our probe: made up.
    DropForged = "drop_forged",
    /// A neighbour message that breaks the rules of ARP or neighbour discovery.
    DropBadNeighbour = "drop_bad_neighbour",
    /// A neighbour message about other stations than us.
    DropOtherNeighbour = "drop_other_neighbour",
    /// ICMP of a kind that we have no use for.
    DropOtherIcmp = "drop_other_icmp",
    /// TCP that is no answer to a probe and gets none: a RST, or closed ports are not answered for.
    DropOtherTcp = "drop_other_tcp",
    /// UDP while closed ports are not answered for.
    DropOtherUdp = "drop_other_udp",
    /// To a closed port, when the budget for answers to such was spent.
    DropClosedBudget = "drop_closed_budget",
    /// For the kernel, when the exception path's budget was spent.
    DropKernelBudget = "drop_kernel_budget",
    /// For the kernel, when too many frames waited for it already.
    DropKernelFull = "drop_kernel_full",
    /// Any other protocol over IP.
    DropOtherProtocol = "drop_other_protocol",
    /// In a buffer too small for its answer, or in several pieces.
    DropBuffer = "drop_buffer",
    /// Answered, but the port's transmit queue had no room.
    DropTransmitFull = "drop_transmit_full",
    /// Still waiting for a neighbour when the responder stopped.
    DropStopped = "drop_stopped",
}

/// One counter per outcome. Plain numbers of one worker; see the responder for how they are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters([u64; Outcome::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self([0; Outcome::ALL.len()])
    }
}

impl Counters {
    /// Counts one frame.
    #[inline]
    pub fn count(&mut self, outcome: Outcome) {
        if let Some(counter) = self.0.get_mut(outcome as usize) {
            *counter = counter.wrapping_add(1);
        }
    }

    /// Sets the counter of `outcome`.
    pub fn set(&mut self, outcome: Outcome, value: u64) {
        if let Some(counter) = self.0.get_mut(outcome as usize) {
            *counter = value;
        }
    }

    /// Frames with this outcome.
    #[must_use]
    pub fn get(&self, outcome: Outcome) -> u64 {
        self.0.get(outcome as usize).copied().unwrap_or_default()
    }

    /// Frames in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, counter| sum.wrapping_add(*counter))
    }

    /// All outcomes with their counters.
    pub fn iter(&self) -> impl Iterator<Item = (Outcome, u64)> {
        Outcome::ALL.iter().copied().zip(self.0)
    }

    /// Adds the counters of another worker.
    pub fn add(&mut self, other: &Self) {
        for (counter, more) in self.0.iter_mut().zip(other.0) {
            *counter = counter.wrapping_add(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_in_their_place() {
        for (place, outcome) in Outcome::ALL.iter().enumerate() {
            assert_eq!(*outcome as usize, place);
            assert_eq!(
                Outcome::ALL.iter().filter(|other| other.name() == outcome.name()).count(),
                1
            );
            assert!(outcome.help().ends_with('.'), "{}", outcome.help());
        }
    }

    #[test]
    fn counters_add_up() {
        let mut counters = Counters::default();
        counters.count(Outcome::PingReply);
        counters.count(Outcome::PingReply);
        counters.count(Outcome::DropStopped);
        let mut sum = counters.clone();
        sum.add(&counters);
        assert_eq!((counters.total(), sum.total(), sum.get(Outcome::PingReply)), (3, 6, 4));
        sum.set(Outcome::PingReply, 1);
        assert_eq!(sum.iter().map(|(_, n)| n).sum::<u64>(), 3);
    }
}

//! What became of a frame: every one ends in exactly one of these.

macro_rules! outcomes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, advice: $advice:literal,)+) => {
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

            /// What it means to an operator when the counter grows, and what to do.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self {
                    $(Self::$name => $advice,)+
                }
            }
        }
    };
}

outcomes! {
    /// A request was answered by an ICMP probe.
    ProbeIcmp = "probe_icmp",
        advice: "Work done. Grows with the load.",
    /// A request was answered by a TCP probe.
    ProbeTcp = "probe_tcp",
        advice: "Work done. Grows with the load.",
    /// A request was answered by a UDP probe.
    ProbeUdp = "probe_udp",
        advice: "Work done. Grows with the load. Far more probes than responses means that somebody asks with spoofed addresses, or \
            that answers do not come back: compare with the response counters.",
    /// A request for the TTL 0 was refused: that is how clients ask whether we speak this.
    RefusedTtl = "refused_ttl",
        advice: "Normal: each client asks so once. Many from one network are somebody who scans for responders.",
    /// A request for a protocol that we do not send was refused.
    RefusedProtocol = "refused_protocol",
        advice: "Normal in small numbers. If users miss the protocol, see `probe` in the configuration.",
    /// A request for a flow that we do not send was refused.
    RefusedFlow = "refused_flow",
        advice: "Normal in small numbers. If users miss those flows, see `probe` in the configuration.",
    /// A request with an extension that we do not know or allow was refused.
    RefusedExtension = "refused_extension",
        advice: "Normal in small numbers: a client asked for more than is allowed here. A newer client may speak extensions that this \
            version does not know: look for an upgrade.",
    /// A request to trace another than its sender was refused: the one may not ask for that, or the other is not probed.
    RefusedIndirect = "refused_indirect",
        advice: "Normal in small numbers. `otherhalfd explain` says why. If somebody should be allowed, see `indirect` in the \
            configuration; many from one address are somebody who looks for a way to hit others.",
    /// A request smaller than what it asks for, measured by `requests.max_amplification`, was refused with the octets that it lacks.
    RefusedPadding = "refused_padding",
        advice: "Clients that do not pad, if the limit is below what they need (about 3.2), and each trace's first request of those that \
            learn to. Or spoofed requests: the refusal is no larger than the request.",
    /// A router's time exceeded became a response.
    ResponseTimeExceeded = "response_time_exceeded",
        advice: "Work done. About as many as probes that end at routers; much fewer says that routers limit their ICMP errors, or that \
            errors are filtered on the way here.",
    /// A destination unreachable became a response.
    ResponseUnreachable = "response_unreachable",
        advice: "Work done. Mostly the target's port unreachable, the end of a UDP trace.",
    /// The target's echo reply became a response.
    ResponseEchoReply = "response_echo_reply",
        advice: "Work done: the end of an ICMP trace.",
    /// The target's RST became a response.
    ResponseReset = "response_reset",
        advice: "Work done: the end of a TCP trace.",
    /// The target's SYN+ACK became a response; the target got a RST besides.
    ResponseSynAck = "response_syn_ack",
        advice: "Work done: the end of a TCP trace to an open port.",
    /// A SYN+ACK to a probe of ours that nothing waits for any more was answered by a RST, as any host does.
    StraySynAckReset = "stray_syn_ack_reset",
        advice: "Late answers to TCP probes. If it keeps pace with the TCP probes, `pending.timeout_ms` is shorter than the way.",
    /// A datagram to an address of ours was answered by a port unreachable, as any host does.
    ClosedUdpUnreachable = "closed_udp_unreachable",
        advice: "Scanners and stray traffic; harmless. `drop_closed_budget` says when the rate was too high to answer all.",
    /// A TCP segment to an address of ours was answered by a RST, as any host does.
    ClosedTcpReset = "closed_tcp_reset",
        advice: "Scanners and stray traffic; harmless. `drop_closed_budget` says when the rate was too high to answer all.",
    /// A ping of an address of ours was answered.
    PingReply = "ping_reply",
        advice: "Normal: monitoring and the curious.",
    /// Somebody asked for our hardware address and got it.
    NeighbourReply = "neighbour_reply",
        advice: "Normal: about once a minute for each neighbour. Thousands a second are a neighbour that scans, or a loop in the link \
            layer.",
    /// A neighbour told its hardware address.
    NeighbourLearned = "neighbour_learned",
        advice: "Normal, a few a minute for each router. Thousands a second are a loop in the link layer or somebody who floods: look \
            at the switch.",
    /// The kernel of our machine got it: we had no use for it, and the exception path takes such.
    KernelPassed = "kernel_passed",
        advice: "Normal with an exception path: packets of the routing daemon, of SSH, and whatever else `port.kernel` lets through.",
    /// Shorter than its headers say.
    DropTruncated = "drop_truncated",
        advice: "Damaged or hand-made frames. If it grows steadily, look at the link's error counters and at the port's MTU.",
    /// For another station's hardware address, or from one that is no station's.
    DropNotOurMac = "drop_not_our_mac",
        advice: "Frames flooded by a switch, or a port that is promiscuous. Many: the switch does not know our address, or a neighbour \
            has a wrong one.",
    /// In a VLAN that no interface has.
    DropUnknownVlan = "drop_unknown_vlan",
        advice: "The switch sends a VLAN that no `port.interface` has: take it off the switch's port, or configure it.",
    /// Neither IP nor ARP.
    DropUnknownEthertype = "drop_unknown_ethertype",
        advice: "Normal on most links: spanning tree, LLDP and the like.",
    /// An IP header that contradicts itself.
    DropBadIpHeader = "drop_bad_ip_header",
        advice: "Damaged or hand-made packets. Many from one neighbour: look at that router.",
    /// A wrong checksum in an IPv4 header.
    DropBadIpChecksum = "drop_bad_ip_checksum",
        advice: "Damaged packets. On a virtual port, the other side may leave checksums to a device that is not there: turn off its \
            transmit checksum offload.",
    /// A fragment.
    DropFragment = "drop_fragment",
        advice: "Requests and answers are never fragmented. Many are an attack or traffic that is not for us.",
    /// Too many IPv6 extension headers, or one that hides what follows.
    DropExtensionHeaders = "drop_extension_headers",
        advice: "Hand-made IPv6 packets. Harmless.",
    /// For an IP address that is not ours: a packet merely routed by.
    DropNotOurAddress = "drop_not_our_address",
        advice: "A router sends us what is for others: look at its routes, and whether all of our addresses are configured here.",
    /// From an address that nothing may be sent to: multicast, broadcast, loopback, unspecified, our own.
    DropBadSource = "drop_bad_source",
        advice: "Spoofed or misrouted packets, or our own packets that come back by a loop.",
    /// A wrong checksum of ICMP or TCP.
    DropBadChecksum = "drop_bad_checksum",
        advice: "Damaged packets. If all requests end here, the other side of a virtual port leaves checksums to a device that is not \
            there.",
    /// A request too short to be one.
    DropShortRequest = "drop_short_request",
        advice: "Hand-made requests. Harmless.",
    /// A request while the responder goes out of service.
    DropDraining = "drop_draining",
        advice: "Expected while draining. If it stays high after the grace, requests are still routed here: withdraw the route, or make \
            `drain.grace_ms` longer.",
    /// A request from an address that may not ask.
    DropDenied = "drop_denied",
        advice: "What `access` is there for. `otherhalfd explain ADDRESS` says which line of which list holds an address. If users miss \
            answers, a prefix is too short.",
    /// A request whose probe would go to an address that wants none.
    DropOptedOut = "drop_opted_out",
        advice: "What `opt_out` is there for: whoever has the address asked not to be probed. Many are somebody who asks with that \
            address as a spoofed source.",
    /// A request beyond the rate of its source address.
    DropRateAddress = "drop_rate_address",
        advice: "Somebody asks for more than `rate.address` probes a second, or a flood is sent in his name: then he is its target, and \
            the limit keeps us from hitting him harder. Users who ask for so much: allow it, or have them slow down.",
    /// A request beyond the rate of a prefix that its source address is in.
    DropRatePrefix = "drop_rate_prefix",
        advice: "As `drop_rate_address`, from or in the name of many addresses of one network: see `rate` in the configuration.",
    /// A request for a TCP probe beyond the rate of these to one network.
    DropRateSyn = "drop_rate_syn",
        advice: "Somebody has us send many SYNs to one network. Other traces to it go on; see `rate.ipv4.syn` and `rate.ipv6.syn`.",
    /// A request from an address that nobody on the Internet has: private, documentation and the like.
    DropBogon = "drop_bogon",
        advice: "Spoofed requests, or a network whose NAT leaks. If they are yours, see `requests.bogons` in the configuration.",
    /// A request that came in by another interface than the one that its source is routed to.
    DropWrongPort = "drop_wrong_port",
        advice: "Spoofed requests, or routes that differ by direction: `requests.strict_source` is for networks where they do not.",
    /// A request while the pending table had no room for it.
    DropTableFull = "drop_table_full",
        advice: "Requests are lost. Either the load is above what `pending.entries` allows for `pending.timeout_ms`, or somebody floods \
            with spoofed addresses: look at the occupancy, make the table larger or the time-out shorter. Of indirect requests no more \
            than 4096 wait at a time.",
    /// A request while all identifiers tried were taken for its target.
    DropNoIdentifier = "drop_no_identifier",
        advice: "Many requests for one address at once, mostly a flood by or against it. Others are not affected.",
    /// No route to where the answer should go.
    DropNoRoute = "drop_no_route",
        advice: "Answers are lost: there is no route to a requester. Configure a default route for the family (`[[route]]`).",
    /// The neighbour that the answer should go to did not tell its hardware address in time.
    DropNeighbourUnresolved = "drop_neighbour_unresolved",
        advice: "The next router is silent: is it up, is the VLAN right, does it answer ARP or neighbour solicitations? The log names \
            silent routers.",
    /// Too many frames wait for hardware addresses of neighbours already.
    DropHoldFull = "drop_hold_full",
        advice: "As `drop_neighbour_unresolved`, under load. At a start, a few are normal.",
    /// An ICMP error whose quote can't be read.
    DropBadQuote = "drop_bad_quote",
        advice: "Routers that quote less than they must, or hand-made errors. Harmless in small numbers.",
    /// An ICMP error or a direct answer that is not about a probe of ours.
    DropNotOurProbe = "drop_not_our_probe",
        advice: "ICMP errors about other traffic of our addresses, or hand-made ones. Many are backscatter of packets that somebody \
            sent with our address.",
    /// An answer that nothing waits for (any more): late, repeated, or made up.
    DropUnmatched = "drop_unmatched",
        advice: "Late or repeated answers; a few in a thousand probes are normal. If it grows with the responses: `pending.timeout_ms` \
            is too short, or another responder with the same address gets our answers and we get its.",
    /// An answer that lacks the keyed bits of our probe: made up.
    DropForged = "drop_forged",
        advice: "Somebody makes up answers, or a middlebox rewrites the probes that routers quote. If all IPv4 answers from one \
            direction end here, see `probe.check_identification`.",
    /// A neighbour message that breaks the rules of ARP or neighbour discovery.
    DropBadNeighbour = "drop_bad_neighbour",
        advice: "A broken or hostile station on the link: look at the switch for its port.",
    /// A neighbour message about other stations than us.
    DropOtherNeighbour = "drop_other_neighbour",
        advice: "Normal: ARP requests are broadcast.",
    /// ICMP of a kind that we have no use for.
    DropOtherIcmp = "drop_other_icmp",
        advice: "Normal: router advertisements, multicast listeners and the like.",
    /// TCP that is no answer to a probe and gets none: a RST, or closed ports are not answered for.
    DropOtherTcp = "drop_other_tcp",
        advice: "Scanners and stray traffic, not answered by configuration or by the rules of TCP. Harmless.",
    /// UDP while closed ports are not answered for.
    DropOtherUdp = "drop_other_udp",
        advice: "Scanners and stray traffic, not answered by configuration. Harmless.",
    /// To a closed port, when the budget for answers to such was spent.
    DropClosedBudget = "drop_closed_budget",
        advice: "A scan or a flood of closed ports. Requests are not affected; the budget keeps us from answering all of it.",
    /// A ping, when the budget for these was spent.
    DropPingBudget = "drop_ping_budget",
        advice: "A flood of pings. Requests are not affected. Monitoring that pings more often than `rate.pings` allows: raise it.",
    /// A neighbour's question, when the budget for these was spent.
    DropNeighbourBudget = "drop_neighbour_budget",
        advice: "A storm of ARP or neighbour solicitations: look for a loop or a scanner in the link layer. Neighbours that know our \
            address are not affected.",
    /// For the kernel, when the exception path's budget was spent.
    DropKernelBudget = "drop_kernel_budget",
        advice: "More for the kernel than `port.kernel` allows: mostly a scan or a flood of the kernel's ports or addresses. If routing \
            sessions suffer, allow more, or filter before this machine.",
    /// For the kernel, when too many frames waited for it already.
    DropKernelFull = "drop_kernel_full",
        advice: "The thread that brings frames to the kernel does not keep up: a burst, or it gets too little of its CPU.",
    /// Any other protocol over IP.
    DropOtherProtocol = "drop_other_protocol",
        advice: "Stray traffic. Packets for a routing daemon on the same address end here when nothing hands them to the kernel.",
    /// In a buffer too small for its answer, or in several pieces.
    DropBuffer = "drop_buffer",
        advice: "Frames longer than a buffer: set the port's `mtu` as the link has it.",
    /// Answered, but the port's transmit queue had no room.
    DropTransmitFull = "drop_transmit_full",
        advice: "Answers are lost: the port sends slower than it receives. Look at the link's speed and at pause frames; more \
            `tx_descriptors` help against short bursts.",
    /// Still waiting for a neighbour when the responder stopped.
    DropStopped = "drop_stopped",
        advice: "Normal at a stop: frames whose neighbour did not answer until then.",
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
            for text in [outcome.help(), outcome.advice()] {
                assert!(text.ends_with('.') && !text.contains("  "), "{text}");
            }
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

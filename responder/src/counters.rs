//! What each counter counts and what to do when it grows: the source of docs/counters.md and of the metrics' help.

use std::fmt::Write;

use otherhalf_engine::Outcome;

/// A counter that is no outcome of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its name in the statistics.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// What it means to an operator when it grows, and what to do.
    pub advice: &'static str,
}

/// What is counted besides frames received: the names of [`Totals::others`](crate::stats::Totals::others).
pub const OTHERS: &[Entry] = &[
    Entry {
        name: "resets_sent",
        help: "RSTs sent besides a response, to close what a SYN+ACK opened.",
        advice: "Normal: one for each `response_syn_ack`.",
    },
    Entry {
        name: "solicitations_sent",
        help: "Questions for neighbours' hardware addresses that were sent.",
        advice: "Normal: some a minute for each router. Many say that neighbours do not answer, or that requests come from very many neighbours.",
    },
    Entry {
        name: "own_frames_dropped",
        help: "Frames of our own, RSTs and questions for neighbours, that could not be sent: no buffer, or no room in the transmit queue.",
        advice: "The port is overloaded, or buffers are short: look at `drop_transmit_full` and at the mempool.",
    },
    Entry {
        name: "kernel_told",
        help: "Neighbours' messages that the kernel got as well as we; they count as outcomes of their own.",
        advice: "Normal with an exception path (`port.kernel`): about as `neighbour_learned`.",
    },
    Entry {
        name: "kernel_delivered",
        help: "Frames that the kernel's interface took, of those that workers handed over for it.",
        advice: "Normal with an exception path.",
    },
    Entry {
        name: "kernel_refused",
        help: "Frames that the kernel's interface did not take.",
        advice: "The kernel's interface is down or its queue is full: `ip -s link` shows it.",
    },
    Entry {
        name: "kernel_received",
        help: "Frames that the kernel sent by its interface.",
        advice: "Normal with an exception path: the kernel's side of its sessions.",
    },
    Entry {
        name: "kernel_sent",
        help: "Frames of the kernel that were sent by the port.",
        advice: "About as many as `kernel_received`.",
    },
    Entry {
        name: "kernel_unsent",
        help: "Frames of the kernel that a worker or the transmit queue had no room for.",
        advice: "The kernel sends more than the port takes besides its own work. Routing sessions repeat what was lost; if it grows, look at `drop_transmit_full`.",
    },
    Entry {
        name: "relayed",
        help: "Frames that a worker without a queue of the port handed to one that has one.",
        advice: "The device offers fewer queues than there are workers, as the start said. Harmless; it costs both workers some time. Use fewer workers, or a device with more queues, if it is much.",
    },
    Entry {
        name: "notices_dropped",
        help: "What workers told of neighbours, but the control thread had no room for.",
        advice: "Somebody floods with neighbour messages, or the control thread gets too little of its CPU (`eal.control_cpus`). What was lost is told again.",
    },
    Entry {
        name: "neighbours_refused",
        help: "Neighbours that were not learned for lack of room.",
        advice: "More neighbours than `neighbours.entries`: make that larger if they are real. A flood of made-up ones does no more harm than this; routers of routes always have a place.",
    },
    Entry {
        name: "solicitations_dropped",
        help: "Questions for neighbours that no worker had room for.",
        advice: "A worker does not get round to them: is it overloaded, or does it hang? They are asked again.",
    },
];

/// What a port's device counts, as its driver tells it: the names of a port's counters in the state.
pub const PORT: &[Entry] = &[
    Entry {
        name: "rx_packets",
        help: "Frames that the device received and handed over.",
        advice: "Grows with the load.",
    },
    Entry {
        name: "tx_packets",
        help: "Frames that the device sent.",
        advice: "Grows with the load.",
    },
    Entry { name: "rx_bytes", help: "Bytes of those received.", advice: "Grows with the load." },
    Entry { name: "tx_bytes", help: "Bytes of those sent.", advice: "Grows with the load." },
    Entry {
        name: "rx_missed",
        help: "Frames that the device dropped because its receive queue was full.",
        advice: "Frames are lost before any worker sees them: more load than the workers take. Add workers (`workers.cpus`), or `rx_descriptors` against short bursts.",
    },
    Entry {
        name: "rx_errors",
        help: "Frames that the device received damaged.",
        advice: "Look at cable, optics and the other side's error counters.",
    },
    Entry {
        name: "tx_errors",
        help: "Frames that the device could not send.",
        advice: "Look at the link and at the driver's log.",
    },
    Entry {
        name: "rx_no_mbuf",
        help: "Frames that the device dropped because no buffer was free.",
        advice: "Buffers are short: more memory (`eal.memory_mb`). If the mempool's use grows for days, tell us.",
    },
];

/// What else stands among the statistics.
pub const FIGURES: &[Entry] = &[
    Entry {
        name: "received",
        help: "Frames that workers received. The outcomes add up to it.",
        advice: "Grows with the load. Standing still while the port's `rx_packets` grows says that workers hang.",
    },
    Entry {
        name: "reloads",
        help: "Times that a configuration was taken up since the start.",
        advice: "Grows by one with each reload that succeeded. If it does not after a SIGHUP, the log says what is wrong with the file.",
    },
    Entry {
        name: "pending",
        help: "Probes that wait for an answer, as of the last pass over the table. No counter: it falls too.",
        advice: "About the requests a second times the time that answers take. Near `pending.entries` requests are lost: see `drop_table_full`.",
    },
    Entry {
        name: "mbufs_in_use",
        help: "Buffers of frames in use when the process ended.",
        advice: "Should be 0, for all ports are closed then. Two drivers keep what lies in their rings when they are closed: net_af_xdp and, with zero-copy, net_memif; that is about a ring for each queue. With any other, tell us.",
    },
];

/// The page docs/counters.md, as Markdown.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "\
# Counters

<!-- Written by `otherhalfd generate counters`; change the texts where the counters are defined. -->

What `otherhalfd` counts, what each counter means, and what to do when it grows. Counters count from the start of the
process. Every frame that a worker receives ends in exactly one *outcome*, so the outcomes add up to `received`.
`drop_` counters are not errors by themselves: most of them count what is rightly not answered.

",
    );
    // Writing to a string can't fail.
    let mut chapter = |title: &str, about: &str, entries: &mut dyn Iterator<Item = Entry>| {
        let _ = writeln!(page, "## {title}\n\n{about}\n");
        for Entry { name, help, advice } in entries {
            let _ = writeln!(page, "### {name}\n\n{help}\n\n{advice}\n");
        }
    };
    let outcomes = Outcome::ALL.iter().map(|outcome| Entry {
        name: outcome.name(),
        help: outcome.help(),
        advice: outcome.advice(),
    });
    chapter(
        "Outcomes",
        "What became of a received frame, in the order in which a frame may meet them.",
        &mut { outcomes },
    );
    chapter(
        "Besides",
        "What is counted besides frames received; of these, none is part of the sum.",
        &mut OTHERS.iter().copied(),
    );
    chapter(
        "Ports",
        "What a port's device counts. What a driver does not count is 0.",
        &mut PORT.iter().copied(),
    );
    chapter("Figures", "What else stands among the statistics.", &mut FIGURES.iter().copied());
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Totals;

    #[test]
    fn all_that_is_counted_besides_is_described() {
        let counted: Vec<&str> = Totals::default().others().map(|(name, _)| name).collect();
        let described: Vec<&str> = OTHERS.iter().map(|entry| entry.name).collect();
        assert_eq!(counted, described);
    }

    #[test]
    fn every_counter_has_a_section() {
        let page = page();
        let outcomes = Outcome::ALL.iter().map(|outcome| outcome.name());
        for name in outcomes.chain(OTHERS.iter().chain(PORT).chain(FIGURES).map(|e| e.name)) {
            assert_eq!(page.matches(&format!("\n### {name}\n")).count(), 1, "{name}");
        }
    }

    #[test]
    fn the_page_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/counters.md");
        let written = std::fs::read_to_string(path).unwrap();
        assert!(written == page(), "run: otherhalfd generate counters > docs/counters.md");
    }
}

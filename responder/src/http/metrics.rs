//! The state as Prometheus reads it: its text format, version 0.0.4.
//!
//! Names as Prometheus advises: base units, `_total` for what only grows. Nothing is added up that Prometheus can add up: what is of a
//! worker, a port or a queue has that as a label.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::HeaderValue;
use otherhalf_control::status::{
    Mempool, Neighbour, Pending, Port, Prefixes, Rate, Step, Times, Worker,
};
use otherhalf_control::{State, Status};
use otherhalf_engine::Outcome;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::counters::{self, Entry};

pub(super) const CONTENT_TYPE: HeaderValue =
    HeaderValue::from_static(prometheus_text::CONTENT_TYPE);

/// What a time stamp counter's tick is called here: a cycle of it, not of the core.
const NANOSECONDS: f64 = 1e9;

/// `status` as text.
pub(super) fn text(status: Arc<Status>) -> String {
    let mut registry = Registry::with_prefix("otherhalf");
    registry.register_collector(Box::new(Scrape(status)));
    let mut text = String::new();
    // Writing to a string can't fail.
    let _ = prometheus_text::encode(&mut text, &registry);
    text
}

/// A state to be told.
#[derive(Debug)]
struct Scrape(Arc<Status>);

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (mut out, status) = (Out(encoder), self.0.as_ref());
        out.process(status)?;
        out.frames(status)?;
        out.workers(status)?;
        out.times(&status.workers)?;
        out.ports(&status.ports)?;
        out.pending(&status.pending)?;
        out.rate(&status.rate)?;
        out.prefixes(&status.prefixes)?;
        out.neighbours(&status.neighbours)?;
        out.mempool(&status.mempool)
    }
}

/// Labels of a value: names and texts.
type Labels<const N: usize> = [(&'static str, String); N];

/// Where metrics are written to.
struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    /// One metric with a value for each set of labels.
    fn family<const N: usize, V>(
        &mut self,
        (name, help, kind): (&str, &str, MetricType),
        values: impl IntoIterator<Item = (Labels<N>, V)>,
        encode: impl Fn(&mut MetricEncoder<'_>, V) -> fmt::Result,
    ) -> fmt::Result {
        // The library ends it with a full stop.
        let help = help.trim_end_matches('.');
        let mut metric = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in values {
            if N == 0 {
                encode(&mut metric, value)?;
            } else {
                encode(&mut metric.encode_family(&labels)?, value)?;
            }
        }
        Ok(())
    }

    /// A counter; `_total` is added to `name`.
    fn counter<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<N>, u64)>,
    ) -> fmt::Result {
        self.family((name, help, MetricType::Counter), values, |metric, value| {
            metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    fn seconds_counter<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<N>, f64)>,
    ) -> fmt::Result {
        self.family((name, help, MetricType::Counter), values, |metric, value| {
            metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    fn gauge<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<N>, f64)>,
    ) -> fmt::Result {
        self.family((name, help, MetricType::Gauge), values, |metric, value| {
            metric.encode_gauge(&value)
        })
    }

    fn histogram<'t, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<N>, &'t Times)>,
    ) -> fmt::Result {
        self.family((name, help, MetricType::Histogram), values, |metric, times| {
            let mut before = 0;
            let mut buckets: Vec<(f64, u64)> = Vec::with_capacity(times.steps.len() + 1);
            for Step { up_to_ns, count } in &times.steps {
                buckets.push((seconds(*up_to_ns), count - before));
                before = *count;
            }
            buckets.push((f64::INFINITY, times.count - before));
            metric.encode_histogram::<NoLabelSet>(
                Duration::from_micros(times.sum_us).as_secs_f64(),
                times.count,
                &buckets,
                None,
            )
        })
    }

    fn process(&mut self, status: &Status) -> fmt::Result {
        use State::{Drained, Draining, Leaving, Running, Starting, Stopping};
        let labels = [("version", status.version.to_string()), ("dpdk", status.dpdk.clone())];
        self.gauge("build_info", "What runs; always 1.", [(labels, 1.0)])?;
        let uptime = milliseconds(status.uptime_ms);
        self.gauge("uptime_seconds", "Time since the start.", [([], uptime)])?;
        let lives = [Starting, Running, Leaving, Draining, Drained, Stopping];
        self.gauge(
            "state",
            "1 for the state that the responder is in, 0 for all others.",
            lives.map(|state| ([("state", state.name().to_owned())], flag(state == status.state))),
        )?;
        let ready = "Whether requests should be sent here: running, and every port's link is up.";
        self.gauge("ready", ready, [([], flag(status.ready))])?;
        let about = counters::FIGURES.iter().find(|entry| entry.name == "reloads");
        self.counter("reloads", about.map_or("", |entry| entry.help), [([], status.reloads)])
    }

    fn frames(&mut self, status: &Status) -> fmt::Result {
        let received = status.workers.iter().map(|worker| ([of(worker)], worker.received));
        let help = "Frames received by a worker, from its queue of each port.";
        self.counter("received_frames", help, received)?;
        let outcomes = status.workers.iter().flat_map(|worker| {
            Outcome::ALL.iter().map(move |outcome| {
                let count = worker.outcomes.get(outcome.name()).copied().unwrap_or_default();
                ([("outcome", outcome.name().to_owned()), of(worker)], count)
            })
        });
        let help = "Frames received, by what became of them; docs/counters.md says what each outcome means.";
        self.counter("frames", help, outcomes)?;
        for Entry { name, help, .. } in counters::OTHERS {
            let value = status.others.get(*name).copied().unwrap_or_default();
            self.counter(name, help, [([], value)])?;
        }
        Ok(())
    }

    fn workers(&mut self, status: &Status) -> fmt::Result {
        let workers = &status.workers;
        let of_each = |value: fn(&Worker) -> u64| {
            workers.iter().map(move |worker| ([of(worker)], value(worker)))
        };
        self.counter(
            "worker_turns",
            "Turns of a worker's loop, idle ones too; standing still means that it hangs.",
            of_each(|worker| worker.turns),
        )?;
        self.counter(
            "worker_busy_turns",
            "Turns of a worker's loop in which frames came.",
            of_each(|worker| worker.busy_turns),
        )?;
        self.counter(
            "worker_busy_cycles",
            "Cycles of the time stamp counter that busy turns took; by received frames, the cycles of a packet.",
            of_each(|worker| worker.busy_ticks),
        )?;
        let hz = float(status.ticks_per_second.max(1));
        self.seconds_counter(
            "worker_busy_seconds",
            "Time that busy turns took; the rate is the part of a core that is used.",
            workers.iter().map(|worker| ([of(worker)], float(worker.busy_ticks) / hz)),
        )?;
        let stages = workers.iter().flat_map(|worker| {
            let stages = worker.stage_ticks.iter();
            stages.map(|(stage, ticks)| ([of(worker), ("stage", stage.to_string())], *ticks))
        });
        let help = "Cycles of the time stamp counter that the stages of busy turns took.";
        self.counter("worker_stage_cycles", help, stages)?;
        self.gauge(
            "cycles_per_second",
            "Cycles of the time stamp counter in a second.",
            [([], hz)],
        )?;
        self.gauge(
            "worker_heartbeat_age_seconds",
            "Time since a worker was last seen to make a turn.",
            workers.iter().map(|worker| ([of(worker)], milliseconds(worker.silent_ms))),
        )?;
        self.gauge(
            "worker_cpu",
            "The CPU that a worker runs on.",
            workers.iter().map(|worker| ([of(worker)], float(worker.cpu as u64))),
        )
    }

    fn times(&mut self, workers: &[Worker]) -> fmt::Result {
        self.histogram(
            "round_trip_seconds",
            "From a probe to its answer; the sum is right to a part in 128.",
            workers.iter().map(|worker| ([of(worker)], &worker.round_trips)),
        )?;
        let served = workers.iter().flat_map(|worker| {
            let of_kind = |kind: &str, times| ([of(worker), ("kind", kind.to_owned())], times);
            [of_kind("probe", &worker.probe_service), of_kind("response", &worker.response_service)]
        });
        let help = "From a request or an answer that is here until its probe or response is handed to the device; each packet counts as long as its burst took. The sum is right to a part in 128.";
        self.histogram("service_seconds", help, served)
    }

    fn ports(&mut self, ports: &[Port]) -> fmt::Result {
        let name = |port: &Port| ("port", port.name.clone());
        let info = ports.iter().map(|port| {
            let (driver, mac) = (port.driver.clone(), port.mac.clone());
            ([name(port), ("driver", driver), ("mac", mac)], 1.0)
        });
        self.gauge("port_info", "What a port is; always 1.", info)?;
        let of_each = |value: fn(&Port) -> f64| ports.iter().map(move |p| ([name(p)], value(p)));
        self.gauge("port_up", "Whether a port has a link.", of_each(|port| flag(port.link_up)))?;
        self.counter(
            "port_link_changes",
            "Times that a port's link was seen to come or go; the first one at the start counts.",
            ports.iter().map(|port| ([name(port)], port.link_changes)),
        )?;
        let speeds = ports.iter().filter_map(|port| {
            // A megabit is 125,000 bytes.
            Some(([name(port)], f64::from(port.speed_mbps?) * 125_000.0))
        });
        self.gauge("port_speed_bytes", "A link's bytes a second, if known.", speeds)?;
        let mtu = of_each(|port| f64::from(port.mtu));
        self.gauge("port_mtu_bytes", "The largest IP packet of a port.", mtu)?;
        for Entry { name: counter, help, .. } in counters::PORT {
            let value = |port: &Port| port.counters.get(*counter).copied().unwrap_or_default();
            let values = ports.iter().map(|port| ([name(port)], value(port)));
            self.counter(&format!("port_{counter}"), help, values)?;
        }
        let counted = |counter: &str| {
            ports.iter().any(|port| port.queue_counters.iter().any(|q| q.contains_key(counter)))
        };
        for Entry { name: counter, .. } in counters::PORT.iter().filter(|e| counted(e.name)) {
            let values = ports.iter().flat_map(|port| {
                port.queue_counters.iter().enumerate().map(move |(queue, counters)| {
                    let value = counters.get(*counter).copied().unwrap_or_default();
                    ([name(port), ("queue", queue.to_string())], value)
                })
            });
            let help = format!(
                "As otherhalf_port_{counter}_total, of one queue; 0 if the driver does not tell."
            );
            self.counter(&format!("queue_{counter}"), &help, values)?;
        }
        Ok(())
    }

    fn pending(&mut self, pending: &Pending) -> fmt::Result {
        let Pending { live, capacity, bytes, timeout_ms, expired, oldest_ms } = *pending;
        for (name, help, value) in [
            (
                "pending_probes",
                "Probes that wait for an answer, as of the last pass over the table.",
                float(live),
            ),
            ("pending_limit_probes", "Probes that can wait at once.", float(capacity)),
            ("pending_table_bytes", "Memory of the table of probes that wait.", float(bytes)),
            (
                "pending_timeout_seconds",
                "How long an answer is waited for.",
                milliseconds(timeout_ms),
            ),
            (
                "pending_oldest_age_seconds",
                "How long the oldest probe had waited when the last pass came by.",
                milliseconds(oldest_ms),
            ),
        ] {
            self.gauge(name, help, [([], value)])?;
        }
        let help = "Probes that passes over the table found to have waited in vain; those whose place was taken before are not among them.";
        self.counter("pending_expired", help, [([], expired)])
    }

    fn rate(&mut self, rate: &Rate) -> fmt::Result {
        let Rate { enabled, dry_run, bytes, cells, spent, leaked, spared } = *rate;
        let enforced = f64::from(u8::from(enabled && !dry_run));
        let help = "Whether requests beyond the rates are dropped.";
        self.gauge("rate_enforced", help, [([], enforced)])?;
        let help = "Memory of the limits of requesters.";
        self.gauge("rate_table_bytes", help, [([], float(bytes))])?;
        let help = "Cells of the limits of requesters.";
        self.gauge("rate_limit_cells", help, [([], float(cells))])?;
        let help = "Cells that are spent, in part or wholly, as of the last pass over them.";
        self.gauge("rate_spent_cells", help, [([], float(spent))])?;
        let help = "Requests beyond a rate that were served: so that nobody is muted, or because rates are only tried out.";
        let why = [("leaked", leaked), ("spared", spared)];
        self.counter(
            "rate_exceeded_served",
            help,
            why.map(|(why, n)| ([("why", why.to_owned())], n)),
        )
    }

    fn prefixes(&mut self, prefixes: &Prefixes) -> fmt::Result {
        let Prefixes { access, opt_out, indirect, .. } = *prefixes;
        let lists = [("access", access), ("opt_out", opt_out), ("indirect", indirect)];
        let help = "Prefixes in each list of the configuration.";
        let labelled = lists.map(|(list, n)| ([("list", list.to_owned())], float(n)));
        self.gauge("prefixes", help, labelled)
    }

    fn neighbours(&mut self, neighbours: &[Neighbour]) -> fmt::Result {
        let count = |known| neighbours.iter().filter(|n| n.mac.is_some() == known).count() as u64;
        let states = [("known", true), ("silent", false)];
        self.gauge(
            "neighbours",
            "Neighbours whose hardware address is known, and such as did not tell it.",
            states.map(|(state, known)| ([("state", state.to_owned())], float(count(known)))),
        )?;
        let routers = neighbours.iter().filter(|neighbour| neighbour.router).map(|router| {
            let interface = router.interface.clone();
            let labels = [("address", router.address.to_string()), ("interface", interface)];
            (labels, flag(router.mac.is_some()))
        });
        self.gauge(
            "router_known",
            "Whether a router of a route told its hardware address.",
            routers,
        )
    }

    fn mempool(&mut self, mempool: &Mempool) -> fmt::Result {
        let used = "Buffers of frames in use: in queues, caches and under way.";
        self.gauge("mempool_used_buffers", used, [([], float(mempool.in_use))])?;
        self.gauge("mempool_buffers", "Buffers of frames in all.", [([], float(mempool.size))])
    }
}

fn of(worker: &Worker) -> (&'static str, String) {
    ("worker", worker.index.to_string())
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
fn float(value: u64) -> f64 {
    value as f64
}

fn milliseconds(value: u64) -> f64 {
    float(value) / 1000.0
}

fn seconds(ns: u64) -> f64 {
    float(ns) / NANOSECONDS
}

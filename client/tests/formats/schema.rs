//! The published schema is that of the types, and what is written is as it says.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use otherhalf_client::document::{self, CheckDocument, Event, Head, SCHEMA_VERSION, Target};
use otherhalf_client::multipath::{self, Search};
use otherhalf_client::stream::Watcher;
use otherhalf_client::{
    Check, Direction, Document, Options, Queries, Secret, Trace, check, network,
};
use otherhalf_simnet::{SimNetwork, Topology};
use otherhalf_wire::ip::Family;
use otherhalf_wire::probe::Protocol;
use serde_json::{Value, json};

use crate::golden::documents;

/// Where it is published.
const FILE: &str = "../docs/trace.schema.json";

/// A silent router is on the way, in both directions.
const NETWORK: &str = "../crates/simnet/topologies/silent.toml";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn published() -> String {
    fs::read_to_string(file(FILE)).unwrap()
}

/// Of one definition of the published schema, by its name: stricter than the whole, which takes any of three.
fn validator(definition: &str) -> Validator {
    let mut schema: Value = serde_json::from_str(&published()).unwrap();
    assert!(schema["$defs"][definition].is_object(), "{definition}");
    let object = schema.as_object_mut().unwrap();
    object.remove("anyOf");
    object.insert("$ref".to_owned(), json!(format!("#/$defs/{definition}")));
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

#[track_caller]
fn assert_valid(validator: &Validator, value: &Value) {
    let errors: Vec<_> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\n{value:#}");
    let whole = jsonschema::validator_for(&serde_json::from_str(&published()).unwrap()).unwrap();
    assert!(whole.is_valid(value), "valid as one, and not as any: {value:#}");
}

#[test]
fn the_published_schema_is_that_of_this_version() {
    let schema = serde_json::to_string_pretty(&document::schema()).unwrap() + "\n";
    assert!(
        published() == schema,
        "write it anew: cargo run -p otherhalf-client -- generate schema > docs/trace.schema.json"
    );
    assert!(jsonschema::meta::is_valid(&document::schema()));
}

#[test]
fn fixed_documents() {
    let validator = validator("Document");
    for (_, text) in documents() {
        assert_valid(&validator, &serde_json::from_str(&text).unwrap());
        let document = document::read(&text).unwrap();
        assert_valid(&validator, &serde_json::to_value(document).unwrap());
    }
}

#[test]
fn what_is_no_document_is_not_valid() {
    let validator = validator("Document");
    let (_, text) = documents().into_iter().find(|(name, _)| name == "two-way-v4").unwrap();
    for (place, wrong) in [
        ("/forward/hops/0/ttl", json!(256)),
        ("/forward/hops/0/probes/0/address", json!(null)),
        ("/forward/hops/0/probes/0/rtt_ms", json!("0.4 ms")),
        ("/forward/hops/0/probes/0/reply/kind", json!("time exceeded")),
        ("/forward/end/kind", json!("over")),
        ("/forward/protocol", json!("sctp")),
        ("/command", json!("check")),
        ("/started", json!("yesterday")),
        ("/hosts/192.0.2.80/asn", json!(-1)),
        ("/finding/kind", json!("all")),
    ] {
        let mut value: Value = serde_json::from_str(&text).unwrap();
        let changed = value.pointer_mut(place);
        if let Some(changed) = changed {
            *changed = wrong;
        } else {
            value["hosts"]["192.0.2.80"]["asn"] = wrong;
        }
        assert!(!validator.is_valid(&value), "{place}");
    }
}

fn network(family: Family) -> SimNetwork {
    SimNetwork::new(Topology::read(file(NETWORK)).unwrap(), family, 1)
}

fn head(command: &str, network: &SimNetwork) -> Head {
    Head {
        schema_version: SCHEMA_VERSION,
        version: "0.1.0".to_owned(),
        command: command.to_owned(),
        started: "2026-01-02T03:04:05Z".parse().unwrap(),
        target: Target { name: "www.example.com".to_owned(), address: network.target() },
        via: None,
        source: network.source(),
        exit_code: 0,
    }
}

/// Both directions over a simulated network, and the lines of its stream but for the first and the last.
fn traced(family: Family, protocol: Protocol) -> (Document, Vec<Event>) {
    let mut simulated = network(family);
    let (source, target) = (simulated.source(), simulated.target());
    let mut traces = [Direction::Forward, Direction::Reverse].map(|direction| {
        let options = Options::new(direction, protocol, source, target);
        Trace::new(options, Secret::from_bytes([1; 16]))
    });
    let mut watcher = Watcher::default();
    let mut events = Vec::new();
    network::run(&mut simulated, &mut traces, |traces, _| {
        events.extend(watcher.news(traces));
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(watcher.news(&traces).is_empty());
    let [forward, reverse] = traces.each_ref().map(|trace| Some(trace.into()));
    let head = head("two-way", &simulated);
    (
        Document {
            head,
            forward,
            reverse,
            finding: None,
            hosts: BTreeMap::default(),
            aliases: Vec::new(),
        },
        events,
    )
}

#[test]
fn simulated_traces_and_their_events() {
    let [of_document, of_event] = ["Document", "Event"].map(validator);
    for family in [Family::V4, Family::V6] {
        for protocol in Protocol::ALL {
            let (document, events) = traced(family, protocol);
            assert_valid(&of_document, &serde_json::to_value(&document).unwrap());
            for event in &events {
                assert_valid(&of_event, &serde_json::to_value(event).unwrap());
            }
            for (direction, path) in document.paths() {
                assert!(path.reached, "{path:?}");
                // Each probe of the document was told of, once, as it is there.
                for hop in &path.hops {
                    for (query, probe) in hop.probes.iter().enumerate() {
                        let ttl = hop.ttl;
                        let wanted = match probe.clone() {
                            Some(probe) => Event::Answer { direction, ttl, query, probe },
                            None => Event::Silence { direction, ttl, query, flow: None },
                        };
                        let told = events.iter().filter(|event| **event == wanted).count();
                        assert_eq!(told, 1, "{wanted:?}");
                    }
                }
                let end = Event::End {
                    direction,
                    reached: true,
                    end: path.end.clone().unwrap(),
                    sent: path.sent,
                };
                assert_eq!(events.iter().filter(|event| **event == end).count(), 1);
            }
            let result = Event::Result { document: Box::new(document) };
            assert_valid(&of_event, &serde_json::to_value(&result).unwrap());
        }
    }
}

/// The answers of `path`, as events.
fn answers(direction: Direction, path: &document::Path) -> Vec<Event> {
    let of_hop = |hop: &document::Hop| {
        let ttl = hop.ttl;
        let answered = hop.probes.iter().flatten().cloned();
        let event = |probe: document::Probe| {
            let query = usize::from(probe.flow.unwrap() - path.flow);
            Event::Answer { direction, ttl, query, probe }
        };
        answered.map(event).collect::<Vec<_>>()
    };
    path.hops.iter().flat_map(of_hop).collect()
}

#[test]
fn simulated_searches_and_their_events() {
    let of_event = validator("Event");
    let mut simulated = network(Family::V4);
    let (source, target) = (simulated.source(), simulated.target());
    let mut searches = [Direction::Forward, Direction::Reverse].map(|direction| {
        let options = Options::new(direction, Protocol::Udp, source, target);
        Search::new(multipath::Options::new(options), Secret::from_bytes([1; 16]))
    });
    let mut watcher = Watcher::default();
    let mut events = Vec::new();
    network::run(&mut simulated, &mut searches, |searches, _| {
        events.extend(watcher.news_of_searches(searches));
        ControlFlow::Continue(())
    })
    .unwrap();
    events.extend(watcher.news_of_searches(&searches));
    assert!(watcher.news_of_searches(&searches).is_empty());
    for event in &events {
        assert_valid(&of_event, &serde_json::to_value(event).unwrap());
        assert_eq!(events.iter().filter(|other| *other == event).count(), 1, "{event:?}");
    }
    for search in &searches {
        let path = document::Path::from(search);
        let direction = search.options().trace.direction;
        assert!(path.reached, "{path:?}");
        let answers = answers(direction, &path);
        assert!(answers.len() > 20, "{answers:?}");
        for answer in answers {
            assert!(events.contains(&answer), "{answer:?}");
        }
        // The silent router was told of, flow by flow.
        let silent = path.hops.iter().find(|hop| hop.probes.iter().all(Option::is_none)).unwrap();
        for (query, flow) in (0..silent.probes.len()).zip(path.flow..) {
            let (ttl, flow) = (silent.ttl, Some(flow));
            let silence = Event::Silence { direction, ttl, query, flow };
            assert!(events.contains(&silence), "{silence:?}");
        }
        let (end, sent) = (path.end.clone().unwrap(), path.sent);
        assert!(events.contains(&Event::End { direction, reached: true, end, sent }));
        let plan = document::Plan::from(search.options());
        assert_eq!((plan.queries, plan.max_flows), (1, Some(512)));
    }
}

#[test]
fn a_stream_is_read_again_and_a_torn_one_is_not() {
    let (document, events) = traced(Family::V4, Protocol::Udp);
    let start = Event::Start {
        schema_version: SCHEMA_VERSION,
        version: "0.1.0".to_owned(),
        command: "two-way".to_owned(),
        started: document.head.started,
        target: document.head.target.clone(),
        source: document.head.source,
        traces: Vec::new(),
    };
    let line = |event: &Event| serde_json::to_string(event).unwrap() + "\n";
    let torn: String = std::iter::once(&start).chain(&events).map(line).collect();
    let whole = torn.clone() + &line(&Event::Result { document: Box::new(document.clone()) });
    assert_eq!(document::read(&whole).unwrap(), document);
    assert!(matches!(document::read(&torn), Err(document::Error::Unfinished)));
    assert!(matches!(document::read(&line(&start)), Err(document::Error::Unfinished)));
    let newer = torn.replacen("\"schema_version\":1", "\"schema_version\":2", 1);
    assert!(matches!(document::read(&newer), Err(document::Error::Newer(2))));
}

#[test]
fn checks() {
    let validator = validator("CheckDocument");
    let mut simulated = network(Family::V4);
    let options = check::Options {
        target: simulated.target(),
        attempts: Queries::default(),
        wait: std::time::Duration::from_secs(1),
    };
    let secret = Secret::from_bytes([1; 16]);
    let found: Check =
        check::check(&mut simulated, &options, &secret, || ControlFlow::Continue(())).unwrap();
    let ends = [simulated.source(), simulated.target()];
    let proceed = || ControlFlow::Continue(());
    let rtt = std::time::Duration::from_millis(50);
    let features = check::features(&mut simulated, ends, rtt, &secret, proceed).unwrap();
    let found = Check { features: Some(features), ..found };
    let other = (simulated.target(), &found);
    let document = CheckDocument::new(head("check", &simulated), &found, Some(other));
    let value = serde_json::to_value(&document).unwrap();
    assert_valid(&validator, &value);
    assert_eq!(value["reverse_traceroute"]["answer"], "speaks");
    assert_eq!(serde_json::from_value::<CheckDocument>(value.clone()).unwrap(), document);
    let mut no_check = value;
    no_check["command"] = json!("forward");
    assert!(!validator.is_valid(&no_check));
}

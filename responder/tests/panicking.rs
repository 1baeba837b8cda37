//! A worker that panics: noticed within a second, and told with its own words.

use std::cell::Cell;
use std::time::{Duration, Instant};

use otherhalf_responder::config::Config;
use otherhalf_responder::control::{End, Wishes};
use otherhalf_responder::setup::Responder;

/// How soon it must be noticed.
const SOON: Duration = Duration::from_secs(1);

/// Nothing is wanted, but not for ever.
struct Nothing(Instant, Cell<u32>);

impl Wishes for Nothing {
    fn stop(&self) -> bool {
        self.1.set(self.1.get() + 1);
        self.0.elapsed() > 10 * SOON
    }

    fn print(&self) -> bool {
        false
    }
}

#[test]
fn a_worker_that_panics_ends_the_responder_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("otherhalfd.toml");
    let text = format!(
        r#"
        [eal]
        huge_pages = false
        memory_mb = 64
        file_prefix = "otherhalf-panicking-{}"

        [workers]
        cpus = [0, 0]
        idle_sleep_us = 1000

        [pending]
        entries = 1024

        [[port]]
        device = "net_null0,no-rx=1"

        [[port.interface]]
        addresses = ["192.0.2.2/24"]
        "#,
        std::process::id(),
    );
    std::fs::write(&path, text).unwrap();
    let config = Config::load(&path).unwrap();
    let Responder { workers, mut control, eal, .. } = Responder::start(&config).unwrap();
    let shared = std::sync::Arc::clone(&control.shared);
    let handles: Vec<_> = workers
        .into_iter()
        .enumerate()
        .map(|(place, (lcore, worker))| {
            let shared = std::sync::Arc::clone(&shared);
            let run = move || {
                if place == 0 {
                    return worker.run();
                }
                // The other one has worked for a while.
                while shared.workers[0].stats.turns.get() < 100 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                panic!("what no worker ever says");
            };
            eal.launch(lcore, run).unwrap()
        })
        .collect();

    let wishes = Nothing(Instant::now(), Cell::new(0));
    while control.shared.workers[0].stats.turns.get() < 90 {
        std::thread::sleep(Duration::from_millis(1));
        assert!(wishes.0.elapsed() < 10 * SOON, "the worker does not work");
    }
    let start = Instant::now();
    assert_eq!(control.run(&handles, &wishes), End::WorkerLost);
    assert!(start.elapsed() < SOON, "noticed after {:?}", start.elapsed());
    // The end, as the program has it: the others are stopped, and the error says why.
    control.shared.stop();
    let errors: Vec<String> =
        handles.into_iter().filter_map(|handle| Some(handle.join().err()?.to_string())).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("what no worker ever says"), "{errors:?}");
}

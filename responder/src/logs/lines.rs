//! The form of a line.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Instant;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::limit::Limits;

/// Lines of another form, limited, and such as journald wants them if they are for it.
#[derive(Debug)]
pub(super) struct Lines<F> {
    form: F,
    json: bool,
    journal: bool,
    limits: Arc<Limits>,
}

impl<F> Lines<F> {
    /// As they are, within `limits`.
    pub(super) fn plain(form: F, limits: &Arc<Limits>) -> Self {
        Self { form, json: false, journal: false, limits: Arc::clone(limits) }
    }

    /// With the level in front of each line, as sd-daemon(3) has it.
    pub(super) fn journal(form: F, limits: &Arc<Limits>) -> Self {
        Self { journal: true, ..Self::plain(form, limits) }
    }

    /// The form is one JSON object a line.
    pub(super) fn of_json(self) -> Self {
        Self { json: true, ..self }
    }

    /// Adds to a line how many of its kind were left out before it.
    fn tell_of_suppressed(&self, line: &mut String, suppressed: u64) -> fmt::Result {
        line.truncate(line.trim_end().len());
        if self.json && line.ends_with('}') {
            line.pop();
            writeln!(line, ",\"suppressed\":{suppressed}}}")
        } else {
            writeln!(line, " suppressed={suppressed}")
        }
    }
}

impl<S, N, F> FormatEvent<S, N> for Lines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let Some(suppressed) = self.limits.pass(event, Instant::now()) else { return Ok(()) };
        let mut text = String::new();
        self.form.format_event(context, Writer::new(&mut text), event)?;
        if suppressed > 0 {
            self.tell_of_suppressed(&mut text, suppressed)?;
        }
        if !self.journal {
            return writer.write_str(&text);
        }
        let priority = priority(*metadata.level());
        // An event of several lines is several lines for journald, each with a level of its own.
        text.lines().try_for_each(|line| writeln!(writer, "<{priority}>{}", line.trim_start()))
    }
}

/// The level as syslog(3) counts.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Mutex;

    use tracing_subscriber::fmt::format::{DefaultFields, JsonFields};
    use tracing_subscriber::fmt::{MakeWriter, format, layer};
    use tracing_subscriber::layer::SubscriberExt;

    use super::super::{AUDIT, REPEATS};
    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(octets)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Page {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    impl Page {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn storm() {
        for turn in 0..50 {
            tracing::info!(turn, "asked for");
            tracing::info!(name: REPEATS, turn, "it came back");
            tracing::warn!(turn, "it is gone");
            tracing::warn!(target: AUDIT, turn, "told");
        }
    }

    /// The text of a storm, and that of what is told at its end.
    fn of_storm() -> (String, String) {
        let (page, limits) = (Page::default(), Arc::default());
        let lines = Lines::plain(format().with_target(false).with_ansi(false), &limits);
        let layer =
            layer().with_writer(page.clone()).fmt_fields(DefaultFields::new()).event_format(lines);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            storm();
            let storm = page.text();
            limits.tell(None);
            let end = page.text().split_off(storm.len());
            (storm, end)
        })
    }

    #[test]
    fn what_repeats_is_limited_and_what_is_told_is_not() {
        let (text, _) = of_storm();
        let count = |words| text.lines().filter(|line| line.contains(words)).count();
        let counts = ["asked for", "came back", "is gone", "told"].map(count);
        assert_eq!(counts, [50, 20, 20, 50], "{text}");
    }

    #[test]
    fn after_the_last_line_of_a_kind_it_is_told_how_many_were_left_out() {
        let (_, end) = of_storm();
        let mut lines: Vec<&str> =
            end.lines().map(|line| line.split_once(' ').unwrap().1).collect();
        lines.sort_unstable();
        let words = "lines were left out: 20 a minute are enough of a kind";
        let expected = [
            format!(r#" INFO {words} like="it came back" suppressed=30"#),
            format!(r#" WARN {words} like="it is gone" suppressed=30"#),
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn the_journal_gets_levels_and_whole_objects() {
        let page = Page::default();
        let form = format().json().flatten_event(true);
        let lines = Lines::journal(form, &Arc::default()).of_json();
        let layer =
            layer().with_writer(page.clone()).fmt_fields(JsonFields::new()).event_format(lines);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), storm);
        for line in page.text().lines() {
            let (priority, object) = line[1..].split_once('>').unwrap();
            let object: serde_json::Value = serde_json::from_str(object).unwrap();
            let expected = if object["level"] == "WARN" { "4" } else { "6" };
            assert_eq!(priority, expected, "{line}");
        }
    }

    #[test]
    fn the_number_left_out_is_a_field() {
        let mut text = " WARN it is gone port=\"a\"\n".to_owned();
        Lines::plain((), &Arc::default()).tell_of_suppressed(&mut text, 3).unwrap();
        assert_eq!(text, " WARN it is gone port=\"a\" suppressed=3\n");
        let mut text = "{\"level\":\"WARN\"}\n".to_owned();
        Lines::plain((), &Arc::default()).of_json().tell_of_suppressed(&mut text, 3).unwrap();
        assert_eq!(text, "{\"level\":\"WARN\",\"suppressed\":3}\n");
    }
}

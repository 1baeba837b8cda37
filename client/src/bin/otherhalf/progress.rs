//! That something goes on, for whoever waits at a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use otherhalf_client::Trace;
use otherhalf_client::multipath::Search;

use crate::words::count;

/// A line on stderr that says how far the work is, if stderr is a terminal; it goes away with this.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A line that says nothing yet. Hidden where stderr is no terminal.
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Says how far `traces` are.
    pub(crate) fn traces(&self, traces: &[Trace]) {
        if self.0.is_hidden() {
            return;
        }
        let one = |trace: &Trace| {
            let answered = trace.hops().iter().filter(|hop| hop.is_answered()).count();
            let hops = count(u64::try_from(answered).unwrap_or(u64::MAX), "hop");
            format!("{}: {hops}, {} sent,", trace.options().direction, trace.sent())
        };
        self.say(traces.iter().map(one).collect::<Vec<_>>().join(" "));
    }

    /// Says how far `searches` are.
    pub(crate) fn searches(&self, searches: &[Search]) {
        if self.0.is_hidden() {
            return;
        }
        let one = |search: &Search| {
            let routers =
                count(u64::try_from(search.addresses().count()).unwrap_or(u64::MAX), "router");
            format!("{}: {routers}, {} sent,", search.options().trace.direction, search.sent())
        };
        self.say(searches.iter().map(one).collect::<Vec<_>>().join(" "));
    }

    /// Says `what` goes on.
    pub(crate) fn say(&self, what: String) {
        self.0.set_message(what);
        self.0.tick();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

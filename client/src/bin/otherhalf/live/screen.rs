//! The terminal: taken, and given back whatever happens.

use std::io;

use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::execute;
use ratatui::{DefaultTerminal, Frame};
use signal_hook::consts::SIGTSTP;

/// A terminal in raw mode, on its alternate screen. Given back when it is dropped, and before a panic is reported.
pub(super) struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        // Sets the hook for panics, too. If it fails half-way, what it did is undone.
        let terminal = ratatui::try_init().inspect_err(|_| ratatui::restore())?;
        Ok(Self { terminal })
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame)) -> io::Result<()> {
        self.terminal.draw(draw).map(|_| ())
    }

    /// Gives the terminal back and stops the process, as Ctrl-Z does; takes it again when it is continued.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        signal_hook::low_level::emulate_default_handler(SIGTSTP)?;
        // A new one knows nothing of what was drawn, so it draws all.
        self.terminal = ratatui::try_init()?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    ratatui::restore();
    // Nobody is left to be told if this fails.
    let _ = execute!(io::stdout(), Show);
}

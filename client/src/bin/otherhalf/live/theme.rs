//! Colours, or none; and characters that the terminal knows.

use std::{env, io};

use anstream::{AutoStream, ColorChoice};
use ratatui::style::{Color, Modifier, Style};

/// How things look. All that a colour says, a word, a sign or a place says too.
#[derive(Debug, Clone, Copy)]
pub(super) struct Theme {
    colour: bool,
    /// Whether more than ASCII can be shown.
    unicode: bool,
}

impl Theme {
    pub(super) const fn new(colour: bool, unicode: bool) -> Self {
        Self { colour, unicode }
    }

    /// Colours unless `--color` or `NO_COLOR` (<https://no-color.org>) says otherwise, and UTF-8 if the locale has it.
    pub(super) fn of_environment() -> Self {
        let colour = AutoStream::choice(&io::stdout()) != ColorChoice::Never;
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()))
            .unwrap_or_default()
            .to_ascii_lowercase();
        Self::new(colour, locale.contains("utf-8") || locale.contains("utf8"))
    }

    const fn style(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    pub(super) const fn title(self, focused: bool) -> Style {
        let style = self.style(Color::Cyan);
        if focused { style.add_modifier(Modifier::BOLD) } else { style }
    }

    #[expect(clippy::unused_self, reason = "all looks are asked of the theme")]
    pub(super) const fn head(self) -> Style {
        Style::new().add_modifier(Modifier::UNDERLINED)
    }

    #[expect(clippy::unused_self, reason = "all looks are asked of the theme")]
    pub(super) const fn bar(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    #[expect(clippy::unused_self, reason = "all looks are asked of the theme")]
    pub(super) const fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) const fn rise(self) -> Style {
        self.style(Color::Magenta).add_modifier(Modifier::BOLD)
    }

    pub(super) const fn trouble(self) -> Style {
        self.style(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// A loss in percent; `lasting` says whether hops behind show it too: else the router just limits its answers.
    pub(super) fn loss(self, percent: f64, lasting: bool) -> Style {
        match (percent, lasting) {
            (none, _) if none <= 0.0 => Style::new(),
            (_, false) => self.faint(),
            (some, true) if some < 5.0 => self.style(Color::Yellow),
            (_, true) => self.trouble(),
        }
    }

    pub(super) const fn time(self) -> Style {
        self.style(Color::Green)
    }

    /// What a text that is cut ends with.
    pub(super) const fn cut(self) -> &'static str {
        if self.unicode { "…" } else { "~" }
    }

    pub(super) const fn arrow(self) -> &'static str {
        if self.unicode { "→" } else { "->" }
    }

    pub(super) const fn updown(self) -> &'static str {
        if self.unicode { "↑↓" } else { "j/k" }
    }

    /// A bar of `part` of 1 in `width` columns.
    pub(super) fn gauge(self, part: f64, width: usize) -> String {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a part of a terminal's width"
        )]
        let full =
            ((part.clamp(0.0, 1.0) * width as f64).round() as usize).max(usize::from(part > 0.0));
        if self.unicode { "█" } else { "#" }.repeat(full)
    }

    /// A sign of the height `part` of 1.
    pub(super) fn height(self, part: f64) -> char {
        let signs: [char; 8] = if self.unicode {
            ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
        } else {
            ['_', '.', ',', '-', '~', '=', '*', '#']
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 7")]
        let step = (part.clamp(0.0, 1.0) * 7.0).round() as usize;
        signs[step.min(7)]
    }

    /// A probe that was lost.
    pub(super) const fn lost(self) -> char {
        if self.unicode { '×' } else { 'x' }
    }
}

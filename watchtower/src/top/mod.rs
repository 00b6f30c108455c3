//! `watchtower top`: a live tower in a terminal, from what it serves over HTTP.
//!
//! **Invariant:** the terminal is put back as it was, also when the tower goes away.

mod draw;
mod fetch;

use std::io::IsTerminal as _;
use std::time::Duration;

use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::{DefaultTerminal, Terminal};

pub(crate) use fetch::{Client, View};

/// How often the tower is asked.
const EVERY: Duration = Duration::from_secs(1);

/// The size of a frame that is printed rather than shown.
const PRINTED: (u16, u16) = (110, 40);

/// One frame, and whether the tower answered.
pub(crate) struct Printed {
    pub(crate) text: String,
    pub(crate) answered: bool,
}

/// Shows the tower until q, Esc or Ctrl-C; prints one frame where there is no terminal, or when that is asked for.
///
/// # Errors
/// When the terminal fails.
pub(crate) async fn run(client: &Client, once: bool) -> std::io::Result<Option<Printed>> {
    if once || !std::io::stdout().is_terminal() {
        let view = client.look().await;
        return Ok(Some(Printed { text: frame(&view), answered: view.error.is_none() }));
    }
    let mut terminal = ratatui::try_init()?;
    let outcome = show(&mut terminal, client).await;
    ratatui::try_restore()?;
    outcome.map(|()| None)
}

async fn show(terminal: &mut DefaultTerminal, client: &Client) -> std::io::Result<()> {
    loop {
        let view = client.look().await;
        terminal.draw(|frame| draw::draw(frame, &view))?;
        // Blocks for at most a second; nothing else runs on this thread.
        if event::poll(EVERY)?
            && let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
        {
            let ctrl_c =
                key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            if ctrl_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                return Ok(());
            }
        }
    }
}

/// One frame as text.
pub(crate) fn frame(view: &View) -> String {
    let (width, height) = PRINTED;
    let Ok(mut terminal) = Terminal::new(TestBackend::new(width, height));
    let Ok(_drawn) = terminal.draw(|frame| draw::draw(frame, view));
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for row in 0..height {
        let line: String = (0..width)
            .filter_map(|column| buffer.cell((column, row)))
            .map(ratatui::buffer::Cell::symbol)
            .collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests;

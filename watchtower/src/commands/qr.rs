//! A text as a QR code in the terminal: two rows of the code in one line of it.

use std::io::IsTerminal as _;

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// The code of `text`, where it is wanted: always, or on a terminal. None for a text that is too long for one.
pub(crate) fn code(text: &str, always: bool) -> Option<String> {
    if !always && !std::io::stdout().is_terminal() {
        return None;
    }
    // Light on dark, as most terminals are; readers take both.
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let mut colours = code.render::<Dense1x2>();
    Some(colours.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_fits_a_terminal_and_no_code_is_made_for_a_pipe() {
        let text = format!("vrc1{}", "a".repeat(420));
        let code = code(&text, true).unwrap();
        assert!(code.lines().all(|line| line.chars().count() <= 100), "{code}");
        assert!(code.lines().count() <= 50);
        assert_eq!(super::code(&"a".repeat(10_000), true), None);
    }
}

//! QR codes in a terminal: two modules a character, dark on light whatever the terminal's colours are.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// The code as lines of text; `None` if it holds too much.
pub(crate) fn render(content: &[u8]) -> Option<String> {
    let code = QrCode::with_error_correction_level(content, EcLevel::L).ok()?;
    // Terminals are dark: what is drawn is the light part, quiet zone included. The library's names are those of ink.
    let image = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .quiet_zone(true)
        .build();
    Some(image)
}

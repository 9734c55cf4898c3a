//! What the picture keeps of a terminal's text.

use super::*;

#[test]
fn colours_become_classes_at_their_columns() {
    let found =
        pieces(" \u{1b}[32m✓\u{1b}[0m  1 \u{1b}[1mReady\u{1b}[0m   \u{1b}[90m3.0 ms\u{1b}[0m").unwrap();
    let piece = |column, class, text: &str| Piece { column, class, text: text.to_owned() };
    assert_eq!(
        found,
        [piece(1, "g", "✓"), piece(4, "", "1"), piece(6, "b", "Ready"), piece(14, "q", "3.0 ms")]
    );
}

#[test]
fn what_no_terminal_of_this_size_shows_is_refused() {
    assert!(pieces(&"x".repeat(COLUMNS + 1)).is_err());
    assert!(pieces("\u{1b}[2K").is_err());
}

#[test]
fn text_is_escaped() {
    assert!(render("a < b & c").unwrap().contains(">a &lt; b &amp; c</text>"));
}

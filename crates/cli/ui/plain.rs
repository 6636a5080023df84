//! Text from outside (messages of services, keys, names of columns) as it may go to a terminal.

use std::borrow::Cow;

/// The text on one line, its control characters escaped as JSON does: a terminal would obey them.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_obeyed) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|letter| escaped(letter, is_obeyed(letter))).collect())
}

/// JSON has its controls escaped already, but for those that it need not escape.
pub(crate) fn json_line(json: &str) -> Cow<'_, str> {
    let is_left = |letter: char| is_obeyed(letter) && letter >= '\u{7f}';
    if !json.contains(is_left) {
        return Cow::Borrowed(json);
    }
    Cow::Owned(json.chars().map(|letter| escaped(letter, is_left(letter))).collect())
}

fn escaped(letter: char, is_escaped: bool) -> String {
    match letter {
        '\n' if is_escaped => "\\n".to_owned(),
        '\r' if is_escaped => "\\r".to_owned(),
        '\t' if is_escaped => "\\t".to_owned(),
        // All of them are in the first plane.
        letter if is_escaped => format!("\\u{:04x}", u32::from(letter)),
        letter => letter.to_string(),
    }
}

/// Controls, and what turns the direction of the text around it.
fn is_obeyed(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_finds_nothing_to_obey() {
        assert_eq!(one_line("数据 e\u{301} 😀 \\n \"x\""), "数据 e\u{301} 😀 \\n \"x\"");
        assert_eq!(
            one_line("a\u{1b}[31mb\r\nc\u{9b}2J\u{202e}d"),
            "a\\u001b[31mb\\r\\nc\\u009b2J\\u202ed"
        );
        let json = serde_json::json!({"x": "\u{1b}\u{7f}\u{9b}\u{202e}é"}).to_string();
        let line = json_line(&json);
        assert_eq!(line, r#"{"x":"\u001b\u007f\u009b\u202eé"}"#);
        let back: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(back["x"], "\u{1b}\u{7f}\u{9b}\u{202e}é");
    }
}

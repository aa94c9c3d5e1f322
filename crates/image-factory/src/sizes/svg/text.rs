//! Text in a drawing: names come from images, and whoever made one may have chosen them.

/// Text that fits, and how wide it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fitted {
    /// All of it, or what there is room for and an ellipsis.
    pub(super) text: String,
    /// In points.
    pub(super) width: f64,
}

/// The fewest characters of a name that say something.
const LEAST_CHARS: usize = 4;

/// As much of `text` as there is room for; `None` where that says nothing.
pub(super) fn fit(text: &str, room: f64, font_size: f64) -> Option<Fitted> {
    let width_of = |c: char| font_size * if c.is_ascii() { 0.6 } else { 1.05 };
    let whole: f64 = text.chars().map(width_of).sum();
    if whole <= room {
        return Some(Fitted { text: text.to_owned(), width: whole });
    }
    let mut fitted = Fitted { text: String::new(), width: width_of('…') };
    for c in text.chars() {
        if fitted.width + width_of(c) > room {
            break;
        }
        fitted.width += width_of(c);
        fitted.text.push(c);
    }
    let says_something = fitted.text.chars().count() >= LEAST_CHARS;
    says_something.then(|| Fitted { text: fitted.text.trim_end().to_owned() + "…", ..fitted })
}

/// Text for XML: markup is quoted, and what XML cannot hold or what turns the order of other
/// characters around is escaped. XML 1.0, §2.2, §2.4; Unicode, UAX #9.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                escaped.extend(c.escape_unicode());
            }
            c if c.is_control() => escaped.extend(c.escape_unicode()),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A count of bytes for people.
pub(crate) fn human(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = bytes as f64;
    let mut unit = "B";
    for larger in units {
        // What would be rounded to 1024 is one of the next.
        if value < 1023.95 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_where_its_room_ends() {
        let text = |room| fit("glibc-2.40", room, 10.0).map(|fitted| fitted.text);
        assert_eq!(text(60.0).as_deref(), Some("glibc-2.40"));
        assert_eq!(text(59.0).as_deref(), Some("glibc-2.…"));
        assert_eq!(text(35.0).as_deref(), Some("glib…"));
        assert_eq!(text(30.0), None);
        assert_eq!(text(-5.0), None);
        assert_eq!(fit("sh", 12.0, 10.0).unwrap().text, "sh");
    }

    #[test]
    fn markup_and_what_is_no_xml_is_escaped() {
        let wild = "</text><script>\"&\u{0}\u{7}\u{202e}\u{ffff}é";
        let escaped = escape(wild);
        assert_eq!(
            escaped,
            "&lt;/text&gt;&lt;script&gt;&quot;&amp;\\u{0}\\u{7}\\u{202e}\\u{ffff}é"
        );
        let xml = format!("<a>{escaped}</a>");
        roxmltree::Document::parse(&xml).unwrap();
    }

    #[test]
    fn bytes_have_units() {
        let told = [0, 1023, 1024, (1 << 20) - 1, 3 << 29, u64::MAX].map(human);
        assert_eq!(told, ["0 B", "1023 B", "1.0 KiB", "1.0 MiB", "1.5 GiB", "16.0 EiB"]);
    }
}

//! Text of a page. What comes from an image is hostile: maud escapes what HTML would read, and this
//! what a person would misread; and what becomes an address or a command is put into its quotes.

use std::fmt::{self, Write as _};

use maud::{Escaper, Markup, PreEscaped, Render, html};
use url::Url;

/// Text from elsewhere: what cannot be seen, or changes how the rest is seen, is written as Rust
/// writes it: `\u{202e}`.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a>(pub(super) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| match misleads(char) {
            true => write!(f, "{}", char.escape_unicode()),
            false => f.write_char(char),
        })
    }
}

/// Isolated: what is written from right to left does not turn around what is beside it.
impl Render for Shown<'_> {
    fn render_to(&self, buffer: &mut String) {
        buffer.push_str("<bdi>");
        let _ = write!(Escaper::new(buffer), "{self}");
        buffer.push_str("</bdi>");
    }
}

/// Control characters, and what Unicode has for the direction of text, for joining and separating
/// it, and for what nobody sees. UAX #9, §2; UTR #36.
fn misleads(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// A file in the folder of the page, as a link wants it: a relative address without a scheme.
/// RFC 3986, §4.2 and §2.3.
pub(super) fn href(file: &str) -> String {
    let mut href = String::from("./");
    for byte in file.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                href.push(char::from(byte));
            }
            _ => {
                let _ = write!(href, "%{byte:02X}");
            }
        }
    }
    href
}

/// An address that a person may follow: only of the web.
pub(super) fn web(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
}

/// A link to a file of the release, called by its name.
pub(super) fn link(file: &str) -> Markup {
    html! { a href=(href(file)) { (Shown(file)) } }
}

/// A word of a shell's command. POSIX.1-2024, XCU §2.2.2.
pub(super) fn sh(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:+,@%=".contains(&byte);
    if !word.is_empty() && !word.starts_with('-') && word.bytes().all(plain) {
        return word.to_owned();
    }
    // What begins with a hyphen is no option.
    let place = if word.starts_with('-') { "./" } else { "" };
    format!("'{place}{}'", word.replace('\'', r"'\''"))
}

/// A word of a command of PowerShell, which knows several marks as a quote.
/// about_Quoting_Rules.
pub(super) fn powershell(word: &str) -> String {
    let plain = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || b"._/\\:".contains(&byte)
            || byte == b'-' && !word.starts_with('-')
    };
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    let mut quoted = String::from("'");
    for char in word.chars() {
        if matches!(char, '\'' | '\u{2018}'..='\u{201b}') {
            quoted.push(char);
        }
        quoted.push(char);
    }
    quoted + "'"
}

/// A count of bytes in the unit that a person would choose: `38.7 MiB`.
pub(super) fn human(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = bytes as f64;
    let mut unit = "bytes";
    for larger in units {
        // What would be rounded to 1024 is one of the next.
        if value < 1023.95 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    match unit {
        "bytes" => format!("{bytes} {}", if bytes == 1 { "byte" } else { unit }),
        _ => format!("{value:.1} {unit}"),
    }
}

/// A number with a thin space between its thousands, which no line is broken at. ISO 80000-1.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index != 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// `1 check`, `2 checks`.
pub(super) fn count(number: usize, word: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {word}{plural}", grouped(number as u64))
}

/// The first paragraph of what a check says about itself.
pub(super) fn summary(markdown: &str) -> Markup {
    paragraphs(markdown).next().map_or_else(|| html! {}, |paragraph| inline(&paragraph))
}

/// The simple Markdown that checks are explained in: paragraphs, `code` and **words that matter**.
/// CommonMark 0.31, §4.8, §6.1 and §6.2.
pub(super) fn markdown(text: &str) -> Markup {
    html! { @for paragraph in paragraphs(text) { p { (inline(&paragraph)) } } }
}

fn paragraphs(text: &str) -> impl Iterator<Item = String> {
    let mut lines = text.lines().map(str::trim).peekable();
    std::iter::from_fn(move || {
        while lines.next_if(|line| line.is_empty()).is_some() {}
        let mut paragraph = lines.next()?.to_owned();
        while let Some(line) = lines.next_if(|line| !line.is_empty()) {
            paragraph.push(' ');
            paragraph.push_str(line);
        }
        Some(paragraph)
    })
}

/// A mark that nothing closes is text.
fn inline(text: &str) -> Markup {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['`', '*']) {
        let (before, from) = rest.split_at(at);
        let (mark, tag) = match from {
            _ if from.starts_with('`') => ("`", "code"),
            _ if from.starts_with("**") => ("**", "strong"),
            _ => ("*", ""),
        };
        let closed = from[mark.len()..].split_once(mark).filter(|(inside, _)| !inside.is_empty());
        match closed.filter(|_| !tag.is_empty()) {
            Some((inside, after)) => {
                escape(&mut out, before);
                let _ = write!(out, "<{tag}>");
                match tag {
                    "strong" => out.push_str(&inline(inside).0),
                    _ => escape(&mut out, inside),
                }
                let _ = write!(out, "</{tag}>");
                rest = after;
            }
            None => {
                escape(&mut out, &rest[..at + mark.len()]);
                rest = &rest[at + mark.len()..];
            }
        }
    }
    escape(&mut out, rest);
    PreEscaped(out)
}

fn escape(out: &mut String, text: &str) {
    let _ = write!(Escaper::new(out), "{}", Shown(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_shown() {
        let text = |text| Shown(text).render().0;
        assert_eq!(text("a\u{202e}b\u{7}"), r"<bdi>a\u{202e}b\u{7}</bdi>");
        assert_eq!(text("<i>&\"'"), "<bdi>&lt;i&gt;&amp;&quot;'</bdi>");
        assert_eq!(text("Größe שלום 🚀"), "<bdi>Größe שלום 🚀</bdi>");
    }

    #[test]
    fn links_stay_in_the_folder() {
        assert_eq!(href("a-1.0_b~c"), "./a-1.0_b~c");
        assert_eq!(href("javascript:x"), "./javascript%3Ax");
        assert_eq!(href("../a?b#c"), "./..%2Fa%3Fb%23c");
        assert_eq!(href("+ü"), "./%2B%C3%BC");
        assert!(web("javascript:alert(1)").is_none() && web("https://example.org").is_some());
    }

    #[test]
    fn words_of_commands_are_quoted() {
        assert_eq!(sh("nixos-26.05.1.img.zst"), "nixos-26.05.1.img.zst");
        assert_eq!(sh("a b"), "'a b'");
        assert_eq!(sh("it's $(x)"), r"'it'\''s $(x)'");
        assert_eq!(sh("-rf"), "'./-rf'");
        assert_eq!(sh(""), "''");
        assert_eq!(powershell("nixos.wsl"), "nixos.wsl");
        assert_eq!(powershell("a'b\u{2019}c $d"), "'a''b\u{2019}\u{2019}c $d'");
        assert_eq!(powershell("-x"), "'-x'");
    }

    #[test]
    fn numbers_are_those_that_people_read() {
        assert_eq!(human(0), "0 bytes");
        assert_eq!(human(1), "1 byte");
        assert_eq!(human(1023), "1023 bytes");
        assert_eq!(human(1 << 20), "1.0 MiB");
        assert_eq!(human((1 << 20) - 1), "1.0 MiB");
        assert_eq!(human(u64::MAX), "16.0 EiB");
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(count(1, "check"), "1 check");
        assert_eq!(count(2000, "check"), "2\u{202f}000 checks");
    }

    #[test]
    fn markdown_is_what_checks_are_explained_in() {
        let text = |text| markdown(text).0;
        assert_eq!(
            text("one\n two\n\n\n`a<b>` and **b `c`**"),
            "<p>one two</p><p><code>a&lt;b&gt;</code> and <strong>b <code>c</code></strong></p>"
        );
        assert_eq!(text("a ` b ** c * d"), "<p>a ` b ** c * d</p>");
        assert_eq!(text("``x` ****"), "<p>``x` ****</p>".replace("``x`", "`<code>x</code>"));
        assert_eq!(text("\n\n"), "");
        assert_eq!(summary("a\nb\n\nc").0, "a b");
    }
}

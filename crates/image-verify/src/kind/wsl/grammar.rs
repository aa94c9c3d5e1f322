//! The two grammars of `wsl.conf` and `wsl-distribution.conf`: WSL's own, in C++, and that of
//! Python's `configparser`, which Microsoft's validator and most build scripts use. A file is
//! right when both read the same from it.

use std::collections::BTreeMap;

/// One `key = value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// `section.key`, in lower case.
    pub key: String,
    /// The value.
    pub value: String,
    /// The line it starts in.
    pub line: usize,
}

/// Why a grammar does not read a file, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The line.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

/// What WSL reads from a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// In order, duplicates included: WSL takes the first.
    pub settings: Vec<Setting>,
    /// Where it stops reading; what follows is ignored.
    pub stop: Option<Stop>,
}

impl Reading {
    /// The setting that WSL uses for `key`.
    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }

    /// The value that WSL uses for `key`, where there is one and it is not empty.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.get(key).map(|setting| setting.value.as_str()).filter(|value| !value.is_empty())
    }
}

/// `ParseBool` of WSL: `1`, `0`, `true`, `false`, the words in any case.
pub fn boolean(value: &str) -> Option<bool> {
    match value {
        "1" => Some(true),
        "0" => Some(false),
        _ if value.eq_ignore_ascii_case("true") => Some(true),
        _ if value.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// `strtol` with base 0, as WSL reads an `int`.
pub fn integer(value: &str) -> Option<i32> {
    let text = value.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match (lower.strip_prefix("0x"), lower.strip_prefix('0')) {
        (Some(digits), _) => (16, digits),
        (None, Some(digits)) if !digits.is_empty() => (8, digits),
        _ => (10, lower.as_str()),
    };
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    let value = i64::from_str_radix(digits, radix).ok()?;
    i32::try_from(if negative { -value } else { value }).ok()
}

/// Reads a file as WSL does: `src/shared/configfile/configfile.cpp`. The first line it cannot
/// read is the last that it looks at.
pub fn wsl(bytes: &[u8]) -> Reading {
    let mut reading = Reading::default();
    let mut text = Cursor { bytes, at: 0 };
    if let Err(what) = wsl_lines(&mut text, &mut reading.settings) {
        reading.stop = Some(Stop { line: text.line(), what });
    }
    reading
}

fn wsl_lines(text: &mut Cursor<'_>, settings: &mut Vec<Setting>) -> Result<(), String> {
    let mut section = String::new();
    loop {
        text.skip_blanks();
        match text.peek() {
            None => return Ok(()),
            Some(b'\n' | b'\r') => text.at += 1,
            Some(b'#') => text.skip_line(),
            Some(b'[') => {
                text.at += 1;
                section = text.word().ok_or("a section starts with a letter, a to z")?;
                if text.peek() != Some(b']') {
                    return Err(format!(
                        "a section is letters and digits and then ']', not {}",
                        text.here()
                    ));
                }
                text.at += 1;
                text.skip_blanks();
                if !matches!(text.peek(), None | Some(b'\n' | b'\r' | b'#')) {
                    return Err(format!("{} after a section", text.here()));
                }
            }
            Some(_) => {
                let line = text.line();
                let Some(name) = text.word() else {
                    return Err(format!("a line starts with {}, not with a letter", text.here()));
                };
                text.skip_blanks();
                if text.peek() != Some(b'=') {
                    return Err(format!(
                        "a key is letters and digits and then '=', not {}",
                        text.here()
                    ));
                }
                text.at += 1;
                text.skip_blanks();
                let value = wsl_value(text)?;
                let key = if section.is_empty() { name } else { format!("{section}.{name}") };
                settings.push(Setting { key: key.to_ascii_lowercase(), value, line });
            }
        }
    }
}

fn wsl_value(text: &mut Cursor<'_>) -> Result<String, String> {
    let mut value = Vec::new();
    let mut trimmed = 0;
    let mut quoted = false;
    while let Some(byte) = text.peek() {
        match byte {
            b'\n' | b'\r' => break,
            b'#' if !quoted => break,
            b'"' => quoted = !quoted,
            b'\\' => {
                text.at += 1;
                match text.peek() {
                    Some(escaped @ (b'\\' | b'"')) => value.push(escaped),
                    Some(b'b') => value.push(0x08),
                    Some(b'n') => value.push(b'\n'),
                    Some(b't') => value.push(b'\t'),
                    Some(b'\r' | b'\n') => {}
                    _ => return Err(format!("\\ before {}", text.here())),
                }
            }
            _ => value.push(byte),
        }
        text.at += 1;
        if !matches!(byte, b' ' | b'\t') {
            trimmed = value.len();
        }
    }
    if quoted {
        return Err("a value that starts with '\"' and does not end with it".to_owned());
    }
    value.truncate(trimmed);
    Ok(String::from_utf8_lossy(&value).into_owned())
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn here(&self) -> String {
        match self.peek() {
            None => "the end of the file".to_owned(),
            Some(b'\n' | b'\r') => "the end of the line".to_owned(),
            Some(byte) => format!("'{}'", byte.escape_ascii()),
        }
    }

    fn line(&self) -> usize {
        let before = &self.bytes[..self.at.min(self.bytes.len())];
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    fn skip_line(&mut self) {
        while !matches!(self.peek(), None | Some(b'\n')) {
            self.at += 1;
        }
    }

    /// A letter, then letters and digits.
    fn word(&mut self) -> Option<String> {
        let rest = &self.bytes[self.at..];
        let len = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        if !rest.first()?.is_ascii_alphabetic() {
            return None;
        }
        self.at += len;
        Some(rest[..len].iter().map(|byte| char::from(*byte)).collect())
    }
}

/// What `configparser` reads: value and line by `section.key` in lower case.
pub type Parsed = BTreeMap<String, (String, usize)>;

/// A key, the lines of its value, and the line it starts in.
type RawOption<'a> = (String, Vec<&'a str>, usize);

/// Reads a file as Python 3's `ConfigParser().read_string(…)` does, strict and with its
/// interpolation; an error is an exception there.
pub fn configparser(bytes: &[u8]) -> Result<Parsed, Stop> {
    let stop = |line, what: &str| Stop { line, what: what.to_owned() };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => {
            let line = 1 + bytes[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count();
            return Err(stop(line, "bytes that are not UTF-8"));
        }
    };
    let mut sections: BTreeMap<&str, Vec<RawOption<'_>>> = BTreeMap::new();
    let mut section: Option<&str> = None;
    // True while an indented line would continue the last option.
    let mut in_option = false;
    let mut indent = 0;
    for (index, raw) in text.split('\n').enumerate() {
        let line = index + 1;
        let value = raw.trim();
        if value.starts_with(['#', ';']) {
            continue;
        }
        let last = section.and_then(|name| sections.get_mut(name)?.last_mut());
        if value.is_empty() {
            if let (true, Some(last)) = (in_option, last) {
                last.1.push("");
            }
            continue;
        }
        let depth = raw.chars().take_while(|c| c.is_whitespace()).count();
        if let (true, true, Some(last)) = (in_option, depth > indent, last) {
            last.1.push(value);
            continue;
        }
        indent = depth;
        // `\[(?P<header>.+)\]`, matched at the start and greedy.
        let header = value
            .strip_prefix('[')
            .and_then(|rest| rest.rfind(']').filter(|end| *end > 0).map(|end| &rest[..end]));
        if let Some(name) = header {
            if sections.insert(name, Vec::new()).is_some() {
                return Err(stop(line, &format!("section [{name}] for the second time")));
            }
            section = Some(name);
            in_option = false;
            continue;
        }
        let Some(options) = section.and_then(|name| sections.get_mut(name)) else {
            return Err(stop(line, "a line before the first section"));
        };
        let Some((key, value)) = value.split_once(['=', ':']) else {
            return Err(stop(line, "a line that is neither a section nor key = value"));
        };
        let key = key.trim_end().to_lowercase();
        if key.is_empty() {
            return Err(stop(line, "a value without a key"));
        }
        if options.iter().any(|(other, ..)| *other == key) {
            return Err(stop(line, &format!("key {key} for the second time")));
        }
        options.push((key, vec![value.trim()], line));
        in_option = true;
    }
    let mut parsed = Parsed::new();
    for (section, options) in sections {
        for (key, lines, line) in options {
            let value = lines.join("\n").trim_end().to_owned();
            let value = match value.replace("%%", "\0") {
                plain if plain.contains('%') => {
                    return Err(stop(line, "'%', which has to be written '%%' there"));
                }
                plain => plain.replace('\0', "%"),
            };
            parsed.insert(format!("{}.{key}", section.to_lowercase()), (value, line));
        }
    }
    Ok(parsed)
}

/// The places where the two differ, the first of them at most for each key.
pub fn differences(ours: &Reading, theirs: &Result<Parsed, Stop>) -> Vec<Stop> {
    let parsed = match theirs {
        Ok(parsed) => parsed,
        Err(stop) => {
            let what = format!("Python's configparser refuses {}", stop.what);
            return vec![Stop { line: stop.line, what }];
        }
    };
    let mut found = Vec::new();
    for (key, (value, line)) in parsed {
        let read = ours.get(key).map(|setting| setting.value.as_str());
        if read != Some(value) {
            let read = read.map_or("nothing".to_owned(), |value| format!("{value:?}"));
            let what = format!("{key}: WSL reads {read}, Python's configparser {value:?}");
            found.push(Stop { line: *line, what });
        }
    }
    for setting in &ours.settings {
        if !parsed.contains_key(&setting.key) {
            let what = format!(
                "{}: WSL reads {:?}, Python's configparser nothing",
                setting.key, setting.value
            );
            found.push(Stop { line: setting.line, what });
        }
    }
    found.sort_by_key(|stop| stop.line);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(bytes: &[u8]) -> (Vec<(String, String)>, Option<usize>) {
        let reading = wsl(bytes);
        let settings = reading.settings.into_iter().map(|s| (s.key, s.value)).collect();
        (settings, reading.stop.map(|stop| stop.line))
    }

    /// Keys and values.
    type Pairs<'a> = &'a [(&'a str, &'a str)];

    #[test]
    fn wsl_grammar() {
        let cases: &[(&[u8], Pairs<'_>, Option<usize>)] = &[
            (b"", &[], None),
            (b"[boot]\nsystemd=true\n", &[("boot.systemd", "true")], None),
            (b"[Boot]\r\nSystemd = TRUE \r\n", &[("boot.systemd", "TRUE")], None),
            (b" [boot] # why\n  systemd = true # yes", &[("boot.systemd", "true")], None),
            (b"key=1\n", &[("key", "1")], None),
            (
                b"[a]\nb=\" x \"\nc=\"#\"\nd=a#b\n",
                &[("a.b", " x "), ("a.c", "#"), ("a.d", "a")],
                None,
            ),
            (b"[a]\nb=x\\n\\\"\\\\\\t\n", &[("a.b", "x\n\"\\\t")], None),
            (b"[a]\nb=x \\\n  y\n", &[("a.b", "x   y")], None),
            // A backslash before CRLF continues nothing: the line ends at its LF.
            (b"[a]\r\nb=x\\\r\nc=y\r\n", &[("a.b", "x"), ("a.c", "y")], None),
            (b"[a]\nb=1\nb=2\n", &[("a.b", "1"), ("a.b", "2")], None),
            (b"[a]\nb=\nc=2\n", &[("a.b", ""), ("a.c", "2")], None),
            (b"[a]\nb=1\n; no\nc=2\n", &[("a.b", "1")], Some(3)),
            (b"\xef\xbb\xbf[a]\nb=1\n", &[], Some(1)),
            (b"[a]\nb=1\nc d=2\n", &[("a.b", "1")], Some(3)),
            (b"[a]\nb\nc=2\n", &[], Some(2)),
            (b"[a b]\nc=2\n", &[], Some(1)),
            (b"[a] b=1\n", &[], Some(1)),
            (b"[1]\n", &[], Some(1)),
            (b"[a]\nb=\"x\nc=2\n", &[], Some(2)),
            (b"[a]\nb=\\d\nc=2\n", &[], Some(2)),
            (b"[a]\nb=x\\", &[], Some(2)),
        ];
        for (bytes, settings, stop) in cases {
            let expected: Vec<_> =
                settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            assert_eq!(pairs(bytes), (expected, *stop), "{}", bytes.escape_ascii());
        }
    }

    /// Each result was read from Python 3.11.
    #[test]
    fn configparser_grammar() {
        let cases: &[(&[u8], Result<Pairs<'_>, usize>)] = &[
            (b"", Ok(&[])),
            (b"[boot]\nsystemd=true\n", Ok(&[("boot.systemd", "true")])),
            (b"[a]\r\nb = 1\r\n", Ok(&[("a.b", "1")])),
            (b"[a]\nb: 1\nC=2\n; c\n# d\n", Ok(&[("a.b", "1"), ("a.c", "2")])),
            (b"[a]\nb=1 # no comment\n", Ok(&[("a.b", "1 # no comment")])),
            (b"[a]\nb=\"x\"\n", Ok(&[("a.b", "\"x\"")])),
            (b"[a]\nb=1\n  2\n\n  3\nc=4\n", Ok(&[("a.b", "1\n2\n\n3"), ("a.c", "4")])),
            (b"[a]\nb=100%%\n", Ok(&[("a.b", "100%")])),
            (b"[a]\nb=%F\n", Err(2)),
            (b"b=1\n", Err(1)),
            (b"\xef\xbb\xbf[a]\nb=1\n", Err(1)),
            (b"[a]\nb=1\nb=2\n", Err(3)),
            (b"[a]\nb=1\nB=2\n", Err(3)),
            (b"[a]\n[a]\n", Err(2)),
            (b"[a]\nb\n", Err(2)),
            (b"[a]\n=b\n", Err(2)),
            (b"[a]\nb=\xff\n", Err(2)),
        ];
        for (bytes, expected) in cases {
            let found = configparser(bytes);
            let found = found.map_err(|stop| stop.line).map(|parsed| {
                parsed.into_iter().map(|(key, (value, _))| (key, value)).collect::<Vec<_>>()
            });
            let expected = expected.map(|pairs| {
                pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>()
            });
            assert_eq!(found, expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn differences_have_a_line() {
        let lines = |bytes: &[u8]| {
            let found = differences(&wsl(bytes), &configparser(bytes));
            found.into_iter().map(|stop| stop.line).collect::<Vec<_>>()
        };
        assert_eq!(lines(b"[a]\n# both\nb = 1\n\nc=2\n"), [0_usize; 0]);
        assert_eq!(lines(b"[a]\nb=1 # comment\nc=\"q\"\nd=3\n"), [2, 3]);
        assert_eq!(lines(b"[a]\nb=1\n;\nc=2\n"), [4]);
        assert_eq!(lines(b"[a]\nb=1\nb=2\n"), [3]);
    }

    #[test]
    fn values() {
        let bools = ["1", "TRUE", "True", "0", "false", "yes", "on", "", "t", " 1"];
        let read: Vec<_> = bools.iter().map(|text| boolean(text)).collect();
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(read, [yes, yes, yes, no, no, None, None, None, None, None]);
        let ints =
            ["1000", "0x10", "010", "0", "-1", "+1", " 7", "", "7 ", "x", "4294967296", "08"];
        let read: Vec<_> = ints.iter().map(|text| integer(text)).collect();
        let some = Some;
        let none = None;
        assert_eq!(
            read,
            [
                some(1000),
                some(16),
                some(8),
                some(0),
                some(-1),
                some(1),
                some(7),
                none,
                none,
                none,
                none,
                none
            ]
        );
    }
}

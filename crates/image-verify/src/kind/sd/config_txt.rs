//! `config.txt`, as the firmware of a Raspberry Pi reads it: one board at a time. Raspberry Pi
//! documentation, "config.txt".

use std::{collections::BTreeMap, rc::Rc};

/// The firmware ignores what is beyond in a line.
pub(super) const MAX_LINE: usize = 98;

/// How deep files include each other. The firmware's own limit is not documented.
const MAX_DEPTH: usize = 8;

/// How many files are included for one board.
const MAX_INCLUDES: usize = 64;

/// How many overlays one board has.
const MAX_OVERLAYS: usize = 256;

/// How many lines one board sees.
const MAX_LINES: usize = 1 << 16;

/// A board, as far as filters ask.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hardware {
    /// The model filters that let it through.
    pub(super) filters: &'static [&'static str],
    /// Its numbers in `[board-type=…]`.
    pub(super) types: &'static [u32],
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The file.
    pub(super) file: Rc<str>,
    /// The line, counted from 1.
    pub(super) line: usize,
}

/// What is in force on one board.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// The last value of each property, and where it stands.
    pub(super) values: BTreeMap<String, (String, Place)>,
    /// Each `dtoverlay=`, without its parameters.
    pub(super) overlays: Vec<(String, Place)>,
    /// Each `include`: the file, and why it could not be read.
    pub(super) includes: Vec<(String, Place, Option<&'static str>)>,
    /// Lines that are cut off.
    pub(super) long: Vec<Place>,
}

impl Settings {
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(|(value, _)| value.as_str())
    }

    /// A number; 0 where there is none.
    pub(super) fn number(&self, key: &str) -> u64 {
        self.value(key).and_then(number).unwrap_or(0)
    }
}

/// A number as the firmware takes it: decimal, or hexadecimal after `0x`.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Filters by their kind: those of one kind replace each other, those of several add up.
#[derive(Clone, Copy, Debug)]
struct Filters {
    model: bool,
    none: bool,
    /// Monitor, serial number, GPIO and boot mode: nobody knows them, so what they guard is not
    /// for everybody.
    other: bool,
}

impl Filters {
    const ALL: Self = Self { model: true, none: true, other: true };

    fn apply(&mut self, name: &str, hardware: &Hardware) {
        let name = name.to_ascii_lowercase();
        if name == "all" {
            *self = Self::ALL;
        } else if name == "none" {
            self.none = false;
        } else if let Some(kind) = name.strip_prefix("board-type=") {
            let kind = number(kind);
            self.model = hardware.types.iter().any(|t| Some(u64::from(*t)) == kind);
        } else if name.starts_with("pi") || name.starts_with("cm") {
            self.model = hardware.filters.contains(&name.as_str());
        } else if !name.starts_with("hdmi:") {
            self.other = false;
        }
    }

    fn pass(self) -> bool {
        self.model && self.none && self.other
    }
}

/// A file that is being read.
struct Open {
    file: Rc<str>,
    text: Rc<str>,
    /// Bytes that were read.
    at: usize,
    line: usize,
}

/// Reads `main` for one board. `read` gives the text of an included file.
pub(super) fn evaluate(
    hardware: &Hardware,
    name: &str,
    main: Rc<str>,
    read: &mut dyn FnMut(&str) -> Result<Rc<str>, &'static str>,
) -> Settings {
    let mut settings = Settings::default();
    let mut filters = Filters::ALL;
    let mut stack = vec![Open { file: name.into(), text: main, at: 0, line: 0 }];
    for _ in 0..MAX_LINES {
        let Some(open) = stack.last_mut() else { break };
        let text = Rc::clone(&open.text);
        let rest = text.get(open.at..).unwrap_or_default();
        let Some(line) = rest.split_inclusive('\n').next() else {
            stack.pop();
            continue;
        };
        open.at += line.len();
        open.line += 1;
        let place = Place { file: Rc::clone(&open.file), line: open.line };
        let line = line.trim_end();
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let mut end = line.len().min(MAX_LINE);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        if end < line.len() {
            settings.long.push(place.clone());
        }
        let line = line[..end].trim();
        if let Some(filter) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            filters.apply(filter, hardware);
            continue;
        }
        if !filters.pass() {
            continue;
        }
        let Some(file) = line.strip_prefix("include ").map(str::trim) else {
            property(line, place, &mut settings);
            continue;
        };
        let limit = if stack.len() >= MAX_DEPTH {
            Some("files include each other more than 8 deep")
        } else if settings.includes.len() >= MAX_INCLUDES {
            Some("more than 64 files are included")
        } else {
            None
        };
        match limit.map_or_else(|| read(file), Err) {
            Ok(text) => {
                settings.includes.push((file.to_owned(), place, None));
                stack.push(Open { file: file.into(), text, at: 0, line: 0 });
            }
            Err(why) => {
                settings.includes.push((file.to_owned(), place, Some(why)));
                if limit.is_some() {
                    break;
                }
            }
        }
    }
    settings
}

fn property(line: &str, place: Place, settings: &mut Settings) {
    if let Some(rest) = line.strip_prefix("initramfs ") {
        let files = rest.split_whitespace().next().unwrap_or_default();
        settings.values.insert("initramfs".to_owned(), (files.to_owned(), place));
        return;
    }
    let Some((key, value)) = line.split_once('=') else { return };
    let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
    match key.as_str() {
        "dtoverlay" | "device_tree_overlay" => {
            let name = value.split([',', ':']).next().unwrap_or_default().trim();
            if !name.is_empty() && settings.overlays.len() < MAX_OVERLAYS {
                settings.overlays.push((name.to_owned(), place));
            }
        }
        "dtparam" => {}
        "ramfsfile" => {
            settings.values.insert("initramfs".to_owned(), (value.to_owned(), place));
        }
        _ => {
            settings.values.insert(key, (value.to_owned(), place));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PI_3_PLUS: Hardware = Hardware { filters: &["pi3", "pi3+"], types: &[0xd] };
    const CM_4: Hardware = Hardware { filters: &["pi4", "cm4"], types: &[0x14] };

    fn kernel(text: &str, hardware: &Hardware) -> Option<String> {
        let settings = evaluate(hardware, "config.txt", text.into(), &mut |_| Err("not there"));
        settings.value("kernel").map(str::to_owned)
    }

    #[test]
    fn filters_are_those_of_the_board() {
        let text = "kernel=a\n[pi3]\nkernel=b\n[cm4]\nkernel=c\n[all]\narm_64bit=1\n";
        assert_eq!(kernel(text, &PI_3_PLUS).unwrap(), "b");
        assert_eq!(kernel(text, &CM_4).unwrap(), "c");
        let text = "[board-type=0x14]\nkernel=a\n[pi3+]\nKernel = b # not a comment\n";
        assert_eq!(kernel(text, &CM_4).unwrap(), "a");
        assert_eq!(kernel(text, &PI_3_PLUS).unwrap(), "b # not a comment");
        for guarded in ["[none]", "[EDID=X]", "[0x1234]", "[gpio4=1]", "[tryboot]", "[pi5]"] {
            let text = format!("kernel=a\n{guarded}\nkernel=b\n[pi4]\n[all]\n#kernel=c");
            assert_eq!(kernel(&text, &CM_4).unwrap(), "a", "{guarded}");
        }
        // Filters of several kinds add up.
        assert_eq!(kernel("[EDID=X]\n[pi4]\nkernel=b\n", &CM_4), None);
    }

    #[test]
    fn properties_have_several_forms() {
        let text = "initramfs a.gz,b.gz followkernel\r\ndtoverlay=w1-gpio,gpiopin=4\ngpu_mem=0x10\n\
                    dtoverlay=\ndtparam=audio=on\nkernel\n";
        let settings = evaluate(&CM_4, "config.txt", text.into(), &mut |_| Err("not there"));
        assert_eq!(settings.value("initramfs"), Some("a.gz,b.gz"));
        assert_eq!(settings.overlays[0].0, "w1-gpio");
        assert_eq!((settings.overlays.len(), settings.number("gpu_mem")), (1, 16));
        assert_eq!(settings.value("kernel"), None);
    }

    #[test]
    fn includes_end() {
        let text: Rc<str> = "include self\ninclude self\nkernel=a\n".into();
        let main = Rc::clone(&text);
        let settings = evaluate(&CM_4, "self", main, &mut |_| Ok(Rc::clone(&text)));
        assert!(settings.includes.iter().any(|(.., why)| why.is_some()));
        let long = format!("kernel={}\n", "\u{e9}".repeat(100));
        let settings = evaluate(&CM_4, "x", long.as_str().into(), &mut |_| Err("not there"));
        assert_eq!(settings.long.len(), 1);
        assert!(settings.value("kernel").unwrap().len() < MAX_LINE);
    }
}

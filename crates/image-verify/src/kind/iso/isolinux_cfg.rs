//! `isolinux.cfg`, as SYSLINUX 6 reads it: `com32/elflink/ldlinux/readconfig.c`.

use std::rc::Rc;

/// How deep files include each other at most. SYSLINUX has no such limit, and ends when its memory
/// does.
const MAX_DEPTH: usize = 16;

/// How many files are included in all: menus of Debian include the same one for each of their many
/// parts.
const MAX_INCLUDES: usize = 256;

/// How many bytes all of them have.
const MAX_INCLUDED: usize = 64 << 20;

/// How long a line is: `MAX_LINE`.
const MAX_LINE: usize = 4095;

/// How many labels are kept: more than a menu can show.
const MAX_LABELS: usize = 512;

/// How many folders of PATH are kept.
const MAX_PATH: usize = 16;

/// What a file, and those that it includes, say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Config {
    /// What is started first, a menu for example: it counts more than `default`.
    pub(super) ui: Option<String>,
    /// A label, or what is started by its name.
    pub(super) default: Option<String>,
    /// The same where nobody chooses in time.
    pub(super) ontimeout: Option<String>,
    /// What can be chosen.
    pub(super) labels: Vec<Label>,
    /// Folders in which modules are looked for as well.
    pub(super) path: Vec<String>,
    /// There is more than is kept.
    pub(super) more: bool,
    /// Each `INCLUDE`: the file, and why it could not be read.
    pub(super) includes: Vec<(String, Option<String>)>,
}

/// How something is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Type {
    /// By its name: a kernel, unless it ends as something else.
    #[default]
    Kernel,
    /// A kernel, whatever its name.
    Linux,
    /// A module of SYSLINUX.
    Com32,
    /// Another configuration file.
    Config,
    /// A boot sector or something else that is not looked into.
    Other,
    /// Something that is not on the disc.
    Local,
}

/// What can be chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) name: String,
    /// In its file, counted from 1.
    pub(super) line: usize,
    pub(super) kind: Type,
    /// The file, and for a module what follows it.
    pub(super) kernel: String,
    pub(super) append: Option<String>,
    /// Files, with commas between them.
    pub(super) initrd: Option<String>,
    /// It cannot be chosen.
    pub(super) disabled: bool,
    /// A menu starts it when nobody chooses.
    pub(super) default: bool,
}

/// A file that is being read.
struct Open {
    text: Rc<str>,
    /// Bytes that were read; none is left where it is more than there are.
    at: usize,
    line: usize,
}

/// What starts a line that names what is started.
const TYPES: [(&str, Type); 10] = [
    ("kernel", Type::Kernel),
    ("linux", Type::Linux),
    ("com32", Type::Com32),
    ("config", Type::Config),
    ("localboot", Type::Local),
    ("boot", Type::Other),
    ("bss", Type::Other),
    ("pxe", Type::Other),
    ("fdimage", Type::Other),
    ("comboot", Type::Other),
];

/// Reads `main`. `read` gives the content of an included file.
pub(super) fn parse(main: &str, read: &mut dyn FnMut(&str) -> Result<String, String>) -> Config {
    let mut config = Config::default();
    // What labels without one of their own append: the last one before a label ends counts.
    let mut append = None;
    let mut open_label = false;
    let mut in_text = false;
    let mut included = 0_usize;
    let mut stack = vec![Open { text: main.into(), at: 0, line: 0 }];
    // Bounded: MAX_INCLUDES files of a bounded length.
    while let Some(open) = stack.last_mut() {
        let text = Rc::clone(&open.text);
        let Some(line) = text.get(open.at..).and_then(|rest| rest.split('\n').next()) else {
            stack.pop();
            continue;
        };
        open.at += line.len() + 1;
        open.line += 1;
        let number = open.line;
        let line = line.split('\r').next().unwrap_or_default();
        // What is longer is another line to it, which is nobody's intention.
        let mut ends = (0..=line.len().min(MAX_LINE)).rev();
        let end = ends.find(|end| line.is_char_boundary(*end)).unwrap_or(0);
        let line = &line[..end];
        let (keyword, rest) = words(line);
        if in_text {
            in_text = keyword != "endtext";
            continue;
        }
        let label = config.labels.last_mut().filter(|_| open_label);
        let mut include = None;
        match (keyword.as_str(), label) {
            ("text", _) => in_text = true,
            ("menu", label) => {
                let (keyword, rest) = words(rest);
                match (keyword.as_str(), label) {
                    ("include", _) => include = Some(first(rest)),
                    // It is not started by itself.
                    ("goto" | "exit" | "quit", Some(label)) => label.kind = Type::Local,
                    ("default", Some(label)) => label.default = true,
                    ("disable" | "disabled", Some(label)) => label.disabled = true,
                    ("separator" | "begin" | "end", label) => {
                        finish(label, &append);
                        open_label = false;
                    }
                    _ => {}
                }
            }
            ("include", _) => include = Some(first(rest)),
            ("append", Some(label)) => label.append = Some(rest.to_owned()),
            ("append", None) => append = Some(rest.to_owned()),
            ("initrd", Some(label)) => label.initrd = Some(rest.to_owned()),
            ("label", label) => {
                finish(label, &append);
                open_label = config.labels.len() < MAX_LABELS;
                config.more |= !open_label;
                if open_label {
                    let name = first(rest);
                    let kernel = name.clone();
                    config.labels.push(Label { name, kernel, line: number, ..Label::default() });
                }
            }
            ("default", _) => config.default = Some(rest.to_owned()),
            ("ui", _) => config.ui = Some(rest.to_owned()),
            ("ontimeout", _) => config.ontimeout = Some(rest.to_owned()),
            ("path", _) => {
                for folder in rest.split(':') {
                    if config.path.len() >= MAX_PATH {
                        config.more = true;
                        break;
                    }
                    config.path.push(folder.to_owned());
                }
            }
            (keyword, Some(label)) => {
                if let Some((_, kind)) = TYPES.iter().find(|(word, _)| *word == keyword) {
                    (label.kind, label.kernel) = (*kind, rest.to_owned());
                }
            }
            _ => {}
        }
        let Some(file) = include else { continue };
        if config.includes.len() >= MAX_INCLUDES || included >= MAX_INCLUDED {
            config.more = true;
            continue;
        }
        let content = if stack.len() >= MAX_DEPTH {
            Err(format!("files include each other more than {MAX_DEPTH} deep"))
        } else {
            read(&file)
        };
        let why = content.as_ref().err().cloned();
        config.includes.push((file, why));
        if let Ok(content) = content {
            included = included.saturating_add(content.len());
            stack.push(Open { text: content.into(), at: 0, line: 0 });
        }
    }
    finish(config.labels.last_mut().filter(|_| open_label), &append);
    config
}

/// Ends a label: what it does not append itself is what all append.
fn finish(label: Option<&mut Label>, append: &Option<String>) {
    if let Some(label) = label
        && label.append.is_none()
    {
        label.append.clone_from(append);
    }
}

/// The first word of a line, in lower case, and what follows it.
fn words(line: &str) -> (String, &str) {
    let line = line.trim_start_matches(is_space);
    let len = line.find(is_space).unwrap_or(line.len());
    let (keyword, rest) = line.split_at(len);
    (keyword.to_ascii_lowercase(), rest.trim_start_matches(is_space))
}

/// The first word of a value.
fn first(rest: &str) -> String {
    rest.split(is_space).next().unwrap_or_default().to_owned()
}

fn is_space(c: char) -> bool {
    c.is_ascii_control() || c == ' '
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> Result<String, String> {
        Err("not there".to_owned())
    }

    #[test]
    fn what_nixos_writes_is_read() {
        let text = "SERIAL 0 115200\nTIMEOUT 100\nUI vesamenu.c32\nMENU BACKGROUND x.png\n\
            DEFAULT boot\n\nLABEL boot\nMENU LABEL NixOS\nLINUX /boot/bzImage\n\
            APPEND init=/nix/store/x/init quiet\nINITRD /boot/initrd\n\n\
            LABEL memtest\nLINUX /boot/memtest.bin\n";
        let config = parse(text, &mut none);
        assert_eq!(config.ui.as_deref(), Some("vesamenu.c32"));
        assert_eq!(config.default.as_deref(), Some("boot"));
        let [boot, memtest] = &config.labels[..] else { panic!("{config:?}") };
        assert_eq!((boot.kind, &*boot.kernel, boot.line), (Type::Linux, "/boot/bzImage", 7));
        assert_eq!(boot.append.as_deref(), Some("init=/nix/store/x/init quiet"));
        assert_eq!(boot.initrd.as_deref(), Some("/boot/initrd"));
        assert_eq!((memtest.append.as_deref(), memtest.initrd.as_deref()), (None, None));
    }

    #[test]
    fn what_others_write_is_read() {
        let text = "append common\nlabel a\n\tkernel k.c32\nLabel b\n localboot 0x80\n\
            text help\nlabel c\nendtext\nlabel d\nmenu disable\nappend -\r\nmenu begin x\n\
            kernel lost\nmenu end\nlabel e\n";
        let config = parse(text, &mut none);
        let found: Vec<_> = config
            .labels
            .iter()
            .map(|l| (&*l.name, l.kind, &*l.kernel, l.append.as_deref(), l.disabled))
            .collect();
        assert_eq!(
            found,
            [
                ("a", Type::Kernel, "k.c32", Some("common"), false),
                ("b", Type::Local, "0x80", Some("common"), false),
                ("d", Type::Kernel, "d", Some("-"), true),
                ("e", Type::Kernel, "e", Some("common"), false),
            ]
        );
    }

    #[test]
    fn includes_end() {
        let text = "include self\nmenu include self tag\n";
        let config = parse(text, &mut |_| Ok(text.to_owned()));
        assert_eq!((config.includes.len(), config.more), (MAX_INCLUDES, true));
        assert!(config.includes.iter().any(|(_, why)| why.is_some()));
        let many = "menu include x\n".repeat(MAX_INCLUDES);
        let config = parse(&many, &mut |_| Ok(String::new()));
        assert_eq!((config.includes.len(), config.more), (MAX_INCLUDES, false));
        let config = parse(&many, &mut |_| Ok("#".repeat(1 << 20)));
        assert_eq!((config.includes.len(), config.more), (64, true));
        let config = parse("include x\nlabel a\n", &mut |_| Ok("label b\nkernel k\n".to_owned()));
        let names: Vec<_> = config.labels.iter().map(|l| (&*l.name, &*l.kernel)).collect();
        assert_eq!(names, [("b", "k"), ("a", "a")]);
    }

    /// What is kept has an end: a folder of PATH may have no letters at all.
    #[test]
    fn what_is_kept_ends() {
        let path = format!("path {}\n", ":".repeat(MAX_LINE)).repeat(16);
        let config = parse(&path, &mut none);
        assert_eq!((config.path.len(), config.more), (MAX_PATH, true));
        let config = parse(&"label a\n".repeat(MAX_LABELS + 1), &mut none);
        assert_eq!((config.labels.len(), config.more), (MAX_LABELS, true));
        let config = parse("path a:b\nontimeout x\nlabel a\n", &mut none);
        assert_eq!((&config.path[..], config.more), (&["a".into(), "b".into()][..], false));
        assert_eq!(config.ontimeout.as_deref(), Some("x"));
    }
}

//! systemd-sysupdate: `SHA256SUMS` (`sysupdate-resource.c`), patterns (`sysupdate-pattern.c`) and
//! transfer files (`sysupdate-transfer.c`).

use std::{cmp::Ordering, collections::BTreeMap};

use image_model::{Sha256, SignatureScheme};

use super::{Entry, Facts, Refusal, Refusals, version};

/// Longest value of a key (`LONG_LINE_MAX` of systemd, in bytes).
const MAX_LINE: usize = 1 << 20;

/// Shortest line of a list of checksums: a digest, two characters, a name of one, and a newline.
const MIN_LINE: usize = 67;

/// A line of a list of checksums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// The digest.
    pub sha256: Sha256,
    /// The name of the file.
    pub file: String,
}

/// sysupdate does not read a list of checksums, and updates nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SumsError {
    /// The list is no text.
    #[error("the list is not UTF-8, or has a NUL byte")]
    Text,
    /// A line is none.
    #[error("line {line}: {what}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Reads a list of checksums (`resource_load_from_web`).
pub fn sums(bytes: &[u8]) -> Result<Vec<Sum>, SumsError> {
    let text = str::from_utf8(bytes).map_err(|_| SumsError::Text)?;
    if text.contains('\0') {
        return Err(SumsError::Text);
    }
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let line = out.len() + 1;
        let wrong = |what| SumsError::Line { line, what };
        if rest.len() < MIN_LINE {
            return Err(wrong("it is too short"));
        }
        if rest.starts_with('\\') {
            return Err(wrong("it begins with a backslash: names with escapes are not read"));
        }
        let digest = rest.get(..64).map(str::to_ascii_lowercase);
        let digest = digest.and_then(|digits| Sha256::try_from(digits).ok());
        let sha256 = digest.ok_or_else(|| wrong("it does not begin with 64 hexadecimal digits"))?;
        let marked = rest.get(64..66);
        if !matches!(marked, Some("  " | " *")) {
            return Err(wrong("there is no space, and space or asterisk, after the digest"));
        }
        let (file, after) = rest
            .get(66..)
            .and_then(|tail| tail.split_once('\n'))
            .ok_or_else(|| wrong("no newline ends it"))?;
        if let Some(what) = bad_name(file) {
            return Err(wrong(what));
        }
        out.push(Sum { sha256, file: file.to_owned() });
        rest = after;
    }
    Ok(out)
}

/// What is wrong with the name of a file. Up to systemd 258 there is no folder in one.
fn bad_name(file: &str) -> Option<&'static str> {
    if file.is_empty() {
        Some("the name is empty")
    } else if file.contains('/') {
        Some("a name has no folder in it, which older versions refuse")
    } else if matches!(file, "." | "..") {
        Some("the name is that of a folder")
    } else if file.chars().any(|character| character.is_ascii_control()) {
        Some("the name has a control character")
    } else if file.len() > 255 {
        Some("the name is longer than 255 bytes")
    } else {
        None
    }
}

/// Whether a version may be one (`version_is_valid`).
pub fn is_version(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".,_-+".contains(&byte);
    !matches!(text, "" | "." | "..") && text.len() <= 255 && text.bytes().all(allowed)
}

/// The patterns of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns(Vec<Pattern>);

impl Patterns {
    /// Reads patterns with white space between them.
    pub fn parse(text: &str) -> Result<Self, String> {
        let read = |text| Pattern::parse(text).map_err(|why| format!("{text}: {why}"));
        Ok(Self(text.split_whitespace().map(read).collect::<Result<_, _>>()?))
    }

    /// The newest version among some files, with its file (`instance_cmp`).
    pub fn newest<'a>(&self, files: impl Iterator<Item = &'a str>) -> Option<(&'a str, &'a str)> {
        let found = files.filter_map(|file| Some((self.version(file, End::Asked)?, file)));
        // Of two files of one version the first by name is taken.
        found.max_by(|(a, left), (b, right)| version::compare(a, b).then_with(|| right.cmp(left)))
    }

    /// A file that systemd 255 to 260 may take for the newest version instead, or for a newer one.
    pub fn mistaken<'a>(
        &self,
        mut files: impl Iterator<Item = &'a str>,
        (version, file): (&str, &str),
    ) -> Option<&'a str> {
        files.find(|other| {
            let taken = self.version(other, End::NotAsked);
            *other != file
                && taken.is_some_and(|taken| version::compare(taken, version) != Ordering::Less)
        })
    }

    /// The first pattern that fits a name decides (`pattern_match_many`).
    fn version<'a>(&self, file: &'a str, end: End) -> Option<&'a str> {
        self.0.iter().find_map(|pattern| match pattern.fit(file, end) {
            Fit::Nothing => None,
            Fit::Folder => Some(None),
            Fit::Version(version) => Some(Some(version)),
        })?
    }
}

/// Whether a name has to end where its pattern does: systemd 255 to 260 do not ask. systemd, issue
/// 38605.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Asked,
    NotAsked,
}

/// How a pattern fits a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit<'a> {
    Nothing,
    /// It would be looked into, if it were a folder (`PATTERN_MATCH_RETRY`). No file is one.
    Folder,
    Version(&'a str),
}

/// A pattern with the wildcard `@v`; those of other wildcards are not read here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    before: String,
    after: String,
    /// A slash ends it.
    folder: bool,
}

impl Pattern {
    /// Reads a pattern (`pattern_split`), after `%%` has become `%` (`specifier_printf`).
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (mut before, mut after, mut folder) = (String::new(), None::<String>, false);
        let mut characters = unescaped(text)?.chars().collect::<Vec<_>>().into_iter();
        while let Some(character) = characters.next() {
            let may_end = after.as_ref().is_some_and(|after| !after.is_empty());
            let literal = after.as_mut().unwrap_or(&mut before);
            match character {
                _ if folder => return Err("it has a folder in it"),
                '@' => match characters.next() {
                    Some('@') => literal.push('@'),
                    Some('v') if after.is_none() => after = Some(String::new()),
                    Some('v') => return Err("@v is in it twice"),
                    Some(_) => return Err("it has a wildcard other than @v"),
                    None => return Err("it ends with @"),
                },
                '/' if may_end => folder = true,
                '/' => return Err("it has a folder in it"),
                ' '..='~' if !"$*?[]!\\|".contains(character) => literal.push(character),
                _ => return Err("it has a character that is reserved, or no printable ASCII"),
            }
        }
        Ok(Self { before, after: after.ok_or("it has no @v")?, folder })
    }

    /// The version in the name of a file (`pattern_match`): up to the first place where what is after
    /// the wildcard begins, which has to be the end.
    pub fn version<'a>(&self, file: &'a str) -> Option<&'a str> {
        match self.fit(file, End::Asked) {
            Fit::Version(version) => Some(version),
            Fit::Folder | Fit::Nothing => None,
        }
    }

    fn fit<'a>(&self, file: &'a str, end: End) -> Fit<'a> {
        let found = || {
            let rest = file.strip_prefix(self.before.as_str())?;
            let at = if self.after.is_empty() { rest.len() } else { rest.find(&self.after)? };
            let (version, after) = rest.split_at_checked(at)?;
            let more = after.strip_prefix(self.after.as_str())?;
            is_version(version).then_some((version, more))
        };
        match found() {
            Some((_, "")) if self.folder => Fit::Folder,
            Some((version, more)) if !self.folder && (more.is_empty() || end == End::NotAsked) => {
                Fit::Version(version)
            }
            _ => Fit::Nothing,
        }
    }
}

/// Undoes `%%`; other specifiers stand for something of the machine.
fn unescaped(text: &str) -> Result<String, &'static str> {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == '%' && characters.next() != Some('%') {
            return Err("it has a specifier, which means something else on every machine");
        }
        out.push(character);
    }
    Ok(out)
}

/// A transfer file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// `url-file` or `url-tar`.
    pub source_type: String,
    /// Where `SHA256SUMS` and the files are.
    pub source_path: String,
    /// How the files are named.
    pub source_patterns: Patterns,
    /// `regular-file`, `directory` or `subvolume`.
    pub target_type: String,
    /// The folder that they are put into.
    pub target_path: String,
    /// How they are named there.
    pub target_pattern: Pattern,
    /// Whether `SHA256SUMS` has to be signed.
    pub verify: bool,
}

impl Transfer {
    /// Reads a transfer file.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let values = values(bytes)?;
        let value = |section: &str, key: &str| {
            let found = values.get(&(section.to_owned(), key.to_owned()));
            found.cloned().ok_or_else(|| format!("[{section}] has no {key}="))
        };
        let source = value("Source", "MatchPattern")?;
        let target = value("Target", "MatchPattern")?;
        let path = |section: &str| {
            let text = value(section, "Path")?;
            unescaped(&text).map_err(|why| format!("[{section}] Path={text}: {why}"))
        };
        let transfer = Self {
            source_type: value("Source", "Type")?,
            source_path: path("Source")?,
            source_patterns: Patterns::parse(&source)
                .map_err(|why| format!("[Source] MatchPattern={why}"))?,
            target_type: value("Target", "Type")?,
            target_path: path("Target")?,
            target_pattern: Pattern::parse(&target)
                .map_err(|why| format!("[Target] MatchPattern={target}: {why}"))?,
            verify: match value("Transfer", "Verify").as_deref() {
                Err(_) | Ok("yes" | "true" | "on" | "1") => true,
                Ok("no" | "false" | "off" | "0") => false,
                Ok(other) => return Err(format!("[Transfer] Verify={other}: yes or no")),
            },
        };
        let fits = matches!(
            (transfer.source_type.as_str(), transfer.target_type.as_str()),
            ("url-file", "regular-file") | ("url-tar", "directory" | "subvolume")
        );
        if !fits {
            let Self { source_type, target_type, .. } = &transfer;
            return Err(format!("{source_type} cannot become {target_type}"));
        }
        if !transfer.target_path.starts_with('/') {
            return Err(format!("[Target] Path={} is not absolute", transfer.target_path));
        }
        Ok(transfer)
    }
}

/// The values of a configuration file of systemd, by section and key; the last one counts.
fn values(bytes: &[u8]) -> Result<BTreeMap<(String, String), String>, String> {
    const KEYS: [(&str, &[&str]); 3] = [
        ("Transfer", &["MinVersion", "ProtectVersion", "Verify", "ChangeLog"]),
        ("Source", &["Type", "Path", "MatchPattern"]),
        (
            "Target",
            &["Type", "Path", "MatchPattern", "Mode", "ReadOnly", "InstancesMax", "CurrentSymlink"],
        ),
    ];
    let text = str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let mut out = BTreeMap::new();
    let mut section = None;
    for (number, line) in text.lines().enumerate() {
        let wrong = |what: &str| format!("line {}: {what}", number + 1);
        let line = line.trim();
        if line.len() > MAX_LINE {
            return Err(wrong("it is too long"));
        }
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            let known = KEYS.iter().find(|(section, _)| *section == name);
            section = Some(known.ok_or_else(|| wrong("no such section"))?);
            continue;
        }
        let (key, value) = line.split_once('=').ok_or_else(|| wrong("no `=` in it"))?;
        let (name, keys) = section.ok_or_else(|| wrong("it is in no section"))?;
        let key = key.trim();
        // systemd warns of others, and goes on.
        if !keys.contains(&key) {
            return Err(wrong("no such key"));
        }
        out.insert(((*name).to_owned(), key.to_owned()), value.trim().to_owned());
    }
    Ok(out)
}

/// The one entry: the file that an update would fetch now.
pub(super) fn entries(bytes: &[u8], facts: &Facts<'_>) -> Result<Vec<Entry>, Vec<Refusal>> {
    let transfer = Transfer::read(bytes).map_err(Refusals::all)?;
    let mut refusals = Refusals::default();
    let latest = facts.manifest.release.latest_url.as_deref().unwrap_or_default();
    let bare = |url: &str| url.trim_end_matches('/').to_owned();
    if bare(&transfer.source_path) != bare(latest) {
        let path = &transfer.source_path;
        refusals.push("", format!("it looks at {path}, and releases are at {latest:?}"));
    }
    if !transfer.verify {
        refusals.push("", "it does not ask for a signature");
    }
    let mut signatures = facts.manifest.signatures.iter();
    if !signatures.any(|one| one.scheme == SignatureScheme::Openpgp) {
        refusals.push("", "it asks for SHA256SUMS.gpg, which the release has not");
    }
    let files = || facts.sums.iter().map(|sum| sum.file.as_str());
    let Some((version, file)) = transfer.source_patterns.newest(files()) else {
        refusals.push("", "no file of SHA256SUMS matches its pattern");
        return Err(refusals.0);
    };
    if version != facts.manifest.version {
        let own = &facts.manifest.version;
        refusals.push("", format!("the newest is {version} ({file}), not {own}"));
    }
    if let Some(other) = transfer.source_patterns.mistaken(files(), (version, file)) {
        refusals.push("", format!("systemd 255 to 260 may take {other} for {file}"));
    }
    let sum = facts.sums.iter().find(|sum| sum.file == file).map(|sum| sum.sha256);
    let name = format!("version {version}");
    refusals.or(vec![Entry { name, file: file.to_owned(), sha256: sum, ..Entry::default() }])
}

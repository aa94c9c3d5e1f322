//! Image definitions: finds `images/<name>.toml`, reads it, and says where it is wrong.

use std::{
    fs, io,
    ops::{Range, RangeInclusive},
    path::{Path, PathBuf},
};

use image_model::{CompressionSpec, Driver, ImageSpec, Route};
use serde::Deserialize;
use toml::Spanned;

use crate::{
    driver::nix_image::formats,
    file_name::Template,
    lock,
    plan::{is_host, usual_variant},
};

/// The folder of the definitions, below the root of a project.
pub const IMAGES_DIR: &str = "images";

/// Systems that a definition may name.
const SYSTEMS: &[&str] = &["x86_64-linux", "aarch64-linux"];

/// Levels that libdeflate knows.
const GZIP_LEVELS: RangeInclusive<u8> = 1..=12;

/// Levels of zstd that every decoder has the memory for.
const ZSTD_LEVELS: RangeInclusive<u8> = 1..=19;

/// Presets of xz.
const XZ_LEVELS: RangeInclusive<u8> = 0..=9;

/// A definition, and where it was found.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Name of the file without `.toml`.
    pub name: String,
    /// What it says.
    pub spec: ImageSpec,
    /// The folder above `images/`.
    pub root: PathBuf,
}

impl Definition {
    /// The way to the image in a few words: the driver, the image of a configuration, and the route
    /// to that where the definition insists on one.
    pub fn route(&self) -> String {
        let ImageSpec { kind, build, .. } = &self.spec;
        let mut route = build.driver.to_string();
        let has_variants = matches!(build.driver, Driver::NixImage | Driver::NixosGenerators);
        if has_variants && is_host(&build.attribute) {
            let variant = build.variant.as_deref().or_else(|| usual_variant(*kind));
            route.extend(variant.map(|variant| format!("/{variant}")));
        }
        if build.route != Route::Auto {
            route += &format!(" by {}", build.route);
        }
        route
    }
}

/// A definition that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DefinitionError {
    /// There is no such file.
    #[error("no image is called {name:?}{}; {IMAGES_DIR}/ has {}", did_you_mean(nearest), known.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// The name that looks most like it.
        nearest: Option<String>,
        /// All names.
        known: Vec<String>,
    },
    /// No folder from the current one upwards has definitions.
    #[error("neither {} nor a folder above it has {IMAGES_DIR}/*.toml", from.display())]
    NoImages {
        /// Where the search began.
        from: PathBuf,
    },
    /// The machine failed.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The file says something that a definition cannot say.
    #[error(transparent)]
    Invalid(#[from] InvalidFile),
}

/// Something that a file of TOML cannot say, and where it does: one line, that editors understand.
#[derive(Debug, thiserror::Error)]
#[error("{}:{line}:{column}: {message}{}", path.display(), did_you_mean(nearest))]
pub struct InvalidFile {
    /// The file.
    pub path: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// The known name that looks most like the unknown one.
    pub nearest: Option<String>,
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean {name:?}?")).unwrap_or_default()
}

/// The nearest folder, from `start` upwards, that has image definitions.
pub fn find_root(start: &Path) -> Result<PathBuf, DefinitionError> {
    start
        .ancestors()
        .find(|dir| names(dir).is_ok_and(|names| !names.is_empty()))
        .map(Path::to_owned)
        .ok_or_else(|| DefinitionError::NoImages { from: start.to_owned() })
}

/// Names of the definitions below `root`, sorted.
pub fn names(root: &Path) -> Result<Vec<String>, DefinitionError> {
    let path = root.join(IMAGES_DIR);
    let read = |cause| DefinitionError::Read { path: path.clone(), cause };
    let mut names = Vec::new();
    for entry in fs::read_dir(&path).map_err(read)? {
        let file = PathBuf::from(entry.map_err(read)?.file_name());
        let stem = file.file_stem().and_then(|stem| stem.to_str());
        // Editors keep hidden copies of what they edit.
        let shown = stem.filter(|stem| !stem.starts_with('.'));
        if file.extension().is_some_and(|extension| extension == "toml") {
            names.extend(shown.map(str::to_owned));
        }
    }
    names.sort();
    Ok(names)
}

/// Reads the definition called `name` below `root`. `checks` are the ids that a waiver may name.
pub fn load<'a>(
    root: &Path,
    name: &str,
    checks: impl IntoIterator<Item = &'a str>,
) -> Result<Definition, DefinitionError> {
    let known = names(root)?;
    if !known.iter().any(|other| other == name) {
        let nearest = nearest(name, known.iter().map(String::as_str));
        return Err(DefinitionError::Unknown { name: name.to_owned(), nearest, known });
    }
    let path = root.join(IMAGES_DIR).join(format!("{name}.toml"));
    let text = fs::read_to_string(&path)
        .map_err(|cause| DefinitionError::Read { path: path.clone(), cause })?;
    let differences = image_verify::compare::differences().map(|kind| kind.id);
    let spec =
        parse(&text, checks, differences).map_err(|mistake| mistake.in_file(&path, &text))?;
    Ok(Definition { name: name.to_owned(), spec, root: root.to_owned() })
}

/// What is wrong with a text of TOML, and where in it.
#[derive(Debug)]
pub struct Mistake {
    span: Option<Range<usize>>,
    message: String,
    nearest: Option<String>,
}

impl Mistake {
    /// Something is wrong with a value.
    pub fn at<T>(value: &Spanned<T>, message: impl Into<String>) -> Self {
        Self { span: Some(value.span()), message: message.into(), nearest: None }
    }

    /// The same of the file that has the text.
    pub fn in_file(self, path: &Path, text: &str) -> InvalidFile {
        let Self { span, message, nearest } = self;
        let (line, column) = place(text, span.map_or(0, |span| span.start));
        InvalidFile { path: path.to_owned(), line, column, message, nearest }
    }
}

impl From<toml::de::Error> for Mistake {
    fn from(error: toml::de::Error) -> Self {
        let nearest = nearest_in(error.message());
        Self { span: error.span(), message: error.message().to_owned(), nearest }
    }
}

/// The values of a definition that are checked by more than their type, with their places.
#[derive(Deserialize)]
struct Places {
    system: Spanned<String>,
    build: BuildPlaces,
    #[serde(default)]
    finish: FinishPlaces,
    #[serde(default)]
    verify: VerifyPlaces,
    #[serde(default)]
    reproduce: ReproducePlaces,
}

#[derive(Deserialize)]
struct BuildPlaces {
    variant: Option<Spanned<String>>,
    lock: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct FinishPlaces {
    file_name: Option<Spanned<String>>,
    compression: Option<Spanned<toml::Table>>,
}

#[derive(Default, Deserialize)]
struct VerifyPlaces {
    #[serde(default)]
    waive: Vec<WaiverPlaces>,
}

#[derive(Deserialize)]
struct WaiverPlaces {
    check: Spanned<String>,
    reason: Spanned<String>,
}

#[derive(Default, Deserialize)]
struct ReproducePlaces {
    #[serde(default)]
    expect: Vec<ExpectationPlaces>,
}

#[derive(Deserialize)]
struct ExpectationPlaces {
    difference: Spanned<String>,
    path: Option<Spanned<String>>,
    reason: Spanned<String>,
}

fn parse<'a>(
    text: &str,
    checks: impl IntoIterator<Item = &'a str>,
    differences: impl IntoIterator<Item = &'a str>,
) -> Result<ImageSpec, Mistake> {
    let spec: ImageSpec = toml::from_str(text)?;
    let places: Places = toml::from_str(text)?;

    if !SYSTEMS.contains(&spec.system.as_str()) {
        let message = format!("the system {:?} is not one of {}", spec.system, SYSTEMS.join(", "));
        let nearest = nearest(&spec.system, SYSTEMS.iter().copied());
        return Err(Mistake { nearest, ..Mistake::at(&places.system, message) });
    }
    if let Some(variant) = &places.build.variant {
        if let Err(unknown) = formats::find(variant.get_ref(), &spec.system) {
            // The message says the nearest name itself.
            return Err(Mistake::at(variant, unknown.to_string()));
        }
        if !is_host(&spec.build.attribute) {
            let message = "a variant goes with an attribute that is a NixOS configuration, \
                           \"nixosConfigurations.NAME\"";
            return Err(Mistake::at(variant, message));
        }
    }
    if let Some(name) = &places.build.lock {
        lock::check_name(name.get_ref()).map_err(|message| Mistake::at(name, message))?;
        if matches!(spec.build.driver, Driver::Mini | Driver::Prebuilt) {
            let message = format!(
                "the driver {} builds no flake, which a lock file is for",
                spec.build.driver
            );
            return Err(Mistake::at(name, message));
        }
    }
    if let Some(file_name) = &places.finish.file_name {
        Template::parse(file_name.get_ref()).map_err(|e| Mistake::at(file_name, e.to_string()))?;
    }
    if let (Some(compression), Some(place)) = (spec.finish.compression, places.finish.compression) {
        let format = compression.format().as_str();
        let (level, levels) = match compression {
            CompressionSpec::None => (0, 0..=0),
            CompressionSpec::Gzip { level } => (level, GZIP_LEVELS),
            CompressionSpec::Zstd { level } => (level, ZSTD_LEVELS),
            CompressionSpec::Xz { level } => (level, XZ_LEVELS),
        };
        if !levels.contains(&level) {
            let (first, last) = levels.into_inner();
            let message = format!("the {format} level {level} is not one of {first} to {last}");
            return Err(Mistake::at(&place, message));
        }
    }
    let checks: Vec<&str> = checks.into_iter().collect();
    for waiver in &places.verify.waive {
        known_with_reason("check", &waiver.check, &checks, ("a waiver", &waiver.reason))?;
    }
    let differences: Vec<&str> = differences.into_iter().collect();
    for expectation in &places.reproduce.expect {
        let reason = ("an expectation", &expectation.reason);
        known_with_reason("difference", &expectation.difference, &differences, reason)?;
        let relative = expectation.path.as_ref().filter(|path| !path.get_ref().starts_with('/'));
        if let Some(path) = relative {
            return Err(Mistake::at(path, "a path in an image begins with a slash"));
        }
    }
    Ok(spec)
}

/// That `id` is one of those that are known, and that a reason is given with it. `what` is what has
/// the id, and `whose` the reason is.
fn known_with_reason(
    what: &str,
    id: &Spanned<String>,
    known: &[&str],
    (whose, reason): (&str, &Spanned<String>),
) -> Result<(), Mistake> {
    let name = id.get_ref().as_str();
    if !known.contains(&name) {
        let nearest = nearest(name, known.iter().copied());
        let message = format!("no {what} is called {name:?}");
        return Err(Mistake { nearest, ..Mistake::at(id, message) });
    }
    if reason.get_ref().trim().is_empty() {
        return Err(Mistake::at(reason, format!("{whose} needs a reason")));
    }
    Ok(())
}

/// Line, and column in characters, of the byte at `offset`; both from 1.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The known name that looks most like the unknown one that a message of the TOML reader speaks of.
fn nearest_in(message: &str) -> Option<String> {
    // serde says: unknown field `flak`, expected one of `driver`, `flake`, `attribute`.
    let mut quoted = message.split('`').skip(1).step_by(2);
    quoted.next().and_then(|unknown| nearest(unknown, quoted))
}

/// The known name that `name` is a typo of, if it looks like one: one edit of three letters.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .map(|other| (strsim::damerau_levenshtein(name, other), other))
        .filter(|(edits, _)| *edits <= (name.chars().count() / 3).max(1))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, other)| other.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"kind = "wsl"
system = "x86_64-linux"
title = "NixOS for WSL"

[build]
driver = "nixos-wsl"
flake = "."
attribute = "x"

[finish]
file-name = "{distribution}.wsl"
compression = { format = "gzip", level = 6 }

[[verify.waive]]
check = "wsl-icon"
reason = "the icon is a joke"

[[reproduce.expect]]
difference = "ext4-uuid"
reason = "nobody looks at it"
"#;

    const DIFFERENCES: [&str; 2] = ["ext4-uuid", "fat-serial"];

    fn complaint(from: &str, to: &str) -> String {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD);
        let mistake =
            parse(&text, ["wsl-icon", "tar-order"], DIFFERENCES).expect_err("it is wrong");
        mistake.in_file(Path::new("images/wsl.toml"), &text).to_string()
    }

    #[test]
    fn a_good_definition_is_read() {
        let spec = parse(GOOD, ["wsl-icon"], DIFFERENCES).expect("it is right");
        assert_eq!(spec.verify.waive[0].reason, "the icon is a joke");
        assert_eq!(spec.reproduce.expect[0].difference, "ext4-uuid");
    }

    #[test]
    fn the_route_is_told_in_a_few_words() {
        let route = |edits: &[(&str, &str)]| {
            let edit = |text: String, (from, to): &(&str, &str)| text.replacen(from, to, 1);
            let text = edits.iter().fold(GOOD.to_owned(), edit);
            let spec = parse(&text, ["wsl-icon"], DIFFERENCES).unwrap();
            Definition { name: "x".to_owned(), spec, root: PathBuf::new() }.route()
        };
        assert_eq!(route(&[]), "nixos-wsl");
        let image = ("\"nixos-wsl\"", "\"nix-image\"");
        assert_eq!(route(&[image]), "nix-image");
        let host = ("\"x\"", "\"nixosConfigurations.x\"");
        let sd = ("\"wsl\"", "\"sd\"");
        assert_eq!(route(&[image, host, sd]), "nix-image/sd-card");
        let iso = ("attribute =", "route = \"module\"\nvariant = \"iso\"\nattribute =");
        assert_eq!(route(&[image, iso, host, sd]), "nix-image/iso by module");
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (from, to, expected) in [
            ("flake =", "flak =", "7:1: unknown field `flak`, expected one of"),
            ("flake =", "flak =", "did you mean \"flake\"?"),
            ("\"nixos-wsl\"", "\"nixos-wls\"", "6:10: unknown variant `nixos-wls`"),
            ("\"nixos-wsl\"", "\"nixos-wls\"", "did you mean \"nixos-wsl\"?"),
            ("x86_64-linux", "x86-64-linux", "2:10: the system \"x86-64-linux\" is not one of"),
            (
                "\"wsl-icon\"",
                "\"wsl-icno\"",
                "15:9: no check is called \"wsl-icno\"; did you mean \"wsl-icon\"?",
            ),
            (
                "\"ext4-uuid\"",
                "\"ext4-uudi\"",
                "19:14: no difference is called \"ext4-uudi\"; did you mean \"ext4-uuid\"?",
            ),
            ("nobody looks at it", "", "20:10: an expectation needs a reason"),
            (
                "reason = \"nobody",
                "path = \"etc\"\nreason = \"nobody",
                "20:8: a path in an image begins with a slash",
            ),
            ("difference =", "differs =", "19:1: unknown field `differs`, expected"),
            ("reason = \"the icon is a joke\"", "", "missing field `reason`"),
            ("the icon is a joke", " ", "16:10: a waiver needs a reason"),
            ("level = 6", "level = 13", "12:15: the gzip level 13 is not one of 1 to 12"),
            (
                "attribute = \"x\"",
                "attribute = \"nixosConfigurations.x\"\nvariant = \"sd-crad\"",
                "9:11: no image is called \"sd-crad\", did you mean \"sd-card\"?; known are amazon",
            ),
            (
                "attribute = \"x\"",
                "attribute = \"x\"\nvariant = \"sd-card\"",
                "9:11: a variant goes with an attribute that is a NixOS configuration",
            ),
            (
                "attribute = \"x\"",
                "attribute = \"x\"\nlock = \"../wsl.lock\"",
                "9:8: a lock file lies below the folder above images/",
            ),
            (
                "attribute = \"x\"",
                "attribute = \"x\"\nlock = \"/wsl.lock\"",
                "9:8: a lock file is named from the folder above images/ on",
            ),
            (
                "driver = \"nixos-wsl\"",
                "driver = \"mini\"\nlock = \"wsl.lock\"",
                "7:8: the driver mini builds no flake, which a lock file is for",
            ),
            ("{distribution}", "nixos", "11:13: "),
            ("{distribution}", "{distribution}{hsot}", "11:13: "),
            ("\n\n", "\n= 3\n", ":4:1: "),
        ] {
            let text = complaint(from, to);
            assert!(text.starts_with("images/wsl.toml:") && text.contains(expected), "{text}");
        }
    }
}

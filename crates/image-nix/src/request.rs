//! What we ask Nix for: flake references and argument vectors.

mod flake_ref;

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

pub use flake_ref::FlakeRef;
use flake_ref::{KEEP_LOCK, REFERENCE_LOCK};

use crate::{
    store::{Place, STORE_DIR},
    version::Version,
};

/// Every command starts with this: both features are still experimental, and off, in Nix's own
/// releases.
pub(crate) const FEATURES: [&str; 2] = ["--extra-experimental-features", "nix-command flakes"];

/// What the user hands on to Nix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `--option NAME VALUE`.
    pub settings: Vec<(String, String)>,
    /// `--builders`.
    pub builders: Option<String>,
    /// `--store`.
    pub store: Option<String>,
    /// `--max-jobs`: a number or `auto`.
    pub max_jobs: Option<String>,
}

impl Options {
    /// For a command that builds.
    fn build_args(&self) -> Vec<OsString> {
        let mut args = self.evaluation_args();
        let flags = [("--builders", &self.builders), ("--max-jobs", &self.max_jobs)];
        for (flag, value) in flags {
            if let Some(value) = value {
                args.extend([flag.into(), value.into()]);
            }
        }
        if let Some(store) = self.store.as_ref().filter(|store| is_remote(store)) {
            args.extend(["--store", store, "--eval-store", "auto"].map(OsString::from));
        }
        args
    }

    /// For a command that evaluates. That happens in a store whose files are on this machine, where
    /// the flake is; a remote one only builds.
    pub(crate) fn evaluation_args(&self) -> Vec<OsString> {
        let mut args = Vec::new();
        for (name, value) in &self.settings {
            args.extend(["--option".into(), name.into(), value.into()]);
        }
        if let Some(store) = self.store.as_ref().filter(|store| !is_remote(store)) {
            args.extend(["--store", store].map(OsString::from));
        }
        args
    }

    /// Where the files of the store are that evaluations use: one of this machine, whatever builds.
    pub fn evaluation_place(&self) -> Place {
        let store = self.store.clone().filter(|store| !is_remote(store));
        Place::of_store(Self { store, ..Self::default() }.effective_store().as_deref())
    }

    /// The store that Nix will use, as far as we can say: `--store`, else what the environment
    /// says.
    pub fn effective_store(&self) -> Option<String> {
        self.store.clone().or_else(|| env::var("NIX_REMOTE").ok()).filter(|store| !store.is_empty())
    }
}

/// True for a store whose files are not on this machine.
pub fn is_remote(store: &str) -> bool {
    ["ssh-ng://", "ssh://", "http://", "https://", "s3://", "file://"]
        .iter()
        .any(|scheme| store.starts_with(scheme))
}

/// One attribute of a flake, to be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildRequest {
    /// The flake.
    pub flake: FlakeRef,
    /// The attribute, complete: `nixosConfigurations.wsl.config.…`.
    pub attribute: String,
    /// The symlink to the output that Nix makes. It keeps the output from the garbage collector
    /// while it is there, so it belongs into the work folder.
    pub out_link: PathBuf,
    /// What the user hands on.
    pub options: Options,
}

/// `nix build` of a flake attribute. Its standard output is JSON; its standard error are lines for
/// [`log`](crate::log).
///
/// The log comes by `--log-format internal-json`, which all versions have. The setting
/// `json-log-path` would keep standard error for people; but it is there since 2.30 only, it needs
/// a socket or a pipe in the file system beside each run, and we show nothing of standard error
/// unread. Two channels for the same lines would be two things to test.
pub fn build(request: &BuildRequest) -> Vec<OsString> {
    let mut args: Vec<OsString> = FEATURES.map(OsString::from).into();
    args.extend(["build", "--json", "--log-format", "internal-json"].map(OsString::from));
    args.extend(request.flake.lock_args());
    args.extend(["--out-link".into(), request.out_link.clone().into()]);
    args.extend(request.options.build_args());
    args.extend(["--".into(), request.flake.installable(&request.attribute).into()]);
    args
}

/// `nix build` of a store path that is there already: only makes the symlink that roots it.
pub fn root(path: &str, out_link: &Path) -> Vec<OsString> {
    let mut args: Vec<OsString> = FEATURES.map(OsString::from).into();
    args.extend(["build", "--log-format", "internal-json", "--out-link"].map(OsString::from));
    args.extend([out_link.into(), "--".into(), path.into()]);
    args
}

/// `nix build --rebuild` of a derivation in the store whose outputs are there: Nix builds it, and
/// compares. The output of a build that differs is kept beside the other one, with `.check` behind
/// its name. `cores` is how many processors a builder may use, unless the user says it.
pub fn rebuild(
    derivation: &str,
    cores: usize,
    options: &Options,
    version: &Version,
) -> Vec<OsString> {
    let mut args: Vec<OsString> = FEATURES.map(OsString::from).into();
    args.extend(["build", "--json", "--log-format", "internal-json"].map(OsString::from));
    args.extend(["--no-link", "--rebuild", "--keep-failed", "--cores"].map(OsString::from));
    args.push(cores.to_string().into());
    args.extend(options.build_args());
    let outputs = if version.names_outputs() { "^*" } else { "" };
    args.extend(["--".into(), format!("{derivation}{outputs}").into()]);
    args
}

/// `nix store delete` of a path that nothing refers to.
pub fn delete(path: &str, options: &Options) -> Vec<OsString> {
    let mut args: Vec<OsString> = FEATURES.map(OsString::from).into();
    args.extend(["store", "delete", "--log-format", "internal-json"].map(OsString::from));
    args.extend(options.evaluation_args());
    args.extend(["--", path].map(OsString::from));
    args
}

/// `nix copy` of a store path from the store `from` into the one of this machine. What was just
/// built there is not signed; whoever names a store for building trusts it.
pub fn copy(path: &str, from: &str) -> Vec<OsString> {
    let mut args: Vec<OsString> = FEATURES.map(OsString::from).into();
    args.extend(["copy", "--log-format", "internal-json", "--no-check-sigs"].map(OsString::from));
    args.extend(["--from", from, "--", path].map(OsString::from));
    args
}

/// `nix eval` of a flake attribute, with a function that is applied to it.
pub fn eval(flake: &FlakeRef, attribute: &str, apply: &str, options: &Options) -> Vec<OsString> {
    let mut args: Vec<OsString> = FEATURES.map(OsString::from).into();
    args.extend(["eval", "--json", "--log-format", "internal-json"].map(OsString::from));
    args.extend(flake.lock_args());
    args.extend(["--apply", apply].map(OsString::from));
    args.extend(options.evaluation_args());
    args.extend(["--".into(), flake.installable(attribute).into()]);
    args
}

/// `nix flake metadata`.
pub fn metadata(flake: &FlakeRef, options: &Options) -> Vec<OsString> {
    let mut args: Vec<OsString> = FEATURES.map(OsString::from).into();
    args.extend(
        ["flake", "metadata", "--json", "--log-format", "internal-json"].map(OsString::from),
    );
    args.extend(flake.lock_args());
    args.extend(options.evaluation_args());
    args.extend(["--".into(), flake.to_string().into()]);
    args
}

/// `nix flake update` of the inputs that are named, or of all. It starts with the lock file that
/// counts for the flake, and writes `output`.
pub fn update(
    flake: &FlakeRef,
    inputs: &[String],
    output: &Path,
    options: &Options,
) -> Vec<OsString> {
    let mut args: Vec<OsString> = FEATURES.map(OsString::from).into();
    args.extend(["flake", "update", "--log-format", "internal-json"].map(OsString::from));
    args.extend(["--flake".into(), flake.to_string().into()]);
    if let Some(lock) = flake.lock_in_force() {
        args.extend([REFERENCE_LOCK.into(), lock.into()]);
    }
    args.extend(["--output-lock-file".into(), output.into()]);
    args.extend(options.evaluation_args());
    args.push("--".into());
    args.extend(inputs.iter().map(OsString::from));
    args
}

/// The same with Nix before 2.19, which writes into `folder`, a flake of which nobody needs
/// anything but the lock file.
pub fn update_in(folder: &Path, inputs: &[String], options: &Options) -> Vec<OsString> {
    let mut args: Vec<OsString> = FEATURES.map(OsString::from).into();
    // Without names, everything is locked anew.
    let command = if inputs.is_empty() { "update" } else { "lock" };
    args.extend(["flake", command, "--log-format", "internal-json"].map(OsString::from));
    args.extend(inputs.iter().flat_map(|input| ["--update-input".into(), input.into()]));
    args.extend(options.evaluation_args());
    args.extend(["--".into(), format!("path:{}", folder.display()).into()]);
    args
}

/// `nix flake metadata` of the flake in `folder`, which fails if its lock file does not fit it.
pub fn fits(folder: &Path, options: &Options) -> Vec<OsString> {
    let mut args: Vec<OsString> = FEATURES.map(OsString::from).into();
    args.extend(["flake", "metadata", "--log-format", "internal-json"].map(OsString::from));
    args.push(KEEP_LOCK.into());
    args.extend(options.evaluation_args());
    args.extend(["--".into(), format!("path:{}", folder.display()).into()]);
    args
}

/// `nix flake metadata` of a flake whose own lock file may be out of date, or missing, and stays
/// as it is.
pub fn metadata_whatever_is_locked(flake: &FlakeRef, options: &Options) -> Vec<OsString> {
    let mut args: Vec<OsString> = FEATURES.map(OsString::from).into();
    args.extend(
        ["flake", "metadata", "--json", "--log-format", "internal-json"].map(OsString::from),
    );
    args.push("--no-write-lock-file".into());
    args.extend(options.evaluation_args());
    args.extend(["--".into(), flake.to_string().into()]);
    args
}

/// `nix path-info` of a store path.
pub fn path_info(path: &str, options: &Options, version: &Version) -> Vec<OsString> {
    path_infos([path], options, version)
}

/// The same of several.
pub fn path_infos<'a>(
    paths: impl IntoIterator<Item = &'a str>,
    options: &Options,
    version: &Version,
) -> Vec<OsString> {
    let mut args = path_info_of(options, version);
    args.push("--".into());
    args.extend(paths.into_iter().map(OsString::from));
    args
}

/// The most bytes of paths that one command gets: Linux takes 2 MiB, macOS half of that, and the
/// environment counts.
const MAX_PATHS_LEN: usize = 128 << 10;

/// `nix path-info` of many store paths, in as many commands as they need. Caches are not asked for
/// those that the store has not.
///
/// Each path is named once: Nix 2.34 takes a second for a hundred repetitions. Derivations are left
/// out: some releases take one for its outputs. So is what Nix may take for
/// something else than a path of its store: the paths may come from anywhere.
pub fn known_paths(paths: &[&str], options: &Options, version: &Version) -> Vec<Vec<OsString>> {
    let mut commands: Vec<Vec<OsString>> = Vec::new();
    let mut room = 0;
    let paths: BTreeSet<_> = paths.iter().filter(|path| is_plain_output(path)).collect();
    for path in paths {
        if path.len() >= room {
            let mut args = path_info_of(options, version);
            args.extend(["--option", "substitute", "false", "--"].map(OsString::from));
            commands.push(args);
            room = MAX_PATHS_LEN;
        }
        room = room.saturating_sub(path.len() + 1);
        commands.last_mut().expect("one was pushed").push(path.into());
    }
    commands
}

fn is_plain_output(path: &str) -> bool {
    let name = path.strip_prefix(STORE_DIR).and_then(|rest| rest.strip_prefix('/'));
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte);
    name.is_some_and(|name| {
        name.len() > 33
            && !name.starts_with('.')
            && !name.ends_with(".drv")
            && name.bytes().all(known)
    })
}

fn path_info_of(options: &Options, version: &Version) -> Vec<OsString> {
    let mut args: Vec<OsString> = FEATURES.map(OsString::from).into();
    args.extend(["path-info", "--json", "--log-format", "internal-json"].map(OsString::from));
    if version.has_json_format() {
        args.extend(["--json-format", "1"].map(OsString::from));
    }
    if let Some(store) = &options.store {
        args.extend(["--store", store].map(OsString::from));
    }
    args
}

/// `nix eval` of what the folder of the store is called, wherever it is.
pub fn store_dir(options: &Options) -> Vec<OsString> {
    let mut args: Vec<OsString> = FEATURES.map(OsString::from).into();
    args.extend(["eval", "--json", "--log-format", "internal-json"].map(OsString::from));
    args.extend(options.evaluation_args());
    args.extend(["--expr", "builtins.storeDir"].map(OsString::from));
    args
}

/// `nix config show`, which was `nix show-config`. What the user hands on counts.
pub fn config(options: &Options, version: &Version) -> Vec<OsString> {
    let mut args: Vec<OsString> = FEATURES.map(OsString::from).into();
    let command: &[&str] =
        if version.has_config_show() { &["config", "show"] } else { &["show-config"] };
    args.extend(command.iter().chain(&["--json"]).map(OsString::from));
    let named = |name: &str, value: &Option<String>| Some((name.to_owned(), value.clone()?));
    let more = [named("builders", &options.builders), named("max-jobs", &options.max_jobs)];
    for (name, value) in options.settings.iter().cloned().chain(more.into_iter().flatten()) {
        args.extend(["--option".into(), name.into(), value.into()]);
    }
    args
}

/// `nix hash path`: the NAR hash of the files themselves, the same in all versions.
pub fn hash_path(physical: &Path) -> Vec<OsString> {
    let mut args: Vec<OsString> = FEATURES.map(OsString::from).into();
    args.extend(["hash", "path", "--log-format", "internal-json", "--"].map(OsString::from));
    args.push(physical.into());
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(args: Vec<OsString>) -> String {
        let args = args.into_iter().skip(FEATURES.len()).map(|arg| arg.into_string().unwrap());
        args.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_lock_of_its_own_is_named_in_every_question() {
        let flake = FlakeRef::new("/f#x", Path::new("/")).locked_by(Some("/l/x.lock".into()));
        let options = Options::default();
        let (flake, attribute) = (&flake, "a".to_owned());
        let request = BuildRequest {
            flake: flake.clone(),
            attribute,
            out_link: "/w/result".into(),
            options: options.clone(),
        };
        let locked = " --no-update-lock-file --reference-lock-file /l/x.lock ";
        for args in [build(&request), eval(flake, "a", "x: x", &options), metadata(flake, &options)]
        {
            let args = text(args);
            assert!(args.contains(locked), "{args}");
        }
    }

    #[test]
    fn many_paths_are_asked_for_in_commands_that_the_system_takes() {
        let version = Version::parse("nix (Nix) 2.34.8").unwrap();
        let all = |paths: &[&str]| known_paths(paths, &Options::default(), &version);
        let path = "/nix/store/s66mzxpvicwk07gjbjfw9izjfa797vsw-hello-2.12.1";
        let [one] = &all(&[path])[..] else { panic!() };
        assert_eq!(
            text(one.clone()),
            format!(
                "path-info --json --log-format internal-json --json-format 1 --option substitute \
                 false -- {path}"
            )
        );
        assert_eq!(all(&[path, path]), all(&[path]));
        let many: Vec<_> = (0..5000).map(|i| format!("{path}-{i:04}")).collect();
        let many = all(&many.iter().map(String::as_str).collect::<Vec<_>>());
        let is_path = |arg: &&OsString| arg.to_str().unwrap().starts_with(path);
        let paths = |args: &Vec<OsString>| args.iter().filter(is_path).count();
        assert_eq!(many.iter().map(paths).sum::<usize>(), 5000);
        assert_eq!(many.len(), 3);
        for args in &many {
            assert!(args.iter().map(|arg| arg.len() + 1).sum::<usize>() < MAX_PATHS_LEN + 200);
        }
        let drv = format!("{path}.drv");
        let below = format!("{path}/bin/hello");
        let output = format!("{path}^dev");
        for other in [&drv, &below, &output, "github:o/r", "--impure", "/nix/store/.links", ""] {
            assert!(all(&[other]).is_empty(), "{other}");
        }
    }

    #[test]
    fn what_moves_is_named() {
        let flake = FlakeRef::new("/f", Path::new("/")).locked_by(Some("/l/x.lock".into()));
        let options = Options::default();
        let inputs = ["a".to_owned(), "b/c".to_owned()];
        assert_eq!(
            text(update(&flake, &inputs, Path::new("/w/flake.lock"), &options)),
            "flake update --log-format internal-json --flake /f --reference-lock-file /l/x.lock \
             --output-lock-file /w/flake.lock -- a b/c"
        );
        assert_eq!(
            text(update_in(Path::new("/w"), &inputs, &options)),
            "flake lock --log-format internal-json --update-input a --update-input b/c -- path:/w"
        );
        assert_eq!(
            text(update_in(Path::new("/w"), &[], &options)),
            "flake update --log-format internal-json -- path:/w"
        );
    }

    #[test]
    fn everything_is_handed_on() {
        let request = BuildRequest {
            flake: FlakeRef::new("github:o/r", Path::new("/")),
            attribute: "a.b".to_owned(),
            out_link: "/tmp/w/result".into(),
            options: Options {
                settings: vec![("sandbox".to_owned(), "false".to_owned())],
                builders: Some("ssh-ng://h aarch64-linux".to_owned()),
                store: Some("ssh-ng://h".to_owned()),
                max_jobs: Some("0".to_owned()),
            },
        };
        let args: Vec<_> = build(&request).into_iter().map(|a| a.into_string().unwrap()).collect();
        assert_eq!(
            args.join(" | "),
            "--extra-experimental-features | nix-command flakes | build | --json | --log-format | \
             internal-json | --no-update-lock-file | --out-link | /tmp/w/result | --option | \
             sandbox | false | --builders | ssh-ng://h aarch64-linux | --max-jobs | 0 | --store | \
             ssh-ng://h | --eval-store | auto | -- | github:o/r#a.b"
        );
    }
}

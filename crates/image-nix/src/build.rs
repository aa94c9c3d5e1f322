//! Runs Nix.

use std::{
    env,
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use image_host::tool::{Tool, ToolCause, ToolError};
use serde_json::Value;

use crate::{
    around::{Around, NoAround},
    failure::{self, Failure, Known},
    log::{Event, Log},
    machine::{self, Builder, Config},
    relock::{self, ReadLockError},
    request::{self, BuildRequest, FlakeRef, Options},
    store::{self, FlakeMetadata, PathInfo, Place, STORE_DIR},
    version::{OLDEST, Version},
};

/// Names the program to use instead of the one in `PATH`.
pub const EXECUTABLE: &str = "IMAGE_FACTORY_NIX";

/// Names the programs to look for instead of [`WELL_KNOWN`] and [`WELL_KNOWN_AT_HOME`], with colons
/// between them. So there is no Nix for tests that want none, also where one is installed.
const PLACES: &str = "IMAGE_FACTORY_NIX_PLACES";

/// Where installers put the program, for shells that did not read the profile yet.
const WELL_KNOWN: &[&str] =
    &["/nix/var/nix/profiles/default/bin/nix", "/run/current-system/sw/bin/nix"];

/// The same, below the home folder.
const WELL_KNOWN_AT_HOME: &[&str] = &[".nix-profile/bin/nix", ".local/state/nix/profile/bin/nix"];

/// Nix on this machine.
#[derive(Clone, Debug)]
pub struct Nix {
    pub(crate) tool: Tool,
    pub(crate) version: Version,
}

/// What a build made, and of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// Store path of the derivation.
    pub derivation: String,
    /// Store path of its output.
    pub store_path: String,
    /// Where the files of that output are on this machine.
    pub physical: PathBuf,
    /// NAR hash of the output, in SRI form.
    pub nar_hash: String,
    /// The flake as it was locked.
    pub flake: FlakeMetadata,
}

/// Nix could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NixError {
    /// Nix ran, and refused.
    #[error("{command}")]
    Failed {
        /// The command line, quoted for a shell.
        command: String,
        /// Why.
        #[source]
        failure: Box<Failure>,
    },
    /// Nix did not run to its end.
    #[error("Nix did not run to its end")]
    Tool(#[from] ToolError),
    /// Nix said something that we do not understand.
    #[error("cannot read what `{command}` said: {text}")]
    Unreadable {
        /// The command line, quoted for a shell.
        command: String,
        /// The beginning of what it said.
        text: String,
    },
    /// Nix cannot do what the factory needs.
    #[error(
        "{} is {version}; the factory needs {}.{} or later",
        program.display(), OLDEST.0, OLDEST.1
    )]
    TooOld {
        /// The executable.
        program: PathBuf,
        /// Its version.
        version: Version,
    },
    /// The lock file that should count for the flake cannot be used.
    #[error(transparent)]
    LockFile(#[from] ReadLockError),
    /// It can be read, and the flake has other inputs.
    #[error(
        "the lock file {} does not fit the flake, whose inputs changed since: `lock update IMAGE \
         [INPUT…]` writes what is missing: {message}",
        lock.display()
    )]
    LockDoesNotFit {
        /// The file.
        lock: PathBuf,
        /// What Nix says.
        message: String,
    },
    /// There is no flake around the flake.
    #[error(transparent)]
    NoAround(#[from] NoAround),
    /// The folder of the work cannot be used.
    #[error("cannot use {}", path.display())]
    Work {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// Nix says that it made something, and it is not there.
    #[error("{store_path} should be at {}, and is not there", physical.display())]
    Absent {
        /// The store path.
        store_path: String,
        /// Where we looked.
        physical: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

impl NixError {
    /// Why Nix refused, if it did.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed { failure, .. } => Some(failure),
            _ => None,
        }
    }

    /// The same, with another text for the command.
    fn of(self, command: &str) -> Self {
        let command = command.to_owned();
        match self {
            Self::Failed { failure, .. } => Self::Failed { command, failure },
            Self::Unreadable { text, .. } => Self::Unreadable { command, text },
            Self::Tool(ToolError { cause, .. }) => Self::Tool(ToolError { command, cause }),
            other => other,
        }
    }
}

impl fmt::Display for Nix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.version, self.tool.program().display())
    }
}

impl Nix {
    /// The Nix of this machine: what [`EXECUTABLE`] names, else the one in `PATH`, else one in the
    /// places where installers put it. `Ok(None)` where there is none.
    pub fn discover() -> Result<Option<Self>, NixError> {
        if let Some(program) = env::var_os(EXECUTABLE).filter(|program| !program.is_empty()) {
            return Self::at(program).map(Some);
        }
        if let Ok(tool) = Tool::find("nix") {
            return Self::at(tool.program()).map(Some);
        }
        let home = env::var_os("HOME").map(PathBuf::from);
        let at_home = home.iter().flat_map(|home| WELL_KNOWN_AT_HOME.iter().map(|p| home.join(p)));
        let well_known = WELL_KNOWN.iter().map(PathBuf::from).chain(at_home);
        let places: Vec<_> = match env::var_os(PLACES) {
            Some(places) => env::split_paths(&places).collect(),
            None => well_known.collect(),
        };
        places.into_iter().find(|program| program.is_file()).map(Self::at).transpose()
    }

    /// The Nix whose executable is `program`.
    pub fn at(program: impl Into<PathBuf>) -> Result<Self, NixError> {
        Self::with(Tool::at(program).inherit(is_for_nix))
    }

    /// The Nix that `tool` runs, in the environment that it has.
    pub fn with(tool: Tool) -> Result<Self, NixError> {
        let run = tool.run(["--version"]);
        let command = run.to_string();
        let text = String::from_utf8_lossy(&run.output()?).into_owned();
        let Some(version) = Version::parse(&text) else {
            return Err(NixError::Unreadable { command, text });
        };
        if !version.is_supported() {
            return Err(NixError::TooOld { program: tool.program().to_owned(), version });
        }
        Ok(Self { tool, version })
    }

    /// Which Nix it is.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The executable.
    pub fn program(&self) -> &Path {
        self.tool.program()
    }

    /// Builds one attribute of a flake. The output stays while the link of the request does.
    pub fn build(
        &self,
        request: &BuildRequest,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Built, NixError> {
        let metadata = self.lock(&request.flake, &request.options, on_event)?;
        self.build_locked(request, metadata, on_event)
    }

    /// The same, of a flake that [`metadata`](Self::metadata) was asked about already.
    pub fn build_locked(
        &self,
        request: &BuildRequest,
        metadata: FlakeMetadata,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Built, NixError> {
        let BuildRequest { flake, attribute, options, out_link } = request;
        let args = request::build(request);
        let json = self.json(&args, options, on_event);
        let json = json.or_else(|error| Err(self.explain(error, flake, attribute, options)?))?;
        let unreadable = |json: &Value| self.unreadable(&args, json.to_string());
        let built = store::read_build_output(&json).ok_or_else(|| unreadable(&json))?;
        let built = built.into_iter().next().ok_or_else(|| unreadable(&json))?;
        // The first output is what an attribute without `^out` means.
        let store_path = built.outputs.get("out").or_else(|| built.outputs.values().next());
        let (Some(store_path), Some(derivation)) = (store_path.cloned(), built.derivation) else {
            return Err(unreadable(&json));
        };
        let place = Place::of_store(options.effective_store().as_deref());
        let (place, options) = match place {
            Place::Elsewhere(store) => {
                self.run(&request::copy(&store_path, &store), options, on_event)?;
                self.run(&request::root(&store_path, out_link), options, on_event)?;
                (Place::Here, &Options { store: None, ..options.clone() })
            }
            place => (place, options),
        };
        let physical = place.physical(&store_path).unwrap_or_else(|| store_path.clone().into());
        // An output may be a link into another one, and such a link leads there in the store only.
        if let Err(cause) = fs::symlink_metadata(&physical) {
            return Err(NixError::Absent { store_path, physical, cause });
        }
        let known = self.known_path(&store_path, options)?;
        let nar_hash = self.nar_hash(known.as_ref(), &physical, options)?;
        Ok(Built { derivation, store_path, physical, nar_hash, flake: metadata })
    }

    /// What a flake is locked to: by its own lock file, or by the one that counts instead.
    pub fn metadata(&self, flake: &FlakeRef, options: &Options) -> Result<FlakeMetadata, NixError> {
        self.lock(flake, options, &mut |_| ())
    }

    /// The same. Nix fetches the flake, which may take its time.
    pub fn lock(
        &self,
        flake: &FlakeRef,
        options: &Options,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<FlakeMetadata, NixError> {
        // Nix before 2.15 tells of the flake's own lock, which does not count here and may be out of
        // date; the rest of its answer is the same.
        let beside = flake.lock_in_force().filter(|_| !self.version.has_reference_lock());
        let beside = beside.map(relock::read).transpose()?;
        let args = match beside {
            Some(_) => request::metadata_whatever_is_locked(flake, options),
            None => request::metadata(flake, options),
        };
        // Nix would say the same of a folder as of a file that an expression misses.
        let reference = flake.to_string();
        let path = reference.split('?').next().unwrap_or_default();
        // A path in a URL may be encoded; then Nix has to say it.
        let path = path.strip_prefix("path:").filter(|path| !path.contains('%')).unwrap_or(path);
        if path.starts_with('/') && !Path::new(path).exists() {
            let failure = Box::new(Failure::Flake { message: format!("{path} does not exist") });
            return Err(NixError::Failed { command: self.tool.run(&args).to_string(), failure });
        }
        let json = match beside {
            Some(_) => self.json(&args, options, &mut relock::but_of_other_locks(on_event)),
            None => self.json(&args, options, on_event),
        };
        let mut json = json.map_err(|error| error.about_lock(flake))?;
        if let (Some(lock), Some(answer)) = (beside, json.as_object_mut()) {
            answer.insert("locks".to_owned(), lock.into_json());
        }
        store::read_flake_metadata(&json).ok_or_else(|| self.unreadable(&args, json.to_string()))
    }

    /// Evaluates `apply`, a function, of an attribute of a flake.
    pub fn eval(
        &self,
        flake: &FlakeRef,
        attribute: &str,
        apply: &str,
        options: &Options,
    ) -> Result<Value, NixError> {
        self.eval_plainly(flake, attribute, apply, options)
            .or_else(|error| Err(self.explain(error, flake, attribute, options)?))
    }

    fn eval_plainly(
        &self,
        flake: &FlakeRef,
        attribute: &str,
        apply: &str,
        options: &Options,
    ) -> Result<Value, NixError> {
        let args = request::eval(flake, attribute, apply, options);
        self.json(&args, options, &mut |_| ()).map_err(|error| match error {
            // The function is ours and long. What it is asked of is what went wrong.
            NixError::Failed { failure, .. } => {
                let command = format!("nix eval {}", flake.installable(attribute));
                NixError::Failed { command, failure }
            }
            error => error,
        })
    }

    /// The settings of Nix on this machine.
    pub fn config(&self, options: &Options) -> Result<Config, NixError> {
        let args = request::config(options, &self.version);
        let json = self.json(&args, options, &mut |_| ())?;
        machine::read_config(&json).ok_or_else(|| self.unreadable(&args, json.to_string()))
    }

    /// The remote builders that these settings name.
    pub fn builders(config: &Config) -> Vec<Builder> {
        let mut read = |path: PathBuf| fs::read_to_string(path).ok();
        machine::builders(&config.builders, &config.system, &mut read)
    }

    /// What is known of a path in the store of this machine.
    pub fn path_info(&self, path: &str, options: &Options) -> Result<PathInfo, NixError> {
        let known = self.known_path(path, options)?;
        let physical = Path::new(path);
        let nar_hash = self.nar_hash(known.as_ref(), physical, options)?;
        let unknown = PathInfo { path: path.to_owned(), ..PathInfo::default() };
        Ok(PathInfo { nar_hash: Some(nar_hash), ..known.unwrap_or(unknown) })
    }

    /// What is known of these paths in the store of this machine, of those that are in it. Nothing
    /// is fetched, and no cache is asked.
    pub fn known_paths(
        &self,
        paths: &[&str],
        options: &Options,
    ) -> Result<Vec<PathInfo>, NixError> {
        let ask = |args: &Vec<OsString>| {
            let json = self.json(args, options, &mut |_| ())?;
            store::read_path_info(&json).ok_or_else(|| self.unreadable(args, json.to_string()))
        };
        let commands = request::known_paths(paths, options, &self.version);
        // Where its store is called something else, Nix takes these paths for flakes.
        let args = request::store_dir(options);
        if commands.is_empty() || self.json(&args, options, &mut |_| ())? != STORE_DIR {
            return Ok(Vec::new());
        }
        let mut all = Vec::new();
        for args in commands {
            // The whole command would name thousands of paths.
            all.extend(ask(&args).map_err(|error| error.of("nix path-info"))?);
        }
        Ok(all)
    }

    /// `error`, and if it is that `attribute` is not there, then what is.
    fn explain(
        &self,
        error: NixError,
        flake: &FlakeRef,
        attribute: &str,
        options: &Options,
    ) -> Result<NixError, NixError> {
        let NixError::Failed { command, mut failure } = error else { return Ok(error) };
        if let Failure::Attribute { attribute: tried, known } = &mut *failure {
            *known = self.known_names(flake, attribute, options)?.map(Box::new);
            attribute.clone_into(tried);
        }
        Ok(NixError::Failed { command, failure })
    }

    /// What there is where `attribute` is not.
    fn known_names(
        &self,
        flake: &FlakeRef,
        attribute: &str,
        options: &Options,
    ) -> Result<Option<Known>, NixError> {
        let parts: Vec<_> = attribute.split('.').collect();
        for count in (1..parts.len()).rev() {
            let parent = parts[..count].join(".");
            let names = match self.eval_plainly(flake, &parent, "builtins.attrNames", options) {
                Ok(names) => names,
                // It is missing too, or cannot be evaluated.
                Err(NixError::Failed { .. }) => continue,
                Err(error) => return Err(error),
            };
            let names = names.as_array().into_iter().flatten();
            let names = names.filter_map(|name| Some(name.as_str()?.to_owned())).collect();
            return Ok(Some(Known { parent, names, missing: parts[count].to_owned() }));
        }
        Ok(None)
    }

    fn known_path(&self, path: &str, options: &Options) -> Result<Option<PathInfo>, NixError> {
        let args = request::path_info(path, options, &self.version);
        let json = self.json(&args, options, &mut |_| ())?;
        let infos = store::read_path_info(&json).unwrap_or_default();
        Ok(infos.into_iter().find(|info| info.path == path))
    }

    fn nar_hash(
        &self,
        known: Option<&PathInfo>,
        physical: &Path,
        options: &Options,
    ) -> Result<String, NixError> {
        if let Some(hash) = known.and_then(|info| info.nar_hash.clone()) {
            return Ok(hash);
        }
        // A shape of tomorrow. The files themselves do not change theirs.
        let args = request::hash_path(physical);
        let text = self.run(&args, options, &mut |_| ())?;
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        if text.starts_with("sha256-") { Ok(text) } else { Err(self.unreadable(&args, text)) }
    }

    pub(crate) fn json(
        &self,
        args: &[OsString],
        options: &Options,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Value, NixError> {
        let output = self.run(args, options, on_event)?;
        serde_json::from_slice(&output)
            .map_err(|_| self.unreadable(args, String::from_utf8_lossy(&output).into_owned()))
    }

    /// Runs Nix and returns its standard output.
    pub(crate) fn run(
        &self,
        args: &[OsString],
        options: &Options,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Vec<u8>, NixError> {
        let mut log = Log::default();
        let ended = self.tool.run(args).stream(|line| {
            if let Some(event) = log.line(line) {
                on_event(event);
            }
        });
        ended.map_err(|error| match error.cause {
            ToolCause::Exit { .. } => NixError::Failed {
                command: error.command,
                failure: Box::new(failure::classify(&log, options.store.as_deref())),
            },
            _ => error.into(),
        })
    }

    pub(crate) fn unreadable(&self, args: &[OsString], text: String) -> NixError {
        let command = self.tool.run(args).to_string();
        NixError::Unreadable { command, text: text.chars().take(200).collect() }
    }
}

impl Around {
    /// Writes both files into `folder`, which is absolute, empty, and the work folder of a run.
    pub fn write(&self, folder: &Path) -> io::Result<FlakeRef> {
        fs::write(folder.join("flake.nix"), &self.flake)?;
        fs::write(folder.join("flake.lock"), &self.lock)?;
        Ok(FlakeRef::folder(folder))
    }
}

/// Variables that say where Nix's things are, who it may speak to, and how it gets there. What a
/// program prints, or what an expression may read, is not among them.
pub(crate) fn is_for_nix(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "SSH_AUTH_SOCK",
        "SSL_CERT_FILE",
        "CURL_CA_BUNDLE",
        "GIT_SSL_CAINFO",
        "GIT_SSH",
        "GIT_SSH_COMMAND",
        "GIT_CONFIG_GLOBAL",
        "NETRC",
    ];
    const PREFIXES: &[&str] = &["NIX_", "XDG_", "AWS_"];
    const PROXIES: &[&str] = &["http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"];
    NAMES.contains(&name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || PROXIES.contains(&name.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use image_host::interrupt::{self, Interrupted};

    use super::*;

    #[test]
    fn an_interrupt_comes_through() {
        let cause = ToolCause::Interrupted(Interrupted);
        let error = NixError::from(ToolError { command: "nix".to_owned(), cause });
        assert!(interrupt::caused(&error));
    }

    #[test]
    fn the_environment_is_chosen() {
        for name in ["NIX_CONF_DIR", "NIX_SSHOPTS", "XDG_CACHE_HOME", "HTTPS_PROXY", "no_proxy"] {
            assert!(is_for_nix(name), "{name}");
        }
        for name in ["LANG", "EDITOR", "RUST_LOG", "LD_LIBRARY_PATH", "GITHUB_TOKEN"] {
            assert!(!is_for_nix(name), "{name}");
        }
    }
}

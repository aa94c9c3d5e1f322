//! Real Nix, three of them, each with a store of its own.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use image_host::tool::Tool;
use image_nix::{BuildRequest, Built, Event, Failure, FlakeRef, Nix, NixError, Options};
use tempfile::TempDir;

/// The folder with the versions that this Debian does not have.
const VERSIONS: &str = "IMAGE_FACTORY_NIX_DIR";

/// The releases that the driver is tested with: Debian 12's, 13's, and the next one's.
pub(crate) const RELEASES: [&str; 3] = ["2.8", "2.26", "2.34"];

pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// The program of a release. A missing one fails the test, and says what mends it.
fn program(release: &str) -> PathBuf {
    if release == RELEASES[0] {
        let nix = Tool::find("nix").expect("nix is not in PATH: apt-get install nix-bin");
        return nix.program().to_owned();
    }
    let dir =
        env::var_os(VERSIONS).map_or_else(|| workspace().join("target/nix-versions"), Into::into);
    let program = dir.join(format!("nix-{release}"));
    let dir = dir.display();
    assert!(
        program.is_file(),
        "{} is missing: apt-get install mmdebstrap && tests/tools/fetch-nix.sh {dir}",
        program.display()
    );
    program
}

/// A Nix whose store, state and settings are in a temporary folder, outside of every flake.
pub(crate) struct Rig {
    pub(crate) nix: Nix,
    pub(crate) dir: TempDir,
}

impl Rig {
    pub(crate) fn new(release: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let script = workspace().join("tests/tools/nix-env.sh");
        let exports = Tool::at(script).run([dir.path()]).output().unwrap();
        let tool = String::from_utf8(exports).unwrap().lines().fold(
            Tool::at(program(release)),
            |tool, line| {
                let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
                tool.env(name, value.trim_matches('\''))
            },
        );
        let nix = Nix::with(tool).unwrap();
        let found = nix.version().release;
        assert_eq!(format!("{}.{}", found.0, found.1), release, "{nix}");
        Self { nix, dir }
    }

    pub(crate) fn request(&self, attribute: &str) -> BuildRequest {
        let flake = format!("path:{}", workspace().join("tests/fixtures/wsl-flake").display());
        BuildRequest {
            flake: FlakeRef::new(&flake, Path::new("/")),
            attribute: attribute.to_owned(),
            out_link: self.dir.path().join("result"),
            options: Options::default(),
        }
    }

    pub(crate) fn build(&self, request: &BuildRequest) -> (Result<Built, NixError>, Vec<Event>) {
        let mut events = Vec::new();
        let built = self.nix.build(request, &mut |event| events.push(event));
        (built, events)
    }

    /// Why a build of the fixture's attribute fails.
    pub(crate) fn failure(&self, attribute: &str, settings: &[(&str, &str)]) -> Failure {
        let mut request = self.request(attribute);
        let settings = settings.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        request.options.settings = settings.collect();
        let error = self.build(&request).0.unwrap_err();
        error.failure().unwrap_or_else(|| panic!("{error:?}")).clone()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // A store is read-only, and an ordinary user may not remove what is in a read-only folder.
        let _ = Tool::find("chmod")
            .unwrap()
            .run(
                ["-R", "u+w"].map(Into::into).into_iter().chain([self
                    .dir
                    .path()
                    .as_os_str()
                    .to_owned()]),
            )
            .output();
        let _ = fs::remove_dir_all(self.dir.path());
    }
}

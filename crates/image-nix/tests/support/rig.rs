//! Real Nix, three of them, each with a store of its own. Tests of other crates have this file too.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use image_host::tool::Tool;
use image_nix::Nix;
use tempfile::TempDir;

/// The folder with the versions that this Debian does not have.
const VERSIONS: &str = "IMAGE_FACTORY_NIX_DIR";

/// The releases that the driver is tested with: Debian 12's, 13's, and the next one's.
pub(crate) const RELEASES: [&str; 3] = ["2.8", "2.26", "2.34"];

/// One test for each function and release, so that they run at the same time. Each function is given
/// what `new` of the type makes for the release.
macro_rules! each_release {
    ($rig:ident: $($name:ident)+) => {$(
        mod $name {
            #[test]
            fn bookworm() {
                super::$name(&super::$rig::new(crate::rig::RELEASES[0]));
            }
            #[test]
            fn trixie() {
                super::$name(&super::$rig::new(crate::rig::RELEASES[1]));
            }
            #[test]
            fn forky() {
                super::$name(&super::$rig::new(crate::rig::RELEASES[2]));
            }
        }
    )+};
}

pub(crate) use each_release;

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

/// `tool` with the environment of a Nix that has everything below `dir`.
pub(crate) fn environment(dir: &Path, tool: Tool) -> Tool {
    let script = workspace().join("tests/tools/nix-env.sh");
    let exports = Tool::at(script).run([dir]).output().unwrap();
    String::from_utf8(exports).unwrap().lines().fold(tool, |tool, line| {
        let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
        tool.env(name, value.trim_matches('\''))
    })
}

/// A Nix whose store, state and settings are in a temporary folder, outside of every flake.
pub(crate) struct Rig {
    pub(crate) nix: Nix,
    pub(crate) dir: TempDir,
}

impl Rig {
    pub(crate) fn new(release: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tool = environment(dir.path(), Tool::at(program(release)));
        let nix = Nix::with(tool).unwrap();
        let found = nix.version().release;
        assert_eq!(format!("{}.{}", found.0, found.1), release, "{nix}");
        Self { nix, dir }
    }

    /// A place in the temporary folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
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

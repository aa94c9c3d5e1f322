//! Repositories that a test makes in the folder of its Nix.

use image_host::tool::Tool;

use crate::rig::Rig;

impl Rig {
    /// What git says in a folder.
    pub(crate) fn git(&self, folder: &str, args: &[&str]) -> String {
        let user = ["-c", "user.name=n", "-c", "user.email=n@localhost"];
        let git = Tool::find("git").expect("apt-get install git");
        let git = git.run(user.iter().chain(args)).dir(self.path(folder));
        String::from_utf8(git.output().unwrap()).unwrap()
    }

    /// Commits all that is in a folder, which is a repository from then on.
    pub(crate) fn commit_all(&self, folder: &str) {
        self.git(folder, &["init", "--quiet"]);
        self.git(folder, &["add", "."]);
        self.git(folder, &["commit", "--quiet", "-m", "one"]);
    }
}

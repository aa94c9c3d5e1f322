//! The registry of Debian's package docker-registry, on loopback.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long it may take until it listens.
const START: Duration = Duration::from_secs(120);

/// A registry that keeps what it has in a folder, and ends with this value.
pub(crate) struct Registry {
    dir: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Registry {
    /// A registry of its own in `dir`.
    pub(crate) fn new(dir: &Path) -> Self {
        Self::with(dir, "")
    }

    /// One that wants the user `me` with the password `secret`.
    pub(crate) fn with_password(dir: &Path) -> Self {
        let users = dir.join("users");
        // As `htpasswd -nbB me secret` writes it.
        let line = "me:$2b$05$oIfQuvfMXyiYhj0L4aay4.LYKwUEF9wsjdQ3FG9/w9FtYyBo/Rwce\n";
        fs::write(&users, line).unwrap();
        let path = users.display();
        Self::with(dir, &format!("auth: {{ htpasswd: {{ realm: here, path: {path} }} }}\n"))
    }

    fn with(dir: &Path, more: &str) -> Self {
        let dir = dir.join("registry");
        fs::create_dir_all(&dir).unwrap();
        let config = format!(
            "version: 0.1\n\
             log: {{ level: info, accesslog: {{ disabled: false }} }}\n\
             storage: {{ filesystem: {{ rootdirectory: {data} }}, delete: {{ enabled: true }} }}\n\
             http: {{ addr: '127.0.0.1:0', secret: not-a-secret }}\n\
             {more}",
            data = dir.join("data").display(),
        );
        fs::write(dir.join("config.yml"), config).unwrap();
        let mut registry = Self { dir, port: 0, child: None };
        registry.start();
        registry
    }

    /// Starts it again, with what it has, on another port: one that was chosen for it might be
    /// somebody else's by now.
    pub(crate) fn start(&mut self) {
        let access = File::options().create(true).append(true).open(self.dir.join("access.log"));
        let log = self.dir.join("log");
        let mut child = Command::new("docker-registry")
            .arg("serve")
            .arg(self.dir.join("config.yml"))
            .stdin(Stdio::null())
            .stdout(access.unwrap())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .expect("docker-registry does not start: tests/setup.sh installs it");
        let begun = Instant::now();
        self.port = loop {
            let said = fs::read_to_string(&log).unwrap();
            if let Some(port) = port(&said) {
                break port;
            }
            let ended = child.try_wait().unwrap();
            assert!(begun.elapsed() < START && ended.is_none(), "no registry, {ended:?}: {said}");
            thread::sleep(Duration::from_millis(20));
        };
        self.child = Some(child);
    }

    /// Kills it.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Host and port.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where uploads lie that have not ended.
    pub(crate) fn uploads(&self, repository: &str) -> PathBuf {
        let repositories = "data/docker/registry/v2/repositories";
        self.dir.join(repositories).join(repository).join("_uploads")
    }

    /// The requests that it answered: method and path, such as `GET /v2/`.
    pub(crate) fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.dir.join("access.log")).unwrap();
        let request = |line: &str| {
            let request = line.split('"').nth(1)?;
            let (request, _version) = request.rsplit_once(' ')?;
            Some(request.split('?').next().unwrap_or_default().to_owned())
        };
        log.lines().filter_map(request).collect()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Where it listens, as it says itself: `msg="listening on 127.0.0.1:45777"`.
fn port(log: &str) -> Option<u16> {
    let (_, rest) = log.split_once("listening on 127.0.0.1:")?;
    rest.split_once('"')?.0.parse().ok()
}

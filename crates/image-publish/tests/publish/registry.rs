//! The registry of Debian's package docker-registry, on loopback.

use std::{
    fs::{self, File},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

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
        // Free now; who takes it before the registry does makes the test fail, which is rare.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let dir = dir.join("registry");
        fs::create_dir_all(&dir).unwrap();
        let config = format!(
            "version: 0.1\n\
             log: {{ level: error, accesslog: {{ disabled: false }} }}\n\
             storage: {{ filesystem: {{ rootdirectory: {data} }}, delete: {{ enabled: true }} }}\n\
             http: {{ addr: '127.0.0.1:{port}', secret: not-a-secret }}\n\
             {more}",
            data = dir.join("data").display(),
        );
        fs::write(dir.join("config.yml"), config).unwrap();
        let mut registry = Self { dir, port, child: None };
        registry.start();
        registry
    }

    /// Starts it again, where it was.
    pub(crate) fn start(&mut self) {
        let log =
            |name| File::options().create(true).append(true).open(self.dir.join(name)).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(self.dir.join("config.yml"))
            .stdin(Stdio::null())
            .stdout(log("access.log"))
            .stderr(log("error.log"))
            .spawn()
            .expect("docker-registry does not start: tests/setup.sh installs it");
        self.child = Some(child);
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = || fs::read_to_string(self.dir.join("error.log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(30), "no registry: {}", log());
            thread::sleep(Duration::from_millis(20));
        }
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

//! The names and passwords of registries, where Docker and its relatives keep them.
//! containers-auth.json(5).

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use data_encoding::BASE64;
use oci_client::secrets::RegistryAuth;
use serde::Deserialize;

use crate::Environment;

/// A file of credentials is never longer, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// What is presented to a registry.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) auth: RegistryAuth,
    /// Where they are from, or why there are none: the rest of a sentence about a refusal.
    pub(crate) origin: String,
}

/// A file of credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    /// It cannot be read.
    #[error("cannot read the credentials in {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is something else. What is in it is not told: it may be a password.
    #[error("{}: line {line} is no JSON, or not that of a file of credentials", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Where reading ended.
        line: usize,
    },
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct File {
    auths: BTreeMap<String, Auth>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// The credentials for `repository` of `registry`, of the first file that has some.
pub(crate) fn credentials(
    environment: &Environment,
    registry: &str,
    repository: &str,
) -> Result<Credentials, CredentialsError> {
    look(&places(environment), registry, repository)
}

fn places(environment: &Environment) -> Vec<PathBuf> {
    let of = |name| environment.get(name).map(PathBuf::from);
    if let Some(file) = of("REGISTRY_AUTH_FILE") {
        return vec![file];
    }
    let mut places = Vec::new();
    let docker = of("DOCKER_CONFIG").map(|dir| dir.join("config.json"));
    // Who sets a variable wants it to be looked at first.
    places.extend(docker.clone());
    places.extend(of("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json")));
    let config = of("XDG_CONFIG_HOME").or_else(|| environment.home(".config"));
    places.extend(config.map(|dir| dir.join("containers/auth.json")));
    if docker.is_none() {
        places.extend(environment.home(".docker/config.json"));
    }
    places
}

fn look(
    places: &[PathBuf],
    registry: &str,
    repository: &str,
) -> Result<Credentials, CredentialsError> {
    let mut origin = None;
    for path in places {
        let Some(file) = read(path)? else { continue };
        let shown = path.display();
        let keys = keys(registry, repository);
        let entry = keys.iter().find_map(|key| {
            let of_key = |name: &&String| plain(name) == *key;
            file.auths.keys().find(of_key).and_then(|name| file.auths.get(name))
        });
        if let Some(auth) = entry.and_then(Auth::registry) {
            return Ok(Credentials { auth, origin: format!("the credentials in {shown}") });
        }
        let helper = file.cred_helpers.get(registry).or(file.creds_store.as_ref());
        if origin.is_none() {
            if let Some(helper) = helper {
                origin = Some(format!(
                    "no credentials: {shown} leaves them to docker-credential-{helper}, which is not \
                     asked; \
                     `skopeo login` writes them into a file"
                ));
            } else if entry.is_some_and(Auth::has_identity_token) {
                origin = Some(format!(
                    "no credentials: {shown} has only a token of identity, which is not used here; \
                     `skopeo login` with a password writes that there"
                ));
            }
        }
    }
    let origin = origin.unwrap_or_else(|| {
        let files: Vec<_> = places.iter().map(|path| path.display().to_string()).collect();
        format!("no credentials: there are none for it in {}", files.join(", "))
    });
    Ok(Credentials { auth: RegistryAuth::Anonymous, origin })
}

fn read(path: &Path) -> Result<Option<File>, CredentialsError> {
    let fail = |source| CredentialsError::Read { path: path.to_owned(), source };
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > MAX_FILE => {
            return Err(fail(io::Error::other(format!("it is longer than {MAX_FILE} bytes"))));
        }
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(fail(e)),
    }
    let text = fs::read(path).map_err(fail)?;
    let file = serde_json::from_slice(&text)
        .map_err(|e| CredentialsError::Shape { path: path.to_owned(), line: e.line() })?;
    Ok(Some(file))
}

/// What a file may call the registry, the closest name first: the repository, what it lies in, and
/// the registry.
fn keys(registry: &str, repository: &str) -> Vec<String> {
    let whole = format!("{registry}/{repository}");
    let mut keys: Vec<String> = Vec::new();
    let mut rest = whole.as_str();
    loop {
        keys.push(rest.to_owned());
        match rest.rsplit_once('/') {
            Some((before, _)) => rest = before,
            None => break,
        }
    }
    if matches!(registry, "docker.io" | "index.docker.io") {
        keys.extend(["docker.io", "index.docker.io"].map(str::to_owned));
    }
    keys
}

/// Docker writes some registries as addresses.
fn plain(name: &str) -> String {
    let address = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://"));
    match address {
        Some(address) => address.split('/').next().unwrap_or_default().to_owned(),
        None => name.to_owned(),
    }
}

impl Auth {
    fn has_identity_token(&self) -> bool {
        self.identitytoken.as_ref().is_some_and(|token| !token.is_empty())
    }

    fn registry(&self) -> Option<RegistryAuth> {
        if let Some(token) = self.registrytoken.as_ref().filter(|token| !token.is_empty()) {
            return Some(RegistryAuth::Bearer(token.clone()));
        }
        // What is beside a token of identity is no password.
        if self.has_identity_token() {
            return None;
        }
        if let (Some(username), Some(password)) = (&self.username, &self.password) {
            return Some(RegistryAuth::Basic(username.clone(), password.clone()));
        }
        let decoded = BASE64.decode(self.auth.as_ref()?.trim().as_bytes()).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (username, password) = decoded.split_once(':')?;
        // Old versions of Docker filled up with zeros.
        let password = password.trim_end_matches('\0');
        Some(RegistryAuth::Basic(username.to_owned(), password.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, registry: &str) -> Credentials {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        fs::write(&path, text).unwrap();
        look(&[dir.path().join("none"), path], registry, "nixos/images").unwrap()
    }

    #[test]
    fn the_closest_name_is_taken() {
        let text = r#"{"auths": {
            "registry.example": {"auth": "YTpi"},
            "registry.example/nixos": {"auth": "bWU6cGFzczp3b3Jk"},
            "https://index.docker.io/v1/": {"auth": "aHViOng="},
            "other.example": {"registrytoken": "t"}
        }}"#;
        let basic = |name: &str, word: &str| RegistryAuth::Basic(name.to_owned(), word.to_owned());
        assert!(found(text, "registry.example").auth == basic("me", "pass:word"));
        assert!(found(text, "docker.io").auth == basic("hub", "x"));
        assert!(found(text, "other.example").auth == RegistryAuth::Bearer("t".to_owned()));
        let none = found(text, "registry.example:5000");
        assert!(none.auth == RegistryAuth::Anonymous);
        assert!(none.origin.contains("there are none for it in "), "{}", none.origin);
    }

    #[test]
    fn helpers_are_named_and_not_asked() {
        let text = r#"{"auths": {"registry.example": {}}, "credsStore": "secretservice"}"#;
        let found = found(text, "registry.example");
        assert!(found.auth == RegistryAuth::Anonymous);
        assert!(found.origin.contains("docker-credential-secretservice"), "{}", found.origin);
    }

    #[test]
    fn a_token_of_identity_is_no_password() {
        // As `az acr login` leaves it.
        let text = r#"{"auths": {"registry.example": {"auth": "MDAwMDo=", "identitytoken": "t"}}}"#;
        let found = found(text, "registry.example");
        assert!(found.auth == RegistryAuth::Anonymous);
        assert!(found.origin.contains(" has only a token of identity, "), "{}", found.origin);
    }

    #[test]
    fn a_broken_file_is_an_error_that_tells_nothing_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        fs::write(&path, "{\"auths\": {\"a\": {\"auth\": secret}}}").unwrap();
        let error = look(&[path], "a", "b").unwrap_err().to_string();
        assert!(error.contains("line 1") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn places_are_those_of_docker_and_of_containers() {
        let of = |set: &[(&str, &str)]| places(&set.iter().copied().collect());
        let home = of(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/run/user/1")]);
        let expected = [
            "/run/user/1/containers/auth.json",
            "/h/.config/containers/auth.json",
            "/h/.docker/config.json",
        ];
        assert_eq!(home, expected.map(PathBuf::from));
        let chosen = of(&[("HOME", "/h"), ("DOCKER_CONFIG", "/d")]);
        let expected = ["/d/config.json", "/h/.config/containers/auth.json"];
        assert_eq!(chosen, expected.map(PathBuf::from));
        let file = of(&[("HOME", "/h"), ("DOCKER_CONFIG", "/d"), ("REGISTRY_AUTH_FILE", "/f")]);
        assert_eq!(file, [PathBuf::from("/f")]);
    }
}

//! Which server, and who asks: the environment, and the files that the AWS command line has.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use object_store::{
    ClientConfigKey, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum, S3ConditionalPut},
};

use super::line::Line;
use crate::{Environment, PublishError, http::without_password};

/// The library does not try again: we do, and say so.
const ONCE: RetryConfig = RetryConfig {
    backoff: object_store::BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_millis(100),
        base: 1.0,
    },
    max_retries: 0,
    retry_timeout: Duration::ZERO,
};

/// A bucket, in two tones.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    /// For servers that know conditions and checksums: whatever is there stays, and every part is
    /// checked as it arrives.
    pub(super) strict: AmazonS3,
    /// For all others.
    pub(super) plain: AmazonS3,
    /// Where the server is, if somebody said so.
    pub(super) endpoint: Option<String>,
}

/// Finds out who asks, and whom.
pub(super) fn open(bucket: &str, environment: &Environment) -> Result<Bucket, PublishError> {
    let what = || format!("cannot find out how to reach s3://{bucket}");
    let settings = settings(environment).map_err(|error| PublishError::place(what(), error))?;
    let endpoint = ["aws_endpoint_url_s3", "aws_endpoint_url", "aws_endpoint"]
        .iter()
        .find_map(|name| settings.get(*name).cloned());
    // The library takes anything for an address, and panics when it asks there.
    let is_address = |text: &String| {
        let url = text.parse::<url::Url>().ok();
        url.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    };
    if let Some(endpoint) = endpoint.as_ref().filter(|endpoint| !is_address(endpoint)) {
        let error = ProfileError::Endpoint { endpoint: without_password(endpoint) };
        return Err(PublishError::place(what(), error));
    }
    let build = |strict: bool| {
        let mut builder = AmazonS3Builder::new();
        for (name, value) in &settings {
            if let Ok(key) = name.parse::<AmazonS3ConfigKey>() {
                builder = builder.with_config(key, value);
            }
        }
        // Whoever writes `http://` means it: servers on loopback and in test networks.
        if endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://")) {
            builder = builder.with_allow_http(true);
        }
        // How long an answer may take depends on the question; the line knows.
        let timeout = AmazonS3ConfigKey::Client(ClientConfigKey::Timeout);
        builder = builder
            .with_config(timeout, "1 day")
            .with_bucket_name(bucket)
            .with_retry(ONCE)
            .with_http_connector(Line { never_replace: strict });
        if strict {
            builder = builder
                .with_conditional_put(S3ConditionalPut::ETagMatch)
                .with_checksum_algorithm(Checksum::SHA256);
        }
        builder.build().map_err(|error| PublishError::place(what(), error))
    };
    Ok(Bucket { strict: build(true)?, plain: build(false)?, endpoint })
}

/// A file of the AWS command line cannot be used.
#[derive(Debug, thiserror::Error)]
enum ProfileError {
    #[error("the endpoint {endpoint:?} is no address by https or http")]
    Endpoint { endpoint: String },
    #[error("the region {region:?} is none: letters, digits and hyphens")]
    Region { region: String },
    #[error("there is only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or of the profile")]
    Half,
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("there is no profile {name:?}, neither in {} nor in {}", files[0], files[1])]
    Absent { name: String, files: [String; 2] },
    #[error(
        "the profile {name:?} has no keys, but {way}, which is not read here: \
         `aws configure export-credentials --format env` gives keys for the environment"
    )]
    OtherWay { name: String, way: String },
}

/// All settings, by the names of their variables in lower case.
fn settings(environment: &Environment) -> Result<BTreeMap<String, String>, ProfileError> {
    let settings = collect(environment)?;
    let has = |name: &str| settings.contains_key(name);
    if has("aws_access_key_id") != has("aws_secret_access_key") {
        return Err(ProfileError::Half);
    }
    let is_region = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let mut regions = ["aws_region", "aws_default_region"].iter().filter_map(|n| settings.get(*n));
    match regions.find(|region| !region.chars().all(is_region)) {
        Some(region) => Err(ProfileError::Region { region: region.clone() }),
        None => Ok(settings),
    }
}

fn collect(environment: &Environment) -> Result<BTreeMap<String, String>, ProfileError> {
    let mut settings: BTreeMap<String, String> = environment
        .iter()
        .filter(|(name, _)| name.starts_with("AWS_"))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let ignores_endpoints = |settings: &BTreeMap<String, String>| {
        settings.get("aws_ignore_configured_endpoint_urls").is_some_and(|value| value == "true")
    };
    if ignores_endpoints(&settings) {
        settings.retain(|name, _| !name.starts_with("aws_endpoint"));
    }
    let named = environment.get("AWS_PROFILE").or_else(|| environment.get("AWS_DEFAULT_PROFILE"));
    let (profile, files) = profile(named.unwrap_or("default"), environment)?;
    let Some(profile) = profile else {
        return match named {
            Some(name) => Err(ProfileError::Absent { name: name.to_owned(), files }),
            None => Ok(settings),
        };
    };
    // Of the environment first: whoever sets keys there wants them, whatever profile there is.
    let has_keys = settings.contains_key("aws_access_key_id");
    let has_other_way = [
        "aws_web_identity_token_file",
        "aws_container_credentials_relative_uri",
        "aws_container_credentials_full_uri",
    ];
    let has_other_way = has_other_way.iter().any(|name| settings.contains_key(*name));
    if !has_keys && (named.is_some() || !has_other_way) {
        let credentials = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token"];
        if profile.contains_key(credentials[0]) {
            let of_profile = |name: &str| Some((name.to_owned(), profile.get(name)?.clone()));
            settings.extend(credentials.iter().filter_map(|name| of_profile(name)));
        } else {
            let ways = ["sso_session", "sso_start_url", "credential_process", "role_arn"];
            let way = ways.iter().find(|way| profile.contains_key(**way));
            if let (Some(way), false) = (way, has_other_way) {
                let name = named.unwrap_or("default").to_owned();
                return Err(ProfileError::OtherWay { name, way: (*way).to_owned() });
            }
        }
    }
    let mut fallback = |name: &str, others: &[&str], key: &str| {
        let is_set = others.iter().any(|other| settings.contains_key(*other));
        if let (false, Some(value)) = (is_set, profile.get(key)) {
            settings.insert(name.to_owned(), value.clone());
        }
    };
    fallback("aws_region", &["aws_region", "aws_default_region"], "region");
    if environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") != Some("true") {
        let endpoints = ["aws_endpoint_url_s3", "aws_endpoint_url", "aws_endpoint"];
        fallback("aws_endpoint_url", &endpoints, "endpoint_url");
    }
    Ok(settings)
}

/// A profile, with what both files say of it, and the names of the files.
#[expect(clippy::type_complexity, reason = "used once, a few lines above")]
fn profile(
    name: &str,
    environment: &Environment,
) -> Result<(Option<BTreeMap<String, String>>, [String; 2]), ProfileError> {
    let place = |variable: &str, usual: &str| {
        environment.get(variable).map(PathBuf::from).or_else(|| environment.home(usual))
    };
    let credentials = place("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
    let config = place("AWS_CONFIG_FILE", ".aws/config");
    let in_config = if name == "default" { name.to_owned() } else { format!("profile {name}") };
    // What the file of credentials says is worth more.
    let of_config = config.as_deref().map(|path| section(path, &in_config)).transpose()?.flatten();
    let of_credentials =
        credentials.as_deref().map(|path| section(path, name)).transpose()?.flatten();
    let found = match (of_config, of_credentials) {
        (None, None) => None,
        (config, credentials) => {
            Some(config.into_iter().chain(credentials).flatten().collect::<BTreeMap<_, _>>())
        }
    };
    let shown = |path: &Option<PathBuf>, usual: &str| {
        path.as_ref().map_or_else(|| format!("~/{usual}"), |path| path.display().to_string())
    };
    Ok((found, [shown(&credentials, ".aws/credentials"), shown(&config, ".aws/config")]))
}

/// A section of a file; `None` where there is no such file, or no such section in it.
fn section(path: &Path, name: &str) -> Result<Option<BTreeMap<String, String>>, ProfileError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(parse(&text, name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ProfileError::Read { path: path.to_owned(), source }),
    }
}

/// The format of the shared configuration files of AWS: sections, keys in any case, and indented
/// lines that belong to the key above them.
fn parse(text: &str, wanted: &str) -> Option<BTreeMap<String, String>> {
    let mut found: Option<BTreeMap<String, String>> = None;
    let mut is_wanted = false;
    for line in text.lines() {
        let is_nested = line.starts_with([' ', '\t']);
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) || is_nested {
            continue;
        }
        if let Some(rest) = trimmed.strip_prefix('[') {
            let name = rest.split(']').next().unwrap_or_default();
            is_wanted = name.split_whitespace().eq(wanted.split_whitespace());
            if is_wanted {
                found.get_or_insert_default();
            }
        } else if let (true, Some((key, value))) = (is_wanted, trimmed.split_once('=')) {
            // A comment in a line of a value begins behind a space.
            let value = value.split_once(" #").map_or(value, |(value, _)| value).trim();
            if let (Some(found), false) = (found.as_mut(), value.is_empty()) {
                found.insert(key.trim().to_ascii_lowercase(), value.to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A home with both files.
    fn home(credentials: &str, config: &str) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".aws")).unwrap();
        fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
        fs::write(home.path().join(".aws/config"), config).unwrap();
        home
    }

    fn with(home: &tempfile::TempDir, variables: &[(&str, &str)]) -> Environment {
        let home = ("HOME", home.path().to_str().unwrap());
        variables.iter().copied().chain([home]).collect()
    }

    const CREDENTIALS: &str = "[default]\naws_access_key_id = A\naws_secret_access_key=a\n\
        # another\n[ci]\nAWS_ACCESS_KEY_ID = C # of ci\naws_secret_access_key = c\n\
        aws_session_token = t\n";
    const CONFIG: &str = "[default]\nregion = eu-west-1\ns3 =\n  endpoint_url = http://nested\n\
        [profile  ci]\nregion = eu-central-1\nendpoint_url = https://s3.example.org\n\
        [profile sso]\nsso_session = x\n";

    fn get(settings: &BTreeMap<String, String>, names: &[&str]) -> Vec<String> {
        names.iter().map(|name| settings.get(*name).cloned().unwrap_or_default()).collect()
    }

    const NAMES: [&str; 5] = [
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "aws_region",
        "aws_endpoint_url",
    ];

    #[test]
    fn files_are_read_as_the_command_line_of_aws_does() {
        let home = home(CREDENTIALS, CONFIG);
        let of =
            |variables: &[(&str, &str)]| get(&settings(&with(&home, variables)).unwrap(), &NAMES);
        assert_eq!(of(&[]), ["A", "a", "", "eu-west-1", ""]);
        let ci = ["C", "c", "t", "eu-central-1", "https://s3.example.org"];
        assert_eq!(of(&[("AWS_PROFILE", "ci")]), ci);
        // The environment comes first, each variable for itself; keys are never mixed.
        let keys = [("AWS_ACCESS_KEY_ID", "E"), ("AWS_SECRET_ACCESS_KEY", "e")];
        assert_eq!(of(&keys), ["E", "e", "", "eu-west-1", ""]);
        assert_eq!(
            of(&[("AWS_PROFILE", "ci"), ("AWS_REGION", "x"), ("AWS_ENDPOINT_URL", "http://l")]),
            ["C", "c", "t", "x", "http://l"]
        );
        let ignore = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
        assert_eq!(of(&[("AWS_PROFILE", "ci"), ignore])[4], "");
        // A machine with a role of its own does not take what lies in files by default.
        let role = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x");
        assert_eq!(of(&[role])[0], "");
    }

    #[test]
    fn a_profile_that_gives_no_keys_is_told() {
        let home = home(CREDENTIALS, CONFIG);
        let fails = |name: &str| settings(&with(&home, &[("AWS_PROFILE", name)])).unwrap_err();
        assert!(matches!(fails("absent"), ProfileError::Absent { .. }));
        let error = fails("sso").to_string();
        assert!(error.contains("sso_session") && error.contains("export-credentials"), "{error}");
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        let fails = |variables: &[(&str, &str)]| {
            let environment: Environment = variables.iter().copied().collect();
            match open("images", &environment).unwrap_err() {
                PublishError::Place { source, .. } => source.to_string(),
                error => panic!("{error:?}"),
            }
        };
        for endpoint in ["nonsense", "localhost:9000", "ftp://x", "http://", "https://a b"] {
            assert!(fails(&[("AWS_ENDPOINT_URL", endpoint)]).contains("no address"), "{endpoint}");
        }
        assert!(fails(&[("AWS_REGION", "eu central")]).contains("region"));
        assert!(fails(&[("AWS_ACCESS_KEY_ID", "x")]).contains("only one of"));
        assert!(fails(&[("AWS_SECRET_ACCESS_KEY", "hush")]).contains("only one of"));
    }

    #[test]
    fn no_files_are_no_error() {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(settings(&with(&empty, &[])).unwrap(), BTreeMap::new());
        assert_eq!(settings(&Environment::default()).unwrap(), BTreeMap::new());
    }
}

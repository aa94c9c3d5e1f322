//! Where a release goes: what `--to` says.

use std::{fmt, path::PathBuf, str::FromStr};

/// A place for releases. Each version has a folder, a prefix or a tag of its own there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A folder of this machine.
    Folder(PathBuf),
    /// Storage that speaks S3: `s3://bucket/prefix`.
    S3 {
        /// The bucket.
        bucket: String,
        /// What names begin with, without slashes at its ends; may be empty.
        prefix: String,
    },
    /// A registry that speaks the OCI distribution specification: `oci://registry/repository`.
    Oci {
        /// Host, and port where it is not the usual one.
        registry: String,
        /// The repository.
        repository: String,
    },
    /// Releases on GitHub: `github:owner/repository`.
    Github {
        /// Owner and repository.
        repository: String,
    },
}

/// No place is called so.
#[derive(Debug, thiserror::Error)]
#[error(
    "{text:?} is no place to publish to ({why}): a folder, s3://BUCKET/PREFIX, \
     oci://REGISTRY/REPOSITORY, or github:OWNER/REPOSITORY"
)]
pub struct TargetError {
    text: String,
    why: &'static str,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Oci { registry, repository } => write!(f, "oci://{registry}/{repository}"),
            Self::Github { repository } => write!(f, "github:{repository}"),
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let parsed = if let Some(rest) = text.strip_prefix("s3://") {
            s3(rest)
        } else if let Some(rest) = text.strip_prefix("oci://") {
            oci(rest)
        } else if let Some(rest) = text.strip_prefix("github:") {
            github(rest)
        } else {
            folder(text)
        };
        parsed.map_err(|why| TargetError { text: text.to_owned(), why })
    }
}

fn s3(rest: &str) -> Result<Target, &'static str> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    // Old buckets have capitals and underscores, and access points have aliases; a server says the
    // rest.
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if bucket.is_empty() || !bucket.chars().all(allowed) || bucket.len() > 255 {
        return Err("it names no bucket");
    }
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    if !prefix.is_empty() && !prefix.split('/').all(is_component) {
        return Err("the prefix has a part that is empty, `.` or `..`, or a character of control");
    }
    Ok(Target::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
}

fn oci(rest: &str) -> Result<Target, &'static str> {
    let Some((registry, repository)) = rest.split_once('/') else {
        return Err("it names no repository");
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    if registry.is_empty() || !registry.chars().all(allowed) {
        return Err("it names no registry");
    }
    // OCI Distribution Specification, Pulling manifests: `<name>`.
    let of_name = |part: &str| {
        let edge =
            |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit() || c.is_ascii_lowercase());
        let inner =
            |c: char| c.is_ascii_digit() || c.is_ascii_lowercase() || matches!(c, '.' | '_' | '-');
        edge(part.chars().next()) && edge(part.chars().last()) && part.chars().all(inner)
    };
    if !repository.split('/').all(of_name) {
        return Err("a repository has lower-case letters, digits, `.`, `_`, `-` and `/`, no tag");
    }
    Ok(Target::Oci { registry: registry.to_owned(), repository: repository.to_owned() })
}

fn github(rest: &str) -> Result<Target, &'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    // `gh` takes a part that begins with a hyphen for a flag.
    let of_name =
        |part: &str| is_component(part) && !part.starts_with('-') && part.chars().all(allowed);
    match rest.split_once('/') {
        Some((owner, name)) if of_name(owner) && of_name(name) => {
            Ok(Target::Github { repository: rest.to_owned() })
        }
        _ => Err("it is not OWNER/REPOSITORY"),
    }
}

fn folder(text: &str) -> Result<Target, &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    // `gs://bucket` is a folder for nobody.
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    if scheme.is_some_and(|scheme| scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '+')) {
        return Err("nothing is known of such addresses");
    }
    Ok(Target::Folder(text.into()))
}

fn is_component(part: &str) -> bool {
    !matches!(part, "" | "." | "..") && !part.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_and_written_the_same() {
        for text in [
            "out/releases",
            "/srv/http",
            "s3://bucket",
            "s3://bucket/nixos/images",
            "oci://127.0.0.1:5000/nixos/images",
            "oci://ghcr.io/me/nixos-images_2",
            "github:me/nixos.images",
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        let slash = "s3://bucket/nixos/".parse::<Target>().unwrap();
        assert_eq!(slash, "s3://bucket/nixos".parse().unwrap());
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in [
            "",
            "s3://",
            "s3:///prefix",
            "s3://b ucket",
            "s3://bucket//x",
            "s3://bucket/../x",
            "s3://bucket/a\nb",
            "oci://registry",
            "oci://registry/",
            "oci:///repository",
            "oci://registry/Upper",
            "oci://registry/image:tag",
            "github:me",
            "github:me/x/y",
            "github:-me/x",
            "github:me/..",
            "gs://bucket",
            "https://example.org/",
        ] {
            let error = text.parse::<Target>().unwrap_err();
            assert!(error.to_string().contains("s3://BUCKET/PREFIX"), "{text}: {error}");
        }
    }
}

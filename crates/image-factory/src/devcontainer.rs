//! A dev container of a container image: the file `devcontainer.json`, which editors and the
//! command line of the Dev Containers read. <https://containers.dev/implementors/json_reference>

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use image_host::publish::{publish, publish_new};
use image_model::ImageKind;
use serde::Serialize;

use crate::{definition::Definition, driver::nix_image, file_name::Template};

/// The definition whose image is meant where nobody says otherwise.
pub const IMAGE: &str = "docker";

/// The folder of the file, below that of the project that is developed in the container.
const FOLDER: &str = ".devcontainer";

/// The file.
const FILE: &str = "devcontainer.json";

/// The other place where it may be. What is in the folder comes first.
const OTHER: &str = ".devcontainer.json";

/// What the file says. It works with every program that runs containers, on every system: nothing
/// is started on the machine itself, and no volume hides what is in the image. One at `/nix` would
/// keep the store of the first image, and miss what the programs of the next one link to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DevContainer {
    /// What it is called in an editor.
    pub name: String,
    /// The image, by the name that it has after `docker load`.
    pub image: String,
    /// Who works in it. On Linux this user is given the numbers of the one outside, so files of the
    /// project keep their owner.
    pub remote_user: &'static str,
    /// For editors.
    pub customizations: Customizations,
}

/// What editors do in the container, each by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Customizations {
    /// VS Code, and what is made of it.
    pub vscode: VsCode,
}

/// What VS Code does in the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VsCode {
    /// Extensions that it has there.
    pub extensions: Vec<&'static str>,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The file.
    pub file: PathBuf,
    /// The image that it names.
    pub image: String,
    /// The archive with that image, in the folder where the image is published.
    pub archive: String,
}

/// Nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevContainerError {
    /// The image is for something else.
    #[error("{image} is of the kind {kind}; a dev container needs one of the kind docker")]
    OtherKind {
        /// Name of the definition.
        image: String,
        /// Its kind.
        kind: ImageKind,
    },
    /// The folder is not there.
    #[error("{} is not a folder", .0.display())]
    NoFolder(PathBuf),
    /// There is a dev container.
    #[error("{} exists: with --force it is replaced, and what is in it is lost", .0.display())]
    Exists(PathBuf),
    /// There is one in the other place, which the new one would hide.
    #[error("{} exists, and a new {FOLDER}/{FILE} would count instead: --force", .0.display())]
    Hidden(PathBuf),
    /// The machine failed.
    #[error("cannot write {}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

impl DevContainerError {
    /// True if the command line asks for what cannot be.
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Io { .. })
    }
}

impl DevContainer {
    /// Of the image that `definition` makes with `profiles`, or with those that its flake says.
    pub fn new(definition: &Definition, profiles: &[String]) -> Self {
        let name = match profiles {
            [] => "NixOS".to_owned(),
            profiles => format!("NixOS: {}", profiles.join(", ")),
        };
        Self {
            name,
            // What nix/modules/nixos/docker-image.nix calls it.
            image: format!("{}-{}:latest", nix_image::DISTRIBUTION, definition.name),
            remote_user: "vscode",
            customizations: Customizations {
                vscode: VsCode { extensions: vec!["jnoortheen.nix-ide"] },
            },
        }
    }

    /// The content of the file.
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self).expect("plain data has no keys but strings");
        json + "\n"
    }
}

/// Writes the dev container of the image that `definition` makes into `folder`, the project that
/// will be developed in it. A file that is there is replaced only by `force`.
pub fn write(
    definition: &Definition,
    profiles: &[String],
    folder: &Path,
    force: bool,
) -> Result<Written, DevContainerError> {
    let spec = &definition.spec;
    if spec.kind != ImageKind::Docker {
        let (image, kind) = (definition.name.clone(), spec.kind);
        return Err(DevContainerError::OtherKind { image, kind });
    }
    if !folder.is_dir() {
        return Err(DevContainerError::NoFolder(folder.to_owned()));
    }
    let other = folder.join(OTHER);
    if !force && fs::symlink_metadata(&other).is_ok() {
        return Err(DevContainerError::Hidden(other));
    }
    let container = DevContainer::new(definition, profiles);
    let parent = folder.join(FOLDER);
    let is_ours = match fs::create_dir(&parent) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        made => made.map(|()| true).map_err(|cause| io_error(&parent, cause))?,
    };
    let file = parent.join(FILE);
    let json = container.to_json();
    let fill = |to: &mut fs::File| to.write_all(json.as_bytes());
    let written = if force { publish(&file, fill) } else { publish_new(&file, fill) };
    if let Err(cause) = written {
        if is_ours {
            // It is empty, or somebody else put something there.
            let _ = fs::remove_dir(&parent);
        }
        return Err(match cause.kind() {
            io::ErrorKind::AlreadyExists => DevContainerError::Exists(file),
            _ => io_error(&file, cause),
        });
    }
    let template =
        Template::parse(spec.file_name()).expect("the definition was checked when it was loaded");
    let archive = template.expand(spec, &definition.name, nix_image::DISTRIBUTION);
    Ok(Written { file, image: container.image, archive })
}

fn io_error(path: &Path, cause: io::Error) -> DevContainerError {
    DevContainerError::Io { path: path.to_owned(), cause }
}

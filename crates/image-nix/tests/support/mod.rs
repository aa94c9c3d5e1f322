//! What the tests ask of a Nix.

mod rig;

use std::path::Path;

use image_nix::{BuildRequest, Built, Event, Failure, FlakeRef, NixError, Options};

pub(crate) use rig::{RELEASES, Rig, workspace};

impl Rig {
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

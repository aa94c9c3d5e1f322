//! Which way leads from a NixOS configuration to the image that was asked for: a decision over what
//! the flake and the machine have, without effects.

use std::fmt;

use image_model::{Driver, Route};
use image_nix::{NixError, generator::PROGRAM};

use super::{
    formats::{Format, GENERIC},
    question::{Host, Names},
};

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) driver: Driver,
    pub(crate) route: Route,
    /// The attribute of the configuration.
    pub(crate) host: &'a str,
    pub(crate) format: &'static Format,
    /// The name that it was asked for by.
    pub(crate) name: &'a str,
    /// The system of the image.
    pub(crate) system: &'a str,
}

/// What there is, beside the names below `packages`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    /// The configuration; `None` if the flake does not have it.
    pub(crate) host: Option<&'a Host>,
    /// The flake has nixos-generators among its inputs.
    pub(crate) has_generators: bool,
    /// The program `nixos-generate` is on this machine.
    pub(crate) has_program: bool,
}

/// The way to the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Nix builds this attribute.
    Attribute(String),
    /// `nixos-generate` makes this format.
    Program(&'static str),
}

/// A way, and what is to be told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) way: Way,
    /// The way in the words of the manifest.
    pub(crate) route: String,
    /// What the user should know of it.
    pub(crate) notices: Vec<String>,
}

/// No way leads to the image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host} has no image {image}: {}", listed(lacks))]
pub struct NoWay {
    /// The attribute of the configuration.
    pub host: String,
    /// The image.
    pub image: String,
    /// The ways that were looked at, and what each lacks.
    pub lacks: Vec<(Route, String)>,
}

fn listed(lacks: &[(Route, String)]) -> String {
    if let [(route, lack)] = lacks {
        return format!("route {route}: {lack}");
    }
    let one = |(number, (route, lack)): (usize, &(Route, String))| {
        format!("({}) {route}: {lack}", number + 1)
    };
    lacks.iter().enumerate().map(one).collect::<Vec<_>>().join("; ")
}

/// The routes that a driver tries, in their order.
pub(crate) fn routes(driver: Driver, route: Route) -> &'static [Route] {
    match (driver, route) {
        (Driver::NixosGenerators, Route::Auto) => &[Route::Generators, Route::GeneratorsCli],
        (_, Route::Auto) => {
            &[Route::Variant, Route::Generators, Route::GeneratorsCli, Route::Module]
        }
        (_, Route::Variant) => &[Route::Variant],
        (_, Route::Generators) => &[Route::Generators],
        (_, Route::GeneratorsCli) => &[Route::GeneratorsCli],
        (_, Route::Module) => &[Route::Module],
    }
}

/// Chooses the first route that lacks nothing. `packages` gives the names of the flake's output
/// `packages.<system>`, and is only asked where they count. The outer error is Nix's.
pub(crate) fn choose(
    wanted: &Wanted<'_>,
    facts: &Facts<'_>,
    mut packages: impl FnMut() -> Result<Vec<String>, NixError>,
) -> Result<Result<Chosen, NoWay>, NixError> {
    let mut lacks = Vec::new();
    for &route in routes(wanted.driver, wanted.route) {
        let chosen = match route {
            Route::Auto => continue,
            Route::Variant => variant(wanted, facts),
            Route::Generators => generators(wanted, facts, &mut packages)?,
            Route::GeneratorsCli => program(wanted, facts),
            Route::Module => module(wanted, facts),
        };
        match chosen {
            Ok(chosen) => return Ok(Ok(chosen)),
            Err(lack) => lacks.push((route, lack)),
        }
    }
    Ok(Err(NoWay { host: wanted.host.to_owned(), image: wanted.name.to_owned(), lacks }))
}

fn no_host(wanted: &Wanted<'_>) -> String {
    format!("the flake has no {}", wanted.host)
}

fn variant(wanted: &Wanted<'_>, facts: &Facts<'_>) -> Result<Chosen, String> {
    let host = facts.host.ok_or_else(|| no_host(wanted))?;
    let name = wanted.format.variant.ok_or("nixpkgs has no variant that stands for it")?;
    let images = host
        .images
        .as_ref()
        .ok_or("config.system.build has no images: its nixpkgs is older than 25.05")?;
    if let Names::Known(names) = images
        && !images.may_have(name)
    {
        let hint = if wanted.format.ours { OURS } else { "" };
        return Err(format!("config.system.build.images has no {name}, but {}{hint}", some(names)));
    }
    Ok(Chosen {
        way: Way::Attribute(format!("{}.config.system.build.images.{name}", wanted.host)),
        route: format!("images.{name}"),
        notices: match wanted.format.differs {
            Some(differs) if wanted.name != name => {
                vec![format!(
                    "the variant {name} is not the same image as {}: {differs}",
                    wanted.name
                )]
            }
            _ => Vec::new(),
        },
    })
}

/// How a configuration gets a variant that nixpkgs does not have.
const OURS: &str = "; the module `nixosModules.default` of the image factory's flake adds it";

/// Longer lists of names are cut: nixpkgs has some 25 variants.
const MAX_NAMES: usize = 40;

fn some(names: &[String]) -> String {
    match names.len() {
        0 => "nothing at all".to_owned(),
        count => {
            let more = if count > MAX_NAMES { ", …" } else { "" };
            format!("{}{more}", names[..count.min(MAX_NAMES)].join(", "))
        }
    }
}

fn generators(
    wanted: &Wanted<'_>,
    facts: &Facts<'_>,
    packages: &mut dyn FnMut() -> Result<Vec<String>, NixError>,
) -> Result<Result<Chosen, String>, NixError> {
    let Some(name) = wanted.format.generators else {
        return Ok(Err("nixos-generators has no format that stands for it".to_owned()));
    };
    let formats = facts.host.and_then(|host| host.formats.as_ref());
    if formats.is_some_and(|formats| formats.may_have(name)) {
        let way = Way::Attribute(format!("{}.config.formats.{name}", wanted.host));
        return Ok(Ok(deprecated(way, format!("formats.{name}"), wanted)));
    }
    // A package that is called like the host may be anything, unless the flake can make images.
    let insists = wanted.driver == Driver::NixosGenerators || wanted.route == Route::Generators;
    let mut lack = match formats {
        Some(_) => format!("config.formats has no {name}"),
        None => "the host does not import the module all-formats".to_owned(),
    };
    if facts.has_generators || insists {
        let host = host_name(wanted.host);
        let system = wanted.system;
        let packages = packages()?;
        if let Some(package) = [host, name].into_iter().find(|p| packages.iter().any(|q| q == p)) {
            let route = format!("packages.{system}.{package}");
            return Ok(Ok(deprecated(Way::Attribute(route.clone()), route, wanted)));
        }
        lack += &format!(", and packages.{system} has neither {host} nor {name}");
    } else {
        lack += ", and the flake has no input nixos-generators";
    }
    Ok(Err(lack))
}

fn program(wanted: &Wanted<'_>, facts: &Facts<'_>) -> Result<Chosen, String> {
    let host = facts.host.ok_or_else(|| no_host(wanted))?;
    let name = wanted.format.generators;
    let name = name.ok_or("nixos-generators has no format that stands for it")?;
    let insists = wanted.driver == Driver::NixosGenerators || wanted.route == Route::GeneratorsCli;
    // What the flake can make by itself is not made by what happens to be on this machine.
    if !insists && !facts.has_generators && host.images.is_some() {
        return Err("the flake has no input nixos-generators".to_owned());
    }
    if !facts.has_program {
        // Who did not ask for it is better off with what nixpkgs makes by itself.
        let mend = if insists { format!(" ({GET_PROGRAM} gets it)") } else { String::new() };
        return Err(format!("{PROGRAM} is not in PATH{mend}"));
    }
    Ok(deprecated(Way::Program(name), format!("nixos-generate -f {name}"), wanted))
}

fn module(wanted: &Wanted<'_>, facts: &Facts<'_>) -> Result<Chosen, String> {
    let host = facts.host.ok_or_else(|| no_host(wanted))?;
    let own = wanted.format.attribute;
    let has = |name: &&str| host.attributes.iter().any(|other| other == name);
    let Some(name) = [own, GENERIC].into_iter().find(has) else {
        return Err(format!("config.system.build has neither {own} nor {GENERIC}"));
    };
    let way = Way::Attribute(format!("{}.config.system.build.{name}", wanted.host));
    Ok(Chosen { way, route: name.to_owned(), notices: Vec::new() })
}

fn deprecated(way: Way, route: String, wanted: &Wanted<'_>) -> Chosen {
    let of_nixpkgs = wanted.format.variant.filter(|_| !wanted.format.ours);
    let instead = of_nixpkgs.map(|name| {
        format!("; nixpkgs 25.05 and later make it by themselves, as the variant {name}")
    });
    let mut notices = vec![format!(
        "the image is made by nixos-generators ({route}), which its authors call deprecated{}",
        instead.unwrap_or_default()
    )];
    if let (Some(variant), Some(differs)) = (wanted.format.variant, wanted.format.differs) {
        notices.push(format!("it is not the same image as the variant {variant}: {differs}"));
    }
    Chosen { way, route, notices }
}

/// How to get the program of nixos-generators.
pub(crate) const GET_PROGRAM: &str = "nix profile install github:nix-community/nixos-generators";

/// The name of a host in `nixosConfigurations.<name>`, without quotes.
pub(crate) fn host_name(attribute: &str) -> &str {
    let name = attribute.strip_prefix(HOSTS).unwrap_or(attribute);
    name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name)
}

/// What the attributes of NixOS configurations begin with.
pub(crate) const HOSTS: &str = "nixosConfigurations.";

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(attribute) => f.write_str(attribute),
            Self::Program(format) => write!(f, "nixos-generate -f {format}"),
        }
    }
}

#[cfg(test)]
#[path = "resolve/tests.rs"]
mod tests;

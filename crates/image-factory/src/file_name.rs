//! Names of artifacts: the template of a definition, filled in.

use image_model::ImageSpec;

/// A template that was found to be usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(Variable),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variable {
    Distribution,
    Image,
    System,
    Arch,
}

impl Variable {
    const ALL: [(&str, Self); 4] = [
        ("distribution", Self::Distribution),
        ("image", Self::Image),
        ("system", Self::System),
        ("arch", Self::Arch),
    ];
}

/// A template that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    /// A name in braces that means nothing.
    #[error("{{{0}}} is not one of {{distribution}}, {{image}}, {{system}}, {{arch}}")]
    UnknownVariable(String),
    /// A brace without its partner.
    #[error("a brace has no partner")]
    Brace,
    /// Without it, `mini` would be called `nixos`.
    #[error("{{distribution}} is missing: without it a mini image could be called nixos")]
    NoDistribution,
    /// The name would leave the folder, be hidden, or not be a name.
    #[error("a file name has letters, digits and . _ + - only, and does not begin with . or -")]
    Characters,
}

impl Template {
    /// Reads a template such as `{distribution}-{arch}.wsl`.
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(TemplateError::Brace)?;
            let known = Variable::ALL.iter().find(|(known, _)| *known == name);
            let unknown = || TemplateError::UnknownVariable(name.to_owned());
            parts.push(Part::Text(literal.to_owned()));
            parts.push(Part::Variable(known.ok_or_else(unknown)?.1));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        if parts.iter().any(|part| matches!(part, Part::Text(text) if text.contains('}'))) {
            return Err(TemplateError::Brace);
        }
        if !parts.contains(&Part::Variable(Variable::Distribution)) {
            return Err(TemplateError::NoDistribution);
        }
        let template = Self(parts);
        let sample = template.fill_in("x", "x", "x", "x");
        if !is_file_name(&sample) {
            return Err(TemplateError::Characters);
        }
        Ok(template)
    }

    /// The name of the file that `image` makes when the driver's distribution is `distribution`.
    /// Characters of either that a file name may not have become `-`.
    pub(crate) fn expand(&self, spec: &ImageSpec, image: &str, distribution: &str) -> String {
        let arch = spec.system.split('-').next().unwrap_or_default();
        self.fill_in(&sanitized(distribution), &sanitized(image), &spec.system, arch)
    }

    fn fill_in(&self, distribution: &str, image: &str, system: &str, arch: &str) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Variable(Variable::Distribution) => distribution.to_owned(),
            Part::Variable(Variable::Image) => image.to_owned(),
            Part::Variable(Variable::System) => system.to_owned(),
            Part::Variable(Variable::Arch) => arch.to_owned(),
        };
        self.0.iter().map(part).collect()
    }
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._+-".contains(c)
}

fn is_file_name(name: &str) -> bool {
    name.chars().all(is_allowed) && !name.starts_with(['.', '-']) && !name.is_empty()
}

fn sanitized(name: &str) -> String {
    let name: String = name.chars().map(|c| if is_allowed(c) { c } else { '-' }).collect();
    let name = name.trim_start_matches(['.', '-']);
    if name.is_empty() { "image".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled_in() {
        let template = Template::parse("{distribution}.{arch}.wsl").unwrap();
        assert_eq!(template.fill_in("nixos", "wsl", "s", "aarch64"), "nixos.aarch64.wsl");
        assert_eq!(Template::parse("{distribution}").unwrap().fill_in("mini", "", "", ""), "mini");
    }

    #[test]
    fn unusable_templates_are_refused() {
        for (text, error) in [
            ("nixos.wsl", TemplateError::NoDistribution),
            ("", TemplateError::NoDistribution),
            ("{distribution", TemplateError::Brace),
            ("{distribution}.wsl{", TemplateError::Brace),
            ("}{distribution}", TemplateError::Brace),
            ("{distribution}{}", TemplateError::UnknownVariable(String::new())),
            ("{date}{distribution}", TemplateError::UnknownVariable("date".to_owned())),
            ("../{distribution}", TemplateError::Characters),
            (".{distribution}", TemplateError::Characters),
            ("{distribution} .wsl", TemplateError::Characters),
        ] {
            assert_eq!(Template::parse(text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn names_from_outside_cannot_leave_the_folder() {
        assert_eq!(sanitized("../../etc/passwd"), "etc-passwd");
        assert_eq!(sanitized("..."), "image");
    }
}

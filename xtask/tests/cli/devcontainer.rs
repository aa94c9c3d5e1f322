//! `devcontainer`. What a file may say is the published reference's:
//! <https://containers.dev/implementors/json_reference>

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    common::{Project, list},
    nix::tests_dir,
};

const DOCKER: &str = "kind = \"docker\"\nsystem = \"x86_64-linux\"\ntitle = \"NixOS container\"\n\
                      [build]\ndriver = \"nix-image\"\nflake = \"./nix\"\n\
                      attribute = \"nixosConfigurations.docker\"\n";

fn project() -> Project {
    let project = Project::new();
    fs::write(project.path("images/docker.toml"), DOCKER).unwrap();
    fs::create_dir(project.path("mine")).unwrap();
    project
}

const FILE: &str = "mine/.devcontainer/devcontainer.json";

fn written(project: &Project) -> Value {
    serde_json::from_slice(&fs::read(project.path(FILE)).unwrap()).unwrap()
}

/// A type of the reference.
#[derive(Clone, Copy, Debug)]
enum Type {
    Text,
    Truth,
    Texts,
    /// A command: a line for a shell, a program with its arguments, or several of these by name.
    Command,
    /// Text by name.
    Map,
    /// Numbers or text.
    Ports,
    /// Text, or `type`, `source` and `target`.
    Mounts,
    /// Anything by name.
    Object,
    OneOf(&'static [&'static str]),
}

/// What the reference lists under "general" and "image or Dockerfile", but for what builds an
/// image, and names of another file.
const PROPERTIES: &[(&str, Type)] = &[
    ("$schema", Type::Text),
    ("appPort", Type::Ports),
    ("capAdd", Type::Texts),
    ("containerEnv", Type::Map),
    ("containerUser", Type::Text),
    ("customizations", Type::Object),
    ("features", Type::Object),
    ("forwardPorts", Type::Ports),
    ("hostRequirements", Type::Object),
    ("image", Type::Text),
    ("init", Type::Truth),
    ("initializeCommand", Type::Command),
    ("mounts", Type::Mounts),
    ("name", Type::Text),
    ("onCreateCommand", Type::Command),
    ("otherPortsAttributes", Type::Object),
    ("overrideCommand", Type::Truth),
    ("overrideFeatureInstallOrder", Type::Texts),
    ("portsAttributes", Type::Object),
    ("postAttachCommand", Type::Command),
    ("postCreateCommand", Type::Command),
    ("postStartCommand", Type::Command),
    ("privileged", Type::Truth),
    ("remoteEnv", Type::Map),
    ("remoteUser", Type::Text),
    ("runArgs", Type::Texts),
    ("secrets", Type::Object),
    ("securityOpt", Type::Texts),
    ("shutdownAction", Type::OneOf(&["none", "stopContainer"])),
    ("updateContentCommand", Type::Command),
    ("updateRemoteUserUID", Type::Truth),
    (
        "userEnvProbe",
        Type::OneOf(&["none", "loginShell", "loginInteractiveShell", "interactiveShell"]),
    ),
    (
        "waitFor",
        Type::OneOf(&[
            "initializeCommand",
            "onCreateCommand",
            "updateContentCommand",
            "postCreateCommand",
            "postStartCommand",
        ]),
    ),
    ("workspaceFolder", Type::Text),
    ("workspaceMount", Type::Text),
];

impl Type {
    fn has(self, value: &Value) -> bool {
        let each = |of: &dyn Fn(&Value) -> bool| value.as_array().is_some_and(|a| a.iter().all(of));
        let by_name =
            |of: &dyn Fn(&Value) -> bool| value.as_object().is_some_and(|o| o.values().all(of));
        let mount = |value: &Value| match value.as_object() {
            None => value.is_string(),
            Some(mount) => {
                ["type", "target"].iter().all(|key| mount.contains_key(*key))
                    && mount.keys().all(|key| ["type", "source", "target"].contains(&key.as_str()))
            }
        };
        match self {
            Self::Text => value.is_string(),
            Self::Truth => value.is_boolean(),
            Self::Texts => each(&Value::is_string),
            Self::Command => {
                value.is_string()
                    || Self::Texts.has(value)
                    || by_name(&|v| v.is_string() || Self::Texts.has(v))
            }
            Self::Map => by_name(&Value::is_string),
            Self::Ports => each(&|v| v.is_u64() || v.is_string()),
            Self::Mounts => each(&mount),
            Self::Object => value.is_object(),
            Self::OneOf(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        }
    }
}

/// What the reference does not know, or knows of another type.
fn complaints(file: &Value) -> Vec<&str> {
    let Value::Object(file) = file else { return vec!["no object"] };
    let known = |key: &str| PROPERTIES.iter().find(|(name, _)| *name == key);
    let wrong = file.iter().filter(|(key, value)| !known(key).is_some_and(|(_, t)| t.has(value)));
    let wrong = wrong.map(|(key, _)| key.as_str());
    // One of `image`, `build` and `dockerComposeFile` is required, and the last two are not ours.
    wrong.chain((!file.contains_key("image")).then_some("image")).collect()
}

#[test]
fn the_reference_tells_right_from_wrong() {
    let image = |more: Value| {
        let mut file = json!({ "image": "x" });
        file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        file
    };
    for good in [
        json!({}),
        json!({ "forwardPorts": [80, "db:5432"], "init": true, "runArgs": ["--init"] }),
        json!({ "mounts": ["type=volume,target=/x", { "type": "volume", "target": "/x" }] }),
        json!({ "postStartCommand": { "a": "x", "b": ["x", "y"] }, "waitFor": "onCreateCommand" }),
    ] {
        assert_eq!(complaints(&image(good.clone())), [""; 0], "{good}");
    }
    for (wrong, key) in [
        (json!({ "remoteuser": "vscode" }), "remoteuser"),
        (json!({ "remoteUser": 1000 }), "remoteUser"),
        (json!({ "mounts": [{ "type": "volume" }] }), "mounts"),
        (json!({ "initializeCommand": [["docker"]] }), "initializeCommand"),
        (json!({ "shutdownAction": "stopCompose" }), "shutdownAction"),
    ] {
        assert_eq!(complaints(&image(wrong)), [key]);
    }
    assert_eq!(complaints(&json!({ "name": "x" })), ["image"]);
}

#[test]
fn the_file_is_what_the_reference_says() {
    let project = project();
    let ran = project.run(&["devcontainer", "mine"]).exits(0);
    assert!(
        ran.out.starts_with(&format!("{FILE}\nThe image nixos-docker:latest is")),
        "{}",
        ran.out
    );
    let ran = ran.says("\n  cargo xtask image docker\n");
    ran.says("\n  docker load --input dist/docker/nixos-docker.tar.gz\n");
    let file = written(&project);
    assert_eq!(complaints(&file), [""; 0], "{file}");
    assert_eq!(
        file,
        json!({
            "name": "NixOS",
            "image": "nixos-docker:latest",
            "remoteUser": "vscode",
            "customizations": { "vscode": { "extensions": ["jnoortheen.nix-ide"] } },
        })
    );
    assert_eq!(list(&project.path("mine/.devcontainer")), ["devcontainer.json"]);
}

/// What the file names is the image's to have, and the module of it says so by itself.
#[test]
fn the_user_of_the_file_may_use_nix_in_the_image() {
    let module = tests_dir().join("../nix/modules/nixos/docker-image.nix");
    let module = fs::read_to_string(module).unwrap();
    let name = r#"name = "nixos-${if cfg.image != null then cfg.image else "docker"}";"#;
    for text in [name, "\n      vscode:x:1000:1000:", ":/home/vscode/.nix-profile/bin:"] {
        assert!(module.contains(text), "{text}");
    }

    // The lines that make modes, but for the owner, whom only root can set.
    let (_, lines) = module.split_once("# What is in the store stays root's").unwrap();
    let (lines, _) = lines.split_once("'';").unwrap();
    let script: String = lines
        .lines()
        .skip(1)
        .filter(|line| !line.trim_start().starts_with("chgrp "))
        .flat_map(|line| [line, "\n"])
        .collect();
    assert!(script.contains("chmod ") && !script.contains("${"), "{script}");
    let image = tempfile::tempdir().unwrap();
    let state = image.path().join("nix/var/nix");
    let own = ["profiles/per-user", "gcroots/per-user"];
    for folder in own.iter().chain(&["db", "gcroots/auto"]) {
        fs::create_dir_all(state.join(folder)).unwrap();
    }
    let made = Command::new("sh").args(["-euc", &script]).current_dir(image.path()).status();
    assert!(made.unwrap().success());
    let mode = |folder: &str| fs::metadata(state.join(folder)).unwrap().permissions().mode();
    // Nix gives these 755, unless they have it; the rest is the group's as well.
    for folder in own {
        assert_eq!(mode(folder) & 0o777, 0o755, "{folder}");
    }
    for folder in ["db", "gcroots/auto", "profiles"] {
        assert_eq!(mode(folder) & 0o2770, 0o2770, "{folder}");
    }
}

#[test]
fn profiles_are_told_and_named() {
    let project = project();
    let args = ["devcontainer", "--profile", "essential,kubernetes", "mine", "--format", "json"];
    let told = project.run(&args).exits(0).json();
    let file = written(&project);
    assert_eq!(file["name"], "NixOS: essential, kubernetes");
    assert_eq!(complaints(&file), [""; 0], "{file}");
    assert_eq!(told["commands"][0], "cargo xtask image docker --profile essential,kubernetes");
    assert_eq!((&told["file"], &told["image"]), (&json!(FILE), &json!("nixos-docker:latest")));
}

#[test]
fn what_is_there_is_replaced_only_by_force() {
    let project = project();
    project.run(&["devcontainer", "mine"]).exits(0);
    let ours = fs::read(project.path(FILE)).unwrap();
    fs::write(project.path(FILE), "mine").unwrap();
    project.run(&["devcontainer", "mine"]).exits(2).says(&format!("{FILE} exists: with --force"));
    assert_eq!(fs::read_to_string(project.path(FILE)).unwrap(), "mine");
    project.run(&["devcontainer", "mine", "--force"]).exits(0);
    assert_eq!(fs::read(project.path(FILE)).unwrap(), ours);

    // A link to nowhere is there too, and what it names is not written to.
    fs::remove_file(project.path(FILE)).unwrap();
    symlink("../elsewhere", project.path(FILE)).unwrap();
    project.run(&["devcontainer", "mine"]).exits(2).says("exists");
    project.run(&["devcontainer", "mine", "--force"]).exits(0);
    assert!(fs::symlink_metadata(project.path(FILE)).unwrap().is_file());
    assert_eq!(list(&project.path("mine")), [".devcontainer"]);

    // The same in the other place, where it would no longer count.
    fs::remove_dir_all(project.path("mine/.devcontainer")).unwrap();
    fs::write(project.path("mine/.devcontainer.json"), "{}").unwrap();
    project.run(&["devcontainer", "mine"]).exits(2).says("mine/.devcontainer.json exists");
    assert_eq!(list(&project.path("mine")), [".devcontainer.json"]);
}

#[test]
fn what_cannot_be_is_said() {
    let project = project();
    project.run(&["devcontainer", "nowhere"]).exits(2).says("nowhere is not a folder");
    fs::write(project.path("mine/.devcontainer"), "").unwrap();
    project.run(&["devcontainer", "mine"]).exits(3).says("cannot write mine/.devcontainer");
    let card = DOCKER.replacen("docker", "sd", 1);
    fs::write(project.path("images/docker.toml"), card).unwrap();
    project.run(&["devcontainer", "mine"]).exits(2).says("docker is of the kind sd");
    fs::remove_file(project.path("images/docker.toml")).unwrap();
    project.run(&["devcontainer", "mine"]).exits(2).says("no image is called \"docker\"");
}

//! Whether some machine that Nix knows can build for a system: a decision over facts, without
//! effects.

use image_nix::{Builder, Config};

use super::{binfmt::CannotRun, preflight::Missing};

/// What is known of this machine and of those that it sends builds to.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// The settings of Nix.
    pub(crate) config: Config,
    /// The remote builders.
    pub(crate) builders: Vec<Builder>,
    /// Whether the kernel runs programs of the system that is asked for.
    pub(crate) runs: Result<(), CannotRun>,
    /// Whether `/dev/kvm` can be used.
    pub(crate) kvm: Kvm,
}

/// The state of `/dev/kvm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kvm {
    /// It opens.
    Usable,
    /// It is there, and not for us.
    Forbidden,
    /// It is not there.
    Absent,
}

/// The feature that Nix asks for where a build starts a virtual machine.
const KVM: &str = "kvm";

/// What this machine lacks to build for `system`, inside a virtual machine where `in_vm` says so;
/// nothing if it can, or if a remote builder can.
pub(crate) fn missing(system: &str, in_vm: bool, facts: &Facts) -> Vec<Missing> {
    let features: &[&str] = if in_vm { &[KVM] } else { &[] };
    if facts.builders.iter().any(|builder| builder.builds(system, features)) {
        return Vec::new();
    }
    let mut missing = local(system, in_vm, facts);
    if let Some(first) = missing.first_mut() {
        let offer = features.iter().map(|feature| format!(" - - - {feature}")).collect::<String>();
        let others = match facts.builders.len() {
            0 => "no remote builder is set".to_owned(),
            1 => format!("the remote builder {} does not do it", facts.builders[0].uri),
            count => format!("none of {count} remote builders does it"),
        };
        first.why += &format!(
            "; and {others} (--builders 'ssh-ng://HOST {system}{offer}' names one that does)"
        );
    }
    missing
}

/// The command that adds a line to the settings of Nix. Its daemon, where there is one, reads them
/// when it starts.
fn setting(line: &str) -> String {
    format!(
        "echo '{line}' | sudo tee -a /etc/nix/nix.conf && sudo systemctl try-restart nix-daemon"
    )
}

fn local(system: &str, in_vm: bool, facts: &Facts) -> Vec<Missing> {
    let config = &facts.config;
    let missing_one = |what: &str, why: String, mend: Option<&str>| Missing {
        what: what.to_owned(),
        why,
        mend: mend.map(str::to_owned),
    };
    if !config.builds_here {
        let why = "max-jobs is 0, so nothing is built on this machine".to_owned();
        return vec![missing_one("a machine to build on", why, None)];
    }
    let mut missing = Vec::new();
    if config.system != system {
        if let Err(error) = &facts.runs {
            let mend = "sudo apt-get install qemu-user-static binfmt-support";
            missing.push(missing_one(
                "an interpreter for a foreign system",
                error.to_string(),
                Some(mend),
            ));
        }
        if !config.extra_platforms.iter().any(|other| other == system) {
            let why = format!(
                "Nix on this machine builds for {}, and {system} is not among its extra-platforms",
                config.system
            );
            // `extra-` before the name of a list adds to what is there.
            let mend = setting(&format!("extra-extra-platforms = {system}"));
            missing.push(missing_one("the extra platform in Nix's settings", why, Some(&mend)));
        }
    }
    if in_vm {
        let why = "the image is built inside a virtual machine";
        match facts.kvm {
            Kvm::Usable => {}
            Kvm::Forbidden => missing.push(missing_one(
                "access to /dev/kvm",
                format!("{why}, and /dev/kvm cannot be opened by this user"),
                Some("sudo usermod --append --groups kvm \"$USER\""),
            )),
            Kvm::Absent => missing.push(missing_one(
                "/dev/kvm",
                format!(
                    "{why}, and this one has no /dev/kvm: virtualization is off in its firmware, it \
                     is a virtual machine without nested virtualization, or the module is not loaded"
                ),
                Some("sudo modprobe kvm_intel || sudo modprobe kvm_amd"),
            )),
        }
        if !config.features.iter().any(|feature| feature == KVM) {
            missing.push(missing_one(
                "the feature kvm in Nix's settings",
                format!("{why}, and system-features has {}", config.features.join(", ")),
                Some(&setting("extra-system-features = kvm")),
            ));
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARM: &str = "aarch64-linux";

    fn machine() -> Facts {
        Facts {
            config: Config {
                system: "x86_64-linux".to_owned(),
                extra_platforms: vec!["i686-linux".to_owned()],
                features: vec!["kvm".to_owned()],
                builds_here: true,
                builders: String::new(),
                ..Config::default()
            },
            builders: Vec::new(),
            runs: Ok(()),
            kvm: Kvm::Usable,
        }
    }

    fn not_registered() -> CannotRun {
        CannotRun::NotRegistered { host: "x86_64".to_owned(), system: ARM.to_owned() }
    }

    fn builder(systems: &str, features: &str) -> Builder {
        let line = format!("ssh://b {systems} - 1 1 {features}");
        image_nix::machine::builders(&line, "x86_64-linux", &mut |_| None).remove(0)
    }

    #[test]
    fn its_own_system_needs_nothing() {
        assert_eq!(missing("x86_64-linux", false, &machine()), []);
        assert_eq!(missing("x86_64-linux", true, &machine()), []);
        let without = Facts { kvm: Kvm::Absent, runs: Err(not_registered()), ..machine() };
        assert_eq!(missing("x86_64-linux", false, &without), []);
    }

    #[test]
    fn a_foreign_system_needs_an_interpreter_and_a_setting() {
        let mut facts = Facts { runs: Err(not_registered()), ..machine() };
        let lacks = missing(ARM, false, &facts);
        let mends: Vec<_> = lacks.iter().map(|lack| lack.mend.as_deref().unwrap()).collect();
        assert_eq!(
            mends,
            [
                "sudo apt-get install qemu-user-static binfmt-support",
                "echo 'extra-extra-platforms = aarch64-linux' | sudo tee -a /etc/nix/nix.conf \
                 && sudo systemctl try-restart nix-daemon",
            ]
        );
        assert!(
            lacks[0].why.ends_with(
                "; and no remote builder is set (--builders 'ssh-ng://HOST aarch64-linux' names one \
                 that does)"
            ),
            "{}",
            lacks[0].why
        );
        facts.runs = Ok(());
        assert_eq!(missing(ARM, false, &facts).len(), 1);
        facts.config.extra_platforms.push(ARM.to_owned());
        assert_eq!(missing(ARM, false, &facts), []);
    }

    #[test]
    fn a_remote_builder_is_enough() {
        let mut facts = Facts { runs: Err(not_registered()), ..machine() };
        facts.config.builds_here = false;
        assert_eq!(missing(ARM, false, &facts)[0].what, "a machine to build on");
        facts.builders = vec![builder("aarch64-linux", "-")];
        assert_eq!(missing(ARM, false, &facts), []);
        let why = &missing(ARM, true, &facts)[0].why;
        assert!(why.contains("ssh://b does not do it") && why.contains(" - - - kvm'"), "{why}");
        facts.builders.push(builder("aarch64-linux", "kvm"));
        assert_eq!(missing(ARM, true, &facts), []);
    }

    #[test]
    fn a_virtual_machine_needs_the_device_and_the_feature() {
        let mut facts = Facts { kvm: Kvm::Absent, ..machine() };
        facts.config.features.clear();
        let whats = |facts: &Facts| -> Vec<String> {
            missing("x86_64-linux", true, facts).into_iter().map(|lack| lack.what).collect()
        };
        assert_eq!(whats(&facts), ["/dev/kvm", "the feature kvm in Nix's settings"]);
        facts.kvm = Kvm::Forbidden;
        assert_eq!(whats(&facts), ["access to /dev/kvm", "the feature kvm in Nix's settings"]);
        facts.kvm = Kvm::Usable;
        assert_eq!(whats(&facts), ["the feature kvm in Nix's settings"]);
    }
}

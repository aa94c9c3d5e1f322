//! What is asked of an image for WSL, in the order it is asked.

checks! {
    /// The checks of every image.
    CHECKS:

    /// Windows opens a file with a double click only if its name ends in `.wsl`, and Microsoft's
    /// list of distributions warns about other names. Name the file `.wsl`.
    FILE_EXTENSION = "wsl-file-extension", Warning;
    reads "the name of the file";
    spec "microsoft/WSL validate-modern.py read_url, package.wix.in";

    /// gzip works everywhere. Older WSL cannot read xz, WSL 1 cannot read zstd, and Microsoft's
    /// list of distributions takes only gzip and xz. Compress the image with gzip.
    COMPRESSION = "wsl-compression", Warning;
    reads "the container of the image";
    spec "microsoft/WSL #8503, #12818; validate-modern.py KNOWN_TAR_FORMATS";

    /// After it has unpacked everything, WSL looks for `/etc` and `/bin/sh`, and deletes it all
    /// again when neither is there (`WSL_E_NOT_A_LINUX_DISTRO`). The root of the archive has to be
    /// the root of the system, not a folder that holds it.
    ROOT = "wsl-root", Error;
    reads "/etc, /bin/sh";
    spec "microsoft/WSL src/linux/init/main.cpp PostProcessImportedDistribution";

    /// WSL writes its own program over `/init` and mounts it there. A directory or a broken
    /// symlink of that name keeps the system from starting, and a file is emptied. Leave `/init`
    /// out.
    INIT = "wsl-init", Error;
    reads "/init";
    spec "microsoft/WSL src/linux/init/main.cpp MountInit";

    /// Each start needs these as directories; WSL makes those that are not there. If one is a
    /// file, or a symlink that leads nowhere, no program of the system can be started.
    MOUNT_POINTS = "wsl-mount-points", Error;
    reads "/bin, /sbin, /tmp, /run, /proc, /sys, /dev";
    spec "microsoft/WSL src/linux/init/config.cpp LxssStartupCommon";

    /// `wsl --list` and Windows Terminal tell which distribution this is from `ID` and
    /// `VERSION_ID`. WSL understands `ID=name` and `ID="name"`, but no single quotes.
    OS_RELEASE = "wsl-os-release", Warning;
    reads "/etc/os-release";
    spec "microsoft/WSL src/linux/init/util.cpp UtilReadFlavorAndVersion";

    /// WSL makes `/etc/resolv.conf` at each start. One that is in the image tells where it was
    /// built, and is the only one the user has if making it is switched off. Leave it out.
    RESOLV_CONF = "wsl-resolv-conf", Warning;
    reads "/etc/resolv.conf";
    spec "MicrosoftDocs/WSL build-custom-distro.md";

    /// WSL brings its own kernel. One that is in the image is downloaded by everybody and started
    /// by nobody. Leave kernel and initramfs out.
    KERNEL = "wsl-kernel", Warning;
    reads "/boot, and vmlinuz and initrd in /";
    spec "MicrosoftDocs/WSL build-custom-distro.md";

    /// A machine id in the image is the same on all machines, which confuses DHCP, logs and
    /// everything that takes it for unique. Ship the file empty, or with `uninitialized`.
    MACHINE_ID = "wsl-machine-id", Warning;
    reads "/etc/machine-id";
    spec "machine-id(5), First Boot Semantics";

    /// A host key in the image is known to everybody who downloads it: they can pretend to be any
    /// machine that uses it. Remove the keys; sshd makes new ones.
    SSH_HOST_KEY = "wsl-ssh-host-key", Warning;
    reads "/etc/ssh";
    spec "sshd(8)";

    /// WSL stops reading at the first line that it does not understand, and ignores the rest of
    /// the file. It knows `[section]`, `key = value` and comments with `#`, but none with `;`, and
    /// no byte order mark.
    CONFIG_SYNTAX = "wsl-config-syntax", Error;
    reads "/etc/wsl.conf, /etc/wsl-distribution.conf";
    spec "microsoft/WSL src/shared/configfile/configfile.cpp";

    /// Microsoft's validator reads these files with Python's `configparser`, WSL with a grammar of
    /// its own: comments after a value, quotes, `%`, repeated keys and continued lines mean
    /// different things to them. What one of them checked is then not what the other does. Write
    /// plain `key = value` lines, each key once.
    CONFIG_AMBIGUOUS = "wsl-config-ambiguous", Error;
    reads "/etc/wsl.conf, /etc/wsl-distribution.conf";
    spec "microsoft/WSL configfile.cpp; validate-modern.py validate_config";

    /// Without this file `wsl --install --from-file` and a double click do not know what to call
    /// the system, and Microsoft's validator refuses the image.
    DISTRIBUTION_CONF = "wsl-distribution-conf", Error;
    reads "/etc/wsl-distribution.conf";
    spec "microsoft/WSL validate-modern.py read_tar";

    /// The file belongs to root, and nobody else may write it: mode 0644 or 0664, owner 0:0. In a
    /// Nix store 0444 is right.
    DISTRIBUTION_CONF_MODE = "wsl-distribution-conf-mode", Warning;
    reads "mode and owner of /etc/wsl-distribution.conf";
    spec "microsoft/WSL validate-modern.py read_tar";

    /// A key that WSL does not know has no effect, so a setting is misspelled or misplaced, and
    /// Microsoft's validator refuses the image.
    DISTRIBUTION_CONF_KEYS = "wsl-distribution-conf-keys", Error;
    reads "the keys of /etc/wsl-distribution.conf";
    spec "microsoft/WSL validate-modern.py read_tar";

    /// A value that WSL cannot read is ignored. It takes `true`, `false`, `1` and `0` for yes and
    /// no, but neither `yes` nor `on`; a user id is a number.
    DISTRIBUTION_CONF_VALUES = "wsl-distribution-conf-values", Error;
    reads "the values of /etc/wsl-distribution.conf";
    spec "microsoft/WSL configfile.cpp ConfigKey::ParseImpl";

    /// `wsl --install --from-file` and a double click take the name of the new system from
    /// `oobe.defaultName`. Without it they ask for `--name`; with one that Windows refuses they
    /// fail after everything was unpacked. Letters, digits, `.`, `_` and `-`, 256 at most, and not
    /// `Legacy`.
    DEFAULT_NAME = "wsl-default-name", Error;
    reads "oobe.defaultName";
    spec "microsoft/WSL LxssUserSession.cpp s_ValidateDistroName";

    /// The command runs at the first start, as root. If it is not there, the first start ends with
    /// an error, and so does each one after it. Microsoft's validator takes the value for one
    /// path: put arguments into a script.
    OOBE_COMMAND = "wsl-oobe-command", Error;
    reads "oobe.command";
    spec "microsoft/WSL validate-modern.py read_tar; src/linux/init/init.cpp";

    /// The command is a file that root owns, with mode 0755 or 0775, and no symlink: Microsoft's
    /// validator does not follow it. In a Nix store 0555 is right.
    OOBE_COMMAND_MODE = "wsl-oobe-command-mode", Warning;
    reads "mode and owner of oobe.command";
    spec "microsoft/WSL validate-modern.py read_tar";

    /// Microsoft wants the command under `/usr/lib/wsl` or `/usr/libexec/wsl`, where users look
    /// for it.
    OOBE_COMMAND_LOCATION = "wsl-oobe-command-location", Warning;
    reads "oobe.command";
    spec "microsoft/WSL validate-modern.py read_tar";

    /// After the first start the system is entered as this user: it should be 1000, the first id
    /// that distributions give to people.
    OOBE_DEFAULT_UID = "wsl-oobe-default-uid", Warning;
    reads "oobe.defaultUid";
    spec "microsoft/WSL validate-modern.py read_tar";

    /// Without `shortcut.icon` the start menu and Windows Terminal show a penguin.
    ICON = "wsl-icon", Warning;
    reads "shortcut.icon";
    spec "microsoft/WSL validate-modern.py read_tar";

    /// An icon that is not there, is longer than 1 MiB or has `..` in its path is not used; users
    /// see a penguin, and Microsoft's validator refuses the image.
    ICON_FILE = "wsl-icon-file", Error;
    reads "shortcut.icon, and the file it names";
    spec "microsoft/WSL main.cpp PostProcessImportedDistribution";

    /// WSL copies the icon as it is, and Windows shows nothing where it cannot read it. It has to
    /// be an `.ico` file (a renamed PNG is none) whose pictures all lie inside the file.
    ICON_FORMAT = "wsl-icon-format", Error;
    reads "ICONDIR and its entries";
    spec "Microsoft: the format of icon resources";

    /// The icon is a file that root owns, with mode 0644 or 0664, and no symlink: Microsoft's
    /// validator does not follow it. In a Nix store 0444 is right.
    ICON_MODE = "wsl-icon-mode", Warning;
    reads "mode and owner of the icon";
    spec "microsoft/WSL validate-modern.py read_tar";

    /// Microsoft wants the icon under `/usr/lib/wsl` or `/usr/share/wsl`.
    ICON_LOCATION = "wsl-icon-location", Warning;
    reads "shortcut.icon";
    spec "microsoft/WSL validate-modern.py read_tar";

    /// A profile that is not there, is longer than 1 MiB or has `..` in its path is not used, and
    /// Microsoft's validator refuses the image.
    PROFILE_FILE = "wsl-terminal-profile", Error;
    reads "windowsterminal.profileTemplate, and the file it names";
    spec "microsoft/WSL main.cpp PostProcessImportedDistribution";

    /// The profile is JSON without comments: an object with an array `profiles`. Otherwise
    /// everybody who installs the image is shown an error of the JSON parser, and gets no profile.
    PROFILE_FORMAT = "wsl-terminal-profile-format", Error;
    reads "the profile";
    spec "microsoft/WSL LxssUserSession.cpp _CreateTerminalProfile";

    /// The profile is a file that root owns, with mode 0640 or 0660 (Microsoft's validator wants
    /// exactly these), and no symlink. In a Nix store 0444 is right.
    PROFILE_MODE = "wsl-terminal-profile-mode", Warning;
    reads "mode and owner of the profile";
    spec "microsoft/WSL validate-modern.py read_tar";

    /// Microsoft wants the profile under `/usr/lib/wsl`.
    PROFILE_LOCATION = "wsl-terminal-profile-location", Warning;
    reads "windowsterminal.profileTemplate";
    spec "microsoft/WSL validate-modern.py read_tar";

    /// The file belongs to root, and nobody else may write it: mode 0644 or 0664, owner 0:0. In a
    /// Nix store 0444 is right.
    CONF_MODE = "wsl-conf-mode", Warning;
    reads "mode and owner of /etc/wsl.conf";
    spec "microsoft/WSL validate-modern.py read_tar";

    /// WSL reads the file once before it has changed its root. An absolute symlink leads nowhere
    /// then: `boot.systemd` is learned too late to prepare control groups, and
    /// `general.guiApplications=false` has no effect. A regular file does not have this problem.
    CONF_LINK = "wsl-conf-link", Info;
    reads "/etc/wsl.conf";
    spec "microsoft/WSL main.cpp ProcessLaunchInitMessage";

    /// A key that WSL does not know has no effect, and every start warns about it. Microsoft's
    /// validator refuses the image.
    CONF_KEYS = "wsl-conf-keys", Error;
    reads "the keys of /etc/wsl.conf";
    spec "microsoft/WSL WslDistributionConfig.cpp; validate-modern.py WSL_CONF_KEYS";

    /// WSL and Microsoft's validator do not know the same keys. A key that only WSL knows works,
    /// and keeps the image out of Microsoft's list; one that only the validator knows
    /// (`general.hostname`) has no effect, and every start warns about it.
    CONF_KEYS_DISPUTED = "wsl-conf-keys-disputed", Warning;
    reads "the keys of /etc/wsl.conf";
    spec "microsoft/WSL WslDistributionConfig.cpp; validate-modern.py; microsoft/WSL #13993";

    /// A value that WSL cannot read is ignored, and every start warns about it. It takes `true`,
    /// `false`, `1` and `0` for yes and no, but neither `yes` nor `on`; `automount.cgroups` is
    /// `v1` or `v2`; a time limit or mask is a number.
    CONF_VALUES = "wsl-conf-values", Error;
    reads "the values of /etc/wsl.conf";
    spec "microsoft/WSL configfile.cpp ConfigKey::ParseImpl, WslDistributionConfig.cpp";

    /// Without readable entries in `/etc/passwd` nobody can log in: the first start ends at once.
    /// Each line has seven fields, and the third is a number.
    PASSWD = "wsl-passwd", Error;
    reads "/etc/passwd";
    spec "microsoft/WSL validate-modern.py read_passwd; #3903, #8489";

    /// The file belongs to root, with mode 0644 or 0664, and is no symlink: Microsoft's validator
    /// does not follow it.
    PASSWD_MODE = "wsl-passwd-mode", Warning;
    reads "mode and owner of /etc/passwd";
    spec "microsoft/WSL validate-modern.py read_tar";

    /// Two names with one user id are one user with two passwords and two shells; which of them
    /// WSL takes is chance.
    PASSWD_UID = "wsl-passwd-uid", Error;
    reads "the user ids in /etc/passwd";
    spec "microsoft/WSL validate-modern.py read_passwd";

    /// WSL does its work as user 0, and enters a new system as that user. It has to be there and
    /// to be called `root`.
    PASSWD_ROOT = "wsl-passwd-root", Error;
    reads "/etc/passwd";
    spec "microsoft/WSL validate-modern.py read_passwd";

    /// The first start asks for a name and makes a user with the id `oobe.defaultUid`. That
    /// fails if the image has one already.
    DEFAULT_UID_FREE = "wsl-default-uid-free", Warning;
    reads "oobe.defaultUid, /etc/passwd";
    spec "microsoft/WSL validate-modern.py read_passwd";

    /// A user whose group has no name sees `groups: cannot find name for group ID` at each login.
    GROUP = "wsl-group", Warning;
    reads "/etc/group, and the groups of root and of people";
    spec "group(5)";

    /// Without `/etc/shadow` no password can be set, so `sudo` and `su` do not work, and
    /// Microsoft's validator refuses the image.
    SHADOW = "wsl-shadow", Error;
    reads "/etc/shadow";
    spec "microsoft/WSL validate-modern.py read_tar";

    /// Only root may read password hashes: mode 0640, 0600 or 0, owner 0, and no symlink.
    SHADOW_MODE = "wsl-shadow-mode", Warning;
    reads "mode and owner of /etc/shadow";
    spec "microsoft/WSL validate-modern.py read_tar";

    /// A password hash in an image is a password that everybody who downloads it can guess at
    /// leisure, and that all who use it share. Lock the account (`!` or `*`).
    PASSWORD_HASH = "wsl-password-hash", Error;
    reads "the password fields of /etc/shadow and /etc/passwd";
    spec "MicrosoftDocs/WSL build-custom-distro.md";

    /// Whoever gets at the account has it: an empty field is a password that everybody knows. Lock
    /// the account (`!` or `*`); where it is meant, waive the check and say why.
    PASSWORD_EMPTY = "wsl-password-empty", Warning;
    reads "the password fields of /etc/shadow and /etc/passwd";
    spec "MicrosoftDocs/WSL build-custom-distro.md";

    /// A name in `user.default` that is not in `/etc/passwd` is ignored, and users are root
    /// without having asked for it.
    USER_DEFAULT = "wsl-user-default", Error;
    reads "user.default, /etc/passwd";
    spec "microsoft/WSL #9384";

    /// `user.default` overrides what the first start and `wsl --manage --set-default-user` choose.
    /// Let the first start make the user (`oobe.command`). NixOS is different: it makes the user
    /// from its configuration, so the check is not asked there.
    USER_DEFAULT_SET = "wsl-user-default-set", Warning;
    reads "user.default";
    spec "microsoft/WSL validate-modern.py read_tar";

    /// A user without a home directory of their own starts in `/`, and programs cannot save their
    /// settings. It has to be there, and to belong to them.
    USER_HOME = "wsl-user-home", Warning;
    reads "the home directories of root and of people in /etc/passwd";
    spec "passwd(5)";

    /// Entering the system starts the login shell of the user. If it is not there, cannot be
    /// executed, or is there only after a later start, WSL ends with `execvpe … failed`.
    LOGIN_SHELL = "wsl-login-shell", Error;
    reads "the shells of root, of user.default and of people in /etc/passwd";
    spec "microsoft/WSL init.cpp CreateProcessCommon; NixOS-WSL #305, #593, #621";

    /// A shell of a system user that is not there, such as `nologin`, gives an error where a
    /// refusal was meant.
    SERVICE_SHELL = "wsl-service-shell", Warning;
    reads "the shells of the other users in /etc/passwd";
    spec "passwd(5), nologin(8)";

    /// WSL runs its commands with `/bin/sh`. Microsoft's validator wants an ELF program: a script
    /// in its place needs another shell first.
    BIN_SH = "wsl-bin-sh", Error;
    reads "/bin/sh";
    spec "microsoft/WSL validate-modern.py read_tar; NixOS-WSL #275, #386";

    /// The shell belongs to root, with mode 0755, 0775 or 0555.
    BIN_SH_MODE = "wsl-bin-sh-mode", Warning;
    reads "mode and owner of /bin/sh";
    spec "microsoft/WSL validate-modern.py read_tar";

    /// An image may do without bash. What is called `/bin/bash` has to be an ELF program.
    BIN_BASH = "wsl-bin-bash", Error;
    reads "/bin/bash";
    spec "microsoft/WSL validate-modern.py read_tar";

    /// bash belongs to root, with mode 0755, 0775 or 0555.
    BIN_BASH_MODE = "wsl-bin-bash-mode", Warning;
    reads "mode and owner of /bin/bash";
    spec "microsoft/WSL validate-modern.py read_tar";

    /// With `boot.systemd=true` WSL starts `/sbin/init`. If nobody can execute it, WSL silently
    /// goes on without systemd, and no service runs. It has to be an ELF program.
    SBIN_INIT = "wsl-sbin-init", Error;
    reads "boot.systemd, /sbin/init";
    spec "microsoft/WSL WslDistributionConfig.cpp; validate-modern.py read_tar";

    /// init belongs to root, with mode 0755, 0775 or 0555.
    SBIN_INIT_MODE = "wsl-sbin-init-mode", Warning;
    reads "mode and owner of /sbin/init";
    spec "microsoft/WSL validate-modern.py read_tar";

    /// Microsoft's validator takes any value of `boot.systemd` for yes, `false` too, and then
    /// refuses an image without an ELF `/sbin/init`. Leave the key out: no systemd is the default.
    SBIN_INIT_UNUSED = "wsl-sbin-init-unused", Warning;
    reads "boot.systemd, /sbin/init";
    spec "microsoft/WSL validate-modern.py read_tar";

    /// Programs for another processor end with `Exec format error`, often as `E_UNEXPECTED` or
    /// exit code 1. All programs that a start needs have to be for the system of the image: the
    /// one in its definition, or else the one of `/bin/sh`. WSL runs on x86_64 and aarch64.
    ARCHITECTURE = "wsl-architecture", Error;
    reads "e_machine of /bin/sh, /bin/bash, /sbin/init and the login shells";
    spec "System V ABI, ELF header; NixOS-WSL #534, microsoft/WSL #9041";

    /// With systemd, WSL opens the session of a user with `/bin/login -f`. Without it each start
    /// says `Failed to start the systemd user session`, and no user service runs.
    LOGIN = "wsl-login", Error;
    reads "boot.systemd, /bin/login";
    spec "microsoft/WSL src/linux/init; NixOS-WSL #165";

    /// Each start runs `/bin/mount -a`, unless `automount.mountFsTab=false`, and warns if that
    /// fails.
    MOUNT = "wsl-mount", Warning;
    reads "automount.mountFsTab, /bin/mount";
    spec "microsoft/WSL src/linux/init/config.cpp";

    /// With systemd, WSL waits for `systemctl is-system-running | grep …` in `/bin/sh` with no
    /// environment. If these programs are in no standard directory, each start waits ten seconds
    /// for nothing.
    SYSTEMCTL = "wsl-systemctl", Warning;
    reads "boot.systemd; systemctl and grep in the standard directories";
    spec "microsoft/WSL src/linux/init/init.cpp; #13236";

    /// These units fight with WSL over the network, `/tmp` or the console, or wait for devices
    /// that do not exist. Disable or mask them. NixOS needs systemd-tmpfiles, so these are right
    /// there.
    DISCOURAGED_UNIT = "wsl-discouraged-unit", Warning;
    reads "*.wants and *.requires of systemd's system and user units, through symlinks";
    spec "microsoft/WSL validate-modern.py; MicrosoftDocs/WSL build-custom-distro.md";
}

checks! {
    /// The checks of a NixOS image: one with a `/nix/store` and either a system profile or
    /// `ID=nixos` in `/etc/os-release`.
    NIXOS_CHECKS:

    /// NixOS has few programs outside its store. WSL needs these at fixed places: without them it
    /// cannot run a command, mount, open a session or translate a path. Update NixOS-WSL.
    NIXOS_PROGRAMS = "wsl-nixos-programs", Error;
    reads "/bin/{sh,bash,mount,login,wslpath}, /sbin/init";
    spec "NixOS-WSL modules/wsl-distro.nix, systemd/native";

    /// `/sbin/init` of NixOS-WSL activates the system profile and then starts its systemd. If one
    /// of them is not in the image, the first start ends with a kernel panic in miniature:
    /// `E_UNEXPECTED`.
    NIXOS_SYSTEM = "wsl-nixos-system", Error;
    reads "/nix/var/nix/profiles/system/{activate,systemd/lib/systemd/systemd}";
    spec "NixOS-WSL utils/src/shim.rs";

    /// `nixos-rebuild switch` refuses to work on a system without `/etc/NIXOS`.
    NIXOS_MARKER = "wsl-nixos-marker", Error;
    reads "/etc/NIXOS";
    spec "nixpkgs switch-to-configuration";

    /// Without its database Nix believes that the store is empty: the first garbage collection
    /// removes the running system.
    NIXOS_DATABASE = "wsl-nixos-database", Error;
    reads "/nix/var/nix/db/db.sqlite";
    spec "Nix manual, local store";

    /// Files of the store belong to root and nobody else may write them: otherwise any user can
    /// replace a program that root runs.
    NIXOS_STORE_OWNER = "wsl-nixos-store-owner", Error;
    reads "owner and mode of everything in /nix/store";
    spec "Nix manual, store object";

    /// Nix gives all files of the store the time 1. Another time shows that something else touched
    /// them, and makes two images of one system differ.
    NIXOS_STORE_MTIME = "wsl-nixos-store-mtime", Warning;
    reads "mtime of everything in /nix/store";
    spec "Nix manual, store object";

    /// A symlink to a store path that is not in the image: part of the system was not copied, and
    /// some program fails later, when nobody thinks of the image. Build the image from a complete
    /// closure.
    NIXOS_CLOSURE = "wsl-nixos-closure", Error;
    reads "the target of every symlink into /nix/store";
    spec "Nix manual, closure";

    /// A program is loaded by an interpreter in the store, and the store object of that is not in
    /// the image. Linux says `No such file or directory` of the program itself. Build the image
    /// from a complete closure.
    NIXOS_INTERPRETER = "wsl-nixos-interpreter", Error;
    reads "PT_INTERP in the first 4096 bytes of every executable file";
    spec "System V ABI, program interpreter; Nix manual, closure";

    /// WSL would run `ldconfig` and `mount -a`, which know nothing of NixOS: it has no
    /// `/etc/ld.so.conf.d`, and its systemd mounts. Set `automount.ldconfig` and
    /// `automount.mountFsTab` to `false`.
    NIXOS_AUTOMOUNT = "wsl-nixos-automount", Warning;
    reads "automount.ldconfig, automount.mountFsTab";
    spec "NixOS-WSL modules/wsl-conf.nix";

    /// Each start writes the host name to `/etc/hostname`, through the symlink, into the store.
    /// That does no harm only if it is the same name: set `network.hostname` to
    /// `networking.hostName`.
    NIXOS_HOSTNAME = "wsl-nixos-hostname", Warning;
    reads "network.hostname, /etc/hostname";
    spec "microsoft/WSL src/linux/init/config.cpp; NixOS-WSL #888";

    /// WSL writes `/etc/hosts` at each start, unless `network.generateHosts=false`. A file of the
    /// store in that place would be changed, or would hide what WSL writes.
    NIXOS_GENERATED = "wsl-nixos-generated", Warning;
    reads "network.generateHosts, /etc/hosts";
    spec "NixOS-WSL modules/wsl-distro.nix";

    /// NixOS-WSL has no dialog at the first start: the user is made from the configuration, and
    /// `user.default` tells WSL who it is. Without it people work as root. It should have the id
    /// 1000.
    NIXOS_USER = "wsl-nixos-user", Warning;
    reads "user.default, /etc/passwd";
    spec "NixOS-WSL modules/wsl-distro.nix";
}

//! What the firmware of a Raspberry Pi reads: a table of boards, and the files that each of them
//! needs. Raspberry Pi documentation, "Boot folder contents" and "config.txt".

use std::{collections::BTreeSet, rc::Rc};

use image_formats::arm64_image;
use image_model::Board;

use super::{
    ARMSTUB, CONFIG_FILE, CONFIG_INCLUDE, CONFIG_LINE, CONFIG_TXT, DEVICE_TREE_BOARD,
    FIRMWARE_FILE, FIRMWARE_KERNEL, Judge, OVERLAY, Place,
    config_txt::{self, Hardware, Settings},
};
use crate::{
    kind::boot::{
        kernel,
        paths::{at, find_file},
    },
    tree::{NodeId, Tree},
    volume::{Family, MAX_TEXT, Volume},
};

const CONFIG: &str = "config.txt";

/// A stub is loaded to address 0, and the kernel to 0x80000.
const MAX_STUB: u64 = 512 << 10;

/// Which chip, and with it where the firmware comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chip {
    /// All firmware is on the card. Starts in 32-bit mode unless told otherwise.
    Bcm2837,
    /// The first stage is in an EEPROM.
    Bcm2711,
    /// All firmware is in an EEPROM.
    Bcm2712,
}

impl Chip {
    /// In the `compatible` of a device tree.
    fn compatible(self) -> &'static str {
        match self {
            Self::Bcm2837 => "brcm,bcm2837",
            Self::Bcm2711 => "brcm,bcm2711",
            Self::Bcm2712 => "brcm,bcm2712",
        }
    }
}

/// A board.
pub(super) struct Model {
    pub(super) board: Board,
    hardware: Hardware,
    chip: Chip,
    /// Its device trees by the firmware's names; one of them is enough.
    trees: &'static [&'static str],
    /// The same by Linux's names, which `upstream_kernel=1` prefers.
    upstream: &'static [&'static str],
    /// The name that U-Boot asks for: `board/raspberrypi/rpi/rpi.c`.
    pub(super) u_boot: &'static str,
}

/// All boards with a 64-bit processor that images are made for.
pub(super) const MODELS: &[Model] = &[
    Model {
        board: Board::PiZero2,
        hardware: Hardware { filters: &["pi0", "pi0w", "pi02"], types: &[0x12] },
        chip: Chip::Bcm2837,
        trees: &["bcm2710-rpi-zero-2-w.dtb", "bcm2710-rpi-zero-2.dtb"],
        upstream: &["bcm2837-rpi-zero-2-w.dtb"],
        u_boot: "bcm2837-rpi-zero-2-w.dtb",
    },
    Model {
        board: Board::Pi3,
        hardware: Hardware { filters: &["pi3"], types: &[0x08] },
        chip: Chip::Bcm2837,
        trees: &["bcm2710-rpi-3-b.dtb"],
        upstream: &["bcm2837-rpi-3-b.dtb"],
        u_boot: "bcm2837-rpi-3-b.dtb",
    },
    Model {
        board: Board::Pi3Plus,
        hardware: Hardware { filters: &["pi3", "pi3+"], types: &[0x0d, 0x0e] },
        chip: Chip::Bcm2837,
        trees: &["bcm2710-rpi-3-b-plus.dtb"],
        upstream: &["bcm2837-rpi-3-b-plus.dtb"],
        u_boot: "bcm2837-rpi-3-b-plus.dtb",
    },
    Model {
        board: Board::Cm3,
        hardware: Hardware { filters: &["pi3", "cm3"], types: &[0x0a, 0x10] },
        chip: Chip::Bcm2837,
        trees: &["bcm2710-rpi-cm3.dtb"],
        upstream: &["bcm2837-rpi-cm3.dtb", "bcm2837-rpi-cm3-io3.dtb"],
        u_boot: "bcm2837-rpi-cm3.dtb",
    },
    Model {
        board: Board::Pi4,
        hardware: Hardware { filters: &["pi4"], types: &[0x11] },
        chip: Chip::Bcm2711,
        trees: &["bcm2711-rpi-4-b.dtb"],
        upstream: &[],
        u_boot: "bcm2711-rpi-4-b.dtb",
    },
    Model {
        board: Board::Pi400,
        hardware: Hardware { filters: &["pi4", "pi400"], types: &[0x13] },
        chip: Chip::Bcm2711,
        trees: &["bcm2711-rpi-400.dtb"],
        upstream: &[],
        u_boot: "bcm2711-rpi-400.dtb",
    },
    Model {
        board: Board::Cm4,
        hardware: Hardware { filters: &["pi4", "cm4"], types: &[0x14] },
        chip: Chip::Bcm2711,
        trees: &["bcm2711-rpi-cm4.dtb"],
        upstream: &["bcm2711-rpi-cm4-io.dtb"],
        u_boot: "bcm2711-rpi-cm4.dtb",
    },
    Model {
        board: Board::Pi5,
        hardware: Hardware { filters: &["pi5"], types: &[0x17] },
        chip: Chip::Bcm2712,
        trees: &["bcm2712-rpi-5-b.dtb"],
        upstream: &[],
        u_boot: "bcm2712-rpi-5-b.dtb",
    },
    Model {
        board: Board::Cm5,
        hardware: Hardware { filters: &["pi5", "cm5"], types: &[0x18, 0x1a] },
        chip: Chip::Bcm2712,
        trees: &[
            "bcm2712-rpi-cm5-cm5io.dtb",
            "bcm2712-rpi-cm5-cm4io.dtb",
            "bcm2712-rpi-cm5l-cm5io.dtb",
            "bcm2712-rpi-cm5l-cm4io.dtb",
        ],
        upstream: &[],
        u_boot: "bcm2712-rpi-cm5-cm5io.dtb",
    },
];

impl<'a> Judge<'a, '_> {
    pub(super) fn firmware(&mut self) {
        let promised = MODELS.iter().any(|model| self.promised(model.board));
        let place = self
            .disk
            .volumes()
            .find(|(_, volume)| volume.family == Family::Fat && (promised || has_firmware(volume)));
        let Some(place) = place else {
            for model in MODELS {
                self.lacks(model.board, "no firmware partition");
            }
            return;
        };
        let volume = place.1;
        let config = find_file(volume, CONFIG);
        let here = || at(volume, CONFIG);
        self.expect(&CONFIG_TXT, config.is_some(), here, || "not there".to_owned());
        let text = config.and_then(|id| self.text(&CONFIG_TXT, place, id)).unwrap_or_default();
        let text: Rc<str> = text.into();
        let mut told = Told::default();
        let mut read = |file: &str| {
            let id = find_file(volume, file).ok_or("not there")?;
            let content = volume.content(id, MAX_TEXT).map_err(|_| "cannot be read")?;
            Ok(String::from_utf8_lossy(&content).into())
        };
        for model in MODELS {
            let text = Rc::clone(&text);
            let settings = config_txt::evaluate(&model.hardware, CONFIG, text, &mut read);
            let mut board = OnBoard { place, model, settings: &settings, told: &mut told };
            self.board(&mut board);
        }
    }

    fn board(&mut self, on: &mut OnBoard<'a, '_>) {
        self.lines_of(on);
        self.stages(on);
        let prefix = self.prefix(on);
        let kernel = self.kernel(on, &prefix);
        self.stub(on);
        self.tree(on, &prefix);
        self.overlays(on, &prefix);
        let initramfs = self.initramfs_files(on, &prefix);
        let listed = self.initramfs(&initramfs);
        match kernel {
            Some(kernel::Program::UBoot) if !self.u_boot_starts() => {
                self.lacks(on.model.board, "U-Boot finds nothing to start");
            }
            Some(kernel::Program::Kernel) => {
                let name = on.settings.value("cmdline").unwrap_or("cmdline.txt");
                let volume = on.place.1;
                let Some(id) = find_file(volume, &prefixed(&prefix, name)) else { return };
                let Ok(content) = volume.content(id, MAX_TEXT) else { return };
                // Only the first line counts.
                let text = String::from_utf8_lossy(&content);
                let line = text.lines().next().unwrap_or_default();
                self.command_line(on.place, volume.tree.location(id), line, &listed);
            }
            _ => {}
        }
    }

    /// The files that are put together to one initramfs. Where none is named, `auto_initramfs=1`
    /// takes the one whose name is like that of the kernel, if it is there.
    fn initramfs_files(
        &mut self,
        on: &mut OnBoard<'a, '_>,
        prefix: &str,
    ) -> Vec<(Place<'a>, NodeId)> {
        let (place, settings) = (on.place, on.settings);
        let ids: Vec<NodeId> = match settings.value("initramfs") {
            Some(names) => names
                .split(',')
                .filter_map(|name| self.named(on, "initramfs", &prefixed(prefix, name)))
                .collect(),
            None if settings.number("auto_initramfs") == 0 => Vec::new(),
            None => {
                let there = |name: &String| find_file(place.1, &prefixed(prefix, name)).is_some();
                let kernel = kernels(on).into_iter().find(there).unwrap_or_default();
                let like = kernel.strip_prefix("kernel").and_then(|k| k.strip_suffix(".img"));
                let name = like.map(|like| prefixed(prefix, &format!("initramfs{like}")));
                name.and_then(|name| find_file(place.1, &name)).into_iter().collect()
            }
        };
        ids.into_iter().map(|id| (place, id)).collect()
    }

    /// What is wrong with lines, each told once.
    fn lines_of(&mut self, on: &mut OnBoard<'a, '_>) {
        let volume = on.place.1;
        for place in &on.settings.long {
            if on.told.lines.insert(place.clone()) {
                self.expect(
                    &CONFIG_LINE,
                    false,
                    || at(volume, &place.file),
                    || {
                        let (line, limit) = (place.line, config_txt::MAX_LINE);
                        format!(
                            "line {line} is longer than {limit} characters; the rest is ignored"
                        )
                    },
                );
            }
        }
        if on.settings.long.is_empty() {
            self.expect(&CONFIG_LINE, true, || at(volume, CONFIG), String::new);
        }
        for (file, place, why) in &on.settings.includes {
            if on.told.lines.insert(place.clone()) {
                self.expect(
                    &CONFIG_INCLUDE,
                    why.is_none(),
                    || at(volume, &place.file),
                    || format!("line {}: include {file}: {}", place.line, why.unwrap_or_default()),
                );
            }
        }
    }

    /// A file that `config.txt` names by `key`.
    fn named(&mut self, on: &mut OnBoard<'a, '_>, key: &str, name: &str) -> Option<NodeId> {
        let (_, place) = on.settings.values.get(key)?;
        if name.is_empty() {
            return None;
        }
        let volume = on.place.1;
        let id = find_file(volume, name);
        if on.told.files.insert((place.clone(), name.to_owned())) {
            self.expect(
                &CONFIG_FILE,
                id.is_some(),
                || at(volume, &place.file),
                || format!("line {}, {key}: no file {name}", place.line),
            );
        }
        if id.is_none() {
            self.lacks(on.model.board, format!("no {name}"));
        }
        id
    }

    /// A file that the firmware looks for by itself, under one of several names.
    fn default(&mut self, on: &OnBoard<'a, '_>, names: &[String]) -> Option<NodeId> {
        let found = names.iter().find_map(|name| find_file(on.place.1, name));
        if found.is_none() {
            self.lacks(on.model.board, format!("no {}", names.join(" or ")));
        }
        found
    }

    /// The firmware itself.
    fn stages(&mut self, on: &mut OnBoard<'a, '_>) {
        let four = match on.model.chip {
            Chip::Bcm2712 => return,
            Chip::Bcm2711 => "4",
            Chip::Bcm2837 => "",
        };
        let settings = on.settings;
        if four.is_empty()
            && let Some(id) = self.default(on, &["bootcode.bin".to_owned()])
        {
            self.firmware_file(on, id, false);
        }
        // Of the Pi 4, these have names such as start4x.elf, without the underscore.
        let (suffix, four_suffix) = match () {
            () if settings.number("gpu_mem") == 16 => ("_cd", "cd"),
            () if settings.number("start_debug") != 0 => ("_db", "db"),
            () if settings.number("start_x") != 0 => ("_x", "x"),
            () => ("", ""),
        };
        let suffix = if four.is_empty() { suffix } else { four_suffix };
        for (key, stem, end) in [("start_file", "start", "elf"), ("fixup_file", "fixup", "dat")] {
            let id = match settings.value(key).map(str::to_owned) {
                Some(name) => self.named(on, key, &name),
                None => self.default(on, &[format!("{stem}{four}{suffix}.{end}")]),
            };
            let Some(id) = id else { continue };
            self.firmware_file(on, id, end == "elf");
        }
    }

    /// Judges a file of the firmware, once.
    fn firmware_file(&mut self, on: &mut OnBoard<'a, '_>, id: NodeId, is_program: bool) {
        if !on.told.nodes.insert(id) {
            return;
        }
        let volume = on.place.1;
        let head = volume.head(id, 4).unwrap_or_default();
        let problem = if head.is_empty() {
            Some("empty")
        } else if is_program && head != b"\x7fELF" {
            Some("no ELF program, which this firmware is")
        } else {
            None
        };
        self.expect(
            &FIRMWARE_FILE,
            problem.is_none(),
            || volume.tree.location(id),
            || problem.unwrap_or_default().to_owned(),
        );
    }

    /// What is put before the names of all files of the operating system, where a kernel is there.
    fn prefix(&self, on: &OnBoard<'a, '_>) -> String {
        let settings = on.settings;
        let upstream = settings.number("upstream_kernel") != 0;
        let default = if upstream { "upstream/" } else { "" };
        let prefix = settings.value("os_prefix").unwrap_or(default);
        let names = kernels(on);
        let there = names.iter().any(|n| find_file(on.place.1, &prefixed(prefix, n)).is_some());
        if there { prefix.to_owned() } else { String::new() }
    }

    fn kernel(&mut self, on: &mut OnBoard<'a, '_>, prefix: &str) -> Option<kernel::Program> {
        let settings = on.settings;
        let id = match settings.value("kernel").filter(|name| !name.is_empty()) {
            Some(name) => self.named(on, "kernel", &prefixed(prefix, name)),
            None => {
                let names: Vec<_> = kernels(on).iter().map(|n| prefixed(prefix, n)).collect();
                self.default(on, &names)
            }
        };
        // The firmware knows these by name.
        let known = settings.value("kernel").is_some_and(|name| name.ends_with("kernel8.img"));
        let wide = match settings.value("arm_64bit") {
            Some(_) => settings.number("arm_64bit") != 0,
            None => {
                // Up to the Pi 3 `kernel8.img` is taken by itself where no other kernel is there.
                let other = ["kernel7.img", "kernel.img"];
                let alone = other.iter().all(|name| find_file(on.place.1, name).is_none());
                on.model.chip != Chip::Bcm2837
                    || settings.number("arm_control") & 0x200 != 0
                    || alone && settings.value("kernel").is_none_or(str::is_empty)
            }
        };
        if !wide && !known && on.model.chip != Chip::Bcm2712 {
            self.lacks(on.model.board, "no arm_64bit=1 for it in config.txt");
        }
        self.program(&FIRMWARE_KERNEL, on.place, id?)
    }

    fn stub(&mut self, on: &mut OnBoard<'a, '_>) {
        let Some(name) = on.settings.value("armstub").map(str::to_owned) else { return };
        let Some(id) = self.named(on, "armstub", &name) else { return };
        let volume = on.place.1;
        let size = volume.tree.node(id).size;
        let head = volume.head(id, arm64_image::raw::Header::SIZE as u64).unwrap_or_default();
        let problem = if size == 0 || head.iter().all(|byte| *byte == 0) {
            Some("no code".to_owned())
        } else if size > MAX_STUB {
            Some(format!("{size} bytes, and the kernel is loaded to {MAX_STUB}"))
        } else if head.starts_with(b"\x7fELF") || head.starts_with(b"MZ") {
            Some("a program with headers, not plain code".to_owned())
        } else {
            None
        };
        if on.told.nodes.insert(id) {
            self.expect(
                &ARMSTUB,
                problem.is_none(),
                || volume.tree.location(id),
                || problem.unwrap_or_default(),
            );
        }
    }

    fn tree(&mut self, on: &mut OnBoard<'a, '_>, prefix: &str) {
        let id = match on.settings.value("device_tree").map(str::to_owned) {
            Some(name) => self.named(on, "device_tree", &prefixed(prefix, &name)),
            None => {
                let upstream = on.settings.number("upstream_kernel") != 0;
                let more = if upstream { on.model.upstream } else { &[] };
                let names = more.iter().chain(on.model.trees);
                let names: Vec<_> = names.map(|name| prefixed(prefix, name)).collect();
                self.default(on, &names)
            }
        };
        let Some(id) = id else { return };
        let volume = on.place.1;
        let compatible = self.device_tree(on.place, id);
        let chip = on.model.chip.compatible();
        // Raspberry Pi's own trees for the Pi 3 name the same chip in several ways.
        let alias = if on.model.chip == Chip::Bcm2837 { "brcm,bcm2710" } else { chip };
        let fits = compatible.iter().any(|name| name == chip || name == alias);
        if !compatible.is_empty() && on.told.nodes.insert(id) {
            self.expect(
                &DEVICE_TREE_BOARD,
                fits,
                || volume.tree.location(id),
                || {
                    let (board, found) = (on.model.board, compatible.join(", "));
                    format!("for {found}, and {board} has {chip}")
                },
            );
        }
    }

    fn overlays(&mut self, on: &mut OnBoard<'a, '_>, prefix: &str) {
        let settings = on.settings;
        let volume = on.place.1;
        let folder = settings.value("overlay_prefix").unwrap_or("overlays/");
        let own = find_file(volume, &format!("{prefix}{folder}README")).is_some();
        let prefix = if own { prefix } else { "" };
        for (name, place) in &settings.overlays {
            let path = format!("{prefix}{folder}{name}.dtbo");
            if !on.told.files.insert((place.clone(), path.clone())) {
                continue;
            }
            let id = find_file(volume, &path);
            self.expect(
                &OVERLAY,
                id.is_some(),
                || at(volume, &place.file),
                || format!("line {}, dtoverlay={name}: no file {path}", place.line),
            );
            if let Some(id) = id {
                self.device_tree(on.place, id);
            }
        }
    }
}

/// One board with the settings that are in force on it.
struct OnBoard<'a, 'b> {
    place: Place<'a>,
    model: &'static Model,
    settings: &'b Settings,
    told: &'b mut Told,
}

/// What was told already: several boards see the same lines.
#[derive(Default)]
struct Told {
    lines: BTreeSet<config_txt::Place>,
    files: BTreeSet<(config_txt::Place, String)>,
    nodes: BTreeSet<NodeId>,
}

/// True if a volume has something that only the firmware of a Pi reads.
fn has_firmware(volume: &Volume) -> bool {
    volume.tree.children(Tree::ROOT).any(|(name, _)| {
        let name = name.to_ascii_lowercase();
        name == CONFIG.as_bytes()
            || name == b"bootcode.bin"
            || name.starts_with(b"start") && name.ends_with(b".elf")
            || name.starts_with(b"bcm27") && name.ends_with(b".dtb")
    })
}

/// The kernels that the firmware looks for, without a prefix.
fn kernels(on: &OnBoard<'_, '_>) -> Vec<String> {
    let named = on.settings.value("kernel").filter(|name| !name.is_empty());
    match (named, on.model.chip) {
        (Some(name), _) => vec![name.to_owned()],
        (None, Chip::Bcm2712) => vec!["kernel_2712.img".to_owned(), "kernel8.img".to_owned()],
        (None, _) => vec!["kernel8.img".to_owned()],
    }
}

/// The name of a file of the operating system. One with a slash before it has no prefix.
fn prefixed(prefix: &str, name: &str) -> String {
    if name.is_empty() || name.starts_with('/') {
        name.to_owned()
    } else {
        format!("{prefix}{name}")
    }
}

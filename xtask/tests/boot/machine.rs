//! A computer that QEMU emulates, and what it says on its serial lines.

use std::{
    io::{BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Condvar, Mutex,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{card::Card, tool};

/// What a card is put into.
#[derive(Debug)]
pub(crate) enum Board {
    /// The generic board, with U-Boot.
    UBoot,
    /// The generic board, with UEFI.
    Uefi,
    /// A Raspberry Pi 3, from U-Boot on: the firmware that would read `config.txt` runs on a
    /// processor that QEMU does not have.
    Pi3,
}

/// What a disc is put into.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Firmware {
    /// The BIOS of a PC.
    Bios,
    /// UEFI on a PC.
    Uefi,
    /// UEFI on the generic AArch64 board.
    UefiAarch64,
}

/// What an ISO image is written to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Medium {
    Disc,
    Stick,
}

/// Machines that may run at the same time: each has one processor, and keeps one of ours busy.
const SLOTS: usize = 2;

static RUNNING: Mutex<usize> = Mutex::new(0);
static STOPPED: Condvar = Condvar::new();

/// One of the machines that run.
struct Slot;

impl Slot {
    fn take() -> Self {
        let mut running = RUNNING.lock().unwrap();
        while *running == SLOTS {
            running = STOPPED.wait(running).unwrap();
        }
        *running += 1;
        Self
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap() -= 1;
        STOPPED.notify_one();
    }
}

/// A machine that runs. It is switched off when this is dropped.
pub(crate) struct Machine {
    qemu: Child,
    lines: Receiver<String>,
    heard: Vec<String>,
    _slot: Slot,
}

impl Machine {
    /// Puts a card into a board.
    pub(crate) fn start(board: &Board, card: &Card) -> Self {
        let slot = Slot::take();
        let mut command = qemu("qemu-system-aarch64", "qemu-system-arm");
        // A Pi's U-Boot speaks on the second line, its kernel on the first; here on one.
        command.args(["-chardev", "stdio,id=line,mux=on,signal=off"]);
        command.args(["-serial", "chardev:line", "-serial", "chardev:line"]);
        let interface = match board {
            Board::UBoot => {
                generic(&mut command, "/usr/lib/u-boot/qemu_arm64/u-boot.bin", "u-boot-qemu");
                "virtio"
            }
            Board::Uefi => {
                generic(&mut command, AARCH64_UEFI, "qemu-efi-aarch64");
                "virtio"
            }
            Board::Pi3 => {
                command.args(["-M", "raspi3b", "-kernel"]).arg(part("u-boot/rpi_3.bin"));
                command.arg("-dtb").arg(part("kernel/dtbs/broadcom/bcm2837-rpi-3-b.dtb"));
                // QEMU's cards have a size that is a power of two.
                card.grow_to_power_of_two();
                "sd"
            }
        };
        let image = card.image().display();
        command.arg("-drive").arg(format!("file={image},format=raw,if={interface},snapshot=on"));
        Self::run(command, slot)
    }

    /// Puts an ISO image into a computer.
    pub(crate) fn boot(firmware: Firmware, medium: Medium, image: &Path) -> Self {
        let slot = Slot::take();
        let mut command = match firmware {
            Firmware::Bios | Firmware::Uefi => qemu("qemu-system-x86_64", "qemu-system-x86"),
            Firmware::UefiAarch64 => qemu("qemu-system-aarch64", "qemu-system-arm"),
        };
        command.args(["-chardev", "stdio,id=line,mux=on,signal=off", "-serial", "chardev:line"]);
        match firmware {
            Firmware::Bios => {
                command.args(["-M", "pc", "-m", "512", "-nic", "none"]);
                // Where SeaBIOS says what it does.
                command.args(["-device", "isa-debugcon,iobase=0x402,chardev=line"]);
            }
            Firmware::Uefi => {
                command.args(["-M", "q35", "-m", "512", "-nic", "none"]);
                // What is written into the variables is forgotten.
                for (file, how) in [("CODE", "readonly=on"), ("VARS", "snapshot=on")] {
                    let file = format!("/usr/share/OVMF/OVMF_{file}_4M.fd");
                    there(&file, "ovmf");
                    let drive = format!("if=pflash,format=raw,file={file},{how}");
                    command.arg("-drive").arg(drive);
                }
            }
            Firmware::UefiAarch64 => generic(&mut command, AARCH64_UEFI, "qemu-efi-aarch64"),
        }
        let drive = format!("file={},format=raw,if=none,id=image", image.display());
        match medium {
            Medium::Disc => {
                command.arg("-drive").arg(format!("{drive},media=cdrom,readonly=on"));
                let device = match firmware {
                    Firmware::Bios | Firmware::Uefi => "ide-cd",
                    Firmware::UefiAarch64 => "scsi-cd",
                };
                if device == "scsi-cd" {
                    command.args(["-device", "virtio-scsi-pci"]);
                }
                command.arg("-device").arg(format!("{device},drive=image"));
            }
            Medium::Stick => {
                command.arg("-drive").arg(format!("{drive},snapshot=on"));
                command.args(["-device", "qemu-xhci", "-device", "usb-storage,drive=image"]);
            }
        }
        Self::run(command, slot)
    }

    fn run(mut command: Command, slot: Slot) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut qemu = command.spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        listen(qemu.stdout.take().unwrap(), sender.clone());
        listen(qemu.stderr.take().unwrap(), sender);
        Self { qemu, lines, heard: Vec::new(), _slot: slot }
    }

    /// Waits for a line with this text.
    #[track_caller]
    pub(crate) fn says(&mut self, text: &str, limit: Duration) {
        let end = Instant::now() + limit;
        loop {
            let why = match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let found = line.contains(text);
                    self.heard.push(line);
                    if found {
                        return;
                    }
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => format!("not said within {limit:?}"),
                Err(RecvTimeoutError::Disconnected) => "the machine stopped before".to_owned(),
            };
            let last = self.heard.len().saturating_sub(60);
            panic!("{text:?}: {why}; it said last:\n{}", self.heard[last..].join("\n"));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// UEFI for the generic board.
const AARCH64_UEFI: &str = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd";

/// A machine without anything in it.
fn qemu(program: &str, package: &str) -> Command {
    // A test that is killed takes its machine with it.
    let mut command = Command::new(tool::path("setpriv", "util-linux"));
    command.args(["--pdeathsig", "KILL"]).arg(tool::path(program, package));
    command.args(["-accel", "tcg", "-display", "none", "-monitor", "none", "-no-reboot"]);
    command
}

fn there(file: &str, package: &str) {
    assert!(Path::new(file).exists(), "{file} is missing: apt-get install {package}");
}

fn generic(command: &mut Command, firmware: &str, package: &str) {
    there(firmware, package);
    command.args(["-M", "virt", "-cpu", "cortex-a57", "-m", "1024", "-nic", "none"]);
    command.args(["-bios", firmware]);
}

/// One of Debian's arm64 parts.
fn part(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target");
    let path = target.join("arm64-parts").join(name);
    assert!(path.exists(), "{} is missing: run tests/setup.sh", path.display());
    path
}

/// Sends what is said, line by line, until nobody speaks or nobody listens.
fn listen(stream: impl Read + Send + 'static, sender: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(line).is_err() {
                return;
            }
        }
    });
}

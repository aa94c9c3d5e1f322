//! A board that QEMU emulates, and what it says on its serial lines.

use std::{
    io::{BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
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

/// One machine at a time: each keeps all cores busy.
static SLOT: Mutex<()> = Mutex::new(());

/// A machine that runs. It is switched off when this is dropped.
pub(crate) struct Machine {
    qemu: Child,
    lines: Receiver<String>,
    heard: Vec<String>,
    _slot: MutexGuard<'static, ()>,
}

impl Machine {
    pub(crate) fn start(board: &Board, card: &Card) -> Self {
        let slot = SLOT.lock().unwrap_or_else(PoisonError::into_inner);
        // A test that is killed takes its machine with it.
        let mut command = Command::new(tool::path("setpriv", "util-linux"));
        command.args(["--pdeathsig", "KILL"]);
        command.arg(tool::path("qemu-system-aarch64", "qemu-system-arm"));
        // A Pi's U-Boot speaks on the second line, its kernel on the first; here on one.
        command.args(["-accel", "tcg", "-display", "none", "-monitor", "none", "-no-reboot"]);
        command.args(["-chardev", "stdio,id=line,mux=on,signal=off"]);
        command.args(["-serial", "chardev:line", "-serial", "chardev:line"]);
        let interface = match board {
            Board::UBoot => {
                generic(&mut command, "/usr/lib/u-boot/qemu_arm64/u-boot.bin", "u-boot-qemu");
                "virtio"
            }
            Board::Uefi => {
                let firmware = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd";
                generic(&mut command, firmware, "qemu-efi-aarch64");
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

fn generic(command: &mut Command, firmware: &str, package: &str) {
    assert!(Path::new(firmware).exists(), "{firmware} is missing: apt-get install {package}");
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

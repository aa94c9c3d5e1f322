//! Ctrl-C, and its relatives.
//!
//! The first signal asks: a flag is raised, and every process group that [`tool`](crate::tool)
//! started gets an interrupt. The second insists, and so does a deadline: the groups are killed.
//! Nothing exits from here. The running library call sees the flag or the death of its child,
//! returns an error, and cleans up on the way out as after any other error.

use std::{
    fs, io,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

/// How long a process group may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(10);

/// How often those who wait for something else [`check`].
pub const GLANCE: Duration = Duration::from_millis(100);

static REQUESTED: AtomicBool = AtomicBool::new(false);
static GROUPS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Somebody asked the program to stop.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

impl From<Interrupted> for io::Error {
    fn from(interrupted: Interrupted) -> Self {
        // `Interrupted` would be retried by the loops of the standard library.
        Self::other(interrupted)
    }
}

/// True if `error`, or anything below it, is [`Interrupted`].
pub fn caused(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<Interrupted>() {
            return true;
        }
        // `io::Error::source` skips the error it wraps.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map(|e| e as &(dyn std::error::Error + 'static)).or_else(|| error.source());
    }
    false
}

/// Starts listening for SIGINT, SIGTERM and SIGHUP. To be called once, by the program.
pub fn listen() -> io::Result<()> {
    // `nohup` starts what is to go on when the terminal goes away.
    let goes_on = fs::read_to_string("/proc/self/status").is_ok_and(|s| is_ignored(&s, SIGHUP));
    let hang_up = (!goes_on).then_some(SIGHUP);
    let mut signals = Signals::new(hang_up.into_iter().chain([SIGINT, SIGTERM]))?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _ in signals.forever() {
            if REQUESTED.swap(true, Ordering::SeqCst) {
                signal_groups(Signal::KILL);
            } else {
                signal_groups(Signal::INT);
                thread::spawn(|| {
                    thread::sleep(GRACE);
                    signal_groups(Signal::KILL);
                });
            }
        }
    })?;
    Ok(())
}

/// True if a process ignores `signal`, as its `status` says. proc_pid_status(5).
fn is_ignored(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}

/// An error once somebody asked the program to stop. Long loops call it between steps.
pub fn check() -> Result<(), Interrupted> {
    if REQUESTED.load(Ordering::SeqCst) { Err(Interrupted) } else { Ok(()) }
}

/// Kills every process group that still runs. To be called by the program at its end: threads that
/// wait for a group end with the program, and the group would go on.
pub fn end_groups() {
    signal_groups(Signal::KILL);
}

fn signal_groups(signal: Signal) {
    for group in GROUPS.lock().expect("no holder of this lock panics").iter() {
        // The group may have ended already.
        let _ = kill_process_group(*group, signal);
    }
}

/// A running process group. While it lives it gets the signals; what is left of it when the guard
/// goes is killed.
#[derive(Debug)]
pub(crate) struct Group(Pid);

impl Group {
    pub(crate) fn register(leader: u32) -> Option<Self> {
        let pid = i32::try_from(leader).ok().and_then(Pid::from_raw)?;
        GROUPS.lock().expect("no holder of this lock panics").push(pid);
        if check().is_err() {
            // The signal came between the start of the process and this line.
            let _ = kill_process_group(pid, Signal::INT);
        }
        Some(Self(pid))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        GROUPS.lock().expect("no holder of this lock panics").retain(|pid| *pid != self.0);
        let _ = kill_process_group(self.0, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_known() {
        let status = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n";
        assert!(is_ignored(status, SIGHUP));
        assert!(!is_ignored(status, SIGINT) && !is_ignored("", SIGHUP));
    }

    #[test]
    fn an_interrupt_is_seen_through_wrappers() {
        let wrapped = io::Error::other(io::Error::from(Interrupted));
        assert!(caused(&wrapped));
        let of_a_tool = crate::tool::ToolCause::from(Interrupted);
        assert!(caused(&of_a_tool));
        assert!(!caused(&io::Error::other("full")));
    }
}

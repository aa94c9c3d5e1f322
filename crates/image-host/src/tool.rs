//! Other people's programs. The only module that starts a process.
//!
//! A program gets an argument vector, never a shell; the environment that we chose; nothing on its
//! standard input; and a process group of its own, so that it and all its children can be ended
//! together.

use std::{
    env,
    ffi::{OsStr, OsString},
    fmt,
    io::{self, BufRead as _, BufReader, Read as _},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::ExitStatus,
};

use crate::interrupt::{self, Group, Interrupted};

/// Lines of standard error that are kept for an error message.
const LAST_WORDS: usize = 20;

/// Longest line of standard error that is handed on, in bytes. The rest of a longer one is lost.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// Variables that every program gets where the caller has them: they say where things are, and
/// do not change what a program prints.
const PASSED_ON: &[&str] = &["PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "XDG_RUNTIME_DIR"];

/// A program, found once.
#[derive(Clone, Debug)]
pub struct Tool {
    program: PathBuf,
    env: Vec<(OsString, OsString)>,
}

/// A program that is not on this machine.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{name} is not in PATH")]
pub struct NotFound {
    /// What was looked for.
    pub name: String,
}

/// A run that did not succeed, with enough to repeat it by hand.
#[derive(Debug, thiserror::Error)]
#[error("{command}")]
pub struct ToolError {
    /// The command line, quoted for a shell.
    pub command: String,
    /// What happened.
    #[source]
    pub cause: ToolCause,
}

/// Why a run did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolCause {
    /// It did not start.
    #[error("could not start")]
    Start(#[source] io::Error),
    /// Its output could not be read.
    #[error("lost its output")]
    Output(#[source] io::Error),
    /// It ended with anything but zero.
    #[error("{status}; last words: {}", last_words.last().map_or("none", |line| line.as_str()))]
    Exit {
        /// How it ended.
        status: ExitStatus,
        /// The last lines that it wrote to standard error.
        last_words: Vec<String>,
    },
    /// Somebody asked the factory to stop. Not transparent: `interrupt::caused` looks for the
    /// source.
    #[error("stopped")]
    Interrupted(#[from] Interrupted),
}

impl Tool {
    /// The program `name` in `PATH`.
    pub fn find(name: &str) -> Result<Self, NotFound> {
        let executable = |path: &PathBuf| {
            path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
        };
        let dirs = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&dirs)
            .map(|dir| dir.join(name))
            .find(executable)
            .map(Self::at)
            .ok_or_else(|| NotFound { name: name.to_owned() })
    }

    /// The program at `program`.
    pub fn at(program: impl Into<PathBuf>) -> Self {
        let inherited = |name: &&str| Some((OsString::from(name), env::var_os(name)?));
        let mut env: Vec<_> = PASSED_ON.iter().filter_map(inherited).collect();
        // Messages are read by programs: ours.
        env.push(("LC_ALL".into(), "C.UTF-8".into()));
        Self { program: program.into(), env }
    }

    /// The executable.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let name = name.into();
        self.env.retain(|(other, _)| *other != name);
        self.env.push((name, value.into()));
        self
    }

    /// Removes a variable of the environment.
    #[must_use]
    pub fn without_env(mut self, name: &str) -> Self {
        self.env.retain(|(other, _)| other != name);
        self
    }

    /// Passes on every variable of the caller whose name `choose` wants.
    #[must_use]
    pub fn inherit(self, choose: impl Fn(&str) -> bool) -> Self {
        env::vars_os()
            .filter(|(name, _)| name.to_str().is_some_and(&choose))
            .fold(self, |tool, (name, value)| tool.env(name, value))
    }

    /// Becomes the tool: it takes the place of this process, with its terminal, its exit code, and
    /// all of its environment, to which `variable` is added. Returns only if that fails.
    pub fn become_it(
        &self,
        args: impl IntoIterator<Item = OsString>,
        (name, value): (&str, &str),
    ) -> ToolError {
        let args: Vec<_> = args.into_iter().collect();
        let command = self.run(args.iter().cloned()).to_string();
        let mut program = std::process::Command::new(&self.program);
        let cause = program.args(args).env(name, value).exec();
        ToolError { command, cause: ToolCause::Start(cause) }
    }

    /// A run of the tool that has not started yet.
    pub fn run<A: Into<OsString>>(&self, args: impl IntoIterator<Item = A>) -> Run<'_> {
        let args = args.into_iter().map(Into::into).collect();
        Run { tool: self, args, dir: None, own_group: true, stdout_is_log: false, cleans_up: false }
    }
}

/// A run of a [`Tool`] that has not started yet.
#[derive(Debug)]
#[must_use = "nothing runs until `output` or `stream` is called"]
pub struct Run<'a> {
    tool: &'a Tool,
    args: Vec<OsString>,
    dir: Option<PathBuf>,
    own_group: bool,
    stdout_is_log: bool,
    cleans_up: bool,
}

/// The command line, quoted for a shell: what a person would type to repeat the run.
impl fmt::Display for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quoted(self.tool.program.as_os_str()))?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", quoted(arg)))
    }
}

impl Run<'_> {
    /// Runs in `dir`.
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Leaves the program in our process group, so that it may ask for a password on the
    /// terminal. Ctrl-C reaches it there by itself.
    pub fn in_our_group(mut self) -> Self {
        self.own_group = false;
        self
    }

    /// Takes standard output for a log as well: its lines are handed on and kept for the error
    /// message like those of standard error, in the order in which they came. `output` and
    /// `stream` return nothing then.
    pub fn stdout_is_log(mut self) -> Self {
        self.stdout_is_log = true;
        self
    }

    /// Runs to the end even though somebody asked the factory to stop: for what is run because of
    /// that. Ctrl-C does not reach it.
    pub fn cleans_up(mut self) -> Self {
        self.cleans_up = true;
        self
    }

    /// Runs the tool to its end on our own standard output and standard error: for programs that
    /// talk to the person at the terminal.
    pub fn show(self) -> Result<(), ToolError> {
        let command = self.to_string();
        let fail = |cause| ToolError { command: command.clone(), cause };
        interrupt::check().map_err(|e| fail(e.into()))?;
        let mut expression = duct::cmd(&self.tool.program, &self.args)
            .full_env(self.tool.env.iter().cloned())
            .stdin_null()
            .unchecked();
        if let Some(dir) = &self.dir {
            expression = expression.dir(dir);
        }
        let output = expression.run().map_err(|e| fail(ToolCause::Start(e)))?;
        interrupt::check().map_err(|e| fail(e.into()))?;
        if output.status.success() {
            return Ok(());
        }
        Err(fail(ToolCause::Exit { status: output.status, last_words: Vec::new() }))
    }

    /// Runs the tool to its end and returns its standard output.
    pub fn output(self) -> Result<Vec<u8>, ToolError> {
        self.stream(|_| ())
    }

    /// Runs the tool to its end, hands on each line of its standard error as it comes, and
    /// returns its standard output.
    pub fn stream(self, mut on_line: impl FnMut(&str)) -> Result<Vec<u8>, ToolError> {
        let command = self.to_string();
        let fail = |cause| ToolError { command: command.clone(), cause };
        let check = || if self.cleans_up { Ok(()) } else { interrupt::check() };
        check().map_err(|e| fail(e.into()))?;

        let (stderr, stderr_end) = os_pipe::pipe().map_err(|e| fail(ToolCause::Start(e)))?;
        let mut expression = duct::cmd(&self.tool.program, &self.args)
            .full_env(self.tool.env.iter().cloned())
            .stdin_null()
            .unchecked();
        expression = if self.stdout_is_log {
            expression.stdout_to_stderr()
        } else {
            expression.stdout_capture()
        };
        expression = expression.stderr_file(stderr_end);
        if let Some(dir) = &self.dir {
            expression = expression.dir(dir);
        }
        if self.own_group {
            expression = expression.before_spawn(|command| {
                command.process_group(0);
                Ok(())
            });
        }
        let handle = expression.start().map_err(|e| fail(ToolCause::Start(e)))?;
        // The expression holds a copy of our end of the pipe, which would keep it open.
        drop(expression);
        let heard = self.own_group && !self.cleans_up;
        let leader = handle.pids().first().copied().filter(|_| heard);
        let group = leader.and_then(Group::register);

        let mut last_words = Vec::new();
        let read = for_each_line(stderr, |line| {
            if last_words.len() == LAST_WORDS {
                last_words.remove(0);
            }
            last_words.push(line.to_owned());
            on_line(line);
        });
        let ended = handle.wait();
        drop(group);
        check().map_err(|e| fail(e.into()))?;
        read.map_err(|e| fail(ToolCause::Output(e)))?;
        let output = ended.map_err(|e| fail(ToolCause::Output(e)))?;
        if output.status.success() {
            return Ok(output.stdout.clone());
        }
        Err(fail(ToolCause::Exit { status: output.status, last_words }))
    }
}

fn for_each_line(from: impl io::Read, mut on_line: impl FnMut(&str)) -> io::Result<()> {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut from).take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') {
            from.skip_until(b'\n')?;
        }
        on_line(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
    }
}

fn quoted(arg: &OsStr) -> String {
    let text = arg.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@+%^#".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_shows_command_and_last_words() {
        let error = Tool::at("/bin/ls").run(["/no such"]).output().unwrap_err();
        assert_eq!(error.to_string(), "/bin/ls '/no such'");
        let cause = error.cause.to_string();
        assert!(cause.contains("last words: ") && cause.contains("No such file"), "{cause}");
    }

    #[test]
    fn environment_is_what_was_given() {
        let tool = Tool::at("/usr/bin/env").env("TZ", "UTC");
        let text = String::from_utf8(tool.run([""; 0]).output().unwrap()).unwrap();
        let mut names: Vec<_> = text.lines().map(|l| l.split('=').next().unwrap()).collect();
        names.retain(|name| !PASSED_ON.contains(name));
        assert_eq!(names, ["LC_ALL", "TZ"]);
    }

    #[test]
    fn lines_arrive_and_output_is_kept_apart() {
        let tool = Tool::find("sh").unwrap();
        let mut lines = Vec::new();
        let script = "echo out; echo one >&2; printf two >&2";
        let out = tool.run(["-c", script]).stream(|line| lines.push(line.to_owned())).unwrap();
        assert_eq!(out, b"out\n");
        assert_eq!(lines, ["one", "two"]);
    }

    #[test]
    fn output_that_is_a_log_is_kept_in_order() {
        let tool = Tool::find("sh").unwrap();
        let mut lines = Vec::new();
        let run = tool.run(["-c", "echo one; echo two >&2; echo three; exit 1"]).stdout_is_log();
        let error = run.stream(|line| lines.push(line.to_owned())).unwrap_err();
        assert_eq!(lines, ["one", "two", "three"]);
        assert!(error.cause.to_string().ends_with("last words: three"), "{}", error.cause);
    }

    #[test]
    fn children_do_not_outlive_the_run() {
        let tool = Tool::find("sh").unwrap();
        let out = tool.run(["-c", "sleep 1000 >/dev/null 2>&1 & echo $!"]).output().unwrap();
        let pid = String::from_utf8(out).unwrap();
        let stat = PathBuf::from(format!("/proc/{}/stat", pid.trim()));
        for _ in 0..100 {
            // Nobody may be there to collect it: dead is enough.
            match std::fs::read_to_string(&stat) {
                Ok(text) if !text.contains(") Z ") => {
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
                _ => return,
            }
        }
        panic!("process {pid} still runs");
    }
}

//! What Nix says while it works: `--log-format internal-json`.
//!
//! One JSON object a line. On standard error each begins with `@nix `, and lines of other programs
//! (ssh, git) come between. Activities start, have results and stop; stopping is not success. The
//! numbers grow with each release and are not the same in all flavors: 109 and 110 among the
//! results mean one thing in Nix and another in Determinate Nix. So only the ones below are read,
//! and the rest is nothing.

use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;
use serde_json::Value;

/// Lines of a build log that are kept for the report of its failure.
pub const TAIL_LINES: usize = 20;

/// Ended builds whose last lines are kept: the failure is told after the end.
const MAX_ENDED: usize = 64;

/// Messages that are kept for the classification of a failure.
const MAX_MESSAGES: usize = 64;

/// `ActivityType` of Nix's `logging.hh`.
mod activity {
    pub(super) const COPY_PATH: u64 = 100;
    pub(super) const FILE_TRANSFER: u64 = 101;
    pub(super) const COPY_PATHS: u64 = 103;
    pub(super) const BUILDS: u64 = 104;
    pub(super) const BUILD: u64 = 105;
}

/// `ResultType` of Nix's `logging.hh`.
mod result {
    pub(super) const BUILD_LOG_LINE: u64 = 101;
    pub(super) const SET_PHASE: u64 = 104;
    pub(super) const PROGRESS: u64 = 105;
    pub(super) const SET_EXPECTED: u64 = 106;
}

/// How much a message matters: `Verbosity` of Nix's `logging.hh`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The run fails.
    Error,
    /// It goes on.
    Warning,
    /// For everybody.
    Notice,
    /// For whoever asks, with lines of other programs.
    Info,
}

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Numbers changed.
    Progress(Progress),
    /// A build began.
    BuildStarted {
        /// Store path of the derivation.
        derivation: String,
        /// The machine that builds; empty for this one.
        machine: String,
    },
    /// A build came to another phase.
    Phase {
        /// Store path of the derivation.
        derivation: String,
        /// `unpackPhase`, `buildPhase`, ….
        phase: String,
    },
    /// A build said something.
    BuildLine {
        /// Store path of the derivation.
        derivation: String,
        /// One line, without colors.
        line: String,
    },
    /// A build ended, well or not.
    BuildEnded {
        /// Store path of the derivation.
        derivation: String,
    },
    /// Nix said something.
    Message {
        /// How much it matters.
        level: Level,
        /// One or more lines, without colors.
        text: String,
    },
}

/// Where a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Derivations.
    pub builds: Counts,
    /// Store paths that come from other stores.
    pub copies: Counts,
    /// Bytes that come from other stores.
    pub copied_bytes: Counts,
    /// Bytes that come from the network.
    pub downloaded_bytes: Counts,
}

/// How much of something there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Finished.
    pub done: u64,
    /// Finished in the end, as far as is known now.
    pub expected: u64,
    /// Under way.
    pub running: u64,
    /// Given up.
    pub failed: u64,
}

/// A line as Nix writes it. What is unknown is dropped here.
#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
enum Action {
    Start {
        id: u64,
        #[serde(rename = "type")]
        kind: u64,
        #[serde(default)]
        fields: Vec<Value>,
    },
    Stop {
        id: u64,
    },
    Result {
        id: u64,
        #[serde(rename = "type")]
        kind: u64,
        #[serde(default)]
        fields: Vec<Value>,
    },
    Msg {
        level: u64,
        msg: String,
        /// The message without the trace above it.
        raw_msg: Option<String>,
    },
    #[serde(other)]
    Unknown,
}

/// All that a run said, as far as anybody may ask for it.
#[derive(Debug, Default)]
pub struct Log {
    activities: BTreeMap<u64, Activity>,
    by_type: BTreeMap<u64, ByType>,
    ended: VecDeque<BuildTail>,
    messages: VecDeque<Message>,
    progress: Progress,
}

/// What Nix said at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// How much it matters.
    pub level: Level,
    /// The message itself, without the trace above it.
    pub text: String,
    /// With the trace.
    pub full: String,
}

/// The end of the log of one build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct BuildTail {
    derivation: String,
    lines: VecDeque<String>,
}

#[derive(Debug)]
struct Activity {
    kind: u64,
    counts: Counts,
    expected: BTreeMap<u64, u64>,
    build: Option<BuildTail>,
}

/// As Nix's own progress bar counts: what ended activities did, and what was announced for all
/// activities of the type.
#[derive(Debug, Default)]
struct ByType {
    done: u64,
    failed: u64,
    expected: u64,
}

impl Log {
    /// Takes in one line, and says what happened. Any line is valid.
    pub fn line(&mut self, line: &str) -> Option<Event> {
        let json = line.strip_prefix("@nix ").or_else(|| line.starts_with('{').then_some(line));
        let Some(action) = json.and_then(|json| serde_json::from_str(json).ok()) else {
            let text = plain(line);
            return (!text.trim().is_empty())
                .then(|| self.message(Level::Info, text.clone(), text));
        };
        match action {
            Action::Start { id, kind, fields } => self.start(id, kind, &fields),
            Action::Stop { id } => self.stop(id),
            Action::Result { id, kind, fields } => self.result(id, kind, &fields),
            Action::Msg { level, msg, raw_msg } => {
                let full = plain(&msg);
                let text = raw_msg.map_or_else(|| full.clone(), |raw| plain(&raw));
                let level = match level {
                    0 => Level::Error,
                    1 => Level::Warning,
                    2 => Level::Notice,
                    3 => Level::Info,
                    _ => return None,
                };
                Some(self.message(level, text, full))
            }
            Action::Unknown => None,
        }
    }

    /// Where the run is.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// What Nix said, oldest first.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter()
    }

    /// The last lines, at most [`TAIL_LINES`], that the build of `derivation` said.
    pub fn tail(&self, derivation: &str) -> Vec<String> {
        let running = self.activities.values().filter_map(|a| a.build.as_ref());
        let mut builds = self.ended.iter().rev().chain(running);
        let found = builds.find(|build| build.derivation == derivation);
        found.map(|build| build.lines.iter().cloned().collect()).unwrap_or_default()
    }

    /// The last derivation whose build ended or runs.
    pub fn last_build(&self) -> Option<&str> {
        let running = self.activities.values().filter_map(|a| a.build.as_ref());
        running.chain(self.ended.iter().rev()).map(|build| build.derivation.as_str()).next()
    }

    fn message(&mut self, level: Level, text: String, full: String) -> Event {
        if self.messages.len() == MAX_MESSAGES {
            // Information goes before errors do.
            let first = self.messages.iter().position(|m| m.level > Level::Error).unwrap_or(0);
            self.messages.remove(first);
        }
        self.messages.push_back(Message { level, text, full: full.clone() });
        Event::Message { level, text: full }
    }

    fn start(&mut self, id: u64, kind: u64, fields: &[Value]) -> Option<Event> {
        let text = |index: usize| fields.get(index).and_then(Value::as_str).unwrap_or_default();
        let build = (kind == activity::BUILD)
            .then(|| BuildTail { derivation: plain(text(0)), lines: VecDeque::new() });
        let event = build.as_ref().map(|build| Event::BuildStarted {
            derivation: build.derivation.clone(),
            machine: plain(text(1)),
        });
        let counts = Counts::default();
        self.activities.insert(id, Activity { kind, counts, expected: BTreeMap::new(), build });
        event
    }

    fn stop(&mut self, id: u64) -> Option<Event> {
        let activity = self.activities.remove(&id)?;
        for (kind, expected) in &activity.expected {
            let by_type = self.by_type.entry(*kind).or_default();
            by_type.expected = by_type.expected.saturating_sub(*expected);
        }
        let by_type = self.by_type.entry(activity.kind).or_default();
        by_type.done = by_type.done.saturating_add(activity.counts.done);
        by_type.failed = by_type.failed.saturating_add(activity.counts.failed);
        if let Some(build) = activity.build {
            let derivation = build.derivation.clone();
            if self.ended.len() == MAX_ENDED {
                self.ended.pop_front();
            }
            self.ended.push_back(build);
            return Some(Event::BuildEnded { derivation });
        }
        self.count(activity.kind)
    }

    fn result(&mut self, id: u64, kind: u64, fields: &[Value]) -> Option<Event> {
        let number = |index: usize| fields.get(index).and_then(Value::as_u64);
        let text = || fields.first().and_then(Value::as_str);
        let activity = self.activities.get_mut(&id)?;
        match kind {
            result::BUILD_LOG_LINE => {
                let build = activity.build.as_mut()?;
                let line = plain(text()?);
                if build.lines.len() == TAIL_LINES {
                    build.lines.pop_front();
                }
                build.lines.push_back(line.clone());
                Some(Event::BuildLine { derivation: build.derivation.clone(), line })
            }
            result::SET_PHASE => {
                let derivation = activity.build.as_ref()?.derivation.clone();
                Some(Event::Phase { derivation, phase: plain(text()?) })
            }
            result::PROGRESS => {
                let [done, expected] = [number(0)?, number(1)?];
                let [running, failed] = [2, 3].map(|index| number(index).unwrap_or(0));
                activity.counts = Counts { done, expected, running, failed };
                let kind = activity.kind;
                self.count(kind)
            }
            result::SET_EXPECTED => {
                let (kind, expected) = (number(0)?, number(1)?);
                let before = activity.expected.insert(kind, expected).unwrap_or(0);
                let by_type = self.by_type.entry(kind).or_default();
                by_type.expected = by_type.expected.saturating_sub(before).saturating_add(expected);
                self.count(kind)
            }
            _ => None,
        }
    }

    /// Sums up the activities of one type again.
    fn count(&mut self, kind: u64) -> Option<Event> {
        let before = self.progress;
        let slot = match kind {
            activity::BUILDS => &mut self.progress.builds,
            activity::COPY_PATHS => &mut self.progress.copies,
            activity::COPY_PATH => &mut self.progress.copied_bytes,
            activity::FILE_TRANSFER => &mut self.progress.downloaded_bytes,
            _ => return None,
        };
        let by_type = self.by_type.entry(kind).or_default();
        let mut sum = Counts { done: by_type.done, failed: by_type.failed, ..Counts::default() };
        sum.expected = sum.done;
        for activity in self.activities.values().filter(|activity| activity.kind == kind) {
            sum.done = sum.done.saturating_add(activity.counts.done);
            sum.expected = sum.expected.saturating_add(activity.counts.expected);
            sum.running = sum.running.saturating_add(activity.counts.running);
            sum.failed = sum.failed.saturating_add(activity.counts.failed);
        }
        sum.expected = sum.expected.max(by_type.expected);
        *slot = sum;
        (self.progress != before).then_some(Event::Progress(self.progress))
    }
}

/// Text without what steers a terminal: colors, links, carriage returns, bells. Tabs and line
/// feeds stay.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.next() {
                // CSI: parameters, then one final character.
                Some('[') => {
                    chars.by_ref().find(|c| ('@'..='~').contains(c));
                }
                // OSC: up to a bell, or to a string terminator, of which the rest is one character.
                Some(']') => {
                    let end = chars.by_ref().find(|c| ['\u{7}', '\u{1b}'].contains(c));
                    if end == Some('\u{1b}') {
                        chars.next();
                    }
                }
                _ => {}
            },
            '\n' | '\t' => plain.push(c),
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(lines: &[&str]) -> (Log, Vec<Event>) {
        let mut log = Log::default();
        let events = lines.iter().filter_map(|line| log.line(line)).collect();
        (log, events)
    }

    #[test]
    fn terminals_are_not_steered() {
        assert_eq!(plain("\u{1b}[31;1merror:\u{1b}[0m a\tb\r\u{7}\nc"), "error: a\tb\nc");
        assert_eq!(plain("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{7}!"), "link!");
        assert_eq!(plain("\u{1b}["), "");
        assert_eq!(plain("\u{1b}"), "");
    }

    #[test]
    fn both_channels_and_other_programs() {
        let (_, events) = events(&[
            r#"@nix {"action":"msg","level":1,"msg":"\u001b[35;1mwarning:\u001b[0m dirty"}"#,
            r#"{"action":"msg","level":3,"msg":"bare"}"#,
            "Host key verification failed.",
            "",
            r#"@nix {"action":"msg","level":6,"msg":"debug"}"#,
            r#"@nix {"action":"frobnicate","id":1}"#,
            "@nix {broken",
        ]);
        let texts: Vec<_> = events
            .iter()
            .map(|event| match event {
                Event::Message { level, text } => (*level, text.as_str()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            texts,
            [
                (Level::Warning, "warning: dirty"),
                (Level::Info, "bare"),
                (Level::Info, "Host key verification failed."),
                (Level::Info, "@nix {broken"),
            ]
        );
    }

    #[test]
    fn bytes_add_up_over_activities() {
        let (log, _) = events(&[
            r#"@nix {"action":"start","id":1,"level":0,"text":"","type":102}"#,
            r#"@nix {"action":"result","fields":[101,1000],"id":1,"type":106}"#,
            r#"@nix {"action":"start","fields":["http://a"],"id":2,"level":4,"text":"","type":101}"#,
            r#"@nix {"action":"result","fields":[400,400,0,0],"id":2,"type":105}"#,
            r#"@nix {"action":"stop","id":2}"#,
            r#"@nix {"action":"start","fields":["http://b"],"id":3,"level":4,"text":"","type":101}"#,
            r#"@nix {"action":"result","fields":[100,600,0,0],"id":3,"type":105}"#,
        ]);
        let Counts { done, expected, .. } = log.progress().downloaded_bytes;
        assert_eq!((done, expected), (500, 1000));
    }

    /// What a line may hold is bounded by the one who reads it; what we keep of lines is bounded
    /// here.
    #[test]
    fn memory_does_not_grow() {
        let mut log = Log::default();
        for id in 0..1000 {
            log.line(&format!(
                r#"{{"action":"start","id":{id},"level":3,"text":"","type":105,"fields":["/{id}.drv","",1,1]}}"#
            ));
            for line in 0..30 {
                log.line(&format!(
                    r#"{{"action":"result","id":{id},"type":101,"fields":["line {line}"]}}"#
                ));
            }
            log.line(&format!(r#"{{"action":"stop","id":{id}}}"#));
            log.line(r#"{"action":"msg","level":0,"msg":"error: no"}"#);
        }
        assert!(log.activities.is_empty());
        assert_eq!((log.ended.len(), log.messages.len()), (MAX_ENDED, MAX_MESSAGES));
        assert_eq!(log.tail("/999.drv").len(), TAIL_LINES);
        assert_eq!(log.tail("/999.drv").last().unwrap(), "line 29");
        assert_eq!(log.last_build(), Some("/999.drv"));
    }

    #[test]
    fn any_numbers_and_shapes_are_taken() {
        for line in [
            r#"@nix {"action":"result","id":7,"type":105,"fields":[1,2]}"#,
            r#"@nix {"action":"start","id":7,"type":105}"#,
            r#"@nix {"action":"result","id":7,"type":101,"fields":[3]}"#,
            r#"@nix {"action":"result","id":7,"type":105,"fields":[-1,"x"]}"#,
            r#"@nix {"action":"result","id":7,"type":106,"fields":[18446744073709551615,1]}"#,
            r#"@nix {"action":"result","id":7,"type":110,"payload":{"success":true}}"#,
            r#"@nix {"action":"stop","id":8}"#,
            r#"@nix {"action":"stop"}"#,
            "@nix []",
            "@nix ",
        ] {
            let mut log = Log::default();
            log.line(r#"@nix {"action":"start","id":7,"type":104,"level":0,"text":""}"#);
            log.line(line);
        }
    }
}

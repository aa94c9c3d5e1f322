//! Progress on standard error: bars on a terminal, lines elsewhere, JSON where it was asked for.

use std::{
    io::{IsTerminal as _, stderr},
    sync::Mutex,
    time::{Duration, Instant},
};

use image_factory::{Event, Step, driver, nix};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle as BarStyle};
use serde_json::json;

use crate::args::ProgressStyle;

/// Shows the events of the factory.
pub(crate) struct Progress {
    shown: Shown,
}

enum Shown {
    Bar(Box<Mutex<Bar>>),
    Lines,
    Json,
    Nothing,
}

struct Bar {
    bar: ProgressBar,
    step: Option<Step>,
    /// When the step began of which the end will be told.
    begun: Instant,
    nix: nix::Display,
}

const SPINNER: &str = "{spinner} {prefix:8} {wide_msg} {elapsed}";
const BYTES: &str =
    "{spinner} {prefix:8} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec} {eta} left";

impl Progress {
    pub(crate) fn new(style: ProgressStyle) -> Self {
        let terminal = stderr().is_terminal();
        let shown = match style {
            ProgressStyle::Auto if terminal => {
                let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
                let (begun, nix) = (Instant::now(), nix::Display::default());
                Shown::Bar(Box::new(Mutex::new(Bar { bar, step: None, begun, nix })))
            }
            ProgressStyle::Auto | ProgressStyle::Plain => Shown::Lines,
            ProgressStyle::Json => Shown::Json,
            ProgressStyle::None => Shown::Nothing,
        };
        Self { shown }
    }

    /// Shows one event.
    pub(crate) fn show(&self, event: &Event) {
        match &self.shown {
            Shown::Bar(bar) => bar.lock().expect("no holder of this lock panics").show(event),
            Shown::Lines => {
                if let Some(line) = line(event) {
                    eprintln!("{line}");
                }
            }
            Shown::Json => eprintln!("{}", to_json(event)),
            Shown::Nothing => {
                if let Some(warning) = warning(event) {
                    eprintln!("{warning}");
                }
            }
        }
    }

    /// Takes the bar off the screen.
    pub(crate) fn clear(&self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.lock().expect("no holder of this lock panics").bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Bar {
    fn start(&mut self, step: Step) {
        self.step = Some(step);
        self.bar.reset();
        self.bar.unset_length();
        self.bar.set_style(style(SPINNER));
        self.bar.set_prefix(step.as_str());
        self.bar.set_message("");
        self.bar.enable_steady_tick(Duration::from_millis(100));
    }

    fn show(&mut self, event: &Event) {
        match event {
            Event::Started(step) => {
                self.begun = Instant::now();
                self.start(*step);
            }
            Event::Progress { step, done, total } => {
                let is_new = self.step != Some(*step);
                if is_new {
                    self.start(*step);
                }
                if let Some(total) = total
                    && self.bar.length() != Some(*total)
                {
                    self.bar.set_length(*total);
                    self.bar.set_style(style(BYTES));
                }
                self.bar.set_position(*done);
                if is_new {
                    // What was done before this step is shown says nothing of its speed.
                    self.bar.reset_eta();
                }
            }
            Event::Finished(step) => {
                let elapsed = self.begun.elapsed().as_secs_f64();
                self.bar.println(format!("{:8} done in {elapsed:.1} s", step.as_str()));
            }
            Event::Driver(driver::Event::Log(text)) => self.bar.set_message(text.clone()),
            Event::Nix(event) => {
                if let Some(warning) = warning_of_nix(event) {
                    self.bar.println(warning);
                }
                self.bar.set_message(self.nix.line(event));
            }
            Event::Notice(_) | Event::Driver(_) => {
                if let Some(line) = line(event) {
                    self.bar.println(line);
                }
            }
        }
    }
}

fn style(template: &str) -> BarStyle {
    BarStyle::with_template(template).expect("the templates are constants")
}

/// The event as a line for a log, unless it is one of many.
fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::Notice(text) => format!("note: {text}"),
        Event::Started(step) => format!("{}: begins", step.as_str()),
        Event::Finished(step) => format!("{}: done", step.as_str()),
        Event::Progress { .. } => return None,
        Event::Driver(driver::Event::Step(text) | driver::Event::Log(text)) => {
            format!("build: {text}")
        }
        Event::Driver(driver::Event::Warning(text)) => format!("warning: {text}"),
        Event::Nix(nix::Event::Progress(_)) => return None,
        Event::Nix(event) => format!("nix: {}", nix::describe(event)),
    })
}

fn warning(event: &Event) -> Option<String> {
    match event {
        Event::Notice(text) => Some(format!("note: {text}")),
        Event::Driver(driver::Event::Warning(text)) => Some(format!("warning: {text}")),
        Event::Nix(event) => warning_of_nix(event),
        _ => None,
    }
}

fn warning_of_nix(event: &nix::Event) -> Option<String> {
    match event {
        nix::Event::Message { level: nix::Level::Error | nix::Level::Warning, text } => {
            Some(format!("nix: {text}"))
        }
        _ => None,
    }
}

fn to_json(event: &Event) -> serde_json::Value {
    match event {
        Event::Notice(text) => json!({ "event": "notice", "text": text }),
        Event::Started(step) => json!({ "event": "started", "step": step.as_str() }),
        Event::Finished(step) => json!({ "event": "finished", "step": step.as_str() }),
        Event::Progress { step, done, total } => {
            json!({ "event": "progress", "step": step.as_str(), "done": done, "total": total })
        }
        Event::Driver(driver::Event::Step(text)) => json!({ "event": "step", "text": text }),
        Event::Driver(driver::Event::Log(text)) => json!({ "event": "log", "text": text }),
        Event::Driver(driver::Event::Warning(text)) => json!({ "event": "warning", "text": text }),
        Event::Nix(nix::Event::Progress(progress)) => json!({
            "event": "nix-progress",
            "builds": counts(&progress.builds),
            "copies": counts(&progress.copies),
            "copiedBytes": counts(&progress.copied_bytes),
            "downloadedBytes": counts(&progress.downloaded_bytes),
        }),
        Event::Nix(event) => json!({ "event": "nix", "text": nix::describe(event) }),
    }
}

fn counts(counts: &nix::Counts) -> serde_json::Value {
    json!({
        "done": counts.done,
        "expected": counts.expected,
        "running": counts.running,
        "failed": counts.failed,
    })
}

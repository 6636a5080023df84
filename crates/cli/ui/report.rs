//! Everything that is said on stderr: progress, warnings, errors. Data goes to stdout elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use serde_json::{Value, json};
use viking_export::config::environment::variable;
use viking_export::event::{Progress, TaskProgress};
use viking_export::{Event, Listener};

use super::failure::Failure;
use super::plain::{json_line, one_line};
use super::text::text;
use crate::args::{ProgressForm, TalkArgs, When};

/// The version of the JSON events. Changes only add to it.
const EVENT_SCHEMA: u32 = 1;

/// Off a terminal, progress is a line this often.
const LINE_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Bar,
    Json,
    None,
    Plain,
}

/// Speaks on stderr.
#[derive(Debug)]
pub(crate) struct Report {
    form: Form,
    color: bool,
    quiet: bool,
    bar: ProgressBar,
    start: Instant,
    last_line: Mutex<Option<Instant>>,
    last_state: Mutex<String>,
}

impl Listener for Report {
    fn on_event(&self, event: &Event) {
        match event {
            Event::Task(task) => self.task(event, task),
            Event::Progress(progress) => self.progress(event, *progress),
            event => self.say(event, &text(event)),
        }
    }
}

impl Report {
    /// Speaks in plain lines, before it is known how to.
    pub(crate) fn plain() -> Self {
        Self {
            form: Form::Plain,
            color: false,
            quiet: false,
            bar: ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()),
            start: Instant::now(),
            last_line: Mutex::new(None),
            last_state: Mutex::default(),
        }
    }

    pub(crate) fn new(talk: &TalkArgs) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let is_dumb = variable("TERM").is_some_and(|term| term == "dumb");
        let form = match talk.progress {
            ProgressForm::Auto if is_terminal && !is_dumb => Form::Bar,
            ProgressForm::Auto | ProgressForm::Plain => Form::Plain,
            // Off a terminal a bar would leave nothing but escapes.
            ProgressForm::Bar if is_terminal => Form::Bar,
            ProgressForm::Bar => Form::Plain,
            ProgressForm::Json => Form::Json,
            ProgressForm::None => Form::None,
        };
        let color = match talk.color {
            When::Always => true,
            When::Never => false,
            When::Auto => is_terminal && !is_dumb && variable("NO_COLOR").is_none(),
        };
        let quiet = talk.quiet;
        Self {
            form: if quiet && form != Form::Json { Form::None } else { form },
            color,
            quiet,
            ..Self::plain()
        }
    }

    /// Shows an event, in these words where it is shown to a person.
    pub(crate) fn say(&self, event: &Event, text: &str) {
        match (self.form, event) {
            (Form::Json, _) => self.event(event, text),
            (_, Event::Warning(_)) => {
                if !self.quiet {
                    self.line(&format!("{} {}", self.paint("33", "warning:"), one_line(text)));
                }
            }
            (Form::None, _) => {}
            // The bar shows these already.
            (Form::Bar, Event::Object { .. } | Event::Resumed { .. }) => {}
            (Form::Bar, _) => {
                // What it showed is over.
                self.bar.finish_and_clear();
                self.line(&one_line(text));
            }
            (Form::Plain, _) => self.line(&one_line(text)),
        }
    }

    /// Says something that is no event of a run.
    pub(crate) fn hint(&self, text: &str) {
        if matches!(self.form, Form::Bar | Form::Plain) {
            self.line(&one_line(text));
        }
    }

    /// Says why the program ends.
    pub(crate) fn failure(&self, failure: &Failure) {
        self.bar.finish_and_clear();
        let causes: Vec<String> = failure.error.chain().map(ToString::to_string).collect();
        if self.form == Form::Json {
            let message = causes.join(": ");
            let fields =
                json!({"exit": failure.exit.code(), "message": message, "hints": failure.hints});
            return self.object("error", fields);
        }
        let mut text = format!("{} {}", self.paint("31;1", "error:"), one_line(&causes[0]));
        for cause in &causes[1..] {
            text += &format!("\n  because: {}", one_line(cause));
        }
        for hint in &failure.hints {
            text += &format!("\n{} {}", self.paint("36", "hint:"), one_line(hint));
        }
        self.line(&text);
    }

    /// Shows the state of a task.
    fn task(&self, event: &Event, task: &TaskProgress) {
        let percent = task.percent.map_or_else(String::new, |percent| format!(" {percent}%"));
        if self.form == Form::Bar {
            self.show_bar("{spinner} {msg}");
            self.bar.set_message(one_line(&text(event)).into_owned());
            self.bar.tick();
        } else if self.is_news(&format!("{} {percent}", task.state)) {
            self.say(event, &text(event));
        }
    }

    /// Whether this state was not said just now. The same one is said again every few seconds.
    fn is_news(&self, state: &str) -> bool {
        let (mut last, mut line) = (self.last_state.lock(), self.last_line.lock());
        let is_news = *last != state || line.is_none_or(|line| line.elapsed() >= LINE_EVERY);
        if is_news {
            state.clone_into(&mut last);
            *line = Some(Instant::now());
        }
        is_news
    }

    /// Shows how far a download is; off a terminal a line every few seconds.
    fn progress(&self, event: &Event, progress: Progress) {
        if self.form == Form::Bar {
            // Rows and a bar on one terminal would write over each other.
            if io::stdout().is_terminal() && !progress.is_to_file {
                return;
            }
            self.show_bar("{bar:24} {bytes}/{total_bytes} {binary_bytes_per_sec} {msg}");
            self.bar.set_length(progress.bytes_total);
            self.bar.set_position(progress.bytes);
            let Progress { objects, objects_total, rows, .. } = progress;
            self.bar.set_message(format!("{objects}/{objects_total} objects, {rows} rows"));
            return;
        }
        let mut last = self.last_line.lock();
        if last.unwrap_or(self.start).elapsed() < LINE_EVERY {
            return;
        }
        *last = Some(Instant::now());
        drop(last);
        self.say(event, &text(event));
    }

    /// Takes the bar away before something else is shown or the program ends.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn show_bar(&self, template: &str) {
        if self.bar.is_hidden() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        if self.bar.is_finished() {
            self.bar.reset();
        }
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
    }

    /// The JSON form of an event. A warning's message is the one that a person gets.
    fn event(&self, event: &Event, text: &str) {
        let Ok(Value::Object(mut fields)) = serde_json::to_value(event) else { return };
        if matches!(event, Event::Warning(_)) {
            fields.insert("message".to_owned(), text.into());
        }
        fields.insert("schema".to_owned(), EVENT_SCHEMA.into());
        self.line(&json_line(&Value::Object(fields).to_string()));
    }

    /// A JSON object that is no event of a run.
    fn object(&self, name: &str, mut fields: Value) {
        fields["schema"] = EVENT_SCHEMA.into();
        fields["event"] = name.into();
        self.line(&json_line(&fields.to_string()));
    }

    fn line(&self, text: &str) {
        // Where stderr is gone there is nobody left to tell.
        self.bar.suspend(|| io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap_or(()));
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

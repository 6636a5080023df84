//! A real terminal: the bar, colours, widths, questions.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::program::{Ended, Place, Service, Tos, example, example_rows};
use crate::secrets::search;

const ROWS: u16 = 30;

/// A terminal with a program on it.
struct Terminal {
    keyboard: File,
    child: Child,
    screen: JoinHandle<Shown>,
    so_far: Arc<Mutex<String>>,
}

/// What a terminal was given, and what it showed.
struct Shown {
    raw: String,
    /// The screen after each piece that came.
    frames: Vec<String>,
    code: Option<i32>,
}

impl Shown {
    fn last(&self) -> &str {
        self.frames.last().unwrap()
    }
}

/// What of a program is on the terminal; stdin and stderr always are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stdout {
    Away,
    OnTerminal,
}

fn open(columns: u16) -> (File, OwnedFd) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let size = Winsize { ws_row: ROWS, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&master, size).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    (File::from(master), slave.into())
}

impl Terminal {
    fn start(mut command: Command, columns: u16, stdout: Stdout) -> Self {
        let (master, slave) = open(columns);
        command.stdin(slave.try_clone().unwrap()).stderr(slave.try_clone().unwrap());
        command.stdout(match stdout {
            Stdout::Away => Stdio::null(),
            Stdout::OnTerminal => slave.try_clone().unwrap().into(),
        });
        let child = command.spawn().unwrap();
        // The terminal ends when nobody holds it any more.
        drop((command, slave));
        let mut reader = master.try_clone().unwrap();
        let so_far = Arc::<Mutex<String>>::default();
        let heard = Arc::clone(&so_far);
        let screen = std::thread::spawn(move || {
            let mut parser = vt100::Parser::new(ROWS, columns, 0);
            let (mut frames, mut bytes, mut raw) = (Vec::new(), [0; 4096], String::new());
            // The end of a terminal is an error on Linux.
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                parser.process(&bytes[..count]);
                frames.push(parser.screen().contents());
                raw += &String::from_utf8_lossy(&bytes[..count]);
                heard.lock().unwrap().clone_from(&raw);
            }
            Shown { raw, frames, code: None }
        });
        Self { keyboard: master, child, screen, so_far }
    }

    /// Waits until the terminal was given these words.
    fn wait_for(&mut self, words: &str) {
        while !self.so_far.lock().unwrap().contains(words) {
            let is_over = self.child.try_wait().unwrap().is_some() && self.screen.is_finished();
            assert!(!is_over, "{words:?} was never shown: {}", self.so_far.lock().unwrap());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    fn type_in(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    fn end(mut self) -> Shown {
        let code = self.child.wait().unwrap().code();
        let shown = self.screen.join().unwrap();
        search(&shown.raw);
        Shown { code, ..shown }
    }
}

fn on_terminal(place: &Place, arguments: &[&str], columns: u16, stdout: Stdout) -> Terminal {
    let mut command = place.command(arguments);
    if !command.get_envs().any(|(name, _)| name == "TERM") {
        command.env("TERM", "xterm-256color");
    }
    Terminal::start(command, columns, stdout)
}

const RUN: [&str; 9] =
    ["run", "example", "--all", "--to", "tos://demo/x", "--dir", "run", "--jobs", "1"];

#[test]
fn the_bar_moves_and_is_gone_at_the_end_at_any_width() {
    for columns in [40, 80, 200] {
        let tos = Tos::serving(example().parent().unwrap(), &["tos-slow=250"]);
        let place = tos.place();
        let run = [&RUN[..], &["-o", "rows.jsonl"]].concat();
        let shown = on_terminal(&place, &run, columns, Stdout::Away).end();
        assert_eq!(shown.code, Some(0), "{}", shown.raw);
        let bars: Vec<&str> = shown.frames.iter().flat_map(|frame| frame.lines()).collect();
        let is_bar = |line: &&&str| line.contains('█') || line.contains('░');
        let bars: Vec<&&str> = bars.iter().filter(is_bar).collect();
        assert!(bars.len() > 3, "{columns} columns: no bar in {}", shown.raw);
        let mut moves: Vec<usize> = bars.iter().map(|bar| bar.matches('█').count()).collect();
        moves.sort_unstable();
        moves.dedup();
        assert!(moves.len() > 2, "{columns} columns: it stands still: {bars:?}");
        assert!(shown.frames.iter().any(|frame| frame.contains("task ")), "the task's state");
        assert!(!shown.last().contains('█'), "{columns} columns: {}", shown.last());
        let end = shown.last().replace('\n', "");
        assert!(end.contains("21001 rows of 5 objects"), "{columns} columns: {}", shown.last());
        assert!(std::fs::read_to_string(place.path("rows.jsonl")).unwrap() == example_rows());
    }
}

#[test]
fn rows_on_the_same_terminal_are_not_torn_by_a_bar() {
    let tos = Tos::serving(example().parent().unwrap(), &["tos-slow=250"]);
    let place = tos.place();
    let run = [&RUN[..], &["-c", "id,city"]].concat();
    let shown = on_terminal(&place, &run, 200, Stdout::OnTerminal).end();
    assert_eq!(shown.code, Some(0));
    let rows: Vec<&str> = shown.raw.split("\r\n").filter(|line| line.starts_with('{')).collect();
    assert_eq!(rows.len(), 21_001);
    assert!(rows.iter().all(|row| row.ends_with('}') && !row.contains('\u{1b}')));
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let say = |settings: &[(&str, &str)], arguments: &[&str]| {
        let mut place = Place::new();
        for (name, value) in settings {
            place.set(name, value);
        }
        let all = [&["cat", "missing"], arguments].concat();
        on_terminal(&place, &all, 80, Stdout::Away).end()
    };
    let escape = "\u{1b}[31;1merror:";
    assert!(say(&[], &[]).raw.contains(escape));
    assert_eq!(say(&[], &[]).code, Some(4));
    assert!(say(&[("TERM", "dumb")], &["--color", "always"]).raw.contains(escape));
    for (settings, arguments) in [
        (&[("NO_COLOR", "1")][..], &[][..]),
        (&[("TERM", "dumb")], &[]),
        (&[], &["--color", "never"]),
        (&[("NO_COLOR", "1")], &["--progress", "json"]),
    ] {
        let shown = say(settings, arguments);
        assert!(!shown.raw.contains('\u{1b}'), "{settings:?} {arguments:?}: {:?}", shown.raw);
    }
}

#[test]
fn a_dumb_terminal_and_a_wish_for_it_get_plain_lines() {
    for (term, arguments) in
        [("dumb", &[][..]), ("xterm", &["--progress", "plain", "--color", "never"])]
    {
        let (_service, mut place) = Service::with_faults(&[]);
        place.set("TERM", term);
        let run = [&RUN[..], &["-o", "rows.jsonl"], arguments].concat();
        let shown = on_terminal(&place, &run, 80, Stdout::Away).end();
        assert_eq!(shown.code, Some(0), "{}", shown.raw);
        assert!(shown.raw.contains("downloaded 0.parquet"), "{}", shown.raw);
        assert!(!shown.raw.contains('\u{1b}') && !shown.raw.contains('█'), "{:?}", shown.raw);
    }
}

#[test]
fn who_cancels_is_asked_first_and_may_say_no() {
    let service = Service::start(&["--fault", "task-stuck"]);
    let place = Place::at(&service);
    let task = place.run(&["submit", "example", "--all", "--to", "tos://demo/x"]).ok().stdout;
    let task = task.trim();
    let answer = |text: &str| {
        let mut terminal = on_terminal(&place, &["cancel", task], 80, Stdout::Away);
        terminal.wait_for("Continue? [y/N]");
        terminal.type_in(text);
        terminal.end()
    };
    for no in ["n\n", "\n", "maybe\n", "\u{4}"] {
        let shown = answer(no);
        assert_eq!(shown.code, Some(2), "{no:?}: {}", shown.raw);
        assert!(shown.raw.contains("nothing was done"), "{}", shown.raw);
        place.run(&["status", task]).ok();
    }
    let not_asked = on_terminal(&place, &["cancel", task, "--no-input"], 80, Stdout::Away).end();
    assert_eq!(not_asked.code, Some(2));
    assert!(
        !not_asked.raw.contains("[y/N]") && not_asked.raw.contains("--yes"),
        "{}",
        not_asked.raw
    );
    let yes = answer("y\n");
    assert_eq!(yes.code, Some(0), "{}", yes.raw);
    place.run(&["status", task]).fails(4, &["1000035"]);
}

#[test]
fn ctrl_c_at_a_question_ends_the_program() {
    let service = Service::start(&["--fault", "task-stuck"]);
    let place = Place::at(&service);
    let task = place.run(&["submit", "example", "--all", "--to", "tos://demo/x"]).ok().stdout;
    let mut terminal = on_terminal(&place, &["cancel", task.trim()], 80, Stdout::Away);
    terminal.wait_for("Continue? [y/N]");
    kill_process(Pid::from_child(&terminal.child), Signal::INT).unwrap();
    let shown = terminal.end();
    assert_eq!(shown.code, Some(130), "{}", shown.raw);
    place.run(&["status", task.trim()]).ok();
}

#[test]
fn a_second_signal_leaves_at_once() {
    let place = Place::new();
    let example = example();
    let path = example.to_str().unwrap();
    let paths: Vec<&str> = ["cat"].into_iter().chain(std::iter::repeat_n(path, 10)).collect();
    // Nobody reads the rows, so the printing is stuck in a full pipe and cannot end by itself.
    let mut child = place.command(&paths).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0]).unwrap();
    let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    std::io::BufRead::read_line(&mut stderr, &mut said).unwrap();
    assert_eq!(said, "stopping after the current row\n");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    stderr.read_to_string(&mut said).unwrap();
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{said}");
    assert!(said.contains("stopped at once by a second signal"), "{said}");
}

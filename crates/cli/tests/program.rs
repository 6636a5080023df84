//! Runs the binary with a clean environment in a folder of its own.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use viking_emulator::{Collections, Emulator, Options};

use crate::secrets;

/// A fault that does not pass should not keep the suite for five minutes.
const RETRY_FOR: &str = "3s";

/// Where a test works: an empty folder, which is also the home folder.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    environment: Vec<(String, String)>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn fails(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in: {}", self.stderr);
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        assert!(self.stdout.is_empty() || self.stdout.ends_with('\n'), "half a line");
        self
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let ended = Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        secrets::search(&ended.stdout);
        secrets::search(&ended.stderr);
        ended
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A test that has failed already says enough.
        if !std::thread::panicking() {
            secrets::search_files(self.folder.path());
        }
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), environment: Vec::new() }
    }

    /// A place whose settings point at `service`.
    pub(crate) fn at(service: &Service) -> Self {
        let mut place = Self::new();
        place.set("VOLCENGINE_ACCESS_KEY", service.text("access_key"));
        place.set("VOLCENGINE_SECRET_KEY", service.text("secret_key"));
        place.set("VIKING_EXPORT_ENDPOINT", service.text("vikingdb"));
        place.set("VIKING_EXPORT_TOS_ENDPOINT", service.text("tos"));
        place.set("VIKING_EXPORT_RETRY_FOR", RETRY_FOR);
        place
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        if (name.contains("SECRET") || name.contains("TOKEN")) && !name.ends_with("_FILE") {
            secrets::learn(value);
        }
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_viking-export"));
        command.args(arguments).env_clear().current_dir(self.folder.path());
        command.env("HOME", self.folder.path()).env("PATH", "/usr/bin:/bin");
        // A proxy that does not exist: loopback services must be reached past it.
        command.env("HTTP_PROXY", "http://127.0.0.1:9").env("HTTPS_PROXY", "http://127.0.0.1:9");
        command.env("ALL_PROXY", "http://127.0.0.1:9");
        command.envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs a command that ends, or fails the test after two minutes.
    pub(crate) fn run_or_hang(&self, arguments: &[&str]) -> Ended {
        let child = self.command(arguments).spawn().unwrap();
        let (pid, (ended, has_ended)) = (Pid::from_child(&child), mpsc::channel::<()>());
        let watch = std::thread::spawn(move || {
            let waited = has_ended.recv_timeout(Duration::from_mins(2));
            if waited == Err(RecvTimeoutError::Timeout) {
                kill_process(pid, Signal::KILL).unwrap();
            }
        });
        let output = child.wait_with_output().unwrap();
        drop(ended);
        watch.join().unwrap();
        assert!(output.status.code().is_some(), "it hangs: {arguments:?}");
        output.into()
    }

    /// Runs the command that goes on with a run. One that was stopped before its task was really asked for may
    /// not ask for another by itself: nobody can know.
    pub(crate) fn go_on(&self, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments);
        if !ended.stderr.contains("the list of tasks does not show it") {
            return ended;
        }
        let ended = ended.fails(7, &["it may show up later", "--new-task"]);
        assert!(ended.stdout.is_empty());
        self.run(&[arguments, &["--new-task"]].concat())
    }

    /// Runs a command with `input` on stdin.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ended {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let ended = child.wait_with_output().unwrap().into();
        drop(writer.join().unwrap());
        ended
    }

    /// The one folder that a run made here.
    pub(crate) fn run_folder(&self) -> PathBuf {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut folders: Vec<_> =
            entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
        assert_eq!(folders.len(), 1, "{folders:?}");
        folders.remove(0)
    }
}

/// Waits for something that a process does, as long as it is there.
pub(crate) fn until(child: &mut Child, is_done: impl Fn() -> bool) {
    while !is_done() {
        let has_ended = child.try_wait().unwrap();
        assert!(has_ended.is_none() || is_done(), "it ended before that: {has_ended:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// `viking-export emulator` as a process of its own; killed when dropped.
pub(crate) struct Service {
    child: Child,
    ready: Value,
    /// Its standard output stays open until the end.
    _stdout: BufReader<std::process::ChildStdout>,
}

impl Service {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let place = Place::new();
        let mut all = vec!["emulator"];
        all.extend(arguments);
        if !arguments.contains(&"--state-time") {
            all.extend(["--state-time", "30"]);
        }
        let mut child = place.command(&all).stderr(Stdio::inherit()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        secrets::learn(ready["secret_key"].as_str().unwrap());
        Self { child, ready, _stdout: stdout }
    }

    /// With faults, and a place whose settings point at it.
    pub(crate) fn with_faults(faults: &[&str]) -> (Self, Place) {
        let arguments: Vec<&str> = faults.iter().flat_map(|fault| ["--fault", fault]).collect();
        let service = Self::start(&arguments);
        let place = Place::at(&service);
        (service, place)
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        self.ready[key].as_str().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Told to stop it cleans up behind itself.
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap();
    }
}

/// A VikingDB and TOS inside the test, to put objects into, to count what is sent, to take the network away.
pub(crate) struct Tos {
    pub(crate) emulator: Emulator,
    _runtime: Runtime,
}

impl Tos {
    /// Without collections.
    pub(crate) fn start(faults: &[&str]) -> Self {
        Self::serving(Path::new("nowhere"), faults)
    }

    /// With the collections in a folder, whose tasks take their time.
    pub(crate) fn serving(collections: &Path, faults: &[&str]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
        let mut options = Options::new(Collections::folder(collections));
        options.state_time = Duration::from_millis(300);
        options.roles = true;
        options.faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
        let emulator = runtime.block_on(Emulator::start(options)).unwrap();
        Self { emulator, _runtime: runtime }
    }

    /// A place whose settings point here.
    pub(crate) fn place(&self) -> Place {
        let ready = self.emulator.ready();
        let mut place = Place::new();
        place.set("VOLCENGINE_ACCESS_KEY", &ready.access_key);
        place.set("VOLCENGINE_SECRET_KEY", &ready.secret_key);
        place.set("VIKING_EXPORT_ENDPOINT", &ready.vikingdb);
        place.set("VIKING_EXPORT_TOS_ENDPOINT", &ready.tos);
        place.set("VIKING_EXPORT_RETRY_FOR", RETRY_FOR);
        place
    }

    /// Gives a place keys that are good until they are ended.
    pub(crate) fn lend_keys(&self, place: &mut Place) {
        let keys = self.emulator.temporary_keys(Duration::from_hours(1)).unwrap();
        place.set("VOLCENGINE_ACCESS_KEY", &keys.access_key);
        place.set("VOLCENGINE_SECRET_KEY", &keys.secret_key);
        place.set("VOLCENGINE_SESSION_TOKEN", &keys.session_token);
    }
}

/// The committed collection.
pub(crate) fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/collections/example")
}

/// Its rows, read from the committed files.
pub(crate) fn example_rows() -> String {
    Place::new().run(&["cat", example().to_str().unwrap()]).ok().stdout
}

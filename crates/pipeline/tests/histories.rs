//! Random histories of one run: attempts that end well or badly, and what users and others do between them.
//!
//! Whatever happens, an attempt that ends well has put the rows of exactly those versions into the output that the
//! receipt names, each once; there is one task; and when nothing goes wrong any more the run ends well.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use tokio::runtime::Runtime;
use viking_emulator::{Collections, Emulator, Options};
use viking_export::config::environment::variable;
use viking_export::config::{Address, CredentialSet, Service};
use viking_export::error::{OutputError, TaskError};
use viking_export::viking_api::{ExportSpec, FileType, Rows, TosPath};
use viking_export::{
    Error, ErrorClass, Receipt, RowOptions, RowOutput, RunOptions, Session, TransferOptions,
};

use crate::disk::{Disk, Trouble};

/// Histories that are tried, unless `VIKING_HISTORIES` has another number.
const HISTORIES: u32 = 2_000;
/// Most of their time histories wait for each other's services, so that many can be under way.
const AT_ONCE: u32 = 64;
/// No attempt takes longer. The slowest wait for a list that stays empty.
const ATTEMPT_TIME: Duration = Duration::from_mins(1);

const BUCKET: &str = "demo";
const OBJECTS: usize = 3;
const OBJECT_ROWS: usize = 40;
const PART_BYTES: NonZeroU64 = NonZeroU64::new(700).unwrap();

/// Where the services of all histories live.
static SERVICES: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
});

/// What the services get wrong during an attempt. Each strikes once or twice, so that an attempt may get over it.
const FAULTS: [&str; 22] = [
    "create-busy=1",
    "create-late=30",
    "create-lost=1",
    "create-slow=20",
    "tos-416=1",
    "tos-503=1",
    "tos-changed=1",
    "tos-corrupt=1",
    "tos-cut=2",
    "tos-empty-list=1",
    "tos-expired=1",
    "tos-list-blank=1",
    "tos-list-cut=1",
    "tos-list-error=1",
    "tos-list-html=1",
    "tos-list-short=1",
    "tos-no-ranges=2",
    "tos-page=1",
    "tos-reset=1",
    "tos-short=1",
    "vikingdb-503=1",
    "vikingdb-null=1",
];

#[derive(Debug, Clone)]
enum Happening {
    /// A process carries the run on.
    Attempt {
        faults: Vec<&'static str>,
        trouble: Option<Trouble>,
        seed: u64,
    },
    /// An object is replaced by one with other rows.
    ChangeObject(usize),
    /// A byte of a landed file changes.
    DamageFile(usize),
    /// A landed file loses its last bytes.
    ShortenFile(usize),
    RemoveFile(usize),
    RemoveOutput,
}

/// What is known of a run without looking at it.
#[derive(Debug, Clone, Default)]
struct Model {
    attempts: usize,
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Happening;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(model: &Self) -> BoxedStrategy<Happening> {
        let attempt = (
            prop::collection::vec(prop::sample::select(&FAULTS[..]), 0..2),
            trouble(),
            any::<u64>(),
        )
            .prop_map(|(faults, trouble, seed)| Happening::Attempt {
                faults,
                trouble,
                seed,
            });
        if model.attempts == 0 {
            return attempt.boxed();
        }
        let object = 0..OBJECTS;
        prop_oneof![
            6 => attempt,
            2 => object.clone().prop_map(Happening::ChangeObject),
            1 => object.clone().prop_map(Happening::DamageFile),
            1 => object.clone().prop_map(Happening::ShortenFile),
            1 => object.prop_map(Happening::RemoveFile),
            1 => Just(Happening::RemoveOutput),
        ]
        .boxed()
    }

    fn apply(mut model: Self, happening: &Happening) -> Self {
        model.attempts += usize::from(matches!(happening, Happening::Attempt { .. }));
        model
    }
}

fn trouble() -> impl Strategy<Value = Option<Trouble>> {
    // A run makes about 90 changes on its disk.
    let at = 1_u64..110;
    prop_oneof![
        1 => Just(None),
        2 => at.clone().prop_map(|at| Some(Trouble::Kill(at))),
        2 => at.clone().prop_map(|at| Some(Trouble::PowerLoss(at))),
        2 => at.clone().prop_map(|at| Some(Trouble::TornWrite(at))),
        1 => at.prop_map(|at| Some(Trouble::Full(at))),
    ]
}

/// A run, its disk and its services.
struct World {
    disk: Disk,
    emulator: Emulator,
    /// The rows of each version of an object that there ever was.
    rows: HashMap<String, String>,
    versions: usize,
    /// The last attempt could not find out whether a task was created, and asked for an answer.
    is_task_lost: bool,
}

/// How an attempt ended.
#[derive(Debug)]
enum End {
    Well,
    Badly(Error),
    Crashed,
}

impl World {
    fn new() -> Self {
        let collection = vec![parquet(0, OBJECTS * OBJECT_ROWS).0.into()];
        let collections = Collections::memory(vec![("c".to_owned(), collection)]);
        let mut options = Options::new(collections);
        (options.state_time, options.object_rows) = (Duration::from_millis(1), OBJECT_ROWS);
        let emulator = SERVICES.block_on(Emulator::start(options)).unwrap();
        Self { disk: Disk::new(), emulator, rows: HashMap::new(), versions: 0, is_task_lost: false }
    }

    fn folder(&self) -> PathBuf {
        self.disk.root().join("run")
    }

    fn output(&self) -> PathBuf {
        self.disk.root().join("rows.jsonl")
    }

    fn session(&self) -> Session {
        let ready = self.emulator.ready();
        let address = Address::default()
            .with_region(ready.region.clone())
            .with_endpoint(ready.vikingdb.clone())
            .with_tos_endpoint(ready.tos.clone());
        let keys = CredentialSet::new(&ready.access_key, &ready.secret_key, None, "the emulator");
        Session::new(Service::new(address).with_credentials(keys))
    }

    /// Runs the same command again, as a process of its own. With an odd seed it may replace the output.
    fn attempt(&self, faults: &[&str], trouble: Option<Trouble>, seed: u64) -> End {
        self.emulator.set_faults(faults.iter().map(|fault| fault.parse().unwrap()).collect());
        self.disk.begin(trouble, seed);
        let process = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let export = ExportSpec {
            collection: "c".to_owned(),
            rows: Rows::All,
            to: TosPath::parse("tos://demo/exports").unwrap(),
            file_type: FileType::Parquet,
            output_fields: Vec::new(),
        };
        let rows = RowOptions::default().with_threads(NonZeroU64::MIN.try_into().ok());
        let transfer = TransferOptions::default().with_part_bytes(PART_BYTES);
        let options =
            RunOptions::default().with_transfer(transfer).with_new_task(self.is_task_lost);
        let (session, dir, output) = (
            self.session(),
            self.folder(),
            RowOutput::file(self.output()).replacing(seed % 2 == 1),
        );
        let end = process.block_on(async {
            tokio::select! {
                biased;
                () = self.disk.crashed() => End::Crashed,
                end = session.run(&export, &rows, Some(&dir), &options, output) => match end {
                    Ok(_) => End::Well,
                    Err(error) => End::Badly(error),
                },
                () = tokio::time::sleep(ATTEMPT_TIME) => panic!("an attempt does not end"),
            }
        });
        // Waits for the threads that still are at something.
        drop(process);
        let end = if self.disk.end() { End::Crashed } else { end };
        self.emulator.set_faults(Vec::new());
        end
    }

    fn receipt(&self) -> Receipt {
        let text = fs::read(self.folder().join("receipt.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// Notes the rows of objects that are new in the bucket.
    fn look_at_objects(&mut self) {
        for (index, key) in self.emulator.keys(BUCKET, "").into_iter().enumerate() {
            let etag = self.emulator.etag(BUCKET, &key).unwrap();
            self.rows.entry(etag).or_insert_with(|| lines_of_task(index));
        }
    }

    /// What holds whenever an attempt has ended.
    fn check(&mut self, end: &End) {
        self.look_at_objects();
        self.is_task_lost = matches!(end, End::Badly(Error::Task(TaskError::Lost { .. })));
        let tasks = self.emulator.tasks();
        assert!(tasks <= 1, "there are {tasks} tasks");
        match end {
            End::Well => {}
            End::Crashed => return,
            End::Badly(Error::Output(OutputError::Exists { .. })) => {
                let printed = fs::read_to_string(self.output()).unwrap();
                let lines: Vec<&str> = printed.split_inclusive('\n').collect();
                let is_version =
                    |lines: &[&str]| self.rows.values().any(|rows| *rows == lines.concat());
                assert!(
                    lines.chunks(OBJECT_ROWS).all(is_version),
                    "an output has its name and is not whole"
                );
                assert_eq!(lines.len(), OBJECTS * OBJECT_ROWS);
                return;
            }
            End::Badly(error) => {
                assert_ne!(error.class(), ErrorClass::Bug, "{error}");
                return;
            }
        }
        let receipt = self.receipt();
        assert!(receipt.finished.is_some(), "the end of the run is not noted");
        let objects = receipt.objects.unwrap();
        assert_eq!(objects.len(), OBJECTS);
        let mut expected = String::new();
        for object in &objects {
            let etag = object.etag.as_deref().unwrap().trim_matches('"');
            expected.push_str(&self.rows[etag]);
        }
        let printed = fs::read_to_string(self.output()).unwrap();
        assert!(
            printed == expected,
            "{} lines are not those of the receipt",
            printed.lines().count()
        );
    }

    fn change(&mut self, index: usize) {
        let keys = self.emulator.keys(BUCKET, "");
        let Some(key) = keys.get(index) else { return };
        self.versions += 1;
        let (bytes, lines) = parquet(self.versions * 1_000, OBJECT_ROWS);
        self.emulator.put(BUCKET, key, &bytes).unwrap();
        self.rows.insert(self.emulator.etag(BUCKET, key).unwrap(), lines);
    }

    /// The file of an object, if it has landed.
    fn landed(&self, index: usize) -> Option<PathBuf> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.folder())
            .ok()?
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "parquet"))
            .collect();
        files.sort();
        files.into_iter().nth(index)
    }
}

/// So many rows as a Parquet file and as lines.
fn parquet(first: usize, rows: usize) -> (Vec<u8>, String) {
    let ids: Vec<i64> = (first..first + rows).map(|id| i64::try_from(id).unwrap()).collect();
    let texts: Vec<String> = ids.iter().map(|id| format!("row {id} of the collection")).collect();
    let mut lines = String::new();
    for (id, text) in ids.iter().zip(&texts) {
        writeln!(lines, "{{\"id\":{id},\"text\":\"{text}\"}}").unwrap();
    }
    let columns: [(&str, ArrayRef); 2] =
        [("id", Arc::new(Int64Array::from(ids))), ("text", Arc::new(StringArray::from(texts)))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(15)).build();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    (file, lines)
}

/// The lines of an object as the task writes it.
fn lines_of_task(index: usize) -> String {
    parquet(index * OBJECT_ROWS, OBJECT_ROWS).1
}

impl StateMachineTest for World {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(_: &Model) -> Self {
        Self::new()
    }

    fn apply(mut world: Self, _: &Model, happening: Happening) -> Self {
        match happening {
            Happening::Attempt { faults, trouble, seed } => {
                let end = world.attempt(&faults, trouble, seed);
                world.check(&end);
            }
            Happening::ChangeObject(index) => world.change(index),
            Happening::DamageFile(index) => {
                if let Some(path) = world.landed(index) {
                    let mut bytes = fs::read(&path).unwrap();
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                    // The clock of file systems is coarse, and a later time is how this is noticed.
                    std::thread::sleep(Duration::from_millis(20));
                    fs::write(path, bytes).unwrap();
                }
            }
            Happening::ShortenFile(index) => {
                if let Some(path) = world.landed(index) {
                    let bytes = fs::read(&path).unwrap();
                    fs::write(path, &bytes[..bytes.len() - 10]).unwrap();
                }
            }
            Happening::RemoveFile(index) => {
                world.landed(index).into_iter().for_each(|path| fs::remove_file(path).unwrap());
            }
            Happening::RemoveOutput => drop(fs::remove_file(world.output())),
        }
        world
    }

    fn teardown(mut world: Self, _: Model) {
        // Twice, as an output that is there already is not replaced unless that is asked for.
        for seed in [0, 1] {
            let mut end = world.attempt(&[], None, seed);
            world.check(&end);
            if world.is_task_lost {
                end = world.attempt(&[], None, seed);
                world.check(&end);
            }
            assert!(seed == 0 || matches!(end, End::Well), "with nothing wrong any more: {end:?}");
        }
    }
}

#[test]
#[expect(unsafe_code, reason = "settings of libraries")]
fn whatever_happens_each_row_is_there_once_or_an_error_is() {
    // The services speak plain HTTP: half of the time would go into reading all certificates of the machine.
    let certificate = rcgen::generate_simple_self_signed([]).unwrap().cert.pem();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, certificate).unwrap();
    for (name, value) in [("SSL_CERT_FILE", file.path()), ("SSL_CERT_DIR", Path::new(""))] {
        // SAFETY: nothing else runs in this process yet, as this is its only test.
        unsafe { std::env::set_var(name, value) };
    }
    let wanted = variable("VIKING_HISTORIES").and_then(|wanted| wanted.parse().ok());
    let histories: u32 = wanted.unwrap_or(HISTORIES);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let config = Config {
                    cases: histories.div_ceil(AT_ONCE),
                    failure_persistence: None,
                    ..Config::default()
                };
                let mut runner = TestRunner::new(config.clone());
                let outcome =
                    runner.run(&Model::sequential_strategy(1..6), |(model, happenings, seen)| {
                        World::test_sequential(config.clone(), model, happenings, seen);
                        Ok(())
                    });
                outcome.unwrap_or_else(|failure| panic!("{failure}"));
            });
        }
    });
}

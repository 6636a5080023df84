//! Tasks on a local VikingDB over real HTTP, with real signature checks.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use viking_api::{
    Api, Client, CredentialSource, Credentials, Endpoint, Error, ErrorClass, ExportSpec, FileType,
    Filter, Owner, Poll, Rows, Site, TaskId, TaskState, TosPath, Unavailable,
};
use viking_emulator::{Collections, Emulator, Options};

/// Asks often, since the emulator is fast.
fn fast() -> Poll {
    Poll::default()
        .with_interval_min(Duration::from_millis(10))
        .with_interval_max(Duration::from_millis(50))
        .with_deadline(Duration::from_secs(20))
}

async fn emulator(faults: &[&str]) -> Emulator {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/collections");
    let mut options = Options::new(Collections::folder(folder));
    options.state_time = Duration::from_millis(20);
    options.faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    Emulator::start(options).await.unwrap()
}

fn client_with(emulator: &Emulator, secret_key: &str, clock: fn() -> Timestamp) -> Client {
    let ready = emulator.ready();
    let endpoint = Endpoint::new(&ready.vikingdb, &ready.region, false).unwrap();
    Client::new(endpoint, Credentials::new(&ready.access_key, secret_key.to_owned(), None), clock)
        .unwrap()
}

fn client(emulator: &Emulator) -> Client {
    client_with(emulator, &emulator.ready().secret_key, Timestamp::now)
}

fn all(path: &str) -> ExportSpec {
    ExportSpec {
        collection: "example".to_owned(),
        rows: Rows::All,
        to: TosPath::parse(path).unwrap(),
        file_type: FileType::Parquet,
        output_fields: Vec::new(),
    }
}

fn filtered(filter: &str) -> ExportSpec {
    ExportSpec { rows: Rows::Filtered(Filter::parse(filter).unwrap()), ..all("demo/x") }
}

fn refusal_code(error: &Error) -> &str {
    match error {
        Error::Refused(refusal) => &refusal.code,
        other => panic!("not refused: {other}"),
    }
}

#[tokio::test]
async fn a_task_goes_through_its_states_to_done() {
    let emulator = emulator(&[]).await;
    let client = client(&emulator);
    let task = client.submit_export(&all("tos://demo/exports/run")).await.unwrap();
    let mut states = Vec::new();
    let done = client
        .wait(&task, fast(), &mut |task| states.push(task.state.name().to_owned()))
        .await
        .unwrap();
    assert_eq!(done.state, TaskState::Done);
    assert_eq!(done.tos_path.as_deref(), Some("demo/exports/run"));
    assert_eq!((done.counts.matched, done.percent), (Some(21_001), Some(100)));
    assert_eq!(states.last().map(String::as_str), Some("done"));
    assert!(states.iter().any(|state| state != "done"), "{states:?}");
    let listed = client.tasks("example").await.unwrap();
    assert_eq!(listed.iter().map(|task| &task.id).collect::<Vec<_>>(), [&task]);
    client.drop_task(&task).await.unwrap();
    let gone = client.task(&task).await.unwrap_err();
    assert_eq!((refusal_code(&gone), gone.class()), ("1000035", ErrorClass::NotFound));
}

#[tokio::test]
async fn collections_are_described() {
    let emulator = emulator(&[]).await;
    let collection = client(&emulator).collection("example").await.unwrap();
    assert_eq!(collection.rows, Some(21_001));
    assert!(collection.fields.contains(&("vector".to_owned(), "vector".to_owned())));
    let missing = client(&emulator).collection("nope").await.unwrap_err();
    assert_eq!((refusal_code(&missing), missing.class()), ("1000005", ErrorClass::NotFound));
}

#[tokio::test]
async fn a_filter_on_an_unknown_field_is_refused() {
    let emulator = emulator(&[]).await;
    let spec = filtered(r#"[{"op":"must","field":"town","conds":["beijing"]}]"#);
    let error = client(&emulator).submit_export(&spec).await.unwrap_err();
    assert_eq!((refusal_code(&error), error.class()), ("1000019", ErrorClass::Usage));
}

#[tokio::test]
async fn wrong_keys_a_wrong_clock_and_missing_permission_are_told_apart() {
    let emulator_ok = emulator(&[]).await;
    let wrong =
        client_with(&emulator_ok, "wrong", Timestamp::now).tasks("example").await.unwrap_err();
    assert_eq!((refusal_code(&wrong), wrong.class()), ("1000001", ErrorClass::Denied));
    assert!(wrong.request_id().is_some_and(|id| wrong.to_string().contains(id)), "{wrong}");
    let late = || Timestamp::now() - jiff::SignedDuration::from_mins(20);
    let late = client_with(&emulator_ok, &emulator_ok.ready().secret_key, late)
        .tasks("example")
        .await
        .unwrap_err();
    assert_eq!((refusal_code(&late), late.class()), ("InvalidTimestamp", ErrorClass::Denied));
    let denied = client(&emulator(&["denied"]).await).tasks("example").await.unwrap_err();
    assert_eq!((refusal_code(&denied), denied.class()), ("1000002", ErrorClass::Denied));
}

#[tokio::test]
async fn a_lost_answer_to_create_adopts_the_task_and_makes_no_second_one() {
    let emulator = emulator(&["create-lost=1"]).await;
    let client = client(&emulator);
    let task = client.submit_export(&all("demo/once")).await.unwrap();
    let tasks = client.tasks("example").await.unwrap();
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0].id, task);
}

#[tokio::test]
async fn reads_are_repeated_after_passing_faults_and_create_is_not() {
    let emulator_reads = emulator(&["vikingdb-503=2"]).await;
    assert!(client(&emulator_reads).tasks("example").await.unwrap().is_empty());
    // One refused create, then a list that shows nothing: the caller has to decide.
    let emulator_create = emulator(&["vikingdb-503=1"]).await;
    let client = client(&emulator_create);
    let error = client.submit_export(&all("demo/once")).await.unwrap_err();
    assert!(matches!(error, Error::Unclear { .. }), "{error}");
    assert!(client.tasks("example").await.unwrap().is_empty());
}

#[tokio::test]
async fn nobody_at_the_address_is_a_passing_fault_and_no_task() {
    let endpoint = Endpoint::new("http://127.0.0.1:9", "cn-beijing", false).unwrap();
    let keys = Credentials::new("a", "b".to_owned(), None);
    let client = Client::new(endpoint, keys, Timestamp::now).unwrap();
    let error = client.submit_export(&all("demo/once")).await.unwrap_err();
    assert!(matches!(error, Error::Transport { .. }), "{error}");
    assert_eq!(error.class(), ErrorClass::Passing);
}

#[tokio::test]
async fn tasks_that_fail_wait_or_hang_end_the_wait_with_their_own_error() {
    let failing = emulator(&["task-fail=bucket is closed"]).await;
    let client_failing = client(&failing);
    let task = client_failing.submit_export(&all("demo/x")).await.unwrap();
    let failed = client_failing.wait(&task, fast(), &mut |_| {}).await.unwrap_err();
    assert_eq!(failed.class(), ErrorClass::TaskFailed);
    assert!(failed.to_string().contains("bucket is closed"), "{failed}");

    let waiting = emulator(&["task-confirm"]).await;
    let client_waiting = client(&waiting);
    let task = client_waiting.submit_export(&all("demo/x")).await.unwrap();
    let waits = client_waiting.wait(&task, fast(), &mut |_| {}).await.unwrap_err();
    assert!(matches!(waits, Error::NeedsConfirmation { .. }), "{waits}");
    client_waiting.confirm(&task).await.unwrap();
    assert!(client_waiting.wait(&task, fast(), &mut |_| {}).await.is_ok());

    let stuck = emulator(&["task-stuck"]).await;
    let client_stuck = client(&stuck);
    let task = client_stuck.submit_export(&all("demo/x")).await.unwrap();
    let short = fast().with_deadline(Duration::from_millis(300));
    let still = client_stuck.wait(&task, short, &mut |_| {}).await.unwrap_err();
    assert!(matches!(&still, Error::StillRunning { state, .. } if state == "running"), "{still}");
    assert_eq!(still.class(), ErrorClass::NotFinished);
}

#[tokio::test]
async fn a_signature_of_one_request_does_not_fit_another() {
    // An id that is not there is an answer; a changed byte would be a refused signature.
    let emulator = emulator(&[]).await;
    let error =
        client(&emulator).task(&TaskId("no such \"task\" 北京".to_owned())).await.unwrap_err();
    assert_eq!(refusal_code(&error), "1000035");
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let credentials =
        Credentials::new("AKLTpublic", " hush-secret\n".to_owned(), Some("hush-token".to_owned()));
    let endpoint = Endpoint::of_region(Site::Volcengine, "cn-beijing", Api::V1).unwrap();
    let client = Client::new(endpoint, credentials.clone(), Timestamp::now).unwrap();
    let text = format!("{credentials:?} {client:?}");
    assert!(text.contains("AKLTpublic"));
    assert!(!text.contains("hush"), "{text}");
}

#[test]
fn endpoints_are_checked() {
    let endpoint = |url: &str| {
        Endpoint::new(url, "cn-beijing", false).map(|endpoint| endpoint.url().to_owned())
    };
    assert_eq!(endpoint("api-vikingdb.volces.com").unwrap(), "https://api-vikingdb.volces.com");
    assert_eq!(endpoint("http://127.0.0.1:81/").unwrap(), "http://127.0.0.1:81");
    assert_eq!(endpoint("http://[::1]:81").unwrap(), "http://[::1]:81");
    for bad in [
        "http://api-vikingdb.volces.com",
        "https://x/y",
        "https://a:b@x",
        "ftp://x",
        "https://",
        "",
    ] {
        assert!(endpoint(bad).is_err(), "{bad}");
    }
    assert!(Endpoint::of_region(Site::Volcengine, "mars", Api::V1).is_err());
}

fn v2(emulator: &Emulator) -> Client {
    client(emulator).speaking(Api::V2, Owner::default())
}

#[tokio::test]
async fn v2_does_all_that_v1_does() {
    let emulator = emulator(&["task-confirm=1"]).await;
    let client = v2(&emulator);
    let collection = client.collection("example").await.unwrap();
    assert_eq!((collection.name.as_str(), collection.rows), ("example", Some(21_001)));
    assert!(collection.fields.iter().any(|(name, kind)| name == "city" && kind == "string"));
    let spec = ExportSpec { output_fields: vec!["id".to_owned()], ..all("tos://demo/exports/v2") };
    let task = client.submit_export(&spec).await.unwrap();
    let waiting = client.wait(&task, fast(), &mut |_| {}).await.unwrap_err();
    assert!(matches!(waiting, Error::NeedsConfirmation { .. }), "{waiting}");
    client.confirm(&task).await.unwrap();
    let done = client.wait(&task, fast(), &mut |_| {}).await.unwrap();
    assert_eq!((done.state, done.counts.matched), (TaskState::Done, Some(21_001)));
    assert_eq!(done.tos_path.as_deref(), Some("demo/exports/v2"));
    assert_eq!(client.find_export(&spec).await.unwrap(), Some(task.clone()));
    client.drop_task(&task).await.unwrap();
    let gone = client.task(&task).await.unwrap_err();
    assert_eq!(gone.class(), ErrorClass::NotFound);
    assert_eq!(refusal_code(&gone), "NotFound.VikingdbTask");
    assert!(gone.request_id().is_some());
}

#[tokio::test]
async fn v2_reads_every_page_of_a_list() {
    let emulator = emulator(&["task-stuck"]).await;
    let client = v2(&emulator);
    for number in 0..130 {
        client.submit_export(&all(&format!("tos://demo/{number}"))).await.unwrap();
    }
    let tasks = client.tasks("example").await.unwrap();
    assert_eq!(tasks.len(), 130);
    assert!(tasks.iter().any(|task| task.tos_path.as_deref() == Some("demo/129")));
}

#[tokio::test]
async fn v2_refusals_are_of_the_same_classes() {
    let emulator = emulator(&[]).await;
    let missing = v2(&emulator).collection("nope").await.unwrap_err();
    assert_eq!(
        (missing.class(), refusal_code(&missing)),
        (ErrorClass::NotFound, "NotFound.VikingdbCollection")
    );
    let spec = ExportSpec { collection: "nope".to_owned(), ..all("demo/x") };
    assert_eq!(v2(&emulator).submit_export(&spec).await.unwrap_err().class(), ErrorClass::NotFound);
    let filter = r#"[{"op":"must","field":"nothing","conds":["x"]}]"#;
    let filter = v2(&emulator).submit_export(&filtered(filter)).await.unwrap_err();
    assert_eq!(filter.class(), ErrorClass::Usage, "{filter}");
    let wrong = client_with(&emulator, "wrong", Timestamp::now).speaking(Api::V2, Owner::default());
    let wrong = wrong.tasks("example").await.unwrap_err();
    assert_eq!(
        (wrong.class(), refusal_code(&wrong)),
        (ErrorClass::Denied, "SignatureDoesNotMatch")
    );
    let project = Owner::default().with_project("other".to_owned());
    let elsewhere = client(&emulator).speaking(Api::V2, project);
    assert_eq!(elsewhere.tasks("example").await.unwrap_err().class(), ErrorClass::NotFound);
    let by_id = Owner::default().with_resource_id("vdb-example".to_owned());
    let by_id = client(&emulator).speaking(Api::V2, by_id);
    assert_eq!(by_id.collection("ignored").await.unwrap().name, "example");
}

/// Hundreds of runs: whatever becomes of the answer, there is exactly one task.
#[tokio::test]
async fn a_lost_answer_never_makes_a_second_task() {
    for api in [Api::V1, Api::V2] {
        let emulator = emulator(&["create-lost=150", "task-stuck"]).await;
        let client = client(&emulator).speaking(api, Owner::default());
        for number in 0..200 {
            client.submit_export(&all(&format!("tos://demo/{number}"))).await.unwrap();
        }
        let mut paths: Vec<_> =
            client.tasks("example").await.unwrap().into_iter().map(|task| task.tos_path).collect();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), 200, "{api:?}");
        assert_eq!(client.tasks("example").await.unwrap().len(), 200, "{api:?}: one task each");
    }
}

/// A hundred runs at once, each against a service of its own with this fault.
async fn a_hundred_runs_make_one_task_each(fault: &str, api: Api) {
    let run = |number: u32| async move {
        let emulator = emulator(&[fault, "task-stuck"]).await;
        let client = client(&emulator).speaking(api, Owner::default());
        let client = client.answered_within(Duration::from_millis(1_500));
        let spec = all(&format!("tos://demo/{number}"));
        let task = match client.submit_export(&spec).await {
            Ok(task) => task,
            // Nobody knows; whoever goes on looks again.
            Err(Error::Unclear { .. }) => client.find_export(&spec).await.unwrap().unwrap(),
            Err(error) => panic!("{fault}, {api:?}: {error}"),
        };
        let tasks = client.tasks("example").await.unwrap();
        let tasks: Vec<_> = tasks.into_iter().map(|task| task.id).collect();
        assert_eq!(tasks, [task], "{fault}, {api:?}");
    };
    futures::future::join_all((0..100).map(run)).await;
}

#[tokio::test]
async fn a_late_answer_a_late_task_and_a_crash_never_make_a_second_task() {
    for api in [Api::V1, Api::V2] {
        for fault in ["create-slow=4000", "create-late=4000", "create-crash=2500"] {
            a_hundred_runs_make_one_task_each(fault, api).await;
        }
    }
}

/// Lends keys for a moment, as often as asked.
#[derive(Debug)]
struct Lending {
    emulator: Arc<Emulator>,
    lent: Mutex<Credentials>,
}

impl Lending {
    fn new(emulator: &Arc<Emulator>) -> Self {
        let lent = Mutex::new(lend(emulator));
        Self { emulator: Arc::clone(emulator), lent }
    }
}

fn lend(emulator: &Emulator) -> Credentials {
    let keys = emulator.temporary_keys(Duration::from_millis(80)).unwrap();
    Credentials::new(&keys.access_key, keys.secret_key, Some(keys.session_token))
}

#[async_trait]
impl CredentialSource for Lending {
    async fn credentials(&self) -> Result<Credentials, Unavailable> {
        Ok(self.lent.lock().unwrap().clone())
    }

    async fn renewed(&self, _used: &Credentials) -> Option<Credentials> {
        let lent = lend(&self.emulator);
        self.lent.lock().unwrap().clone_from(&lent);
        Some(lent)
    }
}

#[tokio::test]
async fn keys_that_end_while_a_task_is_followed_are_read_again() {
    let mut options = Options::new(Collections::folder(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/collections"),
    ));
    options.state_time = Duration::from_millis(200);
    let emulator = Arc::new(Emulator::start(options).await.unwrap());
    let endpoint = Endpoint::new(&emulator.ready().vikingdb, "cn-beijing", false).unwrap();
    let client = Client::new(endpoint.clone(), Lending::new(&emulator), Timestamp::now).unwrap();
    let task = client.submit_export(&all("tos://demo/x")).await.unwrap();
    assert_eq!(client.wait(&task, fast(), &mut |_| {}).await.unwrap().state, TaskState::Done);
    let client = Client::new(endpoint, lend(&emulator), Timestamp::now).unwrap();
    emulator.end_temporary_keys();
    let error = client.task(&task).await.unwrap_err();
    assert_eq!((error.class(), refusal_code(&error)), (ErrorClass::Denied, "ExpiredToken"));
}

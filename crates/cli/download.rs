//! Downloads the objects of a run folder, and the verb fetch.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::Notify;
use viking_api::{TaskId, TosPath};
use viking_fetch::{Bucket, Error, Event, FetchOptions, Landed, Observer, RemoteObject, prove};

use crate::Context;
use crate::args::{FetchArgs, TransferArgs};
use crate::copy::{path_to_copy, to_copy};
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{blocking, count_rows};
use crate::output::print_text;
use crate::places::{Listed, Place, find_remote, list, no_objects, refused_keys};
use crate::printing::LandedFile;
use crate::receipt::{Finished, ObjectRecord, Request, now};
use crate::report::{Progress, Report};
use crate::run_folder::RunFolder;
use crate::settings::fetch_options;
use crate::task::written_by;
use crate::values::VerifyArg;
use crate::versions::Version;

/// The progress bar moves this often.
const TICK: Duration = Duration::from_millis(200);

/// So many times as long as it takes to save a receipt, none is saved.
const RECORD_PART: u32 = 20;

/// Counts that the download and the printing keep up to date.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) rows: AtomicU64,
    bytes: AtomicU64,
    bytes_total: AtomicU64,
    objects: AtomicUsize,
    objects_total: AtomicUsize,
    is_to_file: bool,
    has_landed: Notify,
    /// Objects that landed, with their places in the receipt.
    landed: Mutex<Vec<(usize, Landed)>>,
}

impl Meter {
    /// `is_to_file` tells that no rows go to stdout meanwhile.
    pub(crate) fn new(is_to_file: bool) -> Self {
        Self { is_to_file, ..Self::default() }
    }

    fn landed(&self) -> MutexGuard<'_, Vec<(usize, Landed)>> {
        self.landed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what landed, and how, in the receipt.
    pub(crate) fn note(&self, folder: &mut RunFolder) {
        let mut objects = folder.receipt.objects.take();
        for (place, landed) in self.landed().drain(..) {
            if let Some(object) = objects.as_mut().and_then(|objects| objects.get_mut(place)) {
                object.landed = folder.written(object);
                object.crc64 = Some(landed.crc64.to_string());
                object.crc64_compared = landed.is_compared;
                object.md5_compared = landed.is_md5_compared;
            }
        }
        folder.receipt.objects = objects;
    }

    fn progress(&self) -> Progress {
        Progress {
            objects: self.objects.load(Ordering::Relaxed),
            objects_total: self.objects_total.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            bytes_total: self.bytes_total.load(Ordering::Relaxed),
            rows: self.rows.load(Ordering::Relaxed),
            is_to_file: self.is_to_file,
        }
    }

    /// Runs `work` and shows how far it is.
    pub(crate) async fn show<T>(&self, report: &Report, work: impl Future<Output = T>) -> T {
        let ticks = async {
            let mut ticks = tokio::time::interval(TICK);
            loop {
                ticks.tick().await;
                report.progress(self.progress());
            }
        };
        let done = tokio::select! {
            done = work => done,
            () = ticks => std::future::pending().await,
        };
        report.clear();
        done
    }
}

/// An object that changes this often while it is downloaded is not waited for any longer.
const CHANGES_MAX: usize = 3;

/// Loads the objects of the receipt that are not in the folder yet. `landed` hears of each that is, now or
/// later. Objects that change meanwhile are loaded as they are then.
pub(crate) async fn load(
    open: &(dyn Fn() -> Outcome<Bucket> + Sync),
    folder: &mut RunFolder,
    options: &FetchOptions,
    meter: &Meter,
    report: &Report,
    landed: Option<Sender<LandedFile>>,
) -> Outcome<()> {
    compare_landed(folder, report).await?;
    let objects = folder.receipt.objects.as_deref().unwrap_or_default();
    meter.objects_total.store(objects.len(), Ordering::Relaxed);
    for place in (0..objects.len()).filter(|&place| folder.has(&objects[place])) {
        meter.objects.fetch_add(1, Ordering::Relaxed);
        meter.bytes.fetch_add(objects[place].size, Ordering::Relaxed);
        if let Some(landed) = &landed {
            // Where the printing has ended, nobody waits for the file.
            landed.send((place, Version::of(&objects[place]))).unwrap_or(());
        }
    }
    for _ in 0..CHANGES_MAX {
        let objects = folder.receipt.objects.as_deref().unwrap_or_default();
        meter.bytes_total.store(objects.iter().map(|object| object.size).sum(), Ordering::Relaxed);
        let places: Vec<usize> =
            (0..objects.len()).filter(|&place| !folder.has(&objects[place])).collect();
        if places.is_empty() {
            return Ok(viking_fetch::remove_partial(&folder.path)?);
        }
        let wanted: Vec<_> = places.iter().map(|&place| objects[place].remote()).collect();
        folder.begin(&places)?;
        let bucket = open()?;
        let observer = Watch { meter, report, places: &places, landed: landed.as_ref() };
        let path = folder.path.clone();
        let fetching = viking_fetch::fetch(&bucket, &wanted, &path, options, &observer);
        let changed = changed(recording(folder, meter, fetching).await?.failed)?;
        if changed.is_empty() {
            return Ok(());
        }
        for object in changed {
            let now = bucket.look(&object).await?;
            report.warn(&format!("{} changed, loading it as it is now", object.key));
            folder.replace(now);
        }
        folder.save()?;
    }
    let text = format!("objects changed {CHANGES_MAX} times while they were downloaded");
    Err(Failure::say(Exit::Data, text).hint("wait until nobody writes there any more"))
}

/// Runs a download, and keeps what has landed in the receipt meanwhile: after a kill it need not be read again.
async fn recording(
    folder: &mut RunFolder,
    meter: &Meter,
    fetching: impl Future<Output = Result<viking_fetch::Report, Error>>,
) -> Outcome<viking_fetch::Report> {
    let ended = Notify::new();
    let fetching = async {
        let fetched = fetching.await;
        ended.notify_one();
        fetched
    };
    let recording = async {
        loop {
            tokio::select! {
                () = ended.notified() => return Ok(()),
                () = meter.has_landed.notified() => {}
            }
            let start = Instant::now();
            meter.note(folder);
            let snapshot = folder.snapshot()?;
            // It is not cut short where this ends meanwhile.
            blocking(move || snapshot.save()).await?;
            // A receipt of many objects takes a while to write.
            tokio::select! {
                () = ended.notified() => return Ok(()),
                () = tokio::time::sleep(start.elapsed() * RECORD_PART) => {}
            }
        }
    };
    let (fetched, recorded) = tokio::join!(fetching, recording);
    let fetched = fetched?;
    recorded.map(|()| fetched)
}

/// Looks at the files that are here. Those that are not as long as they should be, or not what they were when
/// somebody wrote to them, are removed to be loaded again. Files that landed just before a stop may have no
/// checksum in the receipt; then that of their `ETag` must tell.
async fn compare_landed(folder: &mut RunFolder, report: &Report) -> Outcome<()> {
    let mut objects = folder.receipt.objects.clone().unwrap_or_default();
    for object in &mut objects {
        if let Some(length) = folder.remove_misfit(object)? {
            let ObjectRecord { key, size, .. } = &object;
            let text = format!("the file of {key} has {length} bytes and should have {size}");
            report.warn(&format!("{text}; it is loaded again"));
            *object = object.remote().into();
        }
    }
    let here = objects.iter_mut().filter(|object| folder.has(object));
    let timed = here.map(|object| (folder.written(object), object));
    let is_doubted = |(written, object): &(Option<String>, &mut ObjectRecord)| {
        object.crc64.is_none() || written.is_none() || object.landed != *written
    };
    let doubted: Vec<_> = timed.filter(is_doubted).collect();
    if !doubted.is_empty() {
        let count = doubted.len();
        let text = format!("comparing {count} files that are here already");
        report.note("compare", &text, json!({"files": count}));
    }
    for (written, object) in doubted {
        let (path, remote) = (folder.path.join(&object.name), object.remote());
        let known = object.known_crc64();
        let problem = match blocking(move || Ok(prove(&path, &remote, known))).await? {
            Ok(proof) if known.is_some() || proof.is_md5_compared => {
                object.crc64 = Some(proof.crc64.to_string());
                object.md5_compared = proof.is_md5_compared;
                object.landed = written;
                continue;
            }
            Ok(_) => format!("nothing tells whether the file of {} is whole", object.key),
            Err(error @ Error::Damaged { .. }) => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        if !object.is_ours() {
            return Err(Error::Exists { path: folder.path.join(&object.name) }.into());
        }
        report.warn(&format!("{problem}; it is loaded again"));
        folder.remove(object)?;
        *object = object.remote().into();
    }
    folder.receipt.objects = Some(objects);
    // What was removed once is here again, or about to be.
    folder.receipt.discarded = None;
    if !folder.has_all() {
        // What was proven is not what is here any more.
        folder.receipt.finished = None;
    }
    folder.save()
}

/// The objects that failed because they changed, if that is all that failed.
fn changed(failed: Vec<(RemoteObject, Error)>) -> Outcome<Vec<RemoteObject>> {
    let (changed, mut failed): (Vec<_>, Vec<_>) =
        failed.into_iter().partition(|(_, error)| matches!(error, Error::Changed { .. }));
    let count = failed.len();
    if failed.is_empty() {
        return Ok(changed.into_iter().map(|(object, _)| object).collect());
    }
    let failure = Failure::from(failed.swap_remove(0).1);
    Err(match count {
        1 => failure,
        _ => failure.hint(format!("{} more objects failed as well", count - 1)),
    })
}

/// Passes the events of a download on to the report and the printing.
struct Watch<'a> {
    meter: &'a Meter,
    report: &'a Report,
    /// For each object of the download, its place in the receipt.
    places: &'a [usize],
    landed: Option<&'a Sender<LandedFile>>,
}

impl Observer for Watch<'_> {
    fn on_event(&self, event: &Event<'_>) {
        match event {
            Event::Received { bytes } => {
                self.meter.bytes.fetch_add(*bytes, Ordering::Relaxed);
            }
            Event::Resumed { object, bytes } => {
                self.meter.bytes.fetch_add(*bytes, Ordering::Relaxed);
                let text = format!(
                    "{} of {} are here already",
                    indicatif::HumanBytes(*bytes),
                    object.name
                );
                let fields = json!({"key": object.key, "bytes": bytes});
                self.report.detail("resumed", &text, fields);
            }
            Event::Finished { landed, object } => {
                let place = self.places[landed.index];
                self.meter.landed().push((place, *landed));
                self.meter.has_landed.notify_one();
                self.meter.objects.fetch_add(1, Ordering::Relaxed);
                let text =
                    format!("landed {} ({})", object.name, indicatif::HumanBytes(object.size));
                self.report.detail(
                    "object",
                    &text,
                    json!({"key": object.key, "bytes": object.size}),
                );
                if let Some(files) = self.landed {
                    let object = ObjectRecord {
                        crc64: Some(landed.crc64.to_string()),
                        ..ObjectRecord::from((*object).clone())
                    };
                    files.send((place, Version::of(&object))).unwrap_or(());
                }
            }
            // It is loaded again.
            Event::Failed { error: Error::Changed { .. }, .. } => {}
            Event::Failed { object, error } => {
                self.report.warn(&format!("{}: {error}", object.key));
            }
            _ => {}
        }
    }
}

/// `fetch`: objects into a folder.
pub(crate) async fn fetch(context: &Context, args: &FetchArgs) -> Outcome<()> {
    let report = &context.report;
    let from = match (&args.from, &args.task) {
        (Some(from), _) => TosPath::parse(from)?,
        (None, Some(task)) => written_by(context, &TaskId(task.clone()), args.patience).await?,
        (None, None) => {
            return Err(Failure::say(Exit::Usage, "tos://BUCKET/PREFIX or --task is needed"));
        }
    };
    if args.dry_run {
        return plan(context, &from, args).await;
    }
    let request = Request::Fetch { from: from.to_string() };
    let mut folder = RunFolder::create(&args.dir, &from.to_string(), request, None)?;
    let dir = path_to_copy(&args.dir);
    let place = from.to_string();
    let mut again = vec!["fetch", &place, "--dir", &dir];
    let transfer = same_again(&args.transfer);
    again.extend(transfer.iter().map(String::as_str));
    let go_on = to_copy(&again);
    context.detach.set(vec![format!("what has landed stays in {dir}"), format!("go on: {go_on}")]);
    let open = || context.service.bucket(from.bucket(), args.transfer.retries);
    let Listed { objects, refused } = list(&open()?, &from, report).await?;
    if objects.is_empty() && refused.is_empty() {
        return Err(no_objects(&from));
    }
    folder.forget_changed(&objects)?;
    folder.set_objects(objects);
    folder.receipt.listed = Some(now());
    folder.receipt.tries += 1;
    folder.save()?;
    let meter = Meter::new(true);
    let options = fetch_options(&args.transfer, None);
    let loading = load(&open, &mut folder, &options, &meter, report, None);
    let loaded = meter.show(report, loading).await;
    meter.note(&mut folder);
    folder.receipt.retries.tos += context.service.take_retries();
    if loaded.is_ok() && refused.is_empty() {
        folder.receipt.finished = Some(Finished::now(None, None));
    }
    let saved = folder.save();
    // What failed first is what to tell of: a full disk takes no receipt either.
    loaded.map_err(|failure| failure.resumable(&go_on)).and(saved)?;
    let objects = folder.receipt.objects.as_ref().map_or(0, Vec::len);
    report.note("fetched", &format!("{objects} objects in {dir}"), json!({"objects": objects}));
    if refused.is_empty() { Ok(()) } else { Err(refused_keys(&refused)) }
}

/// The flags of a download that a command to go on has to repeat.
pub(crate) fn same_again(transfer: &TransferArgs) -> Vec<String> {
    let mut words = Vec::new();
    if transfer.part_size != FetchOptions::default().part_bytes {
        words.extend(["--part-size".to_owned(), transfer.part_size.to_string()]);
    }
    if transfer.verify == VerifyArg::Full {
        words.extend(["--verify".to_owned(), "full".to_owned()]);
    }
    words
}

/// Tells what a download would take.
async fn plan(context: &Context, from: &TosPath, args: &FetchArgs) -> Outcome<()> {
    let dir = &args.dir;
    let places = find_remote(context, from, args.transfer.retries).await?;
    let objects: Vec<RemoteObject> = places.iter().filter_map(Place::remote).cloned().collect();
    let bytes: u64 = objects.iter().map(|object| object.size).sum();
    let is_missing = |object: &&RemoteObject| {
        fs::metadata(dir.join(&object.name)).map_or(0, |file| file.len()) != object.size
    };
    let missing: Vec<RemoteObject> = objects.iter().filter(is_missing).cloned().collect();
    let needed = viking_fetch::needed_bytes(dir, &missing);
    let (objects, rows) = (places.len(), count_rows(places).await?);
    // The folder may have to be made yet.
    let there = dir.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    let free = viking_fetch::free_bytes(there)?;
    print_text(&format!(
        "objects: {objects}\nbytes: {bytes}\nrows: {rows}\ndisk needed: {needed}\ndisk free: {free}\n"
    ))?;
    if free < needed {
        let text = format!("{} has room for {free} bytes, {needed} are needed", there.display());
        return Err(Failure::say(Exit::Local, text));
    }
    Ok(())
}

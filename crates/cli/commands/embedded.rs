//! The services inside this process, and the verb emulator.

use std::time::Duration;

use bytes::Bytes;
use viking_emulator::{Collections, Emulator, Options};

use crate::args::EmulatorArgs;
use crate::ui::answer::print_text;
use crate::ui::failure::{Exit, Failure, Outcome};
use crate::ui::signals::Signals;

/// The collection that needs no files.
const EXAMPLE: [&[u8]; 3] = [
    include_bytes!("../../../fixtures/collections/example/1.parquet"),
    include_bytes!("../../../fixtures/collections/example/2.parquet"),
    include_bytes!("../../../fixtures/collections/example/10.parquet"),
];

fn example() -> Collections {
    let files = EXAMPLE.iter().map(|file| Bytes::from_static(file)).collect();
    Collections::memory(vec![("example".to_owned(), files)])
}

/// Starts both services with the collection `example`.
pub(crate) async fn start() -> Outcome<Emulator> {
    start_with(Options::new(example())).await
}

async fn start_with(options: Options) -> Outcome<Emulator> {
    Emulator::start(options).await.map_err(|error| {
        Failure::new(Exit::Local, error).hint("is the port taken? leave --port out")
    })
}

/// `emulator`: one JSON line when it is ready, then serves until it is told to stop.
pub(crate) async fn serve(args: &EmulatorArgs) -> Outcome<()> {
    let collections = match &args.collections {
        Some(folder) if !folder.is_dir() => {
            return Err(Failure::say(
                Exit::NotFound,
                format!("{} is not a folder", folder.display()),
            ));
        }
        Some(folder) => Collections::folder(folder),
        None => example(),
    };
    let mut options = Options::new(collections);
    options.faults.clone_from(&args.fault);
    options.port = args.port;
    options.tos_port = args.tos_port;
    options.state_time = Duration::from_millis(args.state_time);
    options.object_rows = args.object_rows.get();
    let mut signals = Signals::new()?;
    let emulator = start_with(options).await?;
    let ready =
        serde_json::to_string(emulator.ready()).map_err(|error| Failure::new(Exit::Bug, error))?;
    print_text(&format!("{ready}\n"))?;
    signals.next().await;
    Ok(())
}

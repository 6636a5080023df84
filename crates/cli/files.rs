//! The verbs on local files: cat, schema, count.

use std::fs::{self, File};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use alphanumeric_sort::sort_path_slice;
use serde_json::json;
use viking_reader::{FileKind, FileSource, Footer, JsonExport};

use crate::Context;
use crate::args::{CatArgs, FilesArgs};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{Output, print_text};
use crate::printing::{Input, open, print, report_memory, report_text_like};
use crate::run_folder;
use crate::settings::print_options;

/// What an export's files are called, in a folder without a receipt that names them.
const EXTENSIONS: [&str; 4] = ["parquet", "json", "jsonl", "ndjson"];

/// `cat`: the rows of files.
pub(crate) fn cat(context: &Context, args: &CatArgs) -> Outcome<()> {
    let files = find(&args.paths)?;
    let output = Output::open(&args.output)?;
    let inputs = files.iter().map(|path| open_input(path));
    let rows = AtomicU64::new(0);
    let printed = print(inputs, print_options(&args.rows)?, output, &context.stop, &rows)?;
    report_memory(&printed, &context.report);
    report_text_like(&printed, &context.report);
    Ok(())
}

/// `count`: one number, or JSON with every file.
pub(crate) fn count(args: &FilesArgs) -> Outcome<()> {
    let mut files = Vec::new();
    let mut total = 0;
    for path in find(&args.paths)? {
        let (name, source) = open_input(&path)?;
        let rows = match FileKind::of(&name, source.as_ref())? {
            FileKind::Json => {
                JsonExport::new(&name, source).for_each_row(|_| Ok(ControlFlow::Continue(())))?
            }
            _ => Footer::read(&name, &source)?.rows(),
        };
        total += rows;
        files.push(json!({"file": name, "rows": rows}));
    }
    if args.json {
        return print_text(&format!("{}\n", json!({"schema": 1, "rows": total, "files": files})));
    }
    print_text(&format!("{total}\n"))
}

/// `schema`: the columns, or JSON with every file.
pub(crate) fn schema(args: &FilesArgs) -> Outcome<()> {
    let mut files = Vec::new();
    let mut text = String::new();
    let mut last_columns = String::new();
    for path in find(&args.paths)? {
        let (name, source) = open_input(&path)?;
        if FileKind::of(&name, source.as_ref())? == FileKind::Json {
            let error = format!("{name} is a JSON export, which has no schema");
            return Err(Failure::say(Exit::Usage, error)
                .hint("export the collection as Parquet to see its columns"));
        }
        let footer = Footer::read(&name, &source)?;
        let mut columns = String::new();
        let mut described = Vec::new();
        for field in footer.schema().fields() {
            let null = if field.is_nullable() { "" } else { " not null" };
            columns += &format!("{}: {}{null}\n", field.name(), field.data_type());
            described.push(json!({"name": field.name(), "type": field.data_type().to_string(),
                "nullable": field.is_nullable()}));
        }
        if columns != last_columns {
            text += &if text.is_empty() { columns.clone() } else { format!("\n{name}\n{columns}") };
        }
        last_columns = columns;
        let groups: Vec<u64> = footer.row_group_rows().collect();
        files.push(json!({"file": name, "rows": footer.rows(), "row_groups": groups, "columns": described}));
    }
    if args.json {
        return print_text(&format!("{}\n", json!({"schema": 1, "files": files})));
    }
    print_text(&text)
}

fn open_input(path: &Path) -> Outcome<Input> {
    if path == Path::new("-") {
        return Ok(("stdin".to_owned(), Arc::new(spool_stdin()?)));
    }
    let name = path.display().to_string();
    let is_stream = fs::metadata(path).is_ok_and(|file| !file.is_file() && !file.is_dir());
    if is_stream {
        let spooled = File::open(path).and_then(spool);
        let spooled =
            spooled.map_err(|error| Failure::local(format!("cannot read {name}"), error))?;
        return Ok((name, Arc::new(spooled)));
    }
    open(&name, path)
}

fn spool_stdin() -> Outcome<FileSource> {
    spool(io::stdin().lock()).map_err(|error| Failure::local("cannot read stdin", error))
}

/// Parquet is read from its end, so a stream goes to a temporary file that has no name.
fn spool(mut stream: impl io::Read) -> io::Result<FileSource> {
    let mut file: File = tempfile::tempfile()?;
    io::copy(&mut stream, &mut file)?;
    FileSource::from_file(file)
}

/// The files that the paths name, folders and patterns opened up, in number-aware order.
fn find(paths: &[PathBuf]) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.to_str().is_some_and(|text| text.starts_with("tos://")) {
            let text = format!("{} is not on this machine", path.display());
            let hint =
                format!("download it first: viking-export fetch {} --dir DIR", path.display());
            return Err(Failure::say(Exit::Usage, text).hint(hint));
        }
        let is_there = path.exists() || path == Path::new("-");
        match path.to_str() {
            Some(pattern) if !is_there && pattern.contains(['*', '?', '[']) => {
                files.extend(expand(pattern)?);
            }
            _ if path.is_dir() => {
                let listed = run_folder::names(path)?;
                if let Some(names) = listed {
                    files.extend(names.into_iter().map(|name| path.join(name)));
                    continue;
                }
                let mut found = Vec::new();
                walk(path, &mut found).map_err(|error| {
                    Failure::local(format!("cannot read {}", path.display()), error)
                })?;
                if found.is_empty() {
                    let text = format!("{} has no Parquet or JSON file", path.display());
                    return Err(Failure::say(Exit::NotFound, text));
                }
                sort_path_slice(&mut found);
                files.extend(found);
            }
            _ => files.push(path.clone()),
        }
    }
    Ok(files)
}

fn expand(pattern: &str) -> Outcome<Vec<PathBuf>> {
    let paths = glob::glob(pattern).map_err(|error| Failure::new(Exit::Usage, error))?;
    let mut found = Vec::new();
    for path in paths {
        found.push(path.map_err(|error| Failure::new(Exit::Local, error))?);
    }
    if found.is_empty() {
        return Err(Failure::say(Exit::NotFound, format!("no file matches {pattern}")));
    }
    sort_path_slice(&mut found);
    Ok(found)
}

/// Files of an export below `folder`, without what the run folder keeps for itself.
fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with('.') || name == "receipt.json" {
            continue;
        }
        if path.is_dir() {
            walk(&path, found)?;
        } else if path.extension().is_some_and(|end| EXTENSIONS.iter().any(|known| end == *known)) {
            found.push(path);
        }
    }
    Ok(())
}

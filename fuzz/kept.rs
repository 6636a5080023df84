//! The files of a corpus, for the tests that try them again.

use std::path::Path;

/// Calls `check` with each file that was kept for a target; there is at least one.
pub(crate) fn each_kept(target: &str, mut check: impl FnMut(&[u8])) {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut above = package.ancestors().map(|folder| folder.join("fuzz/corpus"));
    let folder = above.find(|folder| folder.is_dir()).unwrap().join(target);
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        // Shown if the check fails.
        println!("{}", file.display());
        check(&std::fs::read(&file).unwrap());
    }
}

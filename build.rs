//! Puts the commit and the target into the version that the program tells.

#![expect(clippy::disallowed_methods, reason = "cargo tells the target so")]

use std::process::Command;

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn main() {
    // Outside a clone, as in a source archive, there is no commit to tell.
    let commit = git(&["rev-parse", "--short=10", "HEAD"]).unwrap_or_else(|| "release".to_owned());
    println!("cargo::rustc-env=VIKING_EXPORT_COMMIT={commit}");
    if let Ok(target) = std::env::var("TARGET") {
        println!("cargo::rustc-env=VIKING_EXPORT_TARGET={target}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    // Written anew with every commit and checkout.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
}

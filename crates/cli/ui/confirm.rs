//! Asking before something that cannot be undone.

use std::io::{self, IsTerminal, Write};

use super::failure::{Exit, Failure, Outcome};
use super::plain::one_line;
use crate::args::TalkArgs;

/// Goes on if the user says yes, or said so with `--yes`. Where nobody can be asked, it is refused.
pub(crate) async fn ask(talk: &TalkArgs, what: &str) -> Outcome<()> {
    if talk.yes {
        return Ok(());
    }
    if talk.no_input || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::say(Exit::Usage, what).hint("add --yes to do it without a question"));
    }
    let text = format!("{}\nContinue? [y/N] ", one_line(what));
    // Waiting for an answer must not keep a signal from being heard.
    let asked = tokio::task::spawn_blocking(move || {
        let mut answer = String::new();
        io::stderr().write_all(text.as_bytes())?;
        io::stdin().read_line(&mut answer).map(|_| answer)
    });
    let answer = asked.await.map_err(|error| Failure::new(Exit::Bug, error))?;
    let answer = answer.map_err(|error| Failure::local("cannot ask", error))?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::say(Exit::Usage, "nothing was done")),
    }
}

//! `config show`.

use clap::ArgMatches;
use serde_json::json;
use viking_export::config::Purpose;

use crate::args::{ConfigShowArgs, SettingsFile};
use crate::context::Context;
use crate::ui::answer::print_text;
use crate::ui::failure::Outcome;

/// `config show`: each setting with its value and where that comes from.
pub(crate) fn show(
    context: &Context,
    matches: &ArgMatches,
    file: &SettingsFile,
    args: &ConfigShowArgs,
) -> Outcome<()> {
    let line = |name: &str, value: &str, origin: &str| {
        if args.json {
            let line = json!({"schema": 1, "setting": name, "value": value, "origin": origin});
            format!("{line}\n")
        } else {
            format!("{name} = {value}  ({origin})\n")
        }
    };
    let origins = file.origins(matches, context.session.service().address().site);
    let mut text: String =
        origins.iter().map(|setting| line(setting.name, &setting.value, &setting.origin)).collect();
    for (name, purpose) in [("keys", Purpose::Vikingdb), ("tos_keys", Purpose::Tos)] {
        text += &match context.session.service().locate_credentials(purpose) {
            Some((shown, origin)) => line(name, &shown, &origin),
            None => line(name, "none", "nothing found"),
        };
    }
    print_text(&text)
}

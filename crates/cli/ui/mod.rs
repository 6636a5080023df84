//! How the program talks: reports, failures and their fixes, questions, signals.

pub(crate) mod answer;
pub(crate) mod confirm;
pub(crate) mod copy;
pub(crate) mod failure;
pub(crate) mod log;
pub(crate) mod plain;
pub(crate) mod report;
pub(crate) mod signals;
pub(crate) mod stdout;
pub(crate) mod suggest;
pub(crate) mod text;

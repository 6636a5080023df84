//! What the program calls itself.

/// The version of the program, with the commit and the target it was built from and for.
pub const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("VIKING_EXPORT_COMMIT"),
    ", ",
    env!("VIKING_EXPORT_TARGET"),
    ")"
);

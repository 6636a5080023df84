//! Appends of short texts as stores of a fixed size: a copy whose length varies costs a call.

/// Appends the first `length` bytes of `bytes`.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a call would cost what this saves")]
pub(crate) fn padded<const N: usize>(bytes: &[u8; N], length: usize, out: &mut Vec<u8>) {
    let end = out.len() + length.min(N);
    out.extend_from_slice(bytes);
    out.truncate(end);
}

/// Bytes that are appended often and mostly fit [`Short::ROOM`].
#[derive(Debug)]
pub(crate) struct Short {
    padded: [u8; Self::ROOM],
    /// All of them, for those that do not fit.
    bytes: Vec<u8>,
}

impl Short {
    const ROOM: usize = 32;

    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let mut padded = [0; Self::ROOM];
        let length = bytes.len().min(Self::ROOM);
        padded[..length].copy_from_slice(&bytes[..length]);
        Self { padded, bytes }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        if self.bytes.len() <= Self::ROOM {
            padded(&self.padded, self.bytes.len(), out);
        } else {
            out.extend_from_slice(&self.bytes);
        }
    }
}

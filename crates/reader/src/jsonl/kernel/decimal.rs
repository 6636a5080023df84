//! Decimals: the exact digits of the unscaled integer with the point put in.

use arrow_buffer::i256;

/// Appends `unscaled` × 10^-`scale`.
pub(crate) fn write(unscaled: i128, scale: i8, out: &mut Vec<u8>) {
    write_digits(itoa::Buffer::new().format(unscaled), scale, out);
}

/// Appends `unscaled` × 10^-`scale` of 256 bits.
pub(crate) fn write_256(unscaled: i256, scale: i8, out: &mut Vec<u8>) {
    match unscaled.to_i128() {
        Some(unscaled) => write(unscaled, scale, out),
        None => write_digits(&unscaled.to_string(), scale, out),
    }
}

fn write_digits(integer: &str, scale: i8, out: &mut Vec<u8>) {
    let digits = match integer.strip_prefix('-') {
        Some(digits) => {
            out.push(b'-');
            digits
        }
        None => integer,
    };
    let places = usize::from(scale.unsigned_abs());
    if scale <= 0 {
        out.extend_from_slice(digits.as_bytes());
        if digits != "0" {
            out.resize(out.len() + places, b'0');
        }
        return;
    }
    let (whole, fraction) = digits.split_at(digits.len().saturating_sub(places));
    out.extend_from_slice(if whole.is_empty() { b"0" } else { whole.as_bytes() });
    out.push(b'.');
    out.resize(out.len() + places - fraction.len(), b'0');
    out.extend_from_slice(fraction.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::write;

    #[test]
    fn the_point_stands_where_the_scale_says() {
        let cases = [
            (12345, 2, "123.45"),
            (-5, 2, "-0.05"),
            (0, 3, "0.000"),
            (7, 0, "7"),
            (7, -3, "7000"),
            (0, -3, "0"),
            (-12, 2, "-0.12"),
        ];
        for (unscaled, scale, expected) in cases {
            let mut out = Vec::new();
            write(unscaled, scale, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}

//! Blocks: values that are taken together, so that each step is a loop without a branch, and what the
//! kernels that do so share.

/// Values of 64 bits that are taken together.
pub(super) const BLOCK: usize = 32;

/// The first `N` values, or fewer in `room` with something harmless behind them.
pub(super) fn whole_block<'a, T: Copy, const N: usize>(
    values: &'a [T],
    room: &'a mut [T; N],
) -> &'a [T; N] {
    if let Some(block) = values.first_chunk() {
        return block;
    }
    room[..values.len()].copy_from_slice(values);
    room
}

/// The digits of a number below 10^4, one in each byte, the first in the lowest.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once for each set of CPU features")]
pub(super) fn four_digits(number: u32) -> u32 {
    let hundreds = (number * 10_486) >> 20;
    let twos = hundreds | (number - hundreds * 100) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f;
    tens | (twos - tens * 10) << 8
}

/// Whether the CPU has AVX2 and the instructions for bits and bytes that came with it or before.
#[cfg(target_arch = "x86_64")]
pub(super) fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
        && std::arch::is_x86_feature_detected!("bmi2")
        && std::arch::is_x86_feature_detected!("lzcnt")
        && std::arch::is_x86_feature_detected!("popcnt")
}

/// Whether the CPU has, besides, what is meant by x86-64-v4.
#[cfg(target_arch = "x86_64")]
pub(super) fn has_avx512() -> bool {
    has_avx2()
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("avx512cd")
        && std::arch::is_x86_feature_detected!("avx512dq")
        && std::arch::is_x86_feature_detected!("avx512vl")
}

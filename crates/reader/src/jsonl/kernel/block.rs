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

/// Defines a function that is compiled for CPUs with AVX-512, for those with AVX2, and for any other, and that
/// finds out which of them the CPU is. `vectors` is compiled twice, on x86-64 only, and done only `when` it pays.
macro_rules! for_each_cpu {
    (
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident $([$($generics:tt)*][$($generic:ident),*])? (
            $($argument:ident: $kind:ty),* $(,)?
        ) {
            $(when: $condition:expr,)?
            vectors: $vectors:expr,
            any: $any:expr $(,)?
        }
    ) => {
        $(#[$attribute])*
        $visibility fn $name $(<$($generics)*>)? ($($argument: $kind),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512bw,avx512cd,avx512dq,avx512vl")]
                #[target_feature(enable = "avx2,bmi2,lzcnt,popcnt")]
                fn for_avx512 $(<$($generics)*>)? ($($argument: $kind),*) {
                    $vectors;
                }

                #[target_feature(enable = "avx2,bmi2,lzcnt,popcnt")]
                fn for_avx2 $(<$($generics)*>)? ($($argument: $kind),*) {
                    $vectors;
                }

                let pays = true $(&& $condition)?;
                if pays && $crate::jsonl::kernel::block::has_avx512() {
                    #[expect(unsafe_code, reason = "vectors take half the time or less")]
                    // SAFETY: the CPU has what the function is compiled for, as was asked just now.
                    unsafe {
                        for_avx512 $(::<$($generic),*>)? ($($argument),*);
                    }
                    return;
                }
                if pays && $crate::jsonl::kernel::block::has_avx2() {
                    #[expect(unsafe_code, reason = "vectors take half the time or less")]
                    // SAFETY: the CPU has what the function is compiled for, as was asked just now.
                    unsafe {
                        for_avx2 $(::<$($generic),*>)? ($($argument),*);
                    }
                    return;
                }
            }
            $any;
        }
    };
}

pub(super) use for_each_cpu;

/// Whether the CPU has AVX2 and the instructions for bits that came with it or before.
#[cfg(target_arch = "x86_64")]
pub(super) fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
        && std::arch::is_x86_feature_detected!("bmi2")
        && std::arch::is_x86_feature_detected!("lzcnt")
        && std::arch::is_x86_feature_detected!("popcnt")
        && tested::may_have(tested::Level::Avx2)
}

/// Whether the CPU has the level x86-64-v4, and no older set of features that is called AVX-512 as well.
#[cfg(target_arch = "x86_64")]
pub(super) fn has_avx512() -> bool {
    has_avx2()
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("avx512cd")
        && std::arch::is_x86_feature_detected!("avx512dq")
        && std::arch::is_x86_feature_detected!("avx512vl")
        && tested::may_have(tested::Level::Avx512)
}

/// Lets tests do without what the CPU has.
pub(super) mod tested {
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
    pub(in super::super) enum Level {
        #[cfg(test)]
        Any,
        Avx2,
        Avx512,
    }

    #[cfg(not(test))]
    pub(super) const fn may_have(_: Level) -> bool {
        true
    }

    #[cfg(test)]
    thread_local! {
        static HIGHEST: std::cell::Cell<Level> = const { std::cell::Cell::new(Level::Avx512) };
    }

    #[cfg(test)]
    pub(super) fn may_have(level: Level) -> bool {
        level <= HIGHEST.get()
    }

    /// Runs a test for each of the CPUs that code is compiled for, or as many as this one can be.
    #[cfg(test)]
    pub(in super::super) fn on_each_cpu(test: impl Fn()) {
        for level in [Level::Any, Level::Avx2, Level::Avx512] {
            HIGHEST.set(level);
            test();
        }
        HIGHEST.set(Level::Avx512);
    }
}

//! Which blocks of an object are fetched for the ranges that will be read, and which follows which.

use std::ops::Range;

/// No block is larger: what one connection brings is little where the way is long, so that many blocks have to be
/// on their way at once.
const BLOCK_BYTES_MAX: u64 = 2 << 20;
/// Smaller blocks would be mostly requests.
const BLOCK_BYTES_MIN: u64 = 64 * 1024;
/// The first block that a reader gets, who may stop soon.
const FIRST_BYTES: u64 = 256 * 1024;
/// Blocks of each range that are held: the one that is read, those ahead, and one that a reader which lags
/// behind may still want.
const BLOCKS_EACH: u64 = 4;
/// Bytes between two ranges that are fetched along with them rather than with a request more.
const GAP_BYTES: u64 = 64 * 1024;
/// Ranges of the first group are fetched together up to this size: its reader may stop soon.
const FIRST_MERGE_BYTES: u64 = 1 << 20;

/// Blocks that do not overlap, in the order of their places.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    ranges: Vec<Range<u64>>,
    /// For each block, the one that is read after it.
    next: Vec<Option<usize>>,
    /// All blocks, about as they will be read.
    order: Vec<usize>,
}

impl Plan {
    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// The block that holds the byte at `position`.
    pub(crate) fn find(&self, position: u64) -> Option<usize> {
        let number = self.ranges.partition_point(|range| range.end <= position);
        self.ranges.get(number).is_some_and(|range| range.contains(&position)).then_some(number)
    }

    pub(crate) fn range(&self, number: usize) -> Range<u64> {
        self.ranges[number].clone()
    }

    pub(crate) fn next(&self, number: usize) -> Option<usize> {
        self.next[number]
    }

    /// The block that is read at this place, if all ranges of a group are read equally fast.
    pub(crate) fn at(&self, place: usize) -> Option<usize> {
        self.order.get(place).copied()
    }
}

/// Blocks for `groups` of ranges, a few for each range of a group within `budget` bytes where they can be.
pub(crate) fn plan(groups: &[Vec<Range<u64>>], budget: u64) -> Plan {
    let columns = groups.iter().map(Vec::len).max().unwrap_or(0).max(1) as u64;
    let block_bytes = (budget / BLOCKS_EACH / columns).clamp(BLOCK_BYTES_MIN, BLOCK_BYTES_MAX);
    let mut plan = Plan::default();
    for (number, group) in groups.iter().enumerate() {
        let merge_bytes =
            if number == 0 { block_bytes.min(FIRST_MERGE_BYTES) } else { block_bytes };
        for range in merge(group, merge_bytes) {
            // A reader that stops early should not have paid for much: blocks grow as it goes on.
            let first = if number == 0 { FIRST_BYTES.min(block_bytes) } else { block_bytes };
            cut(range, first, block_bytes, merge_bytes, &mut plan.ranges);
        }
    }
    plan.ranges.sort_by_key(|range| range.start);
    without_overlap(&mut plan.ranges);
    let starts = starts(groups);
    plan.next = followers(&plan, groups, &starts);
    plan.order = order(&plan, groups, &starts);
    plan
}

/// Where a range starts, with its group and its place in that.
type Start = (u64, usize, usize);

/// All ranges, by where they start.
fn starts(groups: &[Vec<Range<u64>>]) -> Vec<Start> {
    let mut starts: Vec<Start> = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        starts.extend(group.iter().enumerate().map(|(place, range)| (range.start, number, place)));
    }
    starts.sort_unstable();
    starts
}

/// The blocks by group, and within one by how far they are into their range.
fn order(plan: &Plan, groups: &[Vec<Range<u64>>], starts: &[Start]) -> Vec<usize> {
    let key = |&block: &usize| {
        let first = plan.ranges[block].start;
        let at = starts.partition_point(|(start, ..)| *start <= first).saturating_sub(1);
        let Some(&(start, number, place)) = starts.get(at) else { return (0, 0) };
        let bytes = groups[number][place].end - start;
        (number, u128::from(first.saturating_sub(start)) * 1_000_000 / u128::from(bytes.max(1)))
    };
    let mut order: Vec<usize> = (0..plan.len()).collect();
    order.sort_by_cached_key(key);
    order
}

/// The ranges in the order of their places, those together that lie close and are small.
fn merge(group: &[Range<u64>], merge_bytes: u64) -> Vec<Range<u64>> {
    let mut ranges: Vec<_> = group.iter().filter(|range| !range.is_empty()).cloned().collect();
    ranges.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last)
                if range.start <= last.end.saturating_add(GAP_BYTES)
                    && range.end.max(last.end) - last.start <= merge_bytes =>
            {
                last.end = last.end.max(range.end);
            }
            _ => merged.push(range),
        }
    }
    merged
}

/// Cuts a range into blocks that grow from `first` to `block_bytes`; one of `whole` bytes is not cut.
fn cut(range: Range<u64>, first: u64, block_bytes: u64, whole: u64, blocks: &mut Vec<Range<u64>>) {
    if range.end - range.start <= whole {
        return blocks.push(range);
    }
    let (mut start, mut bytes) = (range.start, first);
    while start < range.end {
        let end = start.saturating_add(bytes).min(range.end);
        blocks.push(start..end);
        start = end;
        bytes = (bytes * 2).min(block_bytes);
    }
}

/// A byte is fetched once. Where ranges share some, the one that starts there has them: its reader needs them
/// first.
fn without_overlap(ranges: &mut Vec<Range<u64>>) {
    let mut start = u64::MAX;
    for range in ranges.iter_mut().rev() {
        range.end = range.end.min(start);
        start = start.min(range.start);
    }
    ranges.retain(|range| !range.is_empty());
}

/// For each block what is read after it: the rest of its range, or else the range at the same place in
/// the next group.
fn followers(plan: &Plan, groups: &[Vec<Range<u64>>], starts: &[Start]) -> Vec<Option<usize>> {
    let follower = |block: usize| {
        let last = plan.ranges[block].end - 1;
        let at = starts.partition_point(|(start, ..)| *start <= last).checked_sub(1)?;
        let (_, number, place) = starts[at];
        // Ranges may reach a little into the one behind them.
        let is_end = starts.get(at + 1).is_some_and(|(start, ..)| *start == last + 1);
        if groups[number][place].end > last + 1 && !is_end {
            return plan.find(last + 1);
        }
        let next = groups.get(number + 1)?.get(place)?;
        plan.find(next.start).filter(|&next| next != block)
    };
    (0..plan.len()).map(follower).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn lengths(plan: &Plan) -> Vec<u64> {
        plan.ranges.iter().map(|range| range.end - range.start).collect()
    }

    #[test]
    fn small_ranges_that_lie_close_are_one_block() {
        let groups = [vec![4..1_000, 1_000..9_000, 9_100..20_000], vec![900_000..MIB; 3]];
        let plan = plan(&groups, 32 * MIB);
        assert_eq!(plan.ranges, [4..20_000, 900_000..MIB]);
        assert_eq!((plan.next(0), plan.next(1)), (Some(1), None));
        assert_eq!(
            (plan.find(3), plan.find(4), plan.find(19_999), plan.find(20_000)),
            (None, Some(0), Some(0), None)
        );
    }

    #[test]
    fn blocks_grow_in_the_first_group_and_are_large_behind() {
        let groups = [4..20 * MIB, 20 * MIB..60 * MIB].map(|range| Vec::from([range]));
        let plan = plan(&groups, 64 * MIB);
        let kib: Vec<u64> = lengths(&plan).iter().map(|bytes| bytes / 1024).collect();
        assert_eq!(kib[..4], [256, 512, 1024, 2048]);
        assert!(kib[4..].iter().all(|&kib| kib == 2048 || kib == 255), "{kib:?}");
        let last = plan.len() - 1;
        assert!((0..last).all(|block| plan.next(block) == Some(block + 1)));
        assert_eq!(plan.order, (0..=last).collect::<Vec<_>>());
    }

    #[test]
    fn a_column_is_followed_by_itself_in_the_next_group() {
        let groups = [
            vec![0..4 * MIB + 512, 4 * MIB..9 * MIB + 512],
            vec![9 * MIB..13 * MIB + 512, 13 * MIB..18 * MIB],
        ];
        let plan = plan(&groups, 32 * MIB);
        let last_of_first = plan.find(4 * MIB - 1).unwrap();
        assert_eq!(plan.next(last_of_first), plan.find(9 * MIB));
        assert_eq!(plan.next(plan.find(9 * MIB - 1).unwrap()), plan.find(13 * MIB));
        assert_eq!(plan.next(plan.find(18 * MIB - 1).unwrap()), None);
        // Side by side through the first group, then through the second.
        let starts: Vec<u64> = plan.order.iter().map(|&block| plan.ranges[block].start).collect();
        assert_eq!(starts[..2], [0, 4 * MIB]);
        assert_ne!(starts[2] < 4 * MIB, starts[3] < 4 * MIB, "{starts:?}");
        let first = starts.iter().position(|&start| start >= 9 * MIB).unwrap();
        assert!(starts[first..].iter().all(|&start| start >= 9 * MIB), "{starts:?}");
    }

    #[test]
    fn many_columns_get_smaller_blocks_and_no_byte_is_fetched_twice() {
        let groups: Vec<Vec<_>> =
            vec![(0..16).map(|column| column * 5 * MIB..(column + 1) * 5 * MIB + 512).collect()];
        let plan = plan(&groups, 32 * MIB);
        assert!(lengths(&plan).iter().all(|&bytes| bytes <= MIB), "{:?}", lengths(&plan));
        assert_eq!(lengths(&plan).iter().sum::<u64>(), 80 * MIB + 512);
        assert!(plan.ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
    }
}

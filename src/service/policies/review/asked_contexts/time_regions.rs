//! The parts into which literals cut the times and the times of a day, and their names.

use crate::domain::rfc3339::format_seconds;
use crate::domain::shown::join_or;

/// The seconds of a day.
const DAY: i64 = 86_400;

/// Whole seconds from `begin` until before `end`; of a day, it may end after midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service::policies::review) struct TimeRegion {
    begin: Option<i64>,
    end: Option<i64>,
}

impl TimeRegion {
    pub(super) const ALWAYS: Self = Self {
        begin: None,
        end: None,
    };

    fn contains(self, second: i64) -> bool {
        self.begin.is_none_or(|begin| begin <= second) && self.end.is_none_or(|end| second < end)
    }

    /// Whether the time of day of a second is in it.
    fn contains_of_day(self, second: i64) -> bool {
        self.contains(second.rem_euclid(DAY))
    }

    /// A second of this region of times, at a time of the other one of a day if there is one: now, if it is such.
    pub(super) fn sample_at(self, of_day: Self, now: i64) -> i64 {
        let days = [Some(now), self.begin, self.end.map(|end| end - 1)];
        let days = days.into_iter().flatten().flat_map(|second| {
            let midnight = second.div_euclid(DAY) * DAY;
            [midnight, midnight + DAY, midnight - DAY]
        });
        let (first, last) = (of_day.begin, of_day.end.map(|end| end - 1));
        let times: Vec<i64> = [first, last].into_iter().flatten().collect();
        let at_times = days.flat_map(|midnight| times.iter().map(move |second| midnight + second));
        let beside = [self.begin, self.end.map(|end| end - 1)]
            .into_iter()
            .flatten();
        let all = [now]
            .into_iter()
            .chain(at_times.collect::<Vec<_>>())
            .chain(beside);
        let in_both = all
            .clone()
            .find(|second| self.contains(*second) && of_day.contains_of_day(*second));
        in_both
            .or_else(|| all.clone().find(|second| self.contains(*second)))
            .unwrap_or(now)
    }
}

/// The regions of some times: before and after each, and `at` each by itself.
pub(super) fn instant_regions(instants: &[i64], is_at_asked: bool) -> Vec<TimeRegion> {
    let after = i64::from(is_at_asked);
    let edges = instants.iter();
    let mut edges: Vec<i64> = edges
        .flat_map(|at| [*at, at.saturating_add(after)])
        .collect();
    edges.sort_unstable();
    edges.dedup();
    let begins = [None].into_iter().chain(edges.iter().copied().map(Some));
    let ends = edges.iter().copied().map(Some).chain([None]);
    begins
        .zip(ends)
        .map(|(begin, end)| TimeRegion { begin, end })
        .collect()
}

/// The regions of some times of day: at each, and between it and the next one or midnight.
pub(super) fn time_of_day_regions(times: &[i64]) -> Vec<TimeRegion> {
    if times.is_empty() {
        return vec![TimeRegion::ALWAYS];
    }
    let edges = times.iter().flat_map(|at| [*at, at + 1]);
    let mut edges: Vec<i64> = edges.chain([0]).filter(|edge| *edge < DAY).collect();
    edges.sort_unstable();
    edges.dedup();
    let ends = edges.iter().copied().skip(1).chain([DAY]);
    let region = |(begin, end): (&i64, i64)| TimeRegion {
        begin: Some(*begin),
        end: Some(end),
    };
    edges.iter().zip(ends).map(region).collect()
}

/// The name of some regions of times, such as "before 2027-01-01T00:00:00Z"; `None` if they are all.
pub(super) fn name_instants(regions: &[TimeRegion], chosen: &[usize]) -> Option<String> {
    if chosen.len() == regions.len() {
        return None;
    }
    let names =
        merged(regions, chosen)
            .into_iter()
            .map(|region| match (region.begin, region.end) {
                (Some(begin), Some(end)) if begin + 1 == end => {
                    format!("at {}", format_seconds(begin))
                }
                (Some(begin), Some(end)) => {
                    format!(
                        "from {} until {}",
                        format_seconds(begin),
                        format_seconds(end)
                    )
                }
                (None, Some(end)) => format!("before {}", format_seconds(end)),
                (Some(begin), None) => format!("from {} on", format_seconds(begin)),
                (None, None) => String::new(),
            });
    let names: Vec<String> = names.collect();
    Some(join_or(&names))
}

/// The name of some regions of a day, such as "between 22:00 and 04:00 UTC"; `None` if they are all.
pub(super) fn name_times_of_day(regions: &[TimeRegion], chosen: &[usize]) -> Option<String> {
    if chosen.len() == regions.len() {
        return None;
    }
    let mut merged = merged(regions, chosen);
    // What lasts until midnight goes on after it.
    if let [first, .., last] = merged.as_slice()
        && (first.begin, last.end) == (Some(0), Some(DAY))
    {
        let whole = TimeRegion {
            begin: last.begin,
            end: first.end.map(|end| end + DAY),
        };
        merged.pop();
        if let Some(first) = merged.first_mut() {
            *first = whole;
        }
    }
    let names: Vec<String> = merged
        .into_iter()
        .map(|region| match (region.begin, region.end) {
            (Some(begin), Some(end)) if begin + 1 == end => format!("at {}", clock(begin)),
            (Some(begin), Some(DAY)) => format!("between {} and 24:00", clock(begin)),
            (Some(begin), Some(end)) => format!("between {} and {}", clock(begin), clock(end)),
            _ => String::new(),
        })
        .collect();
    Some(format!("{} UTC", join_or(&names)))
}

/// The chosen regions, with those that follow each other joined.
fn merged(regions: &[TimeRegion], chosen: &[usize]) -> Vec<TimeRegion> {
    let mut merged: Vec<TimeRegion> = Vec::new();
    for region in chosen.iter().filter_map(|index| regions.get(*index)) {
        match merged.last_mut() {
            Some(last) if last.end.is_some() && last.end == region.begin => last.end = region.end,
            _ => merged.push(*region),
        }
    }
    merged
}

fn clock(second: i64) -> String {
    let second = second.rem_euclid(DAY);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    if second == 0 {
        format!("{hour:02}:{minute:02}")
    } else {
        format!("{hour:02}:{minute:02}:{second:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_of_times_have_names() {
        let day = 20_454 * DAY;
        let regions = instant_regions(&[day, day + DAY], true);
        let name = |chosen: &[usize]| name_instants(&regions, chosen).unwrap();
        assert_eq!(regions.len(), 5);
        assert_eq!(name(&[0]), "before 2026-01-01T00:00:00Z");
        assert_eq!(name(&[0, 1]), "before 2026-01-01T00:00:01Z");
        assert_eq!(
            name(&[1, 2]),
            "from 2026-01-01T00:00:00Z until 2026-01-02T00:00:00Z"
        );
        assert_eq!(name(&[1]), "at 2026-01-01T00:00:00Z");
        assert_eq!(
            name(&[0, 3, 4]),
            "before 2026-01-01T00:00:00Z or from 2026-01-02T00:00:00Z on"
        );
        assert_eq!(name_instants(&regions, &[0, 1, 2, 3, 4]), None);
    }

    #[test]
    fn a_window_over_midnight_has_one_name() {
        let regions = time_of_day_regions(&[22 * 3_600, 4 * 3_600]);
        let is_night = |region: &TimeRegion| {
            region
                .begin
                .is_some_and(|begin| !(4 * 3_600..22 * 3_600).contains(&begin))
        };
        let places = |wanted: bool| -> Vec<usize> {
            let all = regions.iter().enumerate();
            all.filter(|(_, region)| is_night(region) == wanted)
                .map(|(place, _)| place)
                .collect()
        };
        let name = |chosen: &[usize]| name_times_of_day(&regions, chosen).unwrap();
        assert_eq!(name(&places(true)), "between 22:00 and 04:00 UTC");
        assert_eq!(name(&places(false)), "between 04:00 and 22:00 UTC");
        // A time of day begins anew at midnight, whether a policy names it or not.
        let regions = time_of_day_regions(&[22 * 3_600]);
        let name = |chosen: &[usize]| name_times_of_day(&regions, chosen).unwrap();
        assert_eq!(name(&[1, 2]), "between 22:00 and 24:00 UTC");
        assert_eq!(name(&[0]), "between 00:00 and 22:00 UTC");
    }

    #[test]
    fn a_sample_is_in_the_region_and_at_the_time_of_day() {
        let now = 20_454 * DAY + 43_200;
        for instants in [
            vec![],
            vec![now - 7 * DAY],
            vec![now + 30 * DAY + 7],
            vec![now, now + DAY],
        ] {
            for times in [vec![], vec![0], vec![22 * 3_600, 4 * 3_600], vec![86_399]] {
                for region in instant_regions(&instants, times.is_empty()) {
                    for of_day in time_of_day_regions(&times) {
                        let sample = region.sample_at(of_day, now);
                        assert!(region.contains(sample), "{region:?} {of_day:?}");
                        assert!(
                            of_day.contains_of_day(sample),
                            "{region:?} {of_day:?} {sample}"
                        );
                    }
                }
            }
        }
    }
}

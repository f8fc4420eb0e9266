//! The hierarchy of a bundle's entities: cycles, and all ancestors of each, within bounds.

/// The most ancestors of all entities together.
pub(super) const MAX_ANCESTORS: usize = 1_000_000;
/// The most cycles that are told.
const MAX_CYCLES: usize = 20;

/// Why a hierarchy has no closure.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HierarchyError {
    /// Entities that are in themselves: each cycle begins with its first entity.
    Cycles(Vec<Vec<usize>>),
    /// There are more than [`MAX_ANCESTORS`]; the entity at which they became too many.
    TooManyAncestors(usize),
}

/// The ancestors of each node, from its parents. Numbers that are beyond the nodes have no parents.
pub(super) fn ancestors(parents: &[Vec<usize>]) -> Result<Vec<Vec<usize>>, HierarchyError> {
    let order = parents_first(parents)?;
    let highest = parents
        .iter()
        .flatten()
        .max()
        .map_or(0, |highest| highest + 1);
    // The node that a number was last seen for.
    let mut seen = vec![usize::MAX; highest.max(parents.len())];
    let mut closed: Vec<Vec<usize>> = vec![Vec::new(); parents.len()];
    let mut total = 0;
    for node in order {
        let mut found: Vec<usize> = Vec::new();
        for &parent in parents.get(node).into_iter().flatten() {
            let above = closed.get(parent).map_or(&[][..], Vec::as_slice);
            for &ancestor in std::iter::once(&parent).chain(above) {
                if let Some(last) = seen.get_mut(ancestor)
                    && *last != node
                {
                    *last = node;
                    found.push(ancestor);
                }
            }
            if total + found.len() > MAX_ANCESTORS {
                return Err(HierarchyError::TooManyAncestors(node));
            }
        }
        total += found.len();
        if let Some(place) = closed.get_mut(node) {
            *place = found;
        }
    }
    Ok(closed)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    New,
    /// On the path that is walked.
    Open,
    Done,
}

/// The nodes in an order in which each comes after its parents. No recursion: a chain may be very long.
fn parents_first(parents: &[Vec<usize>]) -> Result<Vec<usize>, HierarchyError> {
    let mut visits = vec![Visit::New; parents.len()];
    let mut order = Vec::with_capacity(parents.len());
    let mut cycles = Vec::new();
    for start in 0..parents.len() {
        if visits.get(start) != Some(&Visit::New) {
            continue;
        }
        set(&mut visits, start, Visit::Open);
        // Each node of the path, with how many of its parents were looked at.
        let mut path = vec![(start, 0)];
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            let parent = parents.get(node).and_then(|all| all.get(*next)).copied();
            *next += 1;
            let Some(parent) = parent else {
                path.pop();
                set(&mut visits, node, Visit::Done);
                order.push(node);
                continue;
            };
            match visits.get(parent) {
                Some(Visit::New) => {
                    set(&mut visits, parent, Visit::Open);
                    path.push((parent, 0));
                }
                Some(Visit::Open) => {
                    let on_path = path.iter().skip_while(|(node, _)| *node != parent);
                    cycles.push(from_first(on_path.map(|(node, _)| *node).collect()));
                    if cycles.len() == MAX_CYCLES {
                        return Err(HierarchyError::Cycles(cycles));
                    }
                }
                Some(Visit::Done) | None => {}
            }
        }
    }
    if cycles.is_empty() {
        Ok(order)
    } else {
        Err(HierarchyError::Cycles(cycles))
    }
}

fn set(visits: &mut [Visit], node: usize, visit: Visit) {
    if let Some(place) = visits.get_mut(node) {
        *place = visit;
    }
}

/// The same cycle from the node with the lowest number on.
fn from_first(mut cycle: Vec<usize>) -> Vec<usize> {
    let first = cycle.iter().enumerate().min_by_key(|(_, node)| **node);
    let first = first.map_or(0, |(at, _)| at);
    cycle.rotate_left(first);
    cycle
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cycle_is_told_from_its_first_entity_on() {
        let cycles = |parents: &[Vec<usize>]| match ancestors(parents) {
            Err(HierarchyError::Cycles(cycles)) => cycles,
            other => panic!("{other:?}"),
        };
        assert_eq!(cycles(&[vec![0]]), [vec![0]]);
        assert_eq!(cycles(&[vec![], vec![2], vec![1, 0]]), [vec![1, 2]]);
        // What leads into a cycle is no part of it.
        assert_eq!(
            cycles(&[vec![2], vec![3], vec![1], vec![2]]),
            [vec![1, 3, 2]]
        );
        let long = 10_000;
        let ring: Vec<Vec<usize>> = (0..long).map(|node| vec![(node + 1) % long]).collect();
        assert_eq!(cycles(&ring), [(0..long).collect::<Vec<_>>()]);
    }

    #[test]
    fn a_chain_whose_closure_is_quadratic_is_refused() {
        let chain = |length: usize| -> Vec<Vec<usize>> {
            let parents = (0..length).map(|node| (node + 1..length).take(1).collect());
            parents.collect()
        };
        assert_eq!(ancestors(&chain(1_400)).map(|all| all[0].len()), Ok(1_399));
        assert!(matches!(
            ancestors(&chain(50_000)),
            Err(HierarchyError::TooManyAncestors(_))
        ));
    }

    proptest! {
        /// The ancestors are what can be reached, and there is an answer exactly if no node reaches itself.
        #[test]
        fn the_ancestors_are_what_can_be_reached(
            parents in proptest::collection::vec(proptest::collection::vec(0..9_usize, 0..3), 0..7),
        ) {
            let reached = |from: usize| {
                let mut reached = BTreeSet::new();
                let mut open: Vec<usize> = parents.get(from).cloned().unwrap_or_default();
                while let Some(node) = open.pop() {
                    if reached.insert(node) {
                        open.extend(parents.get(node).into_iter().flatten());
                    }
                }
                reached
            };
            let expected: Vec<BTreeSet<usize>> = (0..parents.len()).map(reached).collect();
            let has_cycle = expected.iter().enumerate().any(|(node, all)| all.contains(&node));
            match ancestors(&parents) {
                Ok(found) => {
                    prop_assert!(!has_cycle);
                    let sets = found.iter().map(|all| all.iter().copied().collect());
                    prop_assert_eq!(sets.collect::<Vec<BTreeSet<usize>>>(), expected);
                    let no_duplicates = found.iter().all(|all| {
                        all.len() == all.iter().collect::<BTreeSet<_>>().len()
                    });
                    prop_assert!(no_duplicates);
                }
                Err(HierarchyError::Cycles(cycles)) => {
                    prop_assert!(has_cycle);
                    for cycle in cycles {
                        for (at, node) in cycle.iter().enumerate() {
                            let next = cycle.get(at + 1).unwrap_or(&cycle[0]);
                            prop_assert!(parents[*node].contains(next));
                        }
                    }
                }
                Err(other) => prop_assert!(false, "{other:?}"),
            }
        }
    }
}

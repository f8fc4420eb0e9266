//! The names of sets of contexts: "from 198.51.100.0/24, before 2027-01-01T00:00:00Z".
//!
//! A set is told as a few products of parts of the addresses, times, times of day and callers.

use crate::domain::shown::join_or;

use super::address_regions::name_addresses;
use super::time_regions::{name_instants, name_times_of_day};
use super::{AskedContexts, CallerKind, ContextSet};

/// The most products in the name of a set.
const MAX_NAMES: usize = 4;

/// The names of the products that make up a set; none if it is all contexts, or empty.
pub(in crate::service::policies::review) fn name_contexts(
    asked: &AskedContexts,
    set: ContextSet,
) -> Vec<String> {
    if set == 0 || set == asked.all() {
        return Vec::new();
    }
    let table: Vec<bool> = (0..asked.len())
        .map(|index| set >> index & 1 == 1)
        .collect();
    let products = products(&table, &asked.sizes());
    let names = products.iter().map(|chosen| name_product(asked, chosen));
    let mut names: Vec<String> = names.filter(|name| !name.is_empty()).collect();
    if let Some(more @ 1..) = names.len().checked_sub(MAX_NAMES) {
        names.truncate(MAX_NAMES);
        names.push(format!("in {more} more combinations of these"));
    }
    names
}

/// Cuts a table of some dimensions into products: for each, the chosen places of every dimension.
fn products(table: &[bool], sizes: &[usize]) -> Vec<Vec<Vec<usize>>> {
    let Some((size, inner)) = sizes.split_first() else {
        return if table.contains(&true) {
            vec![Vec::new()]
        } else {
            Vec::new()
        };
    };
    let width = table.len() / (*size).max(1);
    // Places with the same rest are one part.
    let mut parts: Vec<(&[bool], Vec<usize>)> = Vec::new();
    for (place, rest) in table.chunks(width.max(1)).enumerate() {
        match parts.iter_mut().find(|(known, _)| *known == rest) {
            Some((_, places)) => places.push(place),
            None => parts.push((rest, vec![place])),
        }
    }
    let mut all = Vec::new();
    for (rest, places) in parts {
        for product in self::products(rest, inner) {
            all.push([vec![places.clone()], product].concat());
        }
    }
    all
}

fn name_product(asked: &AskedContexts, chosen: &[Vec<usize>]) -> String {
    let [addresses, instants, times_of_day, callers] = chosen else {
        return String::new();
    };
    let names = [
        name_addresses(&asked.networks, &asked.addresses, addresses),
        name_instants(&asked.instants, instants),
        name_times_of_day(&asked.times_of_day, times_of_day),
        name_callers(&asked.callers, callers),
    ];
    let names: Vec<String> = names.into_iter().flatten().collect();
    names.join(", ")
}

fn name_callers(callers: &[CallerKind], chosen: &[usize]) -> Option<String> {
    if chosen.len() == callers.len() {
        return None;
    }
    let is_signed_in = |index: &usize| callers.get(*index) == Some(&CallerKind::SignedIn);
    let has_signed_in = chosen.iter().any(is_signed_in);
    let are_all_keys = callers.contains(&CallerKind::SignedIn) && chosen.len() + 1 == callers.len();
    if !has_signed_in && are_all_keys {
        return Some("with an API key".to_owned());
    }
    let words = chosen.iter().filter_map(|index| callers.get(*index));
    let words: Vec<String> = words.map(|caller| caller.words()).collect();
    Some(join_or(&words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_cut_into_few_products_that_make_it_up() {
        let sizes = [3, 2, 2];
        for bits in 0..1_u32 << 12 {
            let table: Vec<bool> = (0..12).map(|index| bits >> index & 1 == 1).collect();
            let mut made = vec![0; 12];
            for product in products(&table, &sizes) {
                for a in &product[0] {
                    for b in &product[1] {
                        for c in &product[2] {
                            made[(a * 2 + b) * 2 + c] += 1;
                        }
                    }
                }
            }
            let expected: Vec<i32> = table.iter().map(|is_in| i32::from(*is_in)).collect();
            assert_eq!(made, expected);
        }
        assert_eq!(products(&[true; 12], &sizes).len(), 1);
    }
}

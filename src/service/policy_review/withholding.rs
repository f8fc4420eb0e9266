//! Withholding: what of an explanation is not for whoever asked for it.
//!
//! Who may ask what the policies say need not be one who may see users, or a dataset whole. What the
//! policies answer and which of their parts hold is told to all who may ask; the values those parts
//! saw, and whatever else repeats such values, only to those who may see whose they are. Where it is
//! not known whose a value is, it takes the right to see both. This module refuses to know who may
//! see what.

use crate::policy::explain::{Account, Whose};

use super::explanation::Explained;

/// Whose values whoever asks may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Whether it may see the principal.
    pub sees_principal: bool,
    /// Whether it may see the dataset whole.
    pub sees_dataset: bool,
}

/// What of an explanation is withheld.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Withheld {
    /// Whether the values of the principal are.
    pub is_principal_withheld: bool,
    /// Whether the values of the dataset are, and what follows from whether it has a file.
    pub is_dataset_withheld: bool,
    /// How many texts of errors are: they repeat values.
    pub errors: usize,
}

impl Sight {
    fn is_whole(self) -> bool {
        self.sees_principal && self.sees_dataset
    }

    fn takes_in(self, whose: Whose) -> bool {
        (self.sees_principal || !whose.is_of_principal)
            && (self.sees_dataset || !whose.is_of_resource)
    }
}

impl Explained {
    /// The explanation without what is not in sight.
    #[must_use]
    pub fn within(mut self, sight: Sight) -> Self {
        if !sight.sees_principal {
            self.username = None;
            self.authentication = None;
        }
        if !sight.sees_dataset {
            self.mint = None;
        }
        self.withheld = Withheld {
            is_principal_withheld: !sight.sees_principal,
            is_dataset_withheld: !sight.sees_dataset,
            errors: 0,
        };
        if !sight.is_whole() {
            self.withheld.errors = self.errors.len();
            self.errors.clear();
        }
        for policy in self.determining.iter_mut().chain(&mut self.others) {
            withhold(policy, sight);
        }
        self
    }
}

fn withhold(policy: &mut Account, sight: Sight) {
    for part in &mut policy.parts {
        if !sight.is_whole() {
            part.error = None;
        }
        for seen in &mut part.seen {
            seen.value = seen.value.take().filter(|_| sight.takes_in(seen.whose));
        }
    }
}

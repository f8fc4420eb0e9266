//! Access lists: who may do something with a dataset, and with which datasets a principal may do something.
//!
//! Pairs of a principal and a dataset that the policies do not tell apart are decided once, in every context that they
//! can tell apart ([`classes`]). A disabled user is denied whatever the policies say, and takes no part. Each answer
//! says which policies permit, in which contexts, and by which relation of the two ([`relation`]).

mod classes;
mod relation;
mod report;
mod text;
mod what;
mod who;

#[cfg(test)]
mod tests;

pub use relation::AccessRelation;
pub use report::{
    AccessGrant, DatasetGroup, ListedDataset, ListedUser, PairAccess, PermittedAction,
    PrincipalAccess, PrincipalGroup, ResourceAccess,
};
pub use what::{DatasetGrants, DatasetsQuery, columns_read, grants_on_datasets, list_datasets};
pub use who::{PrincipalsQuery, UserGrants, grants_of_principals, list_principals};

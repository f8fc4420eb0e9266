//! Actions: what a principal wants to do.
//!
//! The words are those of `policies/schema.cedarschema`. This module refuses to know who may do what.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::words::closed_words;

closed_words! {
    /// What a principal wants to do: Cedar's `Action::"<word>"`.
    Action, "action", {
        /// Mint a download token and download with it.
        Read = "read",
        /// Know that the dataset exists.
        Discover = "discover",
        /// Make, see whole, change or remove the dataset's record, with its file and its readers.
        Administer = "administer",
        /// List the datasets that one may administer.
        ViewDatasets = "view_datasets",
        /// See users, their roles, sessions and API keys.
        ViewUsers = "view_users",
        /// Make, change, disable or remove a user; end its sessions and API keys.
        AdministerUsers = "administer_users",
        /// Make or remove a role.
        AdministerRoles = "administer_roles",
        /// Read the audit log.
        ViewAudit = "view_audit",
        /// See the policies in force, and ask what they would say.
        ViewPolicies = "view_policies",
        /// Load the policies anew.
        ReloadPolicies = "reload_policies",
        /// See the signing keys, never their private parts.
        ViewKeys = "view_keys",
        /// See the outside issuers.
        ViewIssuers = "view_issuers",
    }
}

impl Action {
    /// The actions that are asked of datasets.
    pub const DATASET_ACTIONS: [Self; 3] = [Self::Read, Self::Discover, Self::Administer];
}

//! Actions: what a principal wants to do.
//!
//! The words are those of `policies/schema.cedarschema`. This module refuses to know who may do what.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::words::closed_words;

closed_words! {
    /// What a principal wants to do with a dataset: Cedar's `Action::"<word>"`.
    Action, "action", {
        /// Mint a download token and download with it.
        Read = "read",
        /// Know that the dataset exists.
        Discover = "discover",
        /// Change the dataset's record.
        Administer = "administer",
    }
}

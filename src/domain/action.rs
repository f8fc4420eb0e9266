//! Actions: what a principal wants to do, named as in `policies/schema.cedarschema`.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray, VariantNames};

use super::text_enum::{TextEnum, UnknownVariant};

/// What a principal wants to do: Cedar's `Action::"<word>"`.
#[derive(Display, EnumString, IntoStaticStr, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[strum(parse_err_ty = UnknownVariant, parse_err_fn = UnknownVariant::new::<Self>)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Mint a download token and download with it.
    Read,
    /// Know that the dataset exists.
    Discover,
    /// Create, view in full, change or remove the dataset's record, with its file and its readers.
    Administer,
    /// See and change with whom the dataset is shared, and see who may read it.
    Share,
    /// List the datasets that the caller may administer.
    ViewDatasets,
    /// View users, their roles, sessions and API keys.
    ViewUsers,
    /// Create, change, disable or remove a user; end its sessions and API keys.
    AdministerUsers,
    /// Create or remove a role.
    AdministerRoles,
    /// Give the role to a user, or take it away.
    AssignRole,
    /// Read the audit log.
    ViewAudit,
    /// View the policies in force, and ask what they would decide.
    ViewPolicies,
    /// Reload the policies.
    ReloadPolicies,
    /// Publish a draft of the policies: write it into the policy folder and put it in force.
    EditPolicies,
    /// View the signing keys, never their private parts.
    ViewKeys,
    /// View the external identity providers.
    ViewIssuers,
    /// Ask for a decision about somebody else (AuthZEN).
    Evaluate,
    /// Search for what a decision is positive about (AuthZEN).
    Search,
    /// Say under which circumstances (`address`, `time`, ...) a question is decided (AuthZEN).
    AssumeContext,
}

impl TextEnum for Action {
    const NOUN: &'static str = "action";
}

impl Action {
    /// The actions on datasets that comparisons, access lists and explanations are about. `share` changes what these
    /// decide, and is none of them.
    pub const DATASET_ACTIONS: [Self; 3] = [Self::Read, Self::Discover, Self::Administer];

    /// The actions by which somebody may change who else may do something with a dataset, or what it is.
    pub const DATASET_ADMINISTRATION: [Self; 2] = [Self::Administer, Self::Share];

    /// The actions that a schema may lack, because folders exist that were written before them.
    pub const OPTIONAL_ACTIONS: [Self; 6] = [
        Self::AssignRole,
        Self::Evaluate,
        Self::Search,
        Self::AssumeContext,
        Self::Share,
        Self::EditPolicies,
    ];

    /// The optional actions whose names an author may have given to actions of their own, which they stay unless the
    /// schema lists their words for API keys (`KeyAction`) as well.
    pub const KEY_WORD_ACTIONS: [Self; 2] = [Self::Share, Self::EditPolicies];

    /// The optional actions without which something is permitted that would not be with them. Without the others
    /// nobody may ask what they are for.
    pub const RESTRICTING_ACTIONS: [Self; 1] = [Self::AssignRole];
}

//! Ends of shares in JSON: an object with a time for each user or role.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use crate::domain::name::NameError;
use crate::http::extract::parameter::RawName;
use crate::http::reply::timestamp::Timestamp;
use crate::service::administration::share_end_input::ShareEndInput;
use crate::service::error::ServiceError;
use crate::storage::DatasetWithNames;

/// When shares end, by the name of the user or the role.
pub type EndsJson = HashMap<String, Timestamp>;

/// The ends of the shares with users and with roles; `None` where there are none.
#[must_use]
pub fn ends_of(named: &DatasetWithNames) -> (Option<EndsJson>, Option<EndsJson>) {
    let ends = &named.dataset.share_ends;
    let users = named.reader_users.iter();
    let users = users.filter_map(|(name, id)| Some((name.to_string(), *ends.users.get(id)?)));
    let roles = ends
        .roles
        .iter()
        .map(|(role, until)| (role.to_string(), *until));
    (to_json(users), to_json(roles))
}

fn to_json(ends: impl Iterator<Item = (String, i64)>) -> Option<EndsJson> {
    let ends: EndsJson = ends.map(|(name, until)| (name, Timestamp(until))).collect();
    (!ends.is_empty()).then_some(ends)
}

/// The ends of a request for a dataset.
pub fn parse_share_ends(
    users: Option<EndsJson>,
    roles: Option<EndsJson>,
) -> Result<ShareEndInput, ServiceError> {
    Ok(ShareEndInput {
        users: parse_ends(users, "reader_users_until")?,
        roles: parse_ends(roles, "reader_roles_until")?,
    })
}

/// The ends of a request; an error names `field`.
fn parse_ends<N>(
    ends: Option<EndsJson>,
    field: &'static str,
) -> Result<Option<BTreeMap<N, i64>>, ServiceError>
where
    N: FromStr<Err = NameError> + Ord,
{
    let parse = |ends: EndsJson| {
        let ends = ends.into_iter();
        let named = ends.map(|(name, until)| Ok((RawName(name).parse_field(field)?, until.0)));
        named.collect()
    };
    ends.map(parse).transpose()
}

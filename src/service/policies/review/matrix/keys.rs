//! The keys of columns and rows: what an answer calls a group of people or of datasets, and a later question asks into.

use std::fmt;
use std::str::FromStr;

use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::RoleName;
use crate::domain::principal_name::ANONYMOUS;

const NO_ROLE: &str = "no_role";
const NO_OWNER: &str = "no_owner";

/// A text that is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key of an access matrix")]
pub struct NotAMatrixKey;

/// A group of people.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PeopleKey {
    /// Whom the policies do not tell from this user, who has the same roles.
    Class(UserId),
    /// The members of a role, or whoever has none.
    Role(Option<RoleName>),
    /// One user.
    User(UserId),
    /// Callers who did not sign in.
    Anonymous,
}

/// A group of datasets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DatasetKey {
    /// Those of this visibility.
    Visibility(Visibility),
    /// Those of this record status.
    RecordStatus(RecordStatus),
    /// Those of an owner, or of none.
    Owner(Option<UserId>),
    /// Those with a value of a tag, or without the tag.
    Tag {
        /// The name of the tag.
        name: String,
        /// The value.
        value: Option<String>,
    },
    /// One dataset.
    Dataset(DatasetId),
}

impl fmt::Display for PeopleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Class(user) => write!(f, "class:{}", user.0),
            Self::Role(Some(role)) => write!(f, "role:{role}"),
            Self::Role(None) => f.write_str(NO_ROLE),
            Self::User(user) => write!(f, "user:{}", user.0),
            Self::Anonymous => f.write_str(ANONYMOUS),
        }
    }
}

impl FromStr for PeopleKey {
    type Err = NotAMatrixKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            ANONYMOUS => return Ok(Self::Anonymous),
            NO_ROLE => return Ok(Self::Role(None)),
            _ => {}
        }
        let (kind, rest) = text.split_once(':').ok_or(NotAMatrixKey)?;
        match kind {
            "class" => Ok(Self::Class(parse(rest).map(UserId)?)),
            "role" => Ok(Self::Role(Some(parse(rest)?))),
            "user" => Ok(Self::User(parse(rest).map(UserId)?)),
            _ => Err(NotAMatrixKey),
        }
    }
}

impl fmt::Display for DatasetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Visibility(visibility) => write!(f, "visibility:{visibility}"),
            Self::RecordStatus(status) => write!(f, "record_status:{status}"),
            Self::Owner(Some(owner)) => write!(f, "owner:{}", owner.0),
            Self::Owner(None) => f.write_str(NO_OWNER),
            Self::Tag { name, value } => {
                // The name ends at the first `=`.
                let name = name.replace('%', "%25").replace('=', "%3D");
                match value {
                    Some(value) => write!(f, "tag:{name}={value}"),
                    None => write!(f, "no_tag:{name}"),
                }
            }
            Self::Dataset(dataset) => write!(f, "dataset:{}", dataset.0),
        }
    }
}

impl FromStr for DatasetKey {
    type Err = NotAMatrixKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == NO_OWNER {
            return Ok(Self::Owner(None));
        }
        let (kind, rest) = text.split_once(':').ok_or(NotAMatrixKey)?;
        let tag = |name: &str, value: Option<&str>| Self::Tag {
            name: name.replace("%3D", "=").replace("%25", "%"),
            value: value.map(str::to_owned),
        };
        match kind {
            "visibility" => Ok(Self::Visibility(parse(rest)?)),
            "record_status" => Ok(Self::RecordStatus(parse(rest)?)),
            "owner" => Ok(Self::Owner(Some(parse(rest).map(UserId)?))),
            "tag" => {
                let (name, value) = rest.split_once('=').ok_or(NotAMatrixKey)?;
                Ok(tag(name, Some(value)))
            }
            "no_tag" => Ok(tag(rest, None)),
            "dataset" => Ok(Self::Dataset(parse(rest).map(DatasetId)?)),
            _ => Err(NotAMatrixKey),
        }
    }
}

fn parse<T: FromStr>(text: &str) -> Result<T, NotAMatrixKey> {
    text.parse().map_err(|_| NotAMatrixKey)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let user = UserId(Uuid::from_u128(7));
        for key in [
            PeopleKey::Class(user),
            PeopleKey::Role(Some("hydrology".parse().unwrap())),
            PeopleKey::Role(Some("no_role".parse().unwrap())),
            PeopleKey::Role(None),
            PeopleKey::User(user),
            PeopleKey::Anonymous,
        ] {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        let tag = |name: &str, value: Option<&str>| DatasetKey::Tag {
            name: name.to_owned(),
            value: value.map(str::to_owned),
        };
        for key in [
            DatasetKey::Visibility(Visibility::Public),
            DatasetKey::RecordStatus(RecordStatus::Draft),
            DatasetKey::Owner(Some(user)),
            DatasetKey::Owner(None),
            tag("theme", Some("elevation")),
            tag("a=b:c%3D", Some("=:%3D")),
            tag("a=b%25", None),
            tag("none", Some("none")),
            DatasetKey::Dataset(DatasetId(Uuid::from_u128(7))),
        ] {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        for text in ["", "class:", "role:", "user:x", "tag:theme", "theme:a"] {
            assert_eq!(text.parse::<PeopleKey>(), Err(NotAMatrixKey), "{text}");
            assert_eq!(text.parse::<DatasetKey>(), Err(NotAMatrixKey), "{text}");
        }
    }
}

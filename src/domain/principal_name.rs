//! Principal names: a principal as people write it on the command line and in requests.

use std::fmt;
use std::str::FromStr;

use super::id::UserId;
use super::name::{NameError, Username};

/// The name of a caller who did not sign in, wherever principals are named.
pub const ANONYMOUS: &str = "anonymous";

/// A principal as people write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrincipalName {
    /// `anonymous`, or Cedar's `Anonymous::"anonymous"`.
    Anonymous,
    /// A UUID, or Cedar's `User::"<uuid>"`.
    Id(UserId),
    /// A user name; one that reads as a UUID or as `anonymous` is not taken for a name.
    Username(Username),
}

/// Why a text does not name a principal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrincipalNameError {
    /// Cedar's form of a user without a UUID.
    #[error("a user's id is a UUID: User::\"2489e9ad-2ee2-8e00-8ec9-32d5f69181c0\"")]
    Id,
    /// Neither a UUID nor a user name.
    #[error("{source}; or it is anonymous, or a UUID")]
    Name {
        /// Why it is no user name.
        source: NameError,
    },
}

impl FromStr for PrincipalName {
    type Err = PrincipalNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if matches!(text, "anonymous" | "Anonymous::\"anonymous\"") {
            return Ok(Self::Anonymous);
        }
        if let Some(rest) = text.strip_prefix("User::") {
            let quoted = rest.strip_prefix('"').and_then(|id| id.strip_suffix('"'));
            let id = quoted.and_then(|id| id.parse().ok());
            return id.map(Self::Id).ok_or(PrincipalNameError::Id);
        }
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let name: Username = text
            .parse()
            .map_err(|source| PrincipalNameError::Name { source })?;
        // In its normal form too it may be what is not taken for a name.
        Ok(match name.as_str() {
            ANONYMOUS => Self::Anonymous,
            normal => normal.parse().map_or(Self::Username(name), Self::Id),
        })
    }
}

impl fmt::Display for PrincipalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str(ANONYMOUS),
            Self::Id(id) => write!(f, "User::\"{id}\""),
            Self::Username(name) => write!(f, "{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_named_as_people_write_it() {
        let id = "00000000-0000-0000-0000-000000000ada";
        let by_id = PrincipalName::Id(id.parse().unwrap());
        for (text, named) in [
            ("anonymous".to_owned(), PrincipalName::Anonymous),
            (
                "Anonymous::\"anonymous\"".to_owned(),
                PrincipalName::Anonymous,
            ),
            (id.to_owned(), by_id.clone()),
            (format!("User::\"{id}\""), by_id),
            (
                "ada".to_owned(),
                PrincipalName::Username("ada".parse().unwrap()),
            ),
            (
                "ADA".to_owned(),
                PrincipalName::Username("ada".parse().unwrap()),
            ),
            ("Anonymous".to_owned(), PrincipalName::Anonymous),
        ] {
            assert_eq!(text.parse(), Ok(named.clone()), "{text}");
            assert_eq!(named.to_string().parse(), Ok(named));
        }
        for wrong in [
            "",
            "User::\"ada\"",
            "User::\"00",
            "User::\"",
            "User::",
            "a b",
        ] {
            assert!(wrong.parse::<PrincipalName>().is_err(), "{wrong}");
        }
    }
}

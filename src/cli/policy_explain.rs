//! `cedargate policy explain`: why the policies answer one question as they do.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::app::Stores;
use crate::config::Settings;
use crate::domain::action::Action;
use crate::domain::clock::Clock;
use crate::domain::dataset::Dataset;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::Username;
use crate::domain::principal::{Principal, User};
use crate::policy::Bundle;
use crate::service::catalog::did_you_mean;
use crate::service::policy_review::comparison::Circumstances;
use crate::service::policy_review::explanation::{Question, explain};
use crate::storage::{Catalog, Database};

use super::{Ending, Failure, policy, serve};

/// What `policy explain` is asked for.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Who asks: anonymous, a user's name, or its UUID, plain or as Cedar writes it
    #[arg(long, value_name = "WHO")]
    principal: Asker,
    /// What it would do: read, discover or administer
    #[arg(long, value_parser = action)]
    action: Action,
    /// The dataset's id
    #[arg(long, value_name = "ID")]
    dataset: DatasetId,
    /// The policy folder; the policies in force if left out
    #[arg(long)]
    dir: Option<PathBuf>,
    /// From which address it asks
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
    /// When it asks, as in 2026-03-01T12:00:00Z; now if left out
    #[arg(long, value_name = "TIME")]
    time: Option<DateTime<Utc>>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Who asks, as people write it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asker {
    Anonymous,
    Id(UserId),
    Name(Username),
}

impl FromStr for Asker {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let quoted = text.strip_prefix("User::\"");
        let id = match quoted {
            Some(quoted) => quoted.strip_suffix('"').unwrap_or_default(),
            None => text,
        };
        match (text, id.parse()) {
            ("anonymous" | "Anonymous::\"anonymous\"", _) => Ok(Self::Anonymous),
            (_, Ok(id)) => Ok(Self::Id(UserId(id))),
            (_, Err(_)) if quoted.is_some() => Err("a user's id is a UUID".to_owned()),
            (name, Err(_)) => name
                .parse()
                .map(Self::Name)
                .map_err(|error| format!("{error}")),
        }
    }
}

fn action(text: &str) -> Result<Action, String> {
    match text.parse() {
        Ok(action @ (Action::Read | Action::Discover | Action::Administer)) => Ok(action),
        Ok(_) => Err("it is not asked of datasets: read, discover and administer are".to_owned()),
        Err(error) => Err(format!("{error}")),
    }
}

/// Asks the policies, and prints what they answer and why.
pub(super) async fn show(settings: &Settings, arguments: Arguments) -> Result<Ending, Failure> {
    let bundle = match &arguments.dir {
        Some(folder) => Bundle::load(folder).map_err(|error| policy::broken(&error))?,
        None => policy::open_live(settings)?,
    };
    let catalog = read_catalog(settings).await?;
    let question = Question {
        dataset: dataset(&catalog, arguments.dataset)?,
        principal: principal(&catalog, &arguments.principal)?,
        action: arguments.action,
        circumstances: Circumstances {
            address: arguments.address,
            unix_millis: arguments.time.map_or_else(
                || Clock::system().unix_millis(),
                |time| time.timestamp_millis(),
            ),
        },
    };
    let explained = explain(&bundle, &question);
    if arguments.json {
        super::show(serde_json::to_string_pretty(&explained).map_err(Failure::new)?)
    } else {
        super::show(explained.render().trim_end())
    }
}

/// Reads what is there; only looking makes no database.
async fn read_catalog(settings: &Settings) -> Result<Catalog, Failure> {
    let url = settings.database_url.reveal();
    let there = Database::open_existing(url, 1).await.map_err(|error| {
        Failure::new(error).with_hint("cedargate config tells which database it looked for")
    })?;
    there.close().await;
    let stores = Stores::open(settings).await.map_err(serve::explain)?;
    let catalog = stores.database.read_catalog().await;
    stores.database.close().await;
    catalog.map_err(Failure::new)
}

fn dataset(catalog: &Catalog, id: DatasetId) -> Result<Arc<Dataset>, Failure> {
    let mut datasets = catalog.datasets.iter();
    let found = datasets.find(|dataset| dataset.id == id).cloned();
    found.map(Arc::new).ok_or_else(|| {
        Failure::new(format!("there is no dataset {id}"))
            .with_hint("cedargate dataset list tells which there are")
    })
}

fn principal(catalog: &Catalog, asker: &Asker) -> Result<Principal, Failure> {
    let is_asked = |user: &User| match asker {
        Asker::Anonymous => false,
        Asker::Id(id) => user.id == *id,
        Asker::Name(name) => user.username == *name,
    };
    let mut users = catalog.users.iter().map(|record| &record.user);
    let found = users.find(|user| is_asked(user)).cloned();
    let known = catalog.users.iter();
    let known = known.map(|record| record.user.username.as_str());
    let hint = "cedargate user list tells who there is".to_owned();
    match (asker, found) {
        (Asker::Anonymous, _) => Ok(Principal::Anonymous),
        (_, Some(user)) => Ok(Principal::User(Arc::new(user))),
        (Asker::Id(id), None) => {
            Err(Failure::new(format!("there is no user with the id {id}")).with_hint(hint))
        }
        (Asker::Name(name), None) => {
            let hint = did_you_mean(name.as_str(), known).unwrap_or(hint);
            Err(Failure::new(format!("there is no user {name}")).with_hint(hint))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_is_read_as_people_write_it() {
        let id = "00000000-0000-0000-0000-000000000ada";
        let by_id = Asker::Id(UserId(id.parse().unwrap()));
        assert_eq!("anonymous".parse(), Ok(Asker::Anonymous));
        assert_eq!(id.parse(), Ok(by_id.clone()));
        assert_eq!(format!("User::\"{id}\"").parse(), Ok(by_id));
        assert_eq!("ada".parse(), Ok(Asker::Name("ada".parse().unwrap())));
        for wrong in ["", "User::\"ada\"", "User::\"00"] {
            assert!(wrong.parse::<Asker>().is_err(), "{wrong}");
        }
    }
}

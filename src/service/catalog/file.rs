//! Parsing of a catalog file into domain types with their spans.
//!
//! Everything that depends on the file alone is checked here; what needs the disk or the current
//! catalog is checked in [`mod@super::check`].

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeTable;

use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::id::DatasetId;
use crate::domain::name::{RoleName, Username};
use crate::domain::principal::Tags;
use crate::domain::remote_file::RemoteFile;
use crate::domain::secret::Secret;
use crate::domain::suggest::did_you_mean;
use crate::domain::text_enum::{TextEnum, UnknownVariant};
use crate::domain::text_file::{self, TextEncodingError};
use crate::service::identity::password::{check_hash, check_new_password};

use super::dataset_fields::{read_file, read_remote_file, read_title};
use super::diagnostic::{CatalogDiagnostic, CatalogDiagnostics};
use super::given_attributes::GivenAttributes;
use super::named_share_ends::ShareEndsByName;
use super::on_existing::OnExisting;
use super::redact::{redact_lines, redact_values};
use super::table_reader::TableReader;

/// The largest catalog file, in bytes.
pub(super) const MAX_CATALOG_FILE_SIZE: u64 = 16 * 1024 * 1024;

/// One catalog file, read whole.
#[derive(Debug)]
pub struct CatalogFile {
    /// The name of the file in diagnostics.
    pub(super) name: String,
    /// The folder that the datasets' files are relative to.
    pub(super) folder: PathBuf,
    /// The `[[roles]]`.
    pub(super) roles: Vec<Spanned<RoleName>>,
    /// The valid `[[users]]`.
    pub(super) users: Vec<UserItem>,
    /// The valid `[[datasets]]`.
    pub(super) datasets: Vec<DatasetItem>,
    /// Every user name that the file declares, those of invalid users too.
    pub(super) declared_users: BTreeSet<Username>,
    pub(super) redacted_text: Arc<str>,
    diagnostics: Vec<CatalogDiagnostic>,
}

/// One of the `[[users]]`.
#[derive(Debug)]
pub(super) struct UserItem {
    /// The name that the user signs in with.
    pub(super) username: Spanned<Username>,
    /// The new credential; none keeps the current one.
    pub(super) credential: Option<UserCredential>,
    /// The roles that the user is a member of.
    pub(super) roles: Vec<Spanned<RoleName>>,
    /// Whether the user's credentials are invalid.
    pub(super) is_disabled: bool,
    /// Attributes that the policy schema declares.
    pub(super) attributes: GivenAttributes,
}

/// The credential of a user.
#[derive(Clone, Debug)]
pub(super) enum UserCredential {
    /// A password that is not hashed yet.
    Password(Secret<String>),
    /// A password that was hashed elsewhere.
    Hash(Secret<String>),
}

/// One of the `[[datasets]]`.
#[derive(Debug)]
pub(super) struct DatasetItem {
    /// The dataset's id.
    pub(super) id: Spanned<DatasetId>,
    /// A title for people.
    pub(super) title: String,
    /// For whom the dataset is meant.
    pub(super) visibility: Visibility,
    /// Whether the dataset is published.
    pub(super) record_status: RecordStatus,
    /// The user who is responsible for the dataset.
    pub(super) owner: Option<Spanned<Username>>,
    /// The file, as a path that can be opened.
    pub(super) file: Option<Spanned<PathBuf>>,
    /// Where the file is, if it is not to be copied into the file store.
    pub(super) remote_file: Option<Spanned<RemoteFile>>,
    /// Roles that the dataset is shared with.
    pub(super) reader_roles: Vec<Spanned<RoleName>>,
    /// Users that the dataset is shared with.
    pub(super) reader_users: Vec<Spanned<Username>>,
    /// Until when it is shared with some of them.
    pub(super) share_ends: ShareEndsByName,
    /// Attributes that this deployment defines.
    pub(super) tags: Tags,
    /// Attributes that the policy schema declares.
    pub(super) attributes: GivenAttributes,
    /// What becomes of a dataset that exists.
    pub(super) on_existing: OnExisting,
}

/// Why a catalog file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogFileError {
    /// The file cannot be read.
    #[error("cannot read the catalog file {path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: std::io::Error,
    },
    /// The file is longer than [`MAX_CATALOG_FILE_SIZE`].
    #[error("the catalog file {path} is larger than 16 MiB", path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is not UTF-8, which TOML requires.
    #[error("cannot read the catalog file {path}: {source}", path = path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// What it is.
        source: TextEncodingError,
    },
}

impl CatalogFile {
    /// Reads the file at `path`; [`super::apply`] reports its errors.
    pub fn read(path: &Path) -> Result<Self, CatalogFileError> {
        let unreadable = |source| CatalogFileError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(MAX_CATALOG_FILE_SIZE + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        if bytes.len() as u64 > MAX_CATALOG_FILE_SIZE {
            let path = path.to_owned();
            return Err(CatalogFileError::TooLarge { path });
        }
        let text = text_file::decode(bytes).map_err(|source| CatalogFileError::NotText {
            path: path.to_owned(),
            source,
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Ok(Self::parse(&path.display().to_string(), &text, folder))
    }

    /// Parses a catalog file; `name` is its name in diagnostics, and files are relative to `folder`.
    pub fn parse(name: &str, text: &str, folder: &Path) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut file = Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
            roles: Vec::new(),
            users: Vec::new(),
            datasets: Vec::new(),
            declared_users: BTreeSet::new(),
            redacted_text: Arc::from(""),
            diagnostics: Vec::new(),
        };
        if errors.is_empty() {
            file.redacted_text = redact_values(text, table.get_ref()).into();
            file.read_catalog(table.get_ref(), table.span());
        } else {
            // After a syntax error, the rest of the file would only cause misleading errors.
            file.redacted_text = redact_lines(text).into();
            let at = |error: &toml::de::Error| error.span().unwrap_or_default();
            let diagnostics = errors
                .iter()
                .map(|e| CatalogDiagnostic::new(at(e), e.message()));
            file.diagnostics.extend(diagnostics);
        }
        file
    }

    /// Whether it is valid and names no role, no user and no dataset.
    pub fn names_nothing(&self) -> bool {
        self.diagnostics.is_empty()
            && self.roles.is_empty()
            && self.users.is_empty()
            && self.datasets.is_empty()
    }

    /// Sets the password of a user of the file.
    pub(super) fn set_password(&mut self, username: &Username, password: Secret<String>) {
        let mut users = self.users.iter_mut();
        if let Some(user) = users.find(|user| user.username.get_ref() == username) {
            user.credential = Some(UserCredential::Password(password));
        }
    }

    /// All that is wrong with the file, `further` diagnostics of checks elsewhere included.
    pub(super) fn diagnostics_with(
        &self,
        further: Vec<CatalogDiagnostic>,
    ) -> Option<CatalogDiagnostics> {
        self.located(self.diagnostics.iter().cloned().chain(further).collect())
    }

    /// Diagnostics with the lines of the file, if there are any.
    pub(super) fn located(
        &self,
        diagnostics: Vec<CatalogDiagnostic>,
    ) -> Option<CatalogDiagnostics> {
        (!diagnostics.is_empty())
            .then(|| CatalogDiagnostics::new(&self.name, &self.redacted_text, diagnostics))
    }

    /// Every user that the file declares or refers to, some several times.
    pub(super) fn user_names(&self) -> impl Iterator<Item = &Username> {
        let referred = self.datasets.iter().flat_map(|dataset| {
            let owner = dataset.owner.iter();
            owner.chain(&dataset.reader_users).map(Spanned::get_ref)
        });
        self.declared_users.iter().chain(referred)
    }

    fn read_catalog(&mut self, table: &DeTable<'_>, span: std::ops::Range<usize>) {
        let mut diagnostics = Vec::new();
        let mut top = TableReader::new(table, span, "catalog file", &mut diagnostics);
        let (roles, users) = (top.items("roles"), top.items("users"));
        let datasets = top.items("datasets");
        top.report_unknown_keys();

        let mut seen_roles = BTreeSet::new();
        for (table, span) in roles {
            let mut table = TableReader::new(table, span, "role", &mut diagnostics);
            let name = required_value::<RoleName>(&mut table, "name");
            table.report_unknown_keys();
            self.roles.extend(
                name.filter(|name| is_first(name, "role", &mut seen_roles, &mut diagnostics)),
            );
        }
        for (table, span) in users {
            let mut table = TableReader::new(table, span, "user", &mut diagnostics);
            let (username, item) = read_user(&mut table);
            table.report_unknown_keys();
            let Some(username) = username else { continue };
            if is_first(
                &username,
                "user",
                &mut self.declared_users,
                &mut diagnostics,
            ) {
                self.users.extend(item);
            }
        }
        let mut seen_ids = BTreeSet::new();
        for (table, span) in datasets {
            let mut table = TableReader::new(table, span, "dataset", &mut diagnostics);
            let (id, item) = read_dataset(&mut table, &self.folder);
            table.report_unknown_keys();
            let Some(id) = id else { continue };
            if is_first(&id, "dataset", &mut seen_ids, &mut diagnostics) {
                self.datasets.extend(item);
            }
        }
        self.diagnostics = diagnostics;
    }
}

fn required_value<T: FromStr<Err: Display>>(
    table: &mut TableReader<'_, '_>,
    key: &'static str,
) -> Option<Spanned<T>> {
    let text = table.required_text(key)?;
    table.parse(&text)
}

fn is_first<T: Ord + Clone + Display>(
    item: &Spanned<T>,
    what: &str,
    seen: &mut BTreeSet<T>,
    diagnostics: &mut Vec<CatalogDiagnostic>,
) -> bool {
    let is_first = seen.insert(item.get_ref().clone());
    if !is_first {
        let message = format!("the {what} {} is in this file twice", item.get_ref());
        diagnostics.push(CatalogDiagnostic::new(item.span(), message));
    }
    is_first
}

fn read_user(table: &mut TableReader<'_, '_>) -> (Option<Spanned<Username>>, Option<UserItem>) {
    let username: Option<Spanned<Username>> = required_value(table, "username");
    let credential = read_credential(table);
    let roles = table.list("roles");
    let is_disabled = table.flag("disabled");
    let attributes = table.attributes("attributes");
    let item = username.clone().map(|username| UserItem {
        username,
        credential,
        roles,
        is_disabled,
        attributes,
    });
    (username, item)
}

fn read_credential(table: &mut TableReader<'_, '_>) -> Option<UserCredential> {
    let secret = |text: &Spanned<&str>| Secret::new((*text.get_ref()).to_owned());
    let password = table.text("password");
    let hash = table.text("password_hash");
    if let (Some(_), Some(hash)) = (&password, &hash) {
        let message = "a user has either a password or a password_hash, not both";
        table.report(hash.span(), message);
        return None;
    }
    if let Some(text) = password {
        let password = secret(&text);
        return match check_new_password(&password) {
            Ok(_) => Some(UserCredential::Password(password)),
            Err(error) => {
                table.report(text.span(), error.to_string());
                None
            }
        };
    }
    let text = hash?;
    let hash = secret(&text);
    match check_hash(&hash) {
        Ok(()) => Some(UserCredential::Hash(hash)),
        Err(error) => {
            table.report(text.span(), error.to_string());
            None
        }
    }
}

fn read_dataset(
    table: &mut TableReader<'_, '_>,
    folder: &Path,
) -> (Option<Spanned<DatasetId>>, Option<DatasetItem>) {
    let id: Option<Spanned<DatasetId>> = required_value(table, "id");
    let title = read_title(table);
    let visibility = required_variant(table, "visibility");
    let record_status = required_variant(table, "record_status");
    let owner = table.text("owner").and_then(|text| table.parse(&text));
    let file = read_file(table, folder);
    let remote_file = read_remote_file(table, file.is_some());
    let (reader_roles, roles_until) = table.readers("reader_roles");
    let (reader_users, users_until) = table.readers("reader_users");
    let tags = table.tags("tags");
    let attributes = table.attributes("attributes");
    let item = || {
        Some(DatasetItem {
            id: id.clone()?,
            title: title?,
            visibility: visibility?,
            record_status: record_status?,
            owner,
            file,
            remote_file,
            reader_roles,
            reader_users,
            share_ends: ShareEndsByName::new(users_until, roles_until),
            tags,
            attributes,
            on_existing: OnExisting::Replace,
        })
    };
    let item = item();
    (id, item)
}

fn required_variant<T: FromStr<Err = UnknownVariant> + TextEnum>(
    table: &mut TableReader<'_, '_>,
    key: &'static str,
) -> Option<T> {
    let text = table.required_text(key)?;
    match text.get_ref().parse() {
        Ok(word) => Some(word),
        Err(error) => {
            let help = did_you_mean(text.get_ref(), T::VARIANTS.iter().copied());
            table.report_with_help(text.span(), error.to_string(), help);
            None
        }
    }
}

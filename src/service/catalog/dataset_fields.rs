//! Fields of the datasets of a catalog file that have rules of their own.

use std::path::{Path, PathBuf};

use toml::Spanned;

use crate::domain::dataset::check_title;
use crate::domain::remote_file::{FileUrl, ObjectKey, RemoteFile, StoreName};

use super::table_reader::TableReader;

pub(super) fn read_title(table: &mut TableReader<'_, '_>) -> Option<String> {
    let text = table.required_text("title")?;
    if let Err(error) = check_title(text.get_ref()) {
        table.report(text.span(), error.to_string());
        return None;
    }
    Some((*text.get_ref()).to_owned())
}

pub(super) fn read_file(
    table: &mut TableReader<'_, '_>,
    folder: &Path,
) -> Option<Spanned<PathBuf>> {
    let text = table.text("file")?;
    if text.get_ref().is_empty() || text.get_ref().contains('\0') {
        table.report(text.span(), "a file has a name; omit the key for none");
        return None;
    }
    Some(Spanned::new(text.span(), folder.join(text.get_ref())))
}

/// Reads where a file outside the file store is: `store` and `key`, or `url`.
pub(super) fn read_remote_file(
    table: &mut TableReader<'_, '_>,
    has_file: bool,
) -> Option<Spanned<RemoteFile>> {
    let (store, key, url) = (table.text("store"), table.text("key"), table.text("url"));
    let given = store.as_ref().or(key.as_ref()).or(url.as_ref())?;
    let span = given.span();
    if has_file || (url.is_some() && (store.is_some() || key.is_some())) {
        table.report(span, "a dataset has one of file, store with key, and url");
        return None;
    }
    if let Some(text) = url {
        let url: Spanned<FileUrl> = table.parse(&text)?;
        let url = url.into_inner();
        return Some(Spanned::new(span, RemoteFile::Url { url }));
    }
    let (Some(store), Some(key)) = (store, key) else {
        table.report(
            span,
            "store and key belong together: the key of an object in that store",
        );
        return None;
    };
    let store: Option<Spanned<StoreName>> = table.parse(&store);
    let key: Option<Spanned<ObjectKey>> = table.parse(&key);
    let (store, key) = (store?.into_inner(), key?.into_inner());
    Some(Spanned::new(span, RemoteFile::Object { store, key }))
}

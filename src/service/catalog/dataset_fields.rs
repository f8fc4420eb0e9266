//! Fields of the datasets of a catalog file that have rules of their own.

use std::path::{Path, PathBuf};

use toml::Spanned;

use crate::domain::dataset::check_title;

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

//! Places that a document refers to: URLs, and files in the folder that may be read.

use std::path::{Path, PathBuf};

use url::Url;

use super::error::StacError;
use super::source::without_query;

/// Where a document or an asset is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ReferredPlace {
    /// On disk, in the folder that may be read.
    File(PathBuf),
    /// Elsewhere.
    Url(Url),
}

/// The folder of files, and the place of a reference for messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReferenceContext<'a> {
    /// Where the document is.
    pub(super) base: &'a Url,
    /// The folder in which files may be; none if there may be no files.
    pub(super) files: Option<&'a Path>,
    /// The document and the Item.
    pub(super) place: &'a str,
    /// The member that has the reference.
    pub(super) member: &'a str,
}

impl ReferenceContext<'_> {
    /// Resolves a reference (RFC 3986 section 5). A document of the network never leads to a file.
    pub(super) fn resolve(self, href: &str) -> Result<ReferredPlace, StacError> {
        let invalid = |problem: String| StacError::Member {
            place: self.place.to_owned(),
            member: self.member.to_owned(),
            problem,
        };
        let url = self.base.join(href).map_err(|error| {
            let href = without_query(href);
            invalid(format!("{href:?} is not a URL: {error}"))
        })?;
        if url.scheme() != "file" {
            return Ok(ReferredPlace::Url(url));
        }
        let path = url
            .to_file_path()
            .map_err(|()| invalid(format!("{href:?} is no file of this machine")))?;
        let not_allowed = |problem: &str| StacError::FileNotAllowed {
            place: format!("{}: `{}`", self.place, self.member),
            path: path.clone(),
            problem: problem.to_owned(),
        };
        if self.base.scheme() != "file" {
            return Err(not_allowed(
                "is a file of this machine, which a document of the network may not name",
            ));
        }
        let Some(folder) = self.files else {
            return Err(not_allowed("is a file of this machine"));
        };
        // Symbolic links count as what they lead to.
        match std::fs::canonicalize(&path) {
            Ok(real) if real.starts_with(folder) => Ok(ReferredPlace::File(path)),
            Ok(_) => Err(not_allowed(&format!(
                "is outside the folder {}",
                folder.display()
            ))),
            Err(error) => Err(invalid(format!("cannot read {}: {error}", path.display()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(base: &str, files: Option<&Path>, href: &str) -> Result<ReferredPlace, String> {
        let base = Url::parse(base).unwrap();
        let context = ReferenceContext {
            base: &base,
            files,
            place: "x.json",
            member: "assets.data.href",
        };
        context.resolve(href).map_err(|error| error.to_string())
    }

    #[test]
    fn a_document_of_the_network_names_what_is_on_the_network() {
        let base = "https://example.com/a/item.json?sig=1";
        for (href, expected) in [
            ("./b.tif", "https://example.com/a/b.tif"),
            ("../b%20c.tif", "https://example.com/b%20c.tif"),
            ("/b.tif", "https://example.com/b.tif"),
            ("//other.example/b.tif", "https://other.example/b.tif"),
            ("http://x.example/b.tif?k=v", "http://x.example/b.tif?k=v"),
            ("s3://bucket/key.tif", "s3://bucket/key.tif"),
        ] {
            let expected = ReferredPlace::Url(Url::parse(expected).unwrap());
            assert_eq!(resolve(base, Some(Path::new("/")), href), Ok(expected));
        }
        let refused = resolve(base, Some(Path::new("/")), "file:///etc/hostname").unwrap_err();
        assert!(refused.contains("may not name"), "{refused}");
    }

    #[test]
    fn a_document_on_disk_names_files_of_its_folder_whatever_leads_out_of_it() {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().canonicalize().unwrap().join("stac");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("a b.tif"), "x").unwrap();
        let secret = outside.path().join("secret.tif");
        std::fs::write(&secret, "x").unwrap();
        std::os::unix::fs::symlink(&secret, folder.join("link.tif")).unwrap();
        let base = Url::from_file_path(folder.join("item.json")).unwrap();
        let resolve = |href: &str| resolve(base.as_str(), Some(&folder), href);
        let inside = ReferredPlace::File(folder.join("a b.tif"));
        assert_eq!(resolve("./a%20b.tif"), Ok(inside.clone()));
        assert_eq!(resolve("x/../a b.tif"), Ok(inside.clone()));
        let absolute = Url::from_file_path(folder.join("a b.tif")).unwrap();
        assert_eq!(resolve(absolute.as_str()), Ok(inside));
        for href in [
            "../secret.tif",
            "link.tif",
            &secret.display().to_string(),
            "/etc/hostname",
            "%2e%2e/secret.tif",
        ] {
            let refused = resolve(href).unwrap_err();
            assert!(refused.contains("is outside the folder"), "{refused}");
        }
        let missing = resolve("c.tif").unwrap_err();
        assert!(
            missing.contains("`assets.data.href`: cannot read"),
            "{missing}"
        );
    }
}

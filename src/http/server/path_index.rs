//! The index of path templates: which of them a path fits first, without comparing it with all of them.

use std::collections::HashMap;

/// Finds the template of a path among those it was made of.
#[derive(Clone, Debug, Default)]
pub(super) struct PathIndex {
    /// Where the templates without parameters are, by their path.
    fixed: HashMap<String, usize>,
    /// The others and where they are, by the number of their parts.
    by_length: Vec<Vec<(usize, Vec<String>)>>,
}

impl PathIndex {
    /// An index of these templates, each split at its slashes; a part that begins with a brace is a parameter.
    pub(super) fn new<'a>(templates: impl Iterator<Item = &'a [String]>) -> Self {
        let mut index = Self::default();
        for (at, template) in templates.enumerate() {
            if !template.iter().any(|part| is_parameter(part)) {
                index.fixed.entry(template.join("/")).or_insert(at);
                continue;
            }
            let length = template.len();
            if index.by_length.len() <= length {
                index.by_length.resize_with(length + 1, Vec::new);
            }
            if let Some(of_length) = index.by_length.get_mut(length) {
                of_length.push((at, template.to_vec()));
            }
        }
        index
    }

    /// Where the first template is that a path fits.
    pub(super) fn find(&self, path: &str) -> Option<usize> {
        let fixed = self.fixed.get(path).copied();
        let of_length = self.by_length.get(path.split('/').count());
        let mut of_length = of_length.into_iter().flatten();
        let templated = of_length.find(|(_, template)| {
            let mut parts = template.iter().zip(path.split('/'));
            parts.all(|(part, segment)| part == segment || is_parameter(part))
        });
        let templated = templated.map(|(at, _)| *at);
        fixed.into_iter().chain(templated).min()
    }
}

fn is_parameter(part: &str) -> bool {
    part.starts_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_fits_the_first_template_that_has_its_parts() {
        let templates = [
            "/a", "/a/{b}", "/a/c", "/a/{b}/d", "/e/f", "/e/{g}", "/{h}/{i}", "/a", "/a/{b}/",
        ];
        let templates = templates.map(|path| path.split('/').map(str::to_owned).collect());
        let index = PathIndex::new(templates.iter().map(Vec::as_slice));
        for (path, expected) in [
            ("/a", Some(0)),
            ("/a/x", Some(1)),
            ("/a/c", Some(1)),
            ("/a/", Some(1)),
            ("/a/x/d", Some(3)),
            ("/a/x/e", None),
            ("/a/x/", Some(8)),
            ("/e/f", Some(4)),
            ("/e/h", Some(5)),
            ("/x/y", Some(6)),
            ("/x", None),
            ("", None),
            ("a", None),
            ("/a/x/d/y/z", None),
        ] {
            let found: Option<usize> = index.find(path);
            // The same as by comparing all.
            let first = templates.iter().position(|template: &Vec<String>| {
                template.len() == path.split('/').count()
                    && template
                        .iter()
                        .zip(path.split('/'))
                        .all(|(part, segment)| part == segment || part.starts_with('{'))
            });
            assert_eq!((found, first), (expected, expected), "{path}");
        }
    }
}

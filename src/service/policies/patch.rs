//! Patches between two policy folders: unified diffs as `git apply` takes them.
//!
//! A file is text of lines that end in LF; CR before it is a part of the line, as for git. The format of the headers
//! and of quoted names is that of `git diff` (gitformat-diff).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use similar::{Algorithm, DiffOp, DiffTag, capture_diff_slices_deadline, group_diff_ops};

/// How many lines that are equal are around a change.
const CONTEXT_LINES: usize = 3;
/// How long the differences are searched for; beyond that, a patch replaces more lines than it has to.
const MAX_SEARCH_TIME: Duration = Duration::from_secs(2);
/// The mode of a file that is added or removed.
const FILE_MODE: &str = "100644";
const BYTE_ORDER_MARK: char = '\u{feff}';
const NO_LINE_END: &str = "\\ No newline at end of file\n";

/// The files of a folder, by name.
pub type FileTexts = BTreeMap<String, Arc<str>>;

/// Two folders to compare.
#[derive(Clone, Copy, Debug)]
pub struct FolderEdit<'a> {
    /// The files before the edit.
    pub before: &'a FileTexts,
    /// The files after it.
    pub after: &'a FileTexts,
    /// The files that begin with a byte order mark, which is no part of their texts. They keep it.
    pub marked: &'a BTreeSet<String>,
}

/// What an edit does to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileChange {
    /// Nothing.
    Unchanged,
    /// It changes its text.
    Changed,
    /// It adds it.
    Added,
    /// It removes it.
    Removed,
}

impl FileChange {
    /// The change of a file from one text to another one; `None` if there is none before and after.
    #[must_use]
    pub fn between(before: Option<&Arc<str>>, after: Option<&Arc<str>>) -> Option<Self> {
        match (before, after) {
            (Some(before), Some(after)) if Arc::ptr_eq(before, after) || before == after => {
                Some(Self::Unchanged)
            }
            (Some(_), Some(_)) => Some(Self::Changed),
            (None, Some(_)) => Some(Self::Added),
            (Some(_), None) => Some(Self::Removed),
            (None, None) => None,
        }
    }
}

impl<'a> FolderEdit<'a> {
    /// Every file before or after the edit with what it does to it, by name.
    pub fn changes(self) -> impl Iterator<Item = (&'a str, FileChange)> {
        let names: BTreeSet<&String> = self.before.keys().chain(self.after.keys()).collect();
        names.into_iter().filter_map(move |name| {
            let change = FileChange::between(self.before.get(name), self.after.get(name))?;
            Some((name.as_str(), change))
        })
    }

    /// The patch for a repository in which the folder is at `prefix`; at its root if that is empty.
    #[must_use]
    pub fn patch(self, prefix: &str) -> String {
        let deadline = Instant::now() + MAX_SEARCH_TIME;
        let mut patch = String::new();
        for (name, change) in self.changes() {
            if change == FileChange::Unchanged {
                continue;
            }
            let file_name = if prefix.is_empty() {
                name.to_owned()
            } else {
                format!("{prefix}/{name}")
            };
            let is_marked = self.marked.contains(name) && self.before.contains_key(name);
            let lines = |text: Option<&'a Arc<str>>| lines_of(text.map(AsRef::as_ref), is_marked);
            push_header(&mut patch, &file_name, change);
            let (before, after) = (lines(self.before.get(name)), lines(self.after.get(name)));
            push_hunks(
                &mut patch,
                (&file_name, change),
                (&before, &after),
                deadline,
            );
        }
        patch
    }
}

/// A line with its end, after a byte order mark if the file begins with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Line<'a> {
    text: &'a str,
    is_marked: bool,
}

fn lines_of(text: Option<&str>, is_marked: bool) -> Vec<Line<'_>> {
    let text = text.filter(|text| !text.is_empty() || is_marked);
    let lines = text.into_iter().flat_map(|text| match text {
        // The mark alone.
        "" => vec![""],
        text => text.split_inclusive('\n').collect(),
    });
    lines
        .enumerate()
        .map(|(index, text)| Line {
            text,
            is_marked: is_marked && index == 0,
        })
        .collect()
}

fn push_header(patch: &mut String, file_name: &str, change: FileChange) {
    let (old, new) = (quoted("a/", file_name), quoted("b/", file_name));
    let _ = writeln!(patch, "diff --git {old} {new}");
    match change {
        FileChange::Added => {
            let _ = writeln!(patch, "new file mode {FILE_MODE}");
        }
        FileChange::Removed => {
            let _ = writeln!(patch, "deleted file mode {FILE_MODE}");
        }
        FileChange::Changed | FileChange::Unchanged => {}
    }
}

fn push_hunks(
    patch: &mut String,
    (file_name, change): (&str, FileChange),
    (before, after): (&[Line<'_>], &[Line<'_>]),
    deadline: Instant,
) {
    let ops = capture_diff_slices_deadline(Algorithm::Myers, before, after, Some(deadline));
    let groups = group_diff_ops(ops, CONTEXT_LINES);
    if groups.is_empty() {
        // An empty file is added or removed.
        return;
    }
    let name = |side: &str, is_there: bool| {
        if is_there {
            quoted(side, file_name)
        } else {
            "/dev/null".to_owned()
        }
    };
    let old = name("a/", change != FileChange::Added);
    let new = name("b/", change != FileChange::Removed);
    let _ = writeln!(patch, "--- {old}\n+++ {new}");
    for group in &groups {
        push_hunk(patch, group, (before, after));
    }
}

fn push_hunk(patch: &mut String, group: &[DiffOp], (before, after): (&[Line<'_>], &[Line<'_>])) {
    let (Some(first), Some(last)) = (group.first(), group.last()) else {
        return;
    };
    let old = first.old_range().start..last.old_range().end;
    let new = first.new_range().start..last.new_range().end;
    let range = |range: &std::ops::Range<usize>| match range.len() {
        // Of no lines, it names the line before them.
        0 => format!("{},0", range.start),
        len => format!("{},{len}", range.start + 1),
    };
    let _ = writeln!(patch, "@@ -{} +{} @@", range(&old), range(&new));
    for op in group {
        let removed = before.get(op.old_range()).unwrap_or_default();
        let added = after.get(op.new_range()).unwrap_or_default();
        if op.tag() == DiffTag::Equal {
            push_lines(patch, ' ', removed);
        } else {
            push_lines(patch, '-', removed);
            push_lines(patch, '+', added);
        }
    }
}

fn push_lines(patch: &mut String, sign: char, lines: &[Line<'_>]) {
    for line in lines {
        patch.push(sign);
        if line.is_marked {
            patch.push(BYTE_ORDER_MARK);
        }
        patch.push_str(line.text);
        if !line.text.ends_with('\n') {
            patch.push('\n');
            patch.push_str(NO_LINE_END);
        }
    }
}

/// A path as git writes it: in quotes, with octal escapes, unless it is plain ASCII without blanks.
fn quoted(side: &str, file_name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if file_name.bytes().all(is_plain) {
        return format!("{side}{file_name}");
    }
    let mut text = format!("\"{side}");
    for byte in file_name.bytes() {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b' '..=b'~' => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "\\{byte:03o}");
            }
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests;

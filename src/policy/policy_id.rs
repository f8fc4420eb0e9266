//! The ids of policies as `@id` has them; Cedar escapes quotes and backslashes in the text of one.

use cedar_policy::PolicyId;

/// The id without escapes.
pub(super) fn id_text(id: &PolicyId) -> String {
    let text: &str = id.as_ref();
    text.to_owned()
}

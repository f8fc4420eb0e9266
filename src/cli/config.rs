//! `cedargate config`: the settings in force and the origin of each.

use serde_json::json;

use crate::config::{EffectiveSetting, Settings, markdown_reference};

use super::outcome::{CommandResult, print_data, print_json};
use super::print;

/// Prints the settings as a table, as JSON, or the reference of all of them as Markdown.
pub(super) fn run(settings: &Settings, is_json: bool, is_markdown: bool) -> CommandResult {
    if is_markdown {
        return print_data(markdown_reference().trim_end());
    }
    if is_json {
        let rows: Vec<_> = settings.effective().iter().map(setting_json).collect();
        return print_json(&rows);
    }
    let mut table = print::table(["SETTING", "VALUE", "FROM"]);
    for setting in settings.effective() {
        table.add_row([
            setting.name.to_owned(),
            setting.value.clone(),
            setting.origin.to_string(),
        ]);
    }
    print_data(table.trim_fmt())
}

fn setting_json(setting: &EffectiveSetting) -> serde_json::Value {
    json!({
        "name": setting.name,
        "variable": setting.variable,
        "value": setting.value,
        "origin": setting.origin.to_string(),
        "document": setting.description,
    })
}

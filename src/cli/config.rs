//! `cedargate config`: the settings in force and where each comes from.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::json;

use crate::config::{EffectiveSetting, Settings, markdown_reference};

use super::{CommandError, ExitStatus, print_data as print};

/// Prints the settings as a table, as JSON, or the reference of all of them as Markdown.
pub(super) fn run(
    settings: &Settings,
    is_json: bool,
    is_markdown: bool,
) -> Result<ExitStatus, CommandError> {
    if is_markdown {
        return print(markdown_reference().trim_end());
    }
    if is_json {
        let rows: Vec<_> = settings.effective().iter().map(setting_json).collect();
        return print(serde_json::to_string_pretty(&rows).map_err(CommandError::new)?);
    }
    let mut table = Table::new();
    table
        .load_preset(NOTHING)
        .set_header(["SETTING", "VALUE", "FROM"]);
    for EffectiveSetting {
        name,
        value,
        origin,
        ..
    } in settings.effective()
    {
        table.add_row([(*name).to_owned(), value.clone(), origin.to_string()]);
    }
    print(table.trim_fmt())
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

//! The reference of all settings for the operators' page.

use std::fmt::Write;

use super::setting::Setting;
use super::table::SETTINGS;

/// All settings as a Markdown table, one row a setting, ending in a line end.
pub fn markdown_reference() -> String {
    let mut table = String::from(
        "| Setting | Environment variable | Default | Expected | What it is for |\n\
         |---|---|---|---|---|\n",
    );
    for setting in SETTINGS {
        let default = match setting.default {
            "" => "none".to_owned(),
            default => format!("`{default}`"),
        };
        // Writing to a string cannot fail.
        writeln!(
            table,
            "| `{}` | `{}` | {default} | {} | {} |",
            setting.name,
            setting.variable(),
            expected(setting),
            setting.description,
        )
        .ok();
    }
    table
}

fn expected(setting: &Setting) -> String {
    let expected = setting.expected().replace('*', "`*`");
    match (setting.file_name(), setting.file_variable()) {
        (Some(name), Some(variable)) => {
            format!("{expected}; or, as `{name}` or `{variable}`, a file that holds it")
        }
        _ => expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_has_one_row_a_setting_and_one_cell_a_column() {
        let table = markdown_reference();
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(rows.len(), SETTINGS.len());
        for (row, setting) in rows.iter().zip(SETTINGS) {
            assert_eq!(row.matches('|').count(), 6, "{row}");
            assert!(row.starts_with(&format!("| `{}` | `CEDARGATE_", setting.name)));
        }
        assert!(table.contains(
            "| `token_lifetime` | `CEDARGATE_TOKEN_LIFETIME` | `120` | \
             a whole number of seconds from 1 to 120 |"
        ));
    }
}

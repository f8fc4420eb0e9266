//! The text of an explanation, for a person.

use std::fmt::Write;

use crate::domain::action::Action;
use crate::policy::explain::PolicyExplanation;

use super::report::{ExplanationReport, format_time};

impl ExplanationReport {
    /// The explanation for a person.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        self.write(&mut text).ok();
        self.with_names(&text)
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        for note in &self.notes {
            writeln!(text, "{note}")?;
        }
        let answer = if self.is_permitted {
            "PERMITTED"
        } else {
            "DENIED"
        };
        let who = match &self.username {
            Some(username) => format!("{username} ({})", self.principal),
            None => self.principal.clone(),
        };
        let (action, id, title) = (self.action, &self.dataset_id, &self.title);
        writeln!(text, "{answer}: {who}, {action}, {id} ({title})")?;
        let (address, time) = (self.address, format_time(self.unix_millis));
        write!(text, "from {address} at {time}")?;
        if let Some(authentication) = self.authentication {
            write!(text, ", authentication {authentication}")?;
        }
        writeln!(text)?;
        if self.is_disabled {
            writeln!(
                text,
                "The user is disabled, and denied whatever the policies say."
            )?;
        }
        if let Some(refusal) = self.key_refusal {
            writeln!(
                text,
                "Denied all the same, whatever the policies say: {refusal}."
            )?;
        }
        if let Some(seconds) = self.max_ttl.filter(|_| self.action == Action::Read) {
            writeln!(text, "The policies limit a token to {seconds} seconds.")?;
        }
        if let Some(mint) = &self.mint {
            writeln!(text, "The mint would answer {}: {}.", mint.status, mint.why)?;
        }
        for share in &self.shares {
            writeln!(text, "{share}")?;
        }
        self.write_openings(text)?;
        for error in self.errors.iter().filter(|_| !self.is_disabled) {
            writeln!(text, "evaluation error, which denies: {error}")?;
        }
        if self.determining.is_empty() && self.errors.is_empty() {
            writeln!(text, "\nNo policy permits it.")?;
        }
        if !self.determining.is_empty() {
            let is_undone =
                !self.errors.is_empty() && self.determining.iter().all(|it| it.is_permit);
            let lead = if is_undone {
                "Without the error, permitted by"
            } else {
                "Determined by"
            };
            writeln!(text, "\n{lead}")?;
        }
        for policy in &self.determining {
            write_determining(text, policy)?;
        }
        if !self.others.is_empty() {
            writeln!(text, "\nOther policies for this action, the nearest first")?;
        }
        for policy in &self.others {
            write!(text, "\n{}", policy.render())?;
            if policy.is_satisfied {
                writeln!(text, "    overruled")?;
            }
        }
        if self.left_off > 0 {
            writeln!(
                text,
                "\nand {} more policies for this action",
                self.left_off
            )?;
        }
        Ok(())
    }
}

impl ExplanationReport {
    fn write_openings(&self, text: &mut String) -> std::fmt::Result {
        let Some(openings) = &self.openings else {
            return Ok(());
        };
        if openings.is_empty() {
            return writeln!(
                text,
                "No share, role, time or address that was tried would permit it."
            );
        }
        writeln!(text, "What would permit it, each asked of the policies:")?;
        for opening in openings {
            match &opening.command {
                Some(command) => writeln!(text, "  {}: {command}", opening.change)?,
                None => writeln!(text, "  {}", opening.change)?,
            }
        }
        Ok(())
    }
}

fn write_determining(text: &mut String, policy: &PolicyExplanation) -> std::fmt::Result {
    write!(text, "\n{}", policy.render())?;
    if let Some(reason) = &policy.reason {
        writeln!(text, "    reason: {reason}")?;
    }
    if let Some(seconds) = policy.max_ttl {
        writeln!(text, "    @max_ttl: {seconds} seconds")?;
    }
    for (number, line) in (policy.line.unwrap_or(1)..).zip(policy.text.lines()) {
        writeln!(text, "    {number:>5} | {line}")?;
    }
    Ok(())
}

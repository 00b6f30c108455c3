//! Filling in the Yul templates: `$NAME$` is replaced, and nothing may be left over.

use std::{collections::BTreeMap, fmt::Display};

use super::GenerateError;

/// Values for the placeholders of a template.
#[derive(Clone, Debug, Default)]
pub(super) struct Values(BTreeMap<&'static str, String>);

impl Values {
    /// Adds a value; a placeholder has one value in all templates.
    pub(super) fn set(&mut self, name: &'static str, value: impl Display) -> &mut Self {
        self.0.insert(name, value.to_string());
        self
    }

    /// Adds an address or a mask.
    pub(super) fn hex(&mut self, name: &'static str, value: impl Into<u128>) -> &mut Self {
        self.set(name, format_args!("{:#x}", value.into()))
    }

    /// What a placeholder stands for; empty if it has no value.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// A copy with further values.
    pub(super) fn with(&self, more: impl FnOnce(&mut Self)) -> Self {
        let mut values = self.clone();
        more(&mut values);
        values
    }

    /// The template with every placeholder replaced.
    pub(super) fn fill(&self, template: &str) -> Result<String, GenerateError> {
        let mut out = String::with_capacity(2 * template.len());
        let mut parts = template.split('$');
        out.push_str(parts.next().unwrap_or_default());
        while let Some(name) = parts.next() {
            let value = self.0.get(name).ok_or_else(|| GenerateError::Template(name.to_owned()))?;
            out.push_str(value.trim_end_matches('\n'));
            out.push_str(parts.next().ok_or_else(|| GenerateError::Template(name.to_owned()))?);
        }
        Ok(out)
    }
}

/// Lines of generated code at one depth of indentation.
#[derive(Debug)]
pub(super) struct Code {
    text: String,
    indent: usize,
}

impl Code {
    pub(super) fn new(indent: usize) -> Self {
        Self { text: String::new(), indent }
    }

    /// Appends one line.
    pub(super) fn line(&mut self, line: impl Display) {
        self.text.push_str(&" ".repeat(self.indent));
        self.text.push_str(&line.to_string());
        self.text.push('\n');
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

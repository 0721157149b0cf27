//! The figures: a table for people, and a list for programs.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::statistics::Median;

/// One figure, as programs read it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: &'static str,
    /// What of it.
    pub metric: &'static str,
    /// The median over the rounds.
    pub value: f64,
    /// In what.
    pub unit: &'static str,
}

/// Writes figures to a file, as a JSON array.
///
/// # Errors
/// The file cannot be written.
pub fn write_json(file: &Path, figures: &[Figure]) -> Result<()> {
    let mut text = serde_json::to_string_pretty(figures).context("a figure is not a number")?;
    text.push('\n');
    std::fs::write(file, text).with_context(|| format!("cannot write `{}`", file.display()))
}

/// A table with one line a measurement.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these column heads; the first column is flush left, the others right.
    pub fn new(heads: &[&str]) -> Self {
        Self {
            rows: vec![heads.iter().map(|head| (*head).to_owned()).collect()],
        }
    }

    /// Adds a line: a name, and for each further column a median with its spread.
    pub fn line(&mut self, name: &str, values: &[Median]) {
        let values = values.iter().map(|median| {
            let Median { value, low, high } = median;
            format!("{value:.0} [{low:.0}–{high:.0}]")
        });
        self.rows
            .push(std::iter::once(name.to_owned()).chain(values).collect());
    }

    /// Adds a line of what is written already.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// As text.
    pub fn text(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let mut text = String::new();
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                let width = width(column);
                // Writing to a string does not fail.
                let _ = if column == 0 {
                    write!(text, "{cell:width$}")
                } else {
                    write!(text, "  {cell:>width$}")
                };
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_one_another() {
        let mut table = Table::new(&["what", "requests/s"]);
        let median = |value| Median {
            value,
            low: 1.0,
            high: 1234.5,
        };
        table.line("a longer name", &[median(7.6)]);
        table.line("b", &[median(1000.0)]);
        assert_eq!(
            table.text(),
            "what              requests/s\n\
             a longer name     8 [1–1234]\n\
             b              1000 [1–1234]\n"
        );
    }

    #[test]
    fn programs_get_an_array_of_plain_objects() {
        let dir = tempfile::tempdir().expect("directory");
        let file = dir.path().join("figures.json");
        let figure = Figure {
            name: "check_1",
            metric: "rps",
            value: 1.5,
            unit: "1/s",
        };
        write_json(&file, &[figure]).expect("write");
        let read: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&file).expect("file")).expect("json");
        assert_eq!(
            read,
            serde_json::json!([{"name": "check_1", "metric": "rps", "value": 1.5, "unit": "1/s"}])
        );
    }
}

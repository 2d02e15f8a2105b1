//! Data on stdout: tables that line up, JSON or YAML.

use std::io::Write;

use clap::ValueEnum;
use serde_json::Value;

/// The form of the data on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

/// Prints a value as JSON or YAML. Fails when stdout is closed.
pub(super) fn print(format: Format, value: &Value) -> std::io::Result<()> {
    let text = match format {
        Format::Yaml => yaml::to_yaml(value),
        Format::Json | Format::Table => {
            format!("{value:#}\n")
        }
    };
    text_out(&text)
}

/// Prints a text as it is. Fails when stdout is closed.
pub(super) fn text_out(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Returns rows as lines whose columns line up, kubectl's way: three blanks between columns.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|title| title.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let header: Vec<String> = header.iter().map(|title| (*title).to_owned()).collect();
    let line = |row: &Vec<String>| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}   "));
        format!("{}\n", cells.collect::<String>().trim_end())
    };
    std::iter::once(&header).chain(rows).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![
            vec!["1.10.0".to_owned(), "yes".to_owned()],
            vec!["é".into(), "no".into()],
        ];
        assert_eq!(
            table(&["TAG", "KEPT"], &rows),
            "TAG      KEPT\n1.10.0   yes\né        no\n"
        );
    }
}

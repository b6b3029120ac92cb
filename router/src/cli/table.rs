//! Tables of text.

use std::fmt;

/// Rows of text under headings; columns as wide as their longest cell, numbers to the right.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new<const N: usize>(headings: [&str; N]) -> Self {
        Self { rows: vec![headings.iter().map(ToString::to_string).collect()] }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// The table without the column of this heading, if no row has anything in it.
    #[must_use]
    pub fn unless_empty(mut self, heading: &str) -> Self {
        let found = self.rows.first().and_then(|row| row.iter().position(|cell| cell == heading));
        if let Some(column) = found
            && self.rows.iter().skip(1).all(|row| row.get(column).is_none_or(String::is_empty))
        {
            self.rows.iter_mut().for_each(|row| drop(row.remove(column)));
        }
        self
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cells = |column: usize| self.rows.iter().filter_map(move |row| row.get(column));
        let widths: Vec<usize> = (0..columns)
            .map(|column| cells(column).map(|cell| cell.chars().count()).max().unwrap_or(0))
            .collect();
        let is_number = |cell: &String| {
            cell.starts_with(|c: char| c.is_ascii_digit())
                && cell.chars().all(|c| c.is_ascii_digit() || c == ' ' || c == '.' || c == ',')
        };
        let right: Vec<bool> = (0..columns)
            .map(|column| self.rows.len() > 1 && cells(column).skip(1).all(is_number))
            .collect();
        for row in &self.rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let width = widths[column];
                if column > 0 {
                    line.push_str("  ");
                }
                if right[column] {
                    line.push_str(&format!("{cell:>width$}"));
                } else {
                    line.push_str(&format!("{cell:<width$}"));
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A number with its digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(["name", "packets"]);
        table.row(["eth0".into(), grouped(1_234_567)]);
        table.row(["a-longer-name".into(), grouped(12)]);
        assert_eq!(
            table.to_string(),
            "name             packets\n\
             eth0           1 234 567\n\
             a-longer-name         12\n"
        );
    }
}

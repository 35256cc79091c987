//! Readers of interaction files, line by line.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::DataError;
use super::columns::Columns;

/// One line's news: a user chose an item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interaction<'a> {
    /// Raw id of the user.
    pub user: &'a str,
    /// Raw id of the item.
    pub item: &'a str,
    /// In the data's own scale; finite.
    pub rating: Option<f64>,
    /// In the data's own unit, mostly Unix seconds; finite. Without it the order of the file counts.
    pub timestamp: Option<f64>,
}

/// A file format, detected from the first line. A new one takes a variant here, a rule in [`Format::detect`] and a
/// parser of its lines in [`Parser`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A header of `name:type` columns, tab-separated: RecBole's `.inter`.
    RecBole,
    /// No header, four tab-separated columns: user, item, rating, timestamp.
    MovieLens,
    /// A user and its items, oldest first, separated by blanks; a later line of the same user goes on.
    Sequences,
}

impl Format {
    /// The format of a file that begins with this line.
    #[must_use]
    pub fn detect(first_line: &str) -> Self {
        if Columns::is_recbole_header(first_line) {
            Self::RecBole
        } else if first_line.contains('\t') {
            Self::MovieLens
        } else {
            Self::Sequences
        }
    }
}

/// What is wrong with which field of a line.
#[derive(Debug)]
pub(super) struct Fault {
    field: String,
    problem: String,
}

impl Fault {
    pub(super) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }

    fn at(self, path: &Path, line: usize) -> DataError {
        DataError::Malformed { path: path.to_path_buf(), line, field: self.field, problem: self.problem }
    }
}

/// How the lines of one file are read.
enum Parser {
    Columns(Columns),
    Sequences,
}

impl Parser {
    /// The parser for a file that begins with `line`, and whether that line holds data.
    fn for_first_line(line: &str) -> Result<(Format, Self, bool), Fault> {
        let format = Format::detect(line);
        Ok(match format {
            Format::RecBole => (format, Self::Columns(Columns::from_recbole_header(line)?), false),
            Format::MovieLens => (format, Self::Columns(Columns::MOVIELENS), true),
            Format::Sequences => (format, Self::Sequences, true),
        })
    }

    fn parse(&self, line: &str, mut visit: impl FnMut(Interaction<'_>)) -> Result<(), Fault> {
        match self {
            Self::Columns(columns) => visit(columns.parse(line)?),
            Self::Sequences => {
                let mut fields = line.split_whitespace();
                let user = fields.next().ok_or_else(|| Fault::new("user", "empty"))?;
                let mut items = fields.peekable();
                if items.peek().is_none() {
                    return Err(Fault::new("items", format!("none for user {user}")));
                }
                items.for_each(|item| visit(Interaction { user, item, rating: None, timestamp: None }));
            }
        }
        Ok(())
    }
}

/// Hands every interaction of the file to `visit`, in the file's order, holding one line at a time.
///
/// # Errors
/// The file is missing or cannot be read; a line is malformed, with its number and field. Empty lines may only end
/// the file.
pub fn read(path: &Path, visit: impl FnMut(Interaction<'_>)) -> Result<Format, DataError> {
    let file = File::open(path).map_err(|error| DataError::io(path, error))?;
    read_from(BufReader::new(file), path, visit)
}

/// [`read`] from any input; `path` only names it in errors.
///
/// # Errors
/// As [`read`].
pub fn read_from(
    mut input: impl BufRead,
    path: &Path,
    mut visit: impl FnMut(Interaction<'_>),
) -> Result<Format, DataError> {
    let mut bytes = Vec::new();
    let mut parser = None;
    let mut first_empty = None;
    for number in 1.. {
        bytes.clear();
        if input.read_until(b'\n', &mut bytes).map_err(|error| DataError::io(path, error))? == 0 {
            break;
        }
        let at = |fault: Fault| fault.at(path, number);
        let line = std::str::from_utf8(&bytes).map_err(|_| at(Fault::new("line", "not UTF-8")))?;
        let line = line.strip_suffix('\n').unwrap_or(line);
        let mut line = line.strip_suffix('\r').unwrap_or(line);
        if number == 1 {
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.trim().is_empty() {
            first_empty.get_or_insert(number);
            continue;
        }
        if let Some(empty) = first_empty {
            return Err(Fault::new("line", "empty, but more lines follow").at(path, empty));
        }
        match &parser {
            Some((_, parser)) => Parser::parse(parser, line, &mut visit).map_err(at)?,
            None => {
                let (format, first, holds_data) = Parser::for_first_line(line).map_err(at)?;
                if holds_data {
                    first.parse(line, &mut visit).map_err(at)?;
                }
                parser = Some((format, first));
            }
        }
    }
    match parser {
        Some((format, _)) => Ok(format),
        None => Err(Fault::new("line", "the file is empty").at(path, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row = (String, String, Option<f64>, Option<f64>);

    fn rows(text: &str) -> Result<(Format, Vec<Row>), String> {
        let mut rows = Vec::new();
        let format = read_from(text.as_bytes(), Path::new("x.data"), |i| {
            rows.push((i.user.to_owned(), i.item.to_owned(), i.rating, i.timestamp));
        })
        .map_err(|error| error.to_string())?;
        Ok((format, rows))
    }

    fn row(user: &str, item: &str, rating: Option<f64>, timestamp: Option<f64>) -> Row {
        (user.to_owned(), item.to_owned(), rating, timestamp)
    }

    #[test]
    fn movielens() {
        let (format, rows) = rows("196\t242\t3\t881250949\n186\t302\t3\t891717742\n\n").unwrap();
        assert_eq!(format, Format::MovieLens);
        assert_eq!(rows[1], row("186", "302", Some(3.0), Some(891_717_742.0)));
        assert_eq!(rows.len(), 2);
    }

    #[test]
    fn recbole_columns_in_any_order() {
        let (format, rows) =
            rows("timestamp:float\titem_id:token\tcity:token\tuser_id:token\r\n7.5\ti1\tBonn\tu1\r\n")
                .unwrap();
        assert_eq!(format, Format::RecBole);
        assert_eq!(rows, [row("u1", "i1", None, Some(7.5))]);
    }

    #[test]
    fn sequences() {
        let (format, rows) = rows("\u{feff}ann 3 1 2\nbob 1\nann 5").unwrap();
        assert_eq!(format, Format::Sequences);
        let pairs: Vec<_> = rows.iter().map(|row| (row.0.as_str(), row.1.as_str())).collect();
        assert_eq!(pairs, [("ann", "3"), ("ann", "1"), ("ann", "2"), ("bob", "1"), ("ann", "5")]);
    }

    #[test]
    fn malformed_lines_are_named() {
        let header = "user_id:token\titem_id:token\trating:float\ttimestamp:float";
        for (text, message) in [
            ("1\t2\t3\t4\n1\t2\t3\n".to_owned(), "x.data, line 2, line: 3 fields instead of 4"),
            ("1\t2\t3\tx\n".to_owned(), "x.data, line 1, timestamp: \"x\" is not a finite number"),
            ("1\t2\tNaN\t4\n".to_owned(), "x.data, line 1, rating: \"NaN\" is not a finite number"),
            ("1\t2\t3\t4\n\t2\t3\t4\n".to_owned(), "x.data, line 2, user: empty"),
            ("1\t2\t3\t4\n\n1\t2\t3\t4\n".to_owned(), "x.data, line 2, line: empty, but more lines follow"),
            (format!("{header}\n1\t\t3\t4\n"), "x.data, line 2, item: empty"),
            (format!("{header}\n1\t1\t3\t4\t5\n"), "x.data, line 2, line: 5 fields instead of 4"),
            (
                "user_id:token\trating:float\n".to_owned(),
                "x.data, line 1, item_id: the header has no such column",
            ),
            ("1 2 3\n2\n".to_owned(), "x.data, line 2, items: none for user 2"),
            (String::new(), "x.data, line 1, line: the file is empty"),
        ] {
            assert_eq!(rows(&text).unwrap_err(), message, "{text:?}");
        }
        let error = read_from(&b"a b\na \xff\n"[..], Path::new("x.data"), |_| ()).unwrap_err();
        assert_eq!(error.to_string(), "x.data, line 2, line: not UTF-8");
    }
}

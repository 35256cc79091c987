//! Readers of interaction files, line by line.

use std::fmt;
use std::io::BufRead;
use std::path::Path;

use super::columns::Columns;
use super::{DataError, input, reviews};

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
    /// No header, four tab-separated columns: user, item, rating, timestamp; MovieLens' `u.data`.
    MovieLens,
    /// The same four columns separated by `::`: MovieLens' `ratings.dat`.
    MovieLensDat,
    /// A header of comma-separated names: MovieLens' `ratings.csv`, Amazon's ratings of 2023.
    Csv,
    /// No header, four comma-separated columns: Amazon's ratings of 2014, and of 2018 with the item first.
    AmazonRatings,
    /// Lines of JSON with `reviewerID`, `asin`, `overall`, `unixReviewTime`: Amazon's reviews of 2014 and 2018.
    AmazonReviews,
    /// Lines of JSON with `user_id`, `parent_asin`, `rating`, `timestamp`: Amazon's reviews of 2023.
    AmazonReviews2023,
    /// Lines of JSON with `user_id`, `business_id`, `stars`, `date`: Yelp's reviews.
    YelpReviews,
    /// A user and its items, oldest first, separated by blanks; a later line of the same user goes on.
    Sequences,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RecBole => "RecBole .inter",
            Self::MovieLens => "MovieLens u.data",
            Self::MovieLensDat => "MovieLens ratings.dat",
            Self::Csv => "CSV with a header",
            Self::AmazonRatings => "Amazon ratings CSV",
            Self::AmazonReviews => "Amazon reviews",
            Self::AmazonReviews2023 => "Amazon reviews of 2023",
            Self::YelpReviews => "Yelp reviews",
            Self::Sequences => "sequences of items",
        })
    }
}

impl Format {
    /// The format of a file that begins with this line.
    #[must_use]
    pub fn detect(first_line: &str) -> Self {
        if first_line.starts_with('{') {
            match first_line {
                line if reviews::has_key(line, "business_id") => Self::YelpReviews,
                line if reviews::has_key(line, "parent_asin") => Self::AmazonReviews2023,
                _ => Self::AmazonReviews,
            }
        } else if Columns::is_recbole_header(first_line) {
            Self::RecBole
        } else if first_line.contains('\t') {
            Self::MovieLens
        } else if first_line.contains("::") {
            Self::MovieLensDat
        } else if Columns::is_csv_header(first_line) {
            Self::Csv
        } else if first_line.contains(',') {
            Self::AmazonRatings
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
    Amazon,
    Amazon2023,
    Yelp,
    Sequences,
}

impl Parser {
    /// The parser for a file that begins with `line`, and whether that line holds data.
    fn for_first_line(format: Format, line: &str) -> Result<(Self, bool), Fault> {
        Ok(match format {
            Format::RecBole => (Self::Columns(Columns::from_recbole_header(line)?), false),
            Format::MovieLens => (Self::Columns(Columns::MOVIELENS), true),
            Format::MovieLensDat => (Self::Columns(Columns::MOVIELENS_DAT), true),
            Format::Csv => (Self::Columns(Columns::from_csv_header(line)?), false),
            Format::AmazonRatings => (Self::Columns(Columns::of_amazon_ratings(line)), true),
            Format::AmazonReviews => (Self::Amazon, true),
            Format::AmazonReviews2023 => (Self::Amazon2023, true),
            Format::YelpReviews => (Self::Yelp, true),
            Format::Sequences => (Self::Sequences, true),
        })
    }

    /// Visits nothing of a line with a fault.
    fn parse(&self, line: &str, mut visit: impl FnMut(Interaction<'_>)) -> Result<(), Fault> {
        match self {
            Self::Columns(columns) => visit(columns.parse(line)?),
            Self::Amazon => reviews::amazon(line, visit)?,
            Self::Amazon2023 => reviews::amazon_2023(line, visit)?,
            Self::Yelp => reviews::yelp(line, visit)?,
            Self::Sequences => {
                if let Some(separator) = ["\t", "::"].into_iter().find(|s| line.contains(s)) {
                    let problem =
                        "in a line of items, which blanks separate; the first line decides the format";
                    return Err(Fault::new("line", format!("{separator:?} {problem}")));
                }
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

/// What a file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Its format.
    pub format: Format,
    /// Malformed lines that were skipped.
    pub skipped: usize,
}

/// Hands every interaction of the file, plain or compressed with gzip or Zstandard, to `visit`, in the file's order,
/// holding one line at a time. Up to `skip_bad` malformed lines are skipped, of which nothing is visited.
///
/// # Errors
/// The file is missing or cannot be read or decompressed; one line more than `skip_bad` is malformed: that line, with
/// its number and field; a header lacks a column. Empty lines may only end the file.
pub fn read(path: &Path, skip_bad: usize, visit: impl FnMut(Interaction<'_>)) -> Result<Outcome, DataError> {
    let input = input::open(path).map_err(|error| DataError::io(path, error))?;
    read_from(input, path, skip_bad, visit)
}

/// [`read`] from any input that is not compressed; `path` only names it in errors.
///
/// # Errors
/// As [`read`].
pub fn read_from(
    mut input: impl BufRead,
    path: &Path,
    skip_bad: usize,
    mut visit: impl FnMut(Interaction<'_>),
) -> Result<Outcome, DataError> {
    let mut bytes = Vec::new();
    let mut parser: Option<(Format, Parser)> = None;
    let mut skipped = 0;
    let mut skip = |fault: Fault, line: usize| {
        if skipped == skip_bad {
            return Err(fault.at(path, line));
        }
        skipped += 1;
        tracing::debug!(path = %path.display(), line, field = fault.field, problem = fault.problem, "skipped");
        Ok(())
    };
    // Lines, from this on, that may end the file but not stand within it.
    let mut first_empty = None;
    for number in 1.. {
        bytes.clear();
        if input.read_until(b'\n', &mut bytes).map_err(|error| DataError::io(path, error))? == 0 {
            break;
        }
        if number == 1 && bytes.starts_with(BYTE_ORDER_MARK) {
            bytes.drain(..BYTE_ORDER_MARK.len());
        }
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.trim_ascii().is_empty() {
            first_empty.get_or_insert(number);
            continue;
        }
        for empty in first_empty.take().unwrap_or(number)..number {
            skip(Fault::new("line", "empty, but more lines follow"), empty)?;
        }
        let Ok(line) = std::str::from_utf8(line) else {
            skip(Fault::new("line", "not UTF-8"), number)?;
            continue;
        };
        let parser = match &mut parser {
            Some((_, parser)) => parser,
            none => {
                let format = Format::detect(line);
                // Without its header a file means nothing: this fault is not one to skip.
                let (first, holds_data) =
                    Parser::for_first_line(format, line).map_err(|fault| fault.at(path, number))?;
                let (_, parser) = none.insert((format, first));
                if !holds_data {
                    continue;
                }
                parser
            }
        };
        if let Err(fault) = parser.parse(line, &mut visit) {
            skip(fault, number)?;
        }
    }
    match parser {
        Some((format, _)) => Ok(Outcome { format, skipped }),
        None => Err(Fault::new("line", "the file is empty").at(path, 1)),
    }
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    type Expected = (&'static str, &'static str, Option<f64>, Option<f64>);
    type Row = (String, String, Option<f64>, Option<f64>);

    fn rows(text: &str) -> Result<(Format, Vec<Row>), String> {
        let mut rows = Vec::new();
        let outcome = read_from(text.as_bytes(), Path::new("x.data"), 0, |i| {
            rows.push((i.user.to_owned(), i.item.to_owned(), i.rating, i.timestamp));
        })
        .map_err(|error| error.to_string())?;
        assert_eq!(outcome.skipped, 0);
        Ok((outcome.format, rows))
    }

    fn row(user: &str, item: &str, rating: Option<f64>, timestamp: Option<f64>) -> Row {
        (user.to_owned(), item.to_owned(), rating, timestamp)
    }

    /// For each format a file of two interactions with users, items, ratings, timestamps.
    const FILES: [(Format, &str, [Expected; 2]); 12] = [
        (
            Format::RecBole,
            "user_id:token\titem_id:token\trating:float\ttimestamp:float\nu\ta\t3\t5\nv\tb\t4.5\t6\n",
            [("u", "a", Some(3.0), Some(5.0)), ("v", "b", Some(4.5), Some(6.0))],
        ),
        (
            Format::MovieLens,
            "1\t242\t3\t881250949\n2\t302\t3\t891717742\n",
            [("1", "242", Some(3.0), Some(881_250_949.0)), ("2", "302", Some(3.0), Some(891_717_742.0))],
        ),
        (
            Format::MovieLensDat,
            "1::1193::5::978300760\r\n1::661::3.5::978302109\r\n",
            [("1", "1193", Some(5.0), Some(978_300_760.0)), ("1", "661", Some(3.5), Some(978_302_109.0))],
        ),
        (
            Format::Csv,
            "userId,movieId,rating,timestamp\n1,296,5.0,1147880044\n1,306,3.5,1147868817\n",
            [("1", "296", Some(5.0), Some(1_147_880_044.0)), ("1", "306", Some(3.5), Some(1_147_868_817.0))],
        ),
        (
            Format::Csv,
            "rating,user_id,history,parent_asin,timestamp\n5.0,AF,B1 B2,B3,1446304000000\n1.0,AG,,B4,7\n",
            [("AF", "B3", Some(5.0), Some(1_446_304_000_000.0)), ("AG", "B4", Some(1.0), Some(7.0))],
        ),
        (
            Format::AmazonRatings,
            "A3AF8FFZAZYNE5,0000000078,5.0,1092182400\nAH2L9G3DQHHAJ,0000000116,4.0,1019865600\n",
            [
                ("A3AF8FFZAZYNE5", "0000000078", Some(5.0), Some(1_092_182_400.0)),
                ("AH2L9G3DQHHAJ", "0000000116", Some(4.0), Some(1_019_865_600.0)),
            ],
        ),
        (
            Format::AmazonRatings,
            "B017O9P72A,A1LZJZIHUPLDV4,2.0,1515974400\n0001713353,A1C6M8LCIX4M6M,5.0,1123804800\n",
            [
                ("A1LZJZIHUPLDV4", "B017O9P72A", Some(2.0), Some(1_515_974_400.0)),
                ("A1C6M8LCIX4M6M", "0001713353", Some(5.0), Some(1_123_804_800.0)),
            ],
        ),
        (
            Format::AmazonReviews,
            concat!(
                r#"{"overall": 5.0, "vote": "2", "reviewerID": "A1", "asin": "B1", "style": {"Size:": " L"}, "#,
                r#""reviewText": "no \"business_id\"", "unixReviewTime": 1514764800}"#,
                "\n",
                r#"{"reviewerID": "A\u0032", "asin": "B2", "helpful": [0, 1], "overall": 1, "unixReviewTime": 9}"#,
            ),
            [("A1", "B1", Some(5.0), Some(1_514_764_800.0)), ("A2", "B2", Some(1.0), Some(9.0))],
        ),
        (
            Format::AmazonReviews2023,
            concat!(
                r#"{"rating": 5.0, "asin": "B0", "parent_asin": "B1", "user_id": "AG", "timestamp": 1588687728923}"#,
                "\n",
                r#"{"rating": 2.0, "asin": "B2", "parent_asin": "B2", "user_id": "AH", "timestamp": 8}"#,
            ),
            [("AG", "B1", Some(5.0), Some(1_588_687_728_923.0)), ("AH", "B2", Some(2.0), Some(8.0))],
        ),
        (
            Format::YelpReviews,
            concat!(
                r#"{"review_id":"r","user_id":"m","business_id":"X","stars":3.0,"date":"2018-07-07 22:09:11"}"#,
                "\n",
                r#"{"review_id":"s","user_id":"n","business_id":"Y","stars":5.0,"date":"1970-01-02 00:00:01"}"#,
                "\n",
            ),
            [("m", "X", Some(3.0), Some(1_531_001_351.0)), ("n", "Y", Some(5.0), Some(86_401.0))],
        ),
        (Format::Sequences, "u a\nv b\n", [("u", "a", None, None), ("v", "b", None, None)]),
        (Format::Sequences, "u a b\n", [("u", "a", None, None), ("u", "b", None, None)]),
    ];

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstandard(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 3).unwrap()
    }

    #[test]
    fn every_format_plain_and_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.data");
        for (format, text, expected) in FILES {
            let expected: Vec<_> = expected.map(|(user, item, r, t)| row(user, item, r, t)).into();
            let (first, second) = text.as_bytes().split_at(text.len() / 2);
            for (what, bytes) in [
                ("plain", text.as_bytes().to_vec()),
                ("gzip", gzip(text.as_bytes())),
                ("gzip in two members", [gzip(first), gzip(second)].concat()),
                ("Zstandard", zstandard(text.as_bytes())),
                ("Zstandard in two frames", [zstandard(first), zstandard(second)].concat()),
            ] {
                std::fs::write(&path, &bytes).unwrap();
                let mut rows = Vec::new();
                let outcome =
                    read(&path, 0, |i| rows.push(row(i.user, i.item, i.rating, i.timestamp))).unwrap();
                assert_eq!(outcome, Outcome { format, skipped: 0 }, "{what}: {text}");
                assert_eq!(rows, expected, "{what}: {text}");

                // A compressed file cut short is never taken for a whole one.
                if what != "plain" {
                    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
                    let error = read(&path, usize::MAX, |_| ()).unwrap_err();
                    assert!(matches!(error, DataError::Io { .. }), "{what}: {error}");
                }
            }
        }
    }

    #[test]
    fn bad_lines_up_to_the_limit_are_skipped() {
        let text = b"1\t2\t3\t4\nbad\n\n1\t\xff\t3\t4\n5\t6\t7\t8\n1\t2\tx\t4\n\n";
        let read_skipping = |skip_bad| {
            let mut users = Vec::new();
            read_from(&text[..], Path::new("x.data"), skip_bad, |i| users.push(i.user.to_owned()))
                .map(|outcome| (outcome, users))
                .map_err(|error| error.to_string())
        };
        let outcome = Outcome { format: Format::MovieLens, skipped: 4 };
        for enough in [4, 5] {
            assert_eq!(read_skipping(enough).unwrap(), (outcome, vec!["1".to_owned(), "5".to_owned()]));
        }
        for (limit, message) in [
            (0, "x.data, line 2, line: 1 fields instead of 4"),
            (1, "x.data, line 3, line: empty, but more lines follow"),
            (2, "x.data, line 4, line: not UTF-8"),
            (3, "x.data, line 6, rating: \"x\" is not a finite number"),
        ] {
            assert_eq!(read_skipping(limit).unwrap_err(), message);
        }
    }

    #[test]
    fn a_header_cannot_be_skipped() {
        let error = read_from(&b"userId,rating\n"[..], Path::new("x"), 9, |_| ()).unwrap_err();
        assert_eq!(error.to_string(), "x, line 1, movieId or parent_asin: the header has no such column");
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
            ("1::2::3::4\n1::2::3\n".to_owned(), "x.data, line 2, line: 3 fields instead of 4"),
            ("1::2::3::4:\n".to_owned(), "x.data, line 1, timestamp: \"4:\" is not a finite number"),
            ("A,B,5,7\nA,,5,7\n".to_owned(), "x.data, line 2, item: empty"),
            (
                "userId,movieId,rating,timestamp\n1,2,,4\n".to_owned(),
                "x.data, line 2, rating: \"\" is not a finite number",
            ),
            (
                r#"{"reviewerID": "A", "overall": 5, "unixReviewTime": 7}"#.to_owned(),
                "x.data, line 1, asin: missing",
            ),
            (
                r#"{"reviewerID": "A", "asin": "", "overall": 5, "unixReviewTime": 7}"#.to_owned(),
                "x.data, line 1, asin: empty",
            ),
            (
                r#"{"reviewerID": "A\tB", "asin": "C", "overall": 5, "unixReviewTime": 7}"#.to_owned(),
                "x.data, line 1, reviewerID: holds a tab or a line break",
            ),
            (
                r#"{"user_id": "A", "parent_asin": "B", "rating": "good", "timestamp": 7}"#.to_owned(),
                "x.data, line 1, rating: invalid type: string \"good\", expected f64, at byte 53",
            ),
            (
                r#"{"user_id": "A", "parent_asin": "B", "rating": 5, "timestamp": 7"#.to_owned(),
                "x.data, line 1, line: EOF while parsing an object, at byte 64",
            ),
            (
                r#"{"user_id":"m","business_id":"X","stars":3.0,"date":"yesterday"}"#.to_owned(),
                "x.data, line 1, date: \"yesterday\" is not a time as 2017-01-31 23:59:59",
            ),
            (
                "# ratings\n1\t2\t3\t4\n".to_owned(),
                "x.data, line 2, line: \"\\t\" in a line of items, which blanks separate; the first line decides the format",
            ),
            (String::new(), "x.data, line 1, line: the file is empty"),
        ] {
            assert_eq!(rows(&text).unwrap_err(), message, "{text:?}");
        }
        let error = read_from(&b"a b\na \xff\n"[..], Path::new("x.data"), 0, |_| ()).unwrap_err();
        assert_eq!(error.to_string(), "x.data, line 2, line: not UTF-8");
    }
}

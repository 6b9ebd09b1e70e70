//! Files that come from anyone: read whole within a limit, and taken apart as bytes, integers or columns of numbers.
//!
//! Owns the limits and the sentences that say what is wrong with a file. Knows no recording: `record` says which
//! columns and channels a file has.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// A day of three channels at 125 Hz; a 30-minute record of the MIT-BIH database has 2 MB.
const MAX_FILE: u64 = 64 << 20;
/// Of text.
const MAX_LINE: usize = 1024;

/// A file that cannot be used, and why.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", path.display())]
pub struct BadFile {
    /// Which.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: Fault,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The operating system says why.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// A folder, device or pipe.
    #[error("is not a regular file")]
    NotAFile,
    /// More than any recording needs.
    #[error("is longer than {} MiB", MAX_FILE >> 20)]
    TooLong,
    /// Not text.
    #[error("is not UTF-8 text")]
    NotText,
    /// The rest of an integer or of a row of channels.
    #[error("ends in the middle of a sample: {bytes} bytes are not a multiple of {sample}")]
    Torn {
        /// Length of the file.
        bytes: usize,
        /// Length of a sample of all channels.
        sample: usize,
    },
    /// Nothing to play.
    #[error("holds less than a second of signal")]
    Empty,
    /// A column that is needed.
    #[error("has no column {0:?}")]
    NoColumn(&'static str),
    /// A line that says something else than it should.
    #[error("line {line}: {what}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// Its header and its content contradict each other, or the header is none.
    #[error("{0}")]
    Header(String),
}

impl Fault {
    /// In this file.
    #[must_use]
    pub fn of(self, path: &Path) -> BadFile {
        BadFile { path: path.to_owned(), what: self }
    }
}

/// All bytes of a regular file.
///
/// # Errors
/// [`Fault::Unreadable`], [`Fault::NotAFile`], [`Fault::TooLong`].
pub fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    // Asked before opening: opening a pipe would wait for its writer.
    if !path.metadata().map_err(Fault::Unreadable)?.is_file() {
        return Err(Fault::NotAFile);
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(Fault::Unreadable)?;
    if bytes.len() as u64 > MAX_FILE { Err(Fault::TooLong) } else { Ok(bytes) }
}

/// All of a text file.
///
/// # Errors
/// Those of [`read`], and [`Fault::NotText`].
pub fn read_text(path: &Path) -> Result<String, Fault> {
    String::from_utf8(read(path)?).map_err(|_| Fault::NotText)
}

/// Interleaved little-endian 16-bit values: one array per sample of all channels.
///
/// # Errors
/// [`Fault::Torn`].
pub fn interleaved<const CHANNELS: usize>(bytes: &[u8]) -> Result<Vec<[[u8; 2]; CHANNELS]>, Fault> {
    let torn = Fault::Torn { bytes: bytes.len(), sample: 2 * CHANNELS };
    let (values, rest) = bytes.as_chunks::<2>();
    let (samples, others) = values.as_chunks::<CHANNELS>();
    if rest.is_empty() && others.is_empty() { Ok(samples.to_vec()) } else { Err(torn) }
}

/// Chosen columns of a text table with a header line; `#` begins a comment line.
#[derive(Debug)]
pub struct Table<'text, const COLUMNS: usize> {
    rows: Vec<(usize, [&'text str; COLUMNS])>,
}

impl<'text, const COLUMNS: usize> Table<'text, COLUMNS> {
    /// Finds the columns by name.
    ///
    /// # Errors
    /// [`Fault::NoColumn`]; [`Fault::Line`] for a line that is too long or has too few fields.
    pub fn parse(text: &'text str, columns: [&'static str; COLUMNS]) -> Result<Self, Fault> {
        let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.starts_with('#'));
        let header = lines.next().map_or("", |(_, line)| line);
        let mut places = [0; COLUMNS];
        for (place, name) in places.iter_mut().zip(columns) {
            let found = header.split(',').position(|field| field.trim() == name);
            *place = found.ok_or(Fault::NoColumn(name))?;
        }
        let mut rows = Vec::new();
        for (line, content) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            if content.len() > MAX_LINE {
                return Err(Fault::Line { line, what: format!("is longer than {MAX_LINE} bytes") });
            }
            let mut row = [""; COLUMNS];
            for (field, place) in row.iter_mut().zip(places) {
                let text = content.split(',').nth(place);
                *field = text
                    .map(str::trim)
                    .ok_or_else(|| Fault::Line { line, what: format!("has no field {}", place + 1) })?;
            }
            rows.push((line, row));
        }
        Ok(Self { rows })
    }

    /// (line number, fields).
    pub fn rows(&self) -> impl Iterator<Item = (usize, [&'text str; COLUMNS])> {
        self.rows.iter().copied()
    }

    /// Every field as a number.
    ///
    /// # Errors
    /// [`Fault::Line`] for anything but a finite number.
    pub fn numbers(&self) -> impl Iterator<Item = Result<[f64; COLUMNS], Fault>> {
        self.rows().map(|(line, fields)| {
            let mut numbers = [0.0; COLUMNS];
            for (number, field) in numbers.iter_mut().zip(fields) {
                *number = finite(line, field)?;
            }
            Ok(numbers)
        })
    }
}

/// A finite number.
///
/// # Errors
/// [`Fault::Line`].
pub fn finite(line: usize, field: &str) -> Result<f64, Fault> {
    let number = field.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| Fault::Line { line, what: format!("{field:?} is not a number") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let table = Table::parse(text, ["t", "v"]);
        match table.and_then(|table| table.numbers().collect::<Result<Vec<_>, _>>()) {
            Ok(numbers) => panic!("{numbers:?}"),
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn columns_are_found_by_name_and_comments_skipped() {
        let table = Table::parse("# a\nx, v ,t\n1,2,3\n\n#\n4,5.5,6e1\n", ["t", "v"]).unwrap();
        let numbers: Vec<_> = table.numbers().collect::<Result<_, _>>().unwrap();
        assert_eq!(numbers, [[3.0, 2.0], [60.0, 5.5]]);
        assert_eq!(table.rows().last(), Some((6, ["6e1", "5.5"])));
    }

    #[test]
    fn what_is_wrong_with_a_table_is_said_with_its_line() {
        assert_eq!(refused(""), "has no column \"t\"");
        assert_eq!(refused("t,w\n"), "has no column \"v\"");
        assert_eq!(refused("t,v\n1,2\n3\n"), "line 3: has no field 2");
        for hostile in ["NaN", "inf", "-inf", "1e999", "", "x", "0x10", "1 2", "\u{663}"] {
            assert!(refused(&format!("t,v\n1,{hostile}\n")).starts_with("line 2: "), "{hostile}");
        }
        assert!(refused(&format!("t,v\n1,{}\n", "2".repeat(2000))).contains("longer than"));
    }

    #[test]
    fn torn_samples_are_refused() {
        assert_eq!(interleaved::<2>(&[1, 0, 2, 0]).unwrap(), [[[1, 0], [2, 0]]]);
        for torn in [&[1_u8][..], &[1, 0], &[1, 0, 2], &[1, 0, 2, 0, 3]] {
            assert!(matches!(interleaved::<2>(torn), Err(Fault::Torn { sample: 4, .. })), "{torn:?}");
        }
    }

    #[test]
    fn only_regular_files_of_some_size_are_read() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(read(dir.path()), Err(Fault::NotAFile)));
        assert!(matches!(read(&dir.path().join("none")), Err(Fault::Unreadable(_))));
        let long = dir.path().join("long");
        File::create(&long).unwrap().set_len(MAX_FILE + 1).unwrap();
        assert!(matches!(read(&long), Err(Fault::TooLong)));
        std::fs::write(dir.path().join("bytes"), [0xff, 0xfe]).unwrap();
        assert!(matches!(read_text(&dir.path().join("bytes")), Err(Fault::NotText)));
    }
}

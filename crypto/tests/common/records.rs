//! Reads `NAME = value` vector files; a name that comes again starts the next record.

use std::collections::HashMap;

pub(crate) type Record<'a> = HashMap<&'a str, &'a str>;

pub(crate) fn records(text: &str) -> Vec<Record<'_>> {
    let mut records = vec![Record::new()];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, value)) = line.split_once('=') else { continue };
        let (name, value) = (name.trim(), value.trim());
        if records.last().is_some_and(|record| record.contains_key(name)) {
            records.push(Record::new());
        }
        if let Some(record) = records.last_mut() {
            record.insert(name, value);
        }
    }
    records
}

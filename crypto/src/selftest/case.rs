//! One vector as its fields by name, and the readers that make them of a file. It knows no primitive.

use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::convert::Infallible;

use crypto_bigint::Uint;
use rand_core::{TryCryptoRng, TryRng};
use serde_json::Value;

/// What a vector showed, if it showed nothing wrong.
pub(super) enum Outcome {
    /// The answer is the known one.
    Right,
    /// The product does not speak this; the reason.
    Skipped(&'static str),
}

/// What is wrong with an answer or with a file.
pub(super) struct Wrong(pub(super) String);

impl Wrong {
    pub(super) fn new(what: &str) -> Self {
        Self(what.into())
    }
}

/// Says what is wrong unless something holds.
pub(super) fn ensure(holds: bool, otherwise: &str) -> Result<(), Wrong> {
    if holds { Ok(()) } else { Err(Wrong::new(otherwise)) }
}

/// One vector.
pub(super) struct Case {
    /// Its number and its author's comment.
    pub(super) name: String,
    fields: Value,
}

impl Case {
    fn field(&self, path: &str) -> Option<&Value> {
        self.fields.pointer(&format!("/{path}"))
    }

    /// A text; `/` leads into objects and lists.
    pub(super) fn text(&self, path: &str) -> Result<&str, Wrong> {
        self.field(path).and_then(Value::as_str).ok_or_else(|| Wrong(format!("no text {path}")))
    }

    /// A hexadecimal string.
    pub(super) fn bytes(&self, path: &str) -> Result<Vec<u8>, Wrong> {
        hex::decode(self.text(path)?).map_err(|_| Wrong(format!("{path} is not hexadecimal")))
    }

    /// A hexadecimal string of `N` bytes.
    pub(super) fn array<const N: usize>(&self, path: &str) -> Result<[u8; N], Wrong> {
        self.bytes(path)?.try_into().map_err(|_| Wrong(format!("{path} is not {N} bytes")))
    }

    /// A hexadecimal number, with or without leading zeros.
    pub(super) fn integer<const LIMBS: usize>(&self, path: &str) -> Result<Uint<LIMBS>, Wrong> {
        let digits: Vec<u8> = self.bytes(path)?.into_iter().skip_while(|&digit| digit == 0).collect();
        let zeros = Uint::<LIMBS>::BYTES.checked_sub(digits.len());
        let zeros = zeros.ok_or_else(|| Wrong(format!("{path} is too long")))?;
        Ok(Uint::from_be_slice(&[vec![0; zeros], digits].concat()))
    }

    /// A list of hexadecimal strings.
    pub(super) fn list(&self, path: &str) -> Result<Vec<Vec<u8>>, Wrong> {
        let list =
            self.field(path).and_then(Value::as_array).ok_or_else(|| Wrong(format!("no list {path}")))?;
        (0..list.len()).map(|index| self.bytes(&format!("{path}/{index}"))).collect()
    }

    /// A number, written as one or as a text.
    pub(super) fn number(&self, path: &str) -> Result<usize, Wrong> {
        let number = match self.field(path) {
            Some(Value::String(text)) => text.parse().ok(),
            Some(value) => value.as_u64().and_then(|number| usize::try_from(number).ok()),
            None => None,
        };
        number.ok_or_else(|| Wrong(format!("no number {path}")))
    }

    /// Wycheproof's verdict.
    pub(super) fn verdict(&self) -> Result<Verdict, Wrong> {
        match self.text("result")? {
            "valid" => Ok(Verdict::Valid),
            "acceptable" => Ok(Verdict::Acceptable),
            "invalid" => Ok(Verdict::Invalid),
            other => Err(Wrong(format!("unknown result {other}"))),
        }
    }
}

/// What Wycheproof wants of an implementation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Valid,
    /// Right, but a strict implementation may refuse it.
    Acceptable,
    Invalid,
}

/// A Wycheproof file. Each test also has the fields of its group.
pub(super) fn wycheproof(json: &str) -> Result<Vec<Case>, Wrong> {
    let file = parse(json)?;
    let list =
        |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut cases = Vec::new();
    for mut group in list(&file, "testGroups") {
        let tests = list(&group, "tests");
        let shared = group.as_object_mut().ok_or_else(|| Wrong::new("a group is no object"))?;
        shared.remove("tests");
        for test in tests {
            let number = test.get("tcId").map(Value::to_string).unwrap_or_default();
            let comment = test.get("comment").and_then(Value::as_str).filter(|comment| !comment.is_empty());
            let name = comment.map_or_else(|| format!("test {number}"), |c| format!("test {number} ({c})"));
            let mut fields = shared.clone();
            fields.extend(test.as_object().cloned().unwrap_or_default());
            cases.push(Case { name, fields: Value::Object(fields) });
        }
    }
    let announced = file.get("numberOfTests").and_then(Value::as_u64);
    ensure(announced == u64::try_from(cases.len()).ok(), "not as many tests as the file announces")?;
    Ok(cases)
}

/// A JSON list of objects, which stands at a JSON pointer.
pub(super) fn objects(json: &str, pointer: &str) -> Result<Vec<Case>, Wrong> {
    let mut file = parse(json)?;
    match file.pointer_mut(pointer).map(Value::take) {
        Some(Value::Array(list)) => Ok(numbered(list)),
        _ => Err(Wrong::new("no list of vectors")),
    }
}

/// Lines of columns that end in a colon.
pub(super) fn columns(text: &str, names: &[&str]) -> Result<Vec<Case>, Wrong> {
    let line = |line: &str| {
        let columns = names.iter().zip(line.split(':')).map(|(&name, value)| (name.into(), value.into()));
        Value::Object(columns.collect())
    };
    Ok(numbered(text.lines().map(line).collect()))
}

/// `NAME = value` lines. A name that comes again starts the next vector, which keeps what stood before that name.
pub(super) fn records(text: &str) -> Result<Vec<Case>, Wrong> {
    let object = |fields: &[(&str, &str)]| {
        Value::Object(fields.iter().map(|&(name, value)| (name.into(), value.into())).collect())
    };
    let mut vectors = Vec::new();
    let mut fields: Vec<(&str, &str)> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with(['#', '['])) {
        let Some((name, value)) = line.split_once('=') else { continue };
        let (name, value) = (name.trim(), value.trim());
        if let Some(again) = fields.iter().position(|(said, _)| *said == name) {
            vectors.push(object(&fields));
            fields.truncate(again);
        }
        fields.push((name, value));
    }
    vectors.push(object(&fields));
    Ok(numbered(vectors))
}

fn parse(json: &str) -> Result<Value, Wrong> {
    serde_json::from_str(json).map_err(|error| Wrong(error.to_string()))
}

fn numbered(vectors: Vec<Value>) -> Vec<Case> {
    let case = |(index, fields)| Case { name: format!("vector {}", index + 1), fields };
    vectors.into_iter().enumerate().map(case).collect()
}

/// A generator that gives a vector's own random bytes, and zeros when it has given all.
pub(super) struct Given<'a>(pub(super) &'a [u8]);

impl TryRng for Given<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(0);
        let (given, rest) = self.0.split_at_checked(bytes.len()).unwrap_or((self.0, &[]));
        bytes.iter_mut().zip(given).for_each(|(byte, given)| *byte = *given);
        self.0 = rest;
        Ok(())
    }
}

impl TryCryptoRng for Given<'_> {}

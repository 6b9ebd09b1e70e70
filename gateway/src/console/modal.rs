//! What lies over the tiles: lists, questions, and the steps of pairing. Plain values; `input` moves them, `view` draws
//! them.

use protocol::time::Monotonic;

use crate::ward::view::OfferView;

/// What lies over the tiles.
#[derive(Debug)]
pub(super) enum Modal {
    /// Connected patients.
    Connected {
        first: usize,
    },
    Alerts {
        chosen: usize,
    },
    Refusals {
        first: usize,
    },
    /// Who has received an alert.
    Receipts {
        alert: String,
        first: usize,
    },
    /// The text of a broadcast.
    Compose {
        field: Field,
    },
    Ask(Question),
    /// Whether a patient's computer or a wearable is to be paired.
    InviteWhat,
    /// For whom.
    InviteWhom {
        wearable: bool,
        field: Field,
    },
    /// Which side shows the code of a wearable.
    InviteSide {
        patient: String,
    },
    /// The code that the wearable shows.
    InviteCode {
        patient: String,
        field: Field,
    },
    Offered(Offered),
}

/// Something that is done only after a `y`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    Send {
        text: String,
    },
    CallOff {
        alert: String,
        text: String,
    },
    Replace {
        patient: String,
    },
    DisconnectAll,
    /// To end the gateway of this process.
    Stop,
}

/// An open offer.
#[derive(Debug)]
pub(super) struct Offered {
    pub(super) offer: OfferView,
    /// Whether this side shows the code.
    pub(super) shown_here: bool,
    pub(super) expires: Monotonic,
    /// Whether the gateway still lists it: not once its code was used, guessed wrong too often, or it expired.
    pub(super) is_open: bool,
}

/// A line of text being typed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Field {
    text: String,
    /// Byte offset, always between two characters.
    cursor: usize,
    limit: usize,
}

impl Field {
    /// An empty field for at most `limit` bytes.
    pub(super) const fn new(limit: usize) -> Self {
        Self { text: String::new(), cursor: 0, limit }
    }

    /// A field with `text` in it.
    pub(super) fn with(limit: usize, text: &str) -> Self {
        Self { text: text.to_owned(), cursor: text.len(), limit }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What stands before the cursor, and after it.
    pub(super) fn around_cursor(&self) -> (&str, &str) {
        self.text.split_at_checked(self.cursor).unwrap_or((&self.text, ""))
    }

    /// Puts a character in; false if there is no room.
    pub(super) fn insert(&mut self, character: char) -> bool {
        let fits = self.text.len() + character.len_utf8() <= self.limit;
        if fits {
            self.text.insert(self.cursor, character);
            self.cursor += character.len_utf8();
        }
        fits
    }

    pub(super) fn backspace(&mut self) {
        if let Some(last) = self.around_cursor().0.chars().next_back() {
            self.cursor -= last.len_utf8();
            self.text.remove(self.cursor);
        }
    }

    pub(super) fn delete(&mut self) {
        if self.cursor < self.text.len() {
            self.text.remove(self.cursor);
        }
    }

    pub(super) fn left(&mut self) {
        self.cursor -= self.around_cursor().0.chars().next_back().map_or(0, char::len_utf8);
    }

    pub(super) fn right(&mut self) {
        self.cursor += self.around_cursor().1.chars().next().map_or(0, char::len_utf8);
    }

    pub(super) const fn home(&mut self) {
        self.cursor = 0;
    }

    pub(super) fn end(&mut self) {
        self.cursor = self.text.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_edits_characters_and_keeps_its_limit() {
        let mut field = Field::new(6);
        for c in "äb漢".chars() {
            assert!(field.insert(c));
        }
        assert!(!field.insert('x'), "six bytes are in");
        field.left();
        field.left();
        field.backspace();
        assert_eq!((field.text(), field.around_cursor()), ("b漢", ("", "b漢")));
        field.left();
        field.right();
        field.delete();
        field.delete();
        assert_eq!(field.text(), "b");
        field.home();
        field.backspace();
        field.end();
        field.right();
        assert_eq!(field.around_cursor(), ("b", ""));
    }
}

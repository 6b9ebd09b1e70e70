//! Characters so large that they can be read from across the room, out of half blocks: digits for numbers, letters for
//! codes.

/// Rows of pixels, the highest bit of `width` on the left.
struct Glyph {
    width: u8,
    rows: &'static [u8],
}

/// A number three lines high.
pub(super) fn number(text: &str) -> Vec<String> {
    lines(text, digit, 3)
}

/// A code four lines high; 65 columns for `ABC-DEF-GH2`.
pub(super) fn code(text: &str) -> Vec<String> {
    lines(text, letter, 4)
}

fn lines(text: &str, glyph: fn(char) -> Glyph, height: usize) -> Vec<String> {
    let glyphs: Vec<Glyph> = text.chars().map(glyph).collect();
    (0..height)
        .map(|line| {
            let row = |glyph: &Glyph, row: usize| glyph.rows.get(row).copied().unwrap_or_default();
            let drawn = glyphs.iter().map(|glyph| {
                let (upper, lower) = (row(glyph, line * 2), row(glyph, line * 2 + 1));
                let pixel = |bits: u8, column: u8| bits >> (glyph.width - 1 - column) & 1 == 1;
                let block = |column| match (pixel(upper, column), pixel(lower, column)) {
                    (false, false) => ' ',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (true, true) => '█',
                };
                (0..glyph.width).map(block).collect::<String>()
            });
            drawn.collect::<Vec<_>>().join(" ")
        })
        .collect()
}

fn digit(character: char) -> Glyph {
    let rows: &[u8] = match character {
        '0' => &[7, 5, 5, 5, 7],
        '1' => &[2, 6, 2, 2, 7],
        '2' => &[7, 1, 7, 4, 7],
        '3' => &[7, 1, 7, 1, 7],
        '4' => &[5, 5, 7, 1, 1],
        '5' => &[7, 4, 7, 1, 7],
        '6' => &[7, 4, 7, 5, 7],
        '7' => &[7, 1, 1, 1, 1],
        '8' => &[7, 5, 7, 5, 7],
        '9' => &[7, 5, 7, 1, 7],
        '-' => &[0, 0, 7, 0, 0],
        '.' => return Glyph { width: 1, rows: &[0, 0, 0, 0, 1] },
        '?' => &[7, 1, 3, 0, 2],
        _ => &[0, 0, 0, 0, 0],
    };
    Glyph { width: 3, rows }
}

fn letter(character: char) -> Glyph {
    let rows: &[u8] = match character {
        '2' => &[0x0e, 0x11, 0x01, 0x02, 0x04, 0x08, 0x1f],
        '3' => &[0x1f, 0x02, 0x04, 0x02, 0x01, 0x11, 0x0e],
        '4' => &[0x02, 0x06, 0x0a, 0x12, 0x1f, 0x02, 0x02],
        '5' => &[0x1f, 0x10, 0x1e, 0x01, 0x01, 0x11, 0x0e],
        '6' => &[0x06, 0x08, 0x10, 0x1e, 0x11, 0x11, 0x0e],
        '7' => &[0x1f, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08],
        '8' => &[0x0e, 0x11, 0x11, 0x0e, 0x11, 0x11, 0x0e],
        '9' => &[0x0e, 0x11, 0x11, 0x0f, 0x01, 0x02, 0x0c],
        'A' => &[0x0e, 0x11, 0x11, 0x11, 0x1f, 0x11, 0x11],
        'B' => &[0x1e, 0x11, 0x11, 0x1e, 0x11, 0x11, 0x1e],
        'C' => &[0x0e, 0x11, 0x10, 0x10, 0x10, 0x11, 0x0e],
        'D' => &[0x1c, 0x12, 0x11, 0x11, 0x11, 0x12, 0x1c],
        'E' => &[0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x1f],
        'F' => &[0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x10],
        'G' => &[0x0e, 0x11, 0x10, 0x17, 0x11, 0x11, 0x0f],
        'H' => &[0x11, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11],
        'J' => &[0x07, 0x02, 0x02, 0x02, 0x02, 0x12, 0x0c],
        'K' => &[0x11, 0x12, 0x14, 0x18, 0x14, 0x12, 0x11],
        'M' => &[0x11, 0x1b, 0x15, 0x15, 0x11, 0x11, 0x11],
        'N' => &[0x11, 0x11, 0x19, 0x15, 0x13, 0x11, 0x11],
        'P' => &[0x1e, 0x11, 0x11, 0x1e, 0x10, 0x10, 0x10],
        'Q' => &[0x0e, 0x11, 0x11, 0x11, 0x15, 0x12, 0x0d],
        'R' => &[0x1e, 0x11, 0x11, 0x1e, 0x14, 0x12, 0x11],
        'S' => &[0x0f, 0x10, 0x10, 0x0e, 0x01, 0x01, 0x1e],
        'T' => &[0x1f, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04],
        'U' => &[0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0e],
        'V' => &[0x11, 0x11, 0x11, 0x11, 0x11, 0x0a, 0x04],
        'W' => &[0x11, 0x11, 0x11, 0x15, 0x15, 0x15, 0x0a],
        'X' => &[0x11, 0x11, 0x0a, 0x04, 0x0a, 0x11, 0x11],
        'Y' => &[0x11, 0x11, 0x11, 0x0a, 0x04, 0x04, 0x04],
        'Z' => &[0x1f, 0x01, 0x02, 0x04, 0x08, 0x10, 0x1f],
        '-' => &[0x00, 0x00, 0x00, 0x1f, 0x00, 0x00, 0x00],
        _ => &[0; 7],
    };
    Glyph { width: 5, rows }
}

#[cfg(test)]
mod tests {
    use protocol::pairing::code::ALPHABET;

    use super::*;

    #[test]
    fn numbers_are_drawn_in_half_blocks() {
        assert_eq!(number("36.8"), ["▀▀█ █▀▀   █▀█", "▀▀█ █▀█   █▀█", "▀▀▀ ▀▀▀ ▀ ▀▀▀"]);
        assert_eq!(number("--").get(1).unwrap(), "▀▀▀ ▀▀▀");
    }

    #[test]
    fn every_character_of_a_code_has_a_shape_of_its_own() {
        let shapes: std::collections::BTreeSet<_> =
            ALPHABET.iter().map(|c| code(&char::from(*c).to_string())).collect();
        assert_eq!(shapes.len(), ALPHABET.len());
        assert!(shapes.iter().all(|shape| shape.concat().contains(['█', '▀', '▄'])));
        assert!(code("ABC-DEF-GH2").iter().all(|line| line.chars().count() == 65));
    }
}

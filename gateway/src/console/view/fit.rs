//! Makes text fit: cut with a mark, or broken between words. Widths are columns of the terminal, not characters.

use ratatui::{
    style::Style,
    text::{Line, Span},
};

/// A text cut to `width` columns, with a mark where it was cut.
pub(super) fn cut(text: &str, width: usize) -> String {
    if Span::raw(text).width() <= width {
        return text.to_owned();
    }
    let mut room = width.saturating_sub(1);
    let fits = |c: &char| {
        let needed = columns(*c);
        let fits = needed <= room;
        room = room.saturating_sub(needed);
        fits
    };
    let kept: String = text.chars().take_while(fits).collect();
    if width == 0 { kept } else { format!("{kept}…") }
}

/// A line broken into as many as it takes; what follows is indented like its beginning.
pub(super) fn broken(line: &Line<'_>, width: usize) -> Vec<Line<'static>> {
    let mut rest: Vec<(char, Style)> = line
        .spans
        .iter()
        .flat_map(|span| span.content.chars().map(|c| (c, line.style.patch(span.style))))
        .collect();
    let indent = rest.iter().take_while(|(c, _)| *c == ' ').count().min(width / 2);
    let mut lines = Vec::new();
    loop {
        let mut used = 0;
        let fitting = rest
            .iter()
            .take_while(|(c, _)| {
                used += columns(*c);
                used <= width
            })
            .count();
        if fitting >= rest.len() {
            lines.push(joined(&rest));
            return lines;
        }
        let space = rest.iter().take(fitting + 1).rposition(|(c, _)| *c == ' ');
        let at = space.filter(|at| *at > indent).unwrap_or(fitting).max(indent + 1);
        let mut tail = rest.split_off(at);
        lines.push(joined(&rest));
        if tail.first().is_some_and(|(c, _)| *c == ' ') {
            tail.remove(0);
        }
        if tail.is_empty() {
            return lines;
        }
        rest = std::iter::repeat_n((' ', Style::new()), indent).chain(tail).collect();
    }
}

fn joined(characters: &[(char, Style)]) -> Line<'static> {
    let runs = characters.chunk_by(|(_, a), (_, b)| a == b);
    let span = |run: &[(char, Style)]| {
        let text: String = run.iter().map(|(c, _)| *c).collect();
        Span::styled(text, run.first().map_or_else(Style::new, |(_, style)| *style))
    };
    runs.map(span).collect::<Vec<_>>().into()
}

fn columns(character: char) -> usize {
    Span::raw(character.encode_utf8(&mut [0; 4]) as &str).width()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &Line<'_>) -> String {
        line.spans.iter().map(|span| span.content.as_ref()).collect()
    }

    #[test]
    fn lines_break_between_words_and_keep_their_indent() {
        let said = |line: &str, width| {
            broken(&Line::from(line.to_owned()), width).iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(said("  one two three", 9), ["  one two", "  three"]);
        assert_eq!(said("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(said("漢字漢字", 4), ["漢字", "漢字"]);
        assert_eq!(said("", 3), [""]);
        assert_eq!(said("one two", 1).concat(), "onetwo");
        assert_eq!(said(" 漢字", 2), [" 漢", " 字"], "too narrow, yet it ends");
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("漢字漢", 5), "漢字…");
        assert_eq!(cut("abc", 0), "");
    }
}

//! The few shapes that a plot needs, as SVG text.
//!
//! Owns the escaping and the looks. Knows nothing of signals.

use std::fmt::{self, Display, Write as _};

/// Colours and line widths by class, readable on white and in print.
const STYLE: &str = "\
text{font:12px 'DejaVu Sans',Helvetica,Arial,sans-serif;fill:#334}\
.title{font-size:17px;font-weight:600;fill:#112}.note{fill:#667}.label{font-weight:600}\
.why{font-size:11px;fill:#8a6d1f}\
.paper{fill:#fff}.panel{fill:#fbfcfe;stroke:#c9d1dc}.rejected{fill:#f3d98b;opacity:.45}\
.second{stroke:#e9edf3}.five{stroke:#cfd6e0}\
.signal{fill:none;stroke:#1d3557;stroke-width:1.1}.motion{fill:none;stroke:#7d8597;stroke-width:.9}\
.truth{fill:none;stroke:#6c757d;stroke-width:1.6;stroke-dasharray:5 3}\
.value{fill:#0a6ebd}.line{fill:none;stroke:#0a6ebd;stroke-width:1}\
.hit{fill:#2a9d5c}.untrusted{fill:#fff;stroke:#2a9d5c;stroke-width:1.5}\
.missed{fill:none;stroke:#d62828;stroke-width:2}.missedline{stroke:#d62828;stroke-width:1;stroke-dasharray:3 3}\
.invented{stroke:#e85d04;stroke-width:2.2}.inventedline{stroke:#e85d04;stroke-width:1;stroke-dasharray:2 3}\
.alarm{stroke:#d62828;stroke-width:2}";

/// A drawing in the making.
#[derive(Debug)]
pub struct Svg {
    width: f64,
    height: f64,
    body: String,
}

/// Where a text is pinned.
#[derive(Debug, Clone, Copy)]
pub enum Anchor {
    /// At its beginning.
    Start,
    /// At its middle.
    Middle,
    /// At its end.
    End,
}

impl Svg {
    /// White paper of this size, in pixels.
    #[must_use]
    pub fn new(width: f64, height: f64) -> Self {
        let mut svg = Self { width, height, body: String::new() };
        svg.rectangle((0.0, 0.0), (width, height), "paper");
        svg
    }

    /// A rectangle from its upper left corner.
    pub fn rectangle(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), class: &str) {
        let [x, y, width, height] = [x, y, width, height].map(Coordinate);
        self.add(format_args!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>"
        ));
    }

    /// A straight line.
    pub fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(Coordinate);
        self.add(format_args!("<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>"));
    }

    /// Connected points.
    pub fn polyline(&mut self, points: impl IntoIterator<Item = (f64, f64)>, class: &str) {
        let mut list = String::new();
        for (x, y) in points {
            // Writing to a string does not fail.
            write!(list, "{},{} ", Coordinate(x), Coordinate(y)).ok();
        }
        self.add(format_args!("<polyline class=\"{class}\" points=\"{}\"/>", list.trim_end()));
    }

    /// A dot.
    pub fn circle(&mut self, (x, y): (f64, f64), radius: f64, class: &str) {
        let [x, y, radius] = [x, y, radius].map(Coordinate);
        self.add(format_args!("<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"{radius}\"/>"));
    }

    /// A cross.
    pub fn cross(&mut self, (x, y): (f64, f64), reach: f64, class: &str) {
        self.line((x - reach, y - reach), (x + reach, y + reach), class);
        self.line((x - reach, y + reach), (x + reach, y - reach), class);
    }

    /// A text, whatever is in it.
    pub fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y, text) = (Coordinate(x), Coordinate(y), Escaped(text));
        self.add(format_args!(
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    /// The whole document.
    #[must_use]
    pub fn finish(self) -> String {
        let (width, height) = (Coordinate(self.width), Coordinate(self.height));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\">\n<style>{STYLE}</style>\n{}</svg>\n",
            self.body
        )
    }

    fn add(&mut self, element: fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        writeln!(self.body, "{element}").ok();
    }
}

/// A tenth of a pixel is fine enough, and what is not finite is nowhere.
struct Coordinate(f64);

impl Display for Coordinate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = if self.0.is_finite() { (self.0 * 10.0).round() / 10.0 } else { 0.0 };
        write!(f, "{tenths}")
    }
}

/// Text that can stand in XML: markup escaped, characters that XML 1.0 forbids replaced.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => {
                    f.write_str("?")?;
                }
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_numbers_are_finite() {
        let mut svg = Svg::new(100.0, 50.0);
        svg.text((f64::NAN, 1.26), Anchor::Middle, "note", "</text><script>\"&'\u{0}\u{ffff}");
        svg.polyline([(0.0, f64::INFINITY), (1.04, 2.0)], "signal");
        let text = svg.finish();
        assert!(text.contains("x=\"0\" y=\"1.3\""), "{text}");
        assert!(text.contains(">&lt;/text&gt;&lt;script&gt;&quot;&amp;&#39;??</text>"), "{text}");
        assert!(text.contains("points=\"0,0 1,2\""), "{text}");
        assert!(text.starts_with("<svg ") && text.ends_with("</svg>\n"));
    }
}

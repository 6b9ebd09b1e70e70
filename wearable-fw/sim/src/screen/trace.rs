//! The newest of the ECG as a curve. Owns its scale; knows neither beats nor rates.

use ratatui::{
    style::{Color, Style},
    symbols::Marker,
    text::Line,
    widgets::{
        Block, Widget,
        canvas::{Canvas, Line as Stroke},
    },
};

/// A curve lower than this, in microvolt, is drawn as low as it is.
const LEAST_SPAN: i32 = 1_000;

/// The curve of `microvolts`, oldest on the left.
pub(super) fn trace(microvolts: &[i32], colour: Color) -> impl Widget {
    let low = microvolts.iter().copied().min().unwrap_or_default();
    let high = microvolts.iter().copied().max().unwrap_or_default().max(low.saturating_add(LEAST_SPAN));
    let said = format!(
        "ECG, the last {} samples, {:.1} to {:.1} mV ",
        microvolts.len(),
        f64::from(low) / 1000.0,
        f64::from(high) / 1000.0
    );
    let strokes: Vec<Stroke> = microvolts
        .iter()
        .zip(microvolts.iter().skip(1))
        .zip(0_u16..)
        .map(|((from, to), at)| {
            let at = f64::from(at);
            Stroke { x1: at, y1: f64::from(*from), x2: at + 1.0, y2: f64::from(*to), color: colour }
        })
        .collect();
    Canvas::default()
        .block(Block::new().title(Line::styled(said, Style::new().fg(colour))))
        .marker(Marker::Braille)
        .x_bounds([0.0, strokes.len() as f64])
        .y_bounds([f64::from(low), f64::from(high)])
        .paint(move |context| strokes.iter().for_each(|stroke| context.draw(stroke)))
}

//! A device's label, to print: 62 x 29 mm as SVG, with its serial number, its id and a QR code of both. Knows no files.
//!
//! The QR code's text is `VITALWARD:1:SERIAL:ID`, where ID is the device's UUID as 32 hex digits in capitals; a simulated
//! device's ends with `:SIMULATED`. It names the device and opens nothing: no code and no key is on a label.

use std::fmt::Write;

use fast_qr::{ECL, QRBuilder};
use protocol::id::DeviceId;

use crate::factory::Serial;

/// Millimetres of a module of the QR code's symbol and the quiet zone around it.
const SYMBOL: f64 = 25.0;
const QUIET: usize = 4;

/// Millimetres for text beside it.
const TEXT: f64 = 31.0;

/// What the QR code says.
#[must_use]
pub fn content(serial: &Serial, device: DeviceId, simulated: bool) -> String {
    let id = hex::encode_upper(device.as_bytes());
    let mark = if simulated { ":SIMULATED" } else { "" };
    format!("VITALWARD:1:{}:{id}{mark}", serial.as_str())
}

/// The label. `None` if the content does not fit into a QR code, which no serial number is long enough for.
#[must_use]
pub fn svg(serial: &Serial, device: DeviceId, hardware: &str, simulated: bool) -> Option<String> {
    let code = QRBuilder::new(content(serial, device, simulated)).ecl(ECL::M).build().ok()?;
    let mut path = String::new();
    for (row, modules) in code.data.chunks(code.size).take(code.size).enumerate() {
        for (column, _) in modules.iter().enumerate().filter(|(_, module)| module.value()) {
            // A string takes everything.
            write!(path, "M{} {}h1v1h-1z", column + QUIET, row + QUIET).ok();
        }
    }
    let modules = code.size + 2 * QUIET;
    let side = f64::from(u32::try_from(modules).ok()?);
    let scale = SYMBOL / side;
    let (id, serial) = (device.to_string(), serial.as_str());
    let (first, second) = id.split_at(19);
    let mark = if simulated {
        "<text x='29' y='25.5' font-size='4' font-weight='bold' fill='#b00'>SIMULATED</text>"
    } else {
        ""
    };
    let (serial_size, hardware_size) = (size(serial, 3.4), size(hardware, 2.2));
    Some(format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='62mm' height='29mm' viewBox='0 0 62 29' \
         font-family='DejaVu Sans,Helvetica,Arial,sans-serif'>\n\
         <title>{serial}</title>\n\
         <rect width='62' height='29' fill='#fff'/>\n\
         <g transform='translate(2 2) scale({scale:.5})' shape-rendering='crispEdges'><path d='{path}'/></g>\n\
         <text x='29' y='6' font-size='2.6' font-weight='bold'>Vitalward wearable</text>\n\
         <text x='29' y='11' font-size='{serial_size:.2}'>{serial}</text>\n\
         <text x='29' y='14.8' font-size='{hardware_size:.2}'>{hardware}</text>\n\
         <text x='29' y='18' font-size='2.2' font-family='monospace'>{first}</text>\n\
         <text x='29' y='20.6' font-size='2.2' font-family='monospace'>{second}</text>\n\
         {mark}\n\
         </svg>\n"
    ))
}

/// The size at which a text is sure to fit, at most `most`: its widest letters are as wide as they are high.
fn size(text: &str, most: f64) -> f64 {
    let letters = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX)).max(1.0);
    most.min(TEXT / letters)
}

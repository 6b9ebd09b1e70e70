//! Why a sensor gave nothing. Owns what to do about it; knows no reading and no patient.

use embedded_hal::{i2c, spi};

/// Why a sensor did not answer as its data sheet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Fault {
    /// Nobody acknowledges its address, or nobody drives its data line.
    #[error(
        "the sensor does not answer; check that it is fitted and powered, its address pins and its bus wires"
    )]
    Absent,
    /// Another part answers in its place.
    #[error(
        "the part says {found:#04x} and not {expected:#04x}: another chip is fitted; fit the right one or change the board's sensors"
    )]
    WrongPart {
        /// What the data sheet says.
        expected: u8,
        /// What was read.
        found: u8,
    },
    /// It answers, and does not keep what it is told.
    #[error(
        "the sensor does not leave its reset or does not keep its settings; switch its supply off and on"
    )]
    Stuck,
    /// The I2C bus failed.
    #[error(
        "the I2C bus failed ({0}); if a line is held low, clock SCL nine times or switch the sensors off and on"
    )]
    I2c(i2c::ErrorKind),
    /// The SPI bus failed.
    #[error("the SPI bus failed ({0}); check the bus settings (mode 0) and the chip select")]
    Spi(spi::ErrorKind),
}

impl Fault {
    pub(crate) fn of_i2c(error: &impl i2c::Error) -> Self {
        match error.kind() {
            i2c::ErrorKind::NoAcknowledge(_) => Self::Absent,
            kind => Self::I2c(kind),
        }
    }

    pub(crate) fn of_spi(error: &impl spi::Error) -> Self {
        Self::Spi(error.kind())
    }
}

//! Where software meets the chip: registers at fixed addresses. Owns the only access to device memory; knows no device.
#![expect(unsafe_code, reason = "a device register is memory that the compiler does not know of")]

/// A 32-bit register.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Register(usize);

impl Register {
    pub(crate) fn read(self) -> u32 {
        // SAFETY: every `Register` comes from a `Block` below, whose addresses are the LM3S6965's peripherals (data sheet,
        // table 2-4): always mapped, word-aligned, and not memory that Rust owns.
        unsafe { core::ptr::with_exposed_provenance::<u32>(self.0).read_volatile() }
    }

    pub(crate) fn write(self, value: u32) {
        // SAFETY: as for `read`.
        unsafe { core::ptr::with_exposed_provenance_mut::<u32>(self.0).write_volatile(value) }
    }

    pub(crate) fn set(self, bits: u32) {
        self.write(self.read() | bits);
    }
}

/// The registers of one peripheral.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block(usize);

impl Block {
    pub(crate) const WATCHDOG: Self = Self(0x4000_0000);
    pub(crate) const GPIO_A: Self = Self(0x4000_4000);
    pub(crate) const GPIO_D: Self = Self(0x4000_7000);
    pub(crate) const SSI0: Self = Self(0x4000_8000);
    pub(crate) const UART0: Self = Self(0x4000_c000);
    pub(crate) const UART1: Self = Self(0x4000_d000);
    pub(crate) const I2C0: Self = Self(0x4002_0000);
    pub(crate) const GPIO_F: Self = Self(0x4002_5000);
    pub(crate) const SYSTEM_CONTROL: Self = Self(0x400f_e000);

    /// The register at `offset` bytes, which is within the peripheral's 4 KiB and rounded down to a word.
    pub(crate) const fn at(self, offset: usize) -> Register {
        Register(self.0 + (offset & 0xffc))
    }
}

//! The two serial lines, 115200 8N1: UART0 carries the conversation with the gateway, UART1 is the person's console. Owns
//! the received bytes until they are asked for; knows nothing of what they mean.
//!
//! The link's interrupt empties the 16-byte FIFO into a queue. When that is full the interrupt is silenced and bytes wait in
//! the FIFO: QEMU then stops reading its socket. A real line needs RTS/CTS for that; else the bytes are lost, the record
//! does not open, and the session is made anew.

use core::{cell::RefCell, fmt};

use cortex_m::peripheral::SCB;
use critical_section::Mutex;
use heapless::Deque;
use lm3s6965::interrupt;

use crate::{
    clock::CORE_HZ,
    registers::{Block, Register},
};

const BAUD: u32 = 115_200;
/// Bytes that a line keeps until they are asked for.
const FIFO: usize = 16;
const BUSY: u32 = 1 << 3;
const RECEIVE_EMPTY: u32 = 1 << 4;
const TRANSMIT_FULL: u32 = 1 << 5;
const RECEIVE_INTERRUPTS: u32 = 1 << 6 | 1 << 4;

static RECEIVED: Mutex<RefCell<Deque<u8, 512>>> = Mutex::new(RefCell::new(Deque::new()));

/// One line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Uart(Block);

impl Uart {
    pub(crate) const LINK: Self = Self(Block::UART0);
    pub(crate) const CONSOLE: Self = Self(Block::UART1);

    /// Switches the line on, receiving without interrupts.
    pub(crate) fn start(self) {
        let divisor = (4 * CORE_HZ + BAUD / 2) / BAUD; // in 1/64
        self.0.at(0x024).write(divisor / 64);
        self.0.at(0x028).write(divisor % 64);
        self.0.at(0x02c).write(0b11 << 5 | 1 << 4); // 8N1, FIFO
        self.0.at(0x030).write(1 << 9 | 1 << 8 | 1); // receive, transmit, on
    }

    const fn data(self) -> Register {
        self.0.at(0x000)
    }

    const fn flags(self) -> Register {
        self.0.at(0x018)
    }

    const fn interrupt_mask(self) -> Register {
        self.0.at(0x038)
    }

    /// The next byte of the FIFO.
    pub(crate) fn receive(self) -> Option<u8> {
        (self.flags().read() & RECEIVE_EMPTY == 0).then(|| self.data().read().to_le_bytes()[0])
    }

    /// Sends, waiting for room in the FIFO.
    pub(crate) fn send(self, bytes: &[u8]) {
        for byte in bytes {
            while self.flags().read() & TRANSMIT_FULL != 0 {}
            self.data().write(u32::from(*byte));
        }
    }
}

impl fmt::Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.send(text.as_bytes());
        Ok(())
    }
}

/// Starts the chip again when both lines have sent what they were given.
pub(crate) fn restart() -> ! {
    for line in [Uart::LINK, Uart::CONSOLE] {
        while line.flags().read() & BUSY != 0 {}
    }
    SCB::sys_reset()
}

/// Lets the link's interrupt bring bytes; also after [`received`] made room.
pub(crate) fn listen() {
    Uart::LINK.interrupt_mask().write(RECEIVE_INTERRUPTS);
}

/// Fills `buffer` with what came over the link, and says how much that was.
pub(crate) fn received(buffer: &mut [u8]) -> usize {
    let count = critical_section::with(|cs| {
        let mut queue = RECEIVED.borrow_ref_mut(cs);
        let mut count = 0;
        for slot in buffer {
            let Some(byte) = queue.pop_front() else { break };
            *slot = byte;
            count += 1;
        }
        count
    });
    listen();
    count
}

/// Forgets what came over the link and was not read: it belongs to a conversation that is over.
pub(crate) fn forget_received() {
    critical_section::with(|cs| RECEIVED.borrow_ref_mut(cs).clear());
    for _ in 0..FIFO {
        Uart::LINK.receive();
    }
    listen();
}

#[interrupt]
fn UART0() {
    critical_section::with(|cs| {
        let mut queue = RECEIVED.borrow_ref_mut(cs);
        while !queue.is_full() {
            let Some(byte) = Uart::LINK.receive() else { return };
            // There is room: it was asked.
            queue.push_back(byte).ok();
        }
        Uart::LINK.interrupt_mask().write(0);
    });
}

//! UART 0 of Arm's MPS2 boards (CMSDK APB UART): bytes come in by interrupt, into a ring, whatever else runs.

use core::cell::RefCell;
use core::fmt;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::interrupt::{InterruptNumber, Mutex};
use cortex_m::peripheral::NVIC;
use cortex_m_rt::exception;
use heapless::spsc::{Consumer, Producer, Queue};

const BASE: usize = 0x4000_4000;
const DATA: usize = 0x00;
const STATE: usize = 0x04;
const CTRL: usize = 0x08;
const INTERRUPT_CLEAR: usize = 0x0c;
const BAUD_DIVIDER: usize = 0x10;

/// Bits of STATE: the transmitter is full, a byte has come, one came too many.
const TX_FULL: u32 = 1 << 0;
const RX_FULL: u32 = 1 << 1;
const RX_OVERRUN: u32 = 1 << 3;
/// Bits of CTRL: transmitter and receiver on, interrupt for each byte that comes.
const ENABLE: u32 = 1 << 0 | 1 << 1 | 1 << 3;
/// The receiver's bit of INTERRUPT_CLEAR.
const RX: u32 = 1 << 1;

/// 115200 baud at 25 MHz.
const DIVIDER: u32 = 217;

static RECEIVER: Mutex<RefCell<Option<Producer<'static, u8>>>> = Mutex::new(RefCell::new(None));
static RECEIVED: AtomicU32 = AtomicU32::new(0);
static LOST: AtomicU32 = AtomicU32::new(0);

/// Interrupt 0.
#[derive(Clone, Copy)]
struct Receive;

// SAFETY: an interrupt of the board's, of a number that does not change.
unsafe impl InterruptNumber for Receive {
    fn number(self) -> u16 {
        0
    }
}

fn read(register: usize) -> u32 {
    // SAFETY: a register of the board's; reading one gives no other code's memory away.
    unsafe { ptr::read_volatile(ptr::with_exposed_provenance(BASE + register)) }
}

fn write(register: usize, value: u32) {
    // SAFETY: a register of the board's; the UART reaches no memory.
    unsafe { ptr::write_volatile(ptr::with_exposed_provenance_mut(BASE + register), value) }
}

/// Moves what has come to the ring. A byte that finds no room is lost, and counted.
#[exception]
unsafe fn DefaultHandler(interrupt: i16) {
    if interrupt != Receive.number() as i16 {
        crate::startup::exit(false);
    }
    write(INTERRUPT_CLEAR, RX);
    cortex_m::interrupt::free(|critical| {
        let mut receiver = RECEIVER.borrow(critical).borrow_mut();
        while read(STATE) & RX_FULL != 0 {
            let byte = read(DATA) as u8;
            let kept = receiver.as_mut().is_some_and(|ring| ring.enqueue(byte).is_ok());
            add(if kept { &RECEIVED } else { &LOST });
        }
        if read(STATE) & RX_OVERRUN != 0 {
            write(STATE, RX_OVERRUN);
            add(&LOST);
        }
    });
}

/// Adds 1; only the interrupt does.
fn add(counter: &AtomicU32) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

/// The UART, receiving.
pub struct Uart {
    ring: Consumer<'static, u8>,
}

impl Uart {
    /// Starts the UART; what comes waits in `ring`.
    pub fn start<const N: usize>(ring: &'static mut Queue<u8, N>) -> Self {
        let (producer, consumer) = ring.split();
        cortex_m::interrupt::free(|critical| *RECEIVER.borrow(critical).borrow_mut() = Some(producer));
        write(BAUD_DIVIDER, DIVIDER);
        write(CTRL, ENABLE);
        // SAFETY: the handler is in place, and no critical section is built on masking this interrupt.
        unsafe { NVIC::unmask(Receive) };
        Self { ring: consumer }
    }

    /// The next byte that has come.
    pub fn read(&mut self) -> Option<u8> {
        self.ring.dequeue()
    }

    /// Bytes that have come so far, lost ones not counted.
    pub fn received(&self) -> u32 {
        RECEIVED.load(Ordering::Relaxed)
    }

    /// Bytes that found no room.
    pub fn lost(&self) -> u32 {
        LOST.load(Ordering::Relaxed)
    }
}

impl fmt::Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            while read(STATE) & TX_FULL != 0 {}
            write(DATA, byte.into());
        }
        Ok(())
    }
}

//! Power fails at every write and erase of a whole life: factory start, update, trial, confirmation, next update, rollback.

use embedded_storage::nor_flash::ReadNorFlash;

use super::*;

/// Where a life stands when power fails: what was certainly confirmed, and what may run besides.
struct Life {
    flash: Flash,
    confirmed: u32,
    boots: u32,
    trials: u8,
}

impl Life {
    /// Starts; `None` if power failed.
    fn start(&mut self) -> Option<Boot> {
        self.boots += 1;
        let boot = boot(&mut self.flash, &layout(), &trust()).unwrap();
        if self.flash.read(0, &mut [0; 4]).is_err() {
            return None;
        }
        Some(boot.expect("there is always a verified image"))
    }

    /// Power is back, and fails again there.
    fn cut(&mut self, cut: Option<Cut>) {
        self.flash.power_on();
        let now = self.flash.operations();
        match cut {
            Some(Cut::Before(operation)) => self.flash.cut_at(Cut::Before(now + operation)),
            Some(Cut::Within(operation, done)) => self.flash.cut_at(Cut::Within(now + operation, done)),
            None => {}
        }
    }

    fn send(&mut self, running: Slot, image: &[u8]) -> Result<u32, Refusal> {
        let mut device = updater(&mut self.flash, running);
        send(&mut device, &mut self.flash, image, 300)
    }
}

/// From version 1 to a confirmed 2, then 3, which is never confirmed. Goes on after power is back as a device does, whatever
/// was being done. `cuts` tells the next one, from the operation on that comes next. Gives the operations that it took.
fn live(mut cuts: impl Iterator<Item = Cut>, what: &str) -> u64 {
    let flash = fresh();
    let begin = flash.operations();
    let mut life = Life { flash, confirmed: 1, boots: 0, trials: 0 };
    life.cut(cuts.next());
    loop {
        assert!(life.boots < 60, "it comes to an end: {what}");
        let Some(boot) = life.start() else {
            life.cut(cuts.next());
            continue;
        };
        let version = boot.header.version();
        assert!(version >= life.confirmed, "{what}: back to {version} from {}", life.confirmed);
        assert_eq!(flash_body(&life.flash, &boot), body(version, 1_700), "{what}");
        let mut device = updater(&mut life.flash, boot.slot);
        life.trials += u8::from(version == 2 && boot.trial);
        let done = match version {
            // Power failed in each of its trials.
            1 if device.rolled_back() == Some(2) => {
                assert_eq!(life.trials, ATTEMPTS, "{what}");
                return 0;
            }
            1 => life.send(boot.slot, &image(2)).map(|_| ()),
            2 if boot.trial => device.confirm(&mut life.flash),
            2 if device.rolled_back() == Some(3) => break,
            2 => {
                life.confirmed = 2;
                life.send(boot.slot, &image(3)).map(|_| ())
            }
            // It hangs until the watchdog comes.
            _ => Ok(()),
        };
        if done.is_err() {
            assert_eq!(done, Err(Refusal::FLASH), "{what}");
            life.cut(cuts.next());
        }
    }
    assert_eq!(life.confirmed, 2);
    life.flash.power_on();
    let last = life.start().unwrap();
    assert_eq!((last.header.version(), last.trial), (2, false), "{what}");
    life.flash.operations() - begin
}

fn flash_body(flash: &Flash, boot: &Boot) -> Vec<u8> {
    flash.bytes()[boot.body as usize..][..boot.header.length() as usize].to_vec()
}

#[test]
fn power_may_fail_at_every_write_and_erase() {
    let operations = live([].into_iter(), "no cut");
    assert!(operations > 40, "{operations}");
    for operation in 0..operations {
        live([Cut::Before(operation)].into_iter(), &format!("before {operation}"));
        for done in [0, 3, 40, 128, 253] {
            live([Cut::Within(operation, done)].into_iter(), &format!("{done}/256 of {operation}"));
        }
    }
}

/// Again and again, also while it recovers from the last cut.
#[test]
fn power_may_fail_many_times() {
    for seed in 0..300_u64 {
        let mut state = seed;
        let mut random = |below: u64| {
            // Knuth's MMIX generator.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let cuts: Vec<Cut> =
            (0..12).map(|_| Cut::Within(random(12), u8::try_from(random(256)).unwrap())).collect();
        live(cuts.into_iter(), &format!("seed {seed}"));
    }
}

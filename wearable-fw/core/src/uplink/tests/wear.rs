//! How long a flash lasts, and how much it holds, with samples as the firmware takes them.

use protocol::{reading::Measurement, reading::Method, vitals::Decimal};

use super::*;

type Chip = RamFlash<4096>;

const MIB: Layout = Layout { config: 0..0x2000, samples: 0x2000..0x10_2000, thinned: 0x10_2000..0x14_2000 };
const ONLINE: Limits = Limits { in_flight: 4, samples_per_batch: 64, batch_bytes: 0x1_0000 };

/// Every quantity of the firmware with a value as long as a typical one.
fn whole_sample(seq: Seq) -> Sample {
    let quantities = KnownQuantity::ALL.iter().map(|known| {
        let value = Decimal { mantissa: 720, exponent: -1 };
        let measured = Measurement { value, quality: Some(90), method: Method::DIRECT, calibration: 1 };
        known.reading(Ok(measured))
    });
    let wall = Some(protocol::time::UnixMillis(1_790_000_000_000));
    let taken = SampleTime { since_boot_ms: 100_000_000 + seq.0, wall };
    let boot = BootId(u64::MAX - 7);
    Sample { seq, boot, taken, simulated: true, quantities: quantities.collect() }
}

fn chip() -> (Chip, Uplink) {
    let mut flash = Chip::new(0x14_2000 / 4096);
    let uplink = Uplink::open(&mut flash, &MIB, ONLINE, Seq(0)).unwrap().0;
    (flash, uplink)
}

/// The formula of docs/firmware.md.
#[test]
fn a_mebibyte_holds_what_the_documentation_says() {
    let bytes = encode_sample(&whole_sample(Seq(5_000))).len();
    let on_flash = 8 + bytes.next_multiple_of(4);
    let capacity = (0x10_0000 / 4096 - 1) * ((4096 - 8) / on_flash);
    let (mut flash, mut uplink) = chip();
    let mut samples = 0;
    while uplink.take(&mut flash, &whole_sample(uplink.next_seq())).unwrap().is_none() {
        samples += 1;
    }
    std::println!(
        "{bytes} bytes a sample, {on_flash} on flash; {capacity} samples in 1 MiB, measured {samples}"
    );
    assert_eq!(on_flash, 320);
    assert!(samples >= capacity && samples < capacity + capacity / 50, "{samples} of {capacity}");
}

#[test]
fn a_month_wears_all_pages_alike() {
    const MONTH: u64 = 30 * 24 * 120;
    let (mut flash, mut uplink) = chip();
    for sample in 1..=MONTH {
        uplink.take(&mut flash, &whole_sample(Seq(sample))).unwrap();
        // Two outages of a day and a half; else each sample is acknowledged at once.
        let offline = (20_000..24_320).contains(&sample) || (60_000..64_320).contains(&sample);
        while !offline && let Some(batch) = uplink.next_batch(&mut flash).unwrap() {
            uplink.acknowledge(&mut flash, batch.last().unwrap()).unwrap();
        }
    }
    let pages = |range: &core::ops::Range<u32>| range.start as usize / 4096..range.end as usize / 4096;
    let worn = |range| flash.erases()[pages(range)].iter().copied();
    let (least, most) = (worn(&MIB.samples).min().unwrap(), worn(&MIB.samples).max().unwrap());
    std::println!("erases in a month at 30 s: {least} to {most}; thinned {:?}", worn(&MIB.thinned).max());
    assert!(least > 20 && most <= least + 2, "{least} to {most}");
    assert!(worn(&MIB.thinned).max() <= Some(2));
    assert_eq!(uplink.waiting(), 0);
}

//! Writes the seeds into `fuzz/corpus`, beside what fuzzing has found: `cargo run -p fuzz-harness --example seeds`.

use std::{fs, io, path::Path};

use fuzz_harness::{TARGETS, seeds};

fn main() -> io::Result<()> {
    for (target, _) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(target);
        fs::create_dir_all(&folder)?;
        for (number, seed) in seeds(target).iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:02}")), seed)?;
        }
    }
    Ok(())
}

//! A device whose firmware is written in C: the example of the C interface, compiled by gcc, against the real gateway.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use crate::{
    support::{Ward, program::built},
    vitals::has_no_gap,
};

/// The example, compiled and linked with the library as docs/firmware.md says.
static DEVICE: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = built(&["--package", "wearable-capi", "--lib"]);
    let capi = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wearable-fw/capi");
    let program = folder.join("examples/c_device");
    let compiled = Command::new("gcc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(capi.join("include"))
        .arg(capi.join("example/device.c"))
        .arg(folder.join("libvitalward_device.a"))
        .args(["-lpthread", "-ldl", "-lm", "-o"])
        .arg(&program)
        .status();
    assert!(compiled.expect("gcc is installed").success());
    program
});

fn address(of: &str) -> (&str, &str) {
    of.rsplit_once(':').unwrap()
}

#[test]
fn a_device_in_c_pairs_sends_its_samples_and_goes_on_after_a_restart() {
    let ward = Ward::open();
    let _patient = ward.pair("P001", &[]);
    let (host, port) = address(&ward.wearables);
    let storage = ward.spot.path().join("c-device");
    let storage = storage.to_str().unwrap();
    let device = DEVICE.to_str().unwrap();

    ward.spot.run(device, &[host, port, storage]).ended(1, &["it is not paired"]);
    let code = ward.code(&["--wearable", "--patient", "P001"]);
    let said = ward.spot.run(device, &[host, port, storage, &code]);
    said.ended(0, &[]);
    for part in ["4 0 D001", "5 0 D001", "6 10 ", "all 10 SIMULATED samples up to number 10 are acknowledged"]
    {
        assert!(said.text().contains(part), "{part}: {said:?}");
    }
    let vitals = ward.ask(&["vitals", "--patient", "P001", "--last", "100"]);
    assert_eq!(has_no_gap(&vitals), 10);
    assert!(vitals.as_array().unwrap().iter().all(|sample| sample["simulated"] == true), "{vitals}");
    assert!(vitals.to_string().contains("finger off"), "a reason travels like a value: {vitals}");

    let said = ward.spot.run(device, &[host, port, storage]);
    said.ended(0, &[]);
    assert!(said.text().contains("up to number 20"), "{said:?}");
    let vitals = ward.ask(&["vitals", "--patient", "P001", "--last", "100"]);
    assert_eq!(has_no_gap(&vitals), 20, "numbers are never used twice");
}

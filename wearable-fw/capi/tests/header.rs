//! The header against the library: every number, every structure's size and every field's place, every function.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop")]

use std::{fmt::Write, fs, mem::offset_of, path::Path, process::Command};

use vitalward_device::ffi;

const HEADER: &str = include_str!("../include/vitalward_device.h");

/// Lets gcc compile `text` behind the header; gives what it says.
fn compile(text: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("check.c");
    fs::write(&file, format!("#include \"vitalward_device.h\"\n{text}")).unwrap();
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    let said = Command::new("gcc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I"])
        .arg(include)
        .arg(&file)
        .output()
        .expect("gcc is installed");
    if said.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&said.stderr).into_owned()) }
}

macro_rules! fields {
    ($text:ident, $rust:ident = $c:literal: $($field:ident),+) => {
        writeln!($text, "_Static_assert(sizeof({}) == {}, \"size of {0}\");", $c, size_of::<ffi::$rust>()).unwrap();
        $(writeln!(
            $text,
            "_Static_assert(offsetof({}, {}) == {}, \"{1} of {0}\");",
            $c, stringify!($field), offset_of!(ffi::$rust, $field)
        ).unwrap();)+
    };
}

macro_rules! numbers {
    ($text:ident: $($name:ident),+) => {
        $(writeln!($text, "_Static_assert({} == {}, \"{0}\");", stringify!($name), ffi::$name).unwrap();)+
    };
}

fn assertions() -> String {
    let mut text = String::new();
    fields!(text, VwStorage = "vw_storage": context, pages, read, write, erase);
    fields!(text, VwRandom = "vw_random": context, fill);
    fields!(
        text, VwConfig = "vw_config":
        size, device_id, storage_key, name, firmware, hardware, firmware_version, storage, random
    );
    fields!(
        text, VwValue = "vw_value":
        loinc, unit, mdc, mantissa, calibration, exponent, quality, method, missing
    );
    fields!(text, VwEvent = "vw_event": number, kind, text);
    numbers!(text: VW_OK, VW_E_ARGUMENT, VW_E_UNPAIRED, VW_E_STORAGE, VW_E_BUSY, VW_E_BROKEN);
    numbers!(text: VW_ACT_PAIR, VW_ACT_RETRY, VW_ACT_RESET, VW_ACT_GOODBYE);
    numbers!(text: VW_LINK_NOTHING, VW_LINK_DIAL, VW_LINK_HANG_UP, VW_TEXT, VW_PAGE, VW_LEAST_PAGES, VW_MOST_VALUES);
    for (name, number) in ffi::EVENTS.iter().chain(ffi::MODES) {
        writeln!(text, "_Static_assert({name} == {number}, \"{name}\");").unwrap();
    }
    text
}

#[test]
fn numbers_sizes_and_places_are_those_of_the_library() {
    let text = assertions();
    compile(&text).unwrap();
    let wrong = text.replacen(" == ", " == 1 + ", 1);
    assert!(compile(&wrong).unwrap_err().contains("size of vw_storage"), "gcc really compares");
    let named = HEADER.lines().filter(|line| line.starts_with("#define VW_")).count();
    let checked = text.lines().filter(|line| line.contains("(VW_")).count();
    assert_eq!(named, checked + 1, "every number but VW_NOT_ASSESSED is compared");
}

#[test]
fn it_is_c_of_1999_and_cpp_too() {
    compile("int main(void) { return VW_OK; }").unwrap();
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/vitalward_device.h");
    let said = Command::new("gcc")
        .args(["-std=c99", "-x", "c", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"])
        .arg(header)
        .status();
    assert!(said.expect("gcc is installed").success());
    assert!(HEADER.contains("extern \"C\" {"));
}

/// The exported functions, as the source writes them, with C's types.
#[test]
fn every_function_is_declared_as_it_is() {
    let source = include_str!("../src/ffi.rs");
    let mut functions = 0;
    for exported in source.split("#[unsafe(no_mangle)]").skip(1) {
        let (name, rest) = exported.split_once("extern \"C\" fn ").unwrap().1.split_once('(').unwrap();
        let parameters = rest.split_once(") -> i32").unwrap().0;
        let parameters: Vec<String> = parameters
            .split(',')
            .map(str::trim)
            .filter(|parameter| !parameter.is_empty())
            .map(|parameter| {
                let (_, of) = parameter.split_once(": ").unwrap();
                let stars = of.matches('*').count();
                let base = of.rsplit(' ').next().unwrap();
                let base = match base {
                    "VwDevice" => "vw_device",
                    "VwConfig" => "vw_config",
                    "VwValue" => "vw_value",
                    "VwEvent" => "vw_event",
                    "c_char" => "char",
                    "u8" => "uint8_t",
                    "u32" => "uint32_t",
                    "u64" => "uint64_t",
                    "usize" => "size_t",
                    other => panic!("{other}"),
                };
                let constant = if of.starts_with("*const") { "const " } else { "" };
                format!("{constant}{base} {}", "*".repeat(stars))
            })
            .collect();
        // Declaring it once more is an error unless it is the same.
        compile(&format!("int32_t {name}({});", parameters.join(", "))).unwrap();
        assert!(HEADER.contains(&format!("int32_t {name}(")), "{name}");
        functions += 1;
    }
    assert_eq!(functions, HEADER.matches("\nint32_t vw_device_").count());
}

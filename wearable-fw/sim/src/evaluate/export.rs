//! Detections and references as the CSV files that `score.py` reads, and a manifest for `score.py run`.
//!
//! Owns the names of files and columns. Knows no score.
//!
//! `DIR/folder/name.csv` has the columns `time_s,type,value,quality`. Types: `beat`; `hr`, from the ECG or, where a
//! record has none, from the PPG; `pulse`, from the PPG of a record that has both; `spo2`; `rr`; `alarm_on` and
//! `alarm_off` for a saturation below 90 %. Times are those of the signal, except for alarms. Beats that the device does
//! not count on have quality 0; `name.trusted.csv` has the others only.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    play::{Played, Quantity, Value},
    record::{Collection, Record},
    score::{DESATURATION, Series, TrueBeats},
};

/// A folder that detections are written to.
#[derive(Debug)]
pub struct Export {
    folder: PathBuf,
    manifest: String,
}

impl Export {
    /// Makes the folder.
    ///
    /// # Errors
    /// The operating system's, and a path with a comma, which a manifest cannot say.
    pub fn to(folder: &Path) -> io::Result<Self> {
        if folder.to_string_lossy().contains([',', '\n']) {
            return Err(io::Error::other("a folder with a comma in its path cannot be listed in a manifest"));
        }
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.canonicalize()?, manifest: String::new() })
    }

    /// Writes what was detected in a record and what is true of it.
    ///
    /// # Errors
    /// The operating system's.
    pub fn add(&mut self, record: &Record, played: &Played) -> io::Result<()> {
        let path = |suffix: &str| self.folder.join(format!("{}{suffix}", record.name));
        let detections = path(".csv");
        if let Some(folder) = detections.parent() {
            fs::create_dir_all(folder)?;
        }
        let rows = rows(record, played);
        fs::write(&detections, table(&rows))?;
        let (mut lines, truth) = (Vec::new(), &record.truth);
        if let Some(beats) = &truth.beats {
            let (trusted, reference) = (path(".trusted.csv"), path(".beats.csv"));
            fs::write(&trusted, table(rows.iter().filter(|row| row.0 != "beat" || row.1.quality > 0)))?;
            fs::write(&reference, beats_table(beats))?;
            for detections in [&detections, &trusted] {
                lines.push(line("beats", detections, &reference, &format!("--skip,{}", beats.span().0)));
            }
        }
        let skip = if record.collection == Collection::Clips { 0 } else { 30 };
        for (quantity, truth) in [
            (Quantity::HeartRate, &truth.heart_rate),
            (Quantity::PulseRate, &truth.pulse_rate),
            (Quantity::Spo2, &truth.spo2),
            (Quantity::Respiration, &truth.respiration),
        ] {
            let Some(truth) = truth else { continue };
            let kind = kind(quantity, record);
            let reference = path(&format!(".{kind}.ref.csv"));
            fs::write(&reference, series_table(truth))?;
            let arguments = format!("--type,{kind},--ref-col,value,--skip,{skip}");
            lines.push(line("trend", &detections, &reference, &arguments));
            if quantity == Quantity::Spo2 && record.collection == Collection::Desaturation {
                let rule = DESATURATION;
                let arguments = format!(
                    "--ref-col,value,--below,{},--clear,{},--hold,{},--within,{}",
                    rule.below, rule.clear, rule.hold, rule.within
                );
                lines.push(line("alarm", &detections, &reference, &arguments));
            }
        }
        self.manifest.extend(lines);
        Ok(())
    }

    /// Writes the manifest.
    ///
    /// # Errors
    /// The operating system's.
    pub fn finish(self) -> io::Result<()> {
        fs::write(self.folder.join("manifest.csv"), self.manifest)
    }
}

fn line(mode: &str, detections: &Path, reference: &Path, arguments: &str) -> String {
    format!("{mode},{},{},{arguments}\n", detections.display(), reference.display())
}

/// What a quantity is called in the file of a record.
const fn kind(quantity: Quantity, record: &Record) -> &'static str {
    match quantity {
        Quantity::PulseRate if record.signals.ecg.is_some() => "pulse",
        Quantity::HeartRate | Quantity::PulseRate => "hr",
        Quantity::Spo2 => "spo2",
        Quantity::Respiration => "rr",
    }
}

fn rows(record: &Record, played: &Played) -> Vec<(&'static str, Value)> {
    let beats = played.beats.iter().map(|beat| {
        ("beat", Value { time: beat.time, value: 1.0, quality: if beat.trusted { 100 } else { 0 } })
    });
    let values = Quantity::ALL.into_iter().flat_map(|quantity| {
        played.values(quantity).into_iter().map(move |value| (kind(quantity, record), value))
    });
    let alarms = played.desaturation_alarms().into_iter().map(|(time, on)| {
        (if on { "alarm_on" } else { "alarm_off" }, Value { time, value: DESATURATION.below, quality: 100 })
    });
    let mut rows: Vec<(&'static str, Value)> = beats.chain(values).chain(alarms).collect();
    rows.sort_by(|a, b| a.1.time.total_cmp(&b.1.time));
    rows
}

fn table<'a>(rows: impl IntoIterator<Item = &'a (&'static str, Value)>) -> String {
    let mut text = String::from("time_s,type,value,quality\n");
    for (kind, Value { time, value, quality }) in rows {
        // Writing to a string does not fail.
        writeln!(text, "{time},{kind},{value},{quality}").ok();
    }
    text
}

fn beats_table(truth: &TrueBeats) -> String {
    let flutter = truth.excluded.iter().flat_map(|(from, to)| [(*from, "["), (*to, "]")]);
    let mut rows: Vec<(f64, &str)> = truth.beats.iter().map(|time| (*time, "N")).chain(flutter).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let lines = rows.into_iter().map(|(time, symbol)| format!("{time},{symbol}\n"));
    std::iter::once("time_s,symbol\n".to_owned()).chain(lines).collect()
}

fn series_table(truth: &Series) -> String {
    let lines = truth.points().iter().map(|(time, value)| format!("{time},{value}\n"));
    std::iter::once("t_s,value\n".to_owned()).chain(lines).collect()
}

//! `wearable evaluate`: the firmware's signal processing over recordings with known answers.
//!
//! Owns the verb from the folder of recordings to the result. It plays what lies in the folder through the very code of
//! the device ([`play`]), compares with the references ([`score`], by the rules of EC57 for beats), and shows the
//! figures beside the project's goals and the best open peers ([`goals`]). It knows kinds of recordings ([`record`])
//! and no record.
//!
//! A recording's way: [`record::find`] -> [`record::Found::read`] -> [`play::play`] -> [`report::Scores::of`] ->
//! [`report::figures`] -> [`table`] or [`json`]; [`export`] writes it for other scorers.

pub mod export;
pub mod file;
pub mod goals;
pub mod json;
pub mod made;
pub mod play;
pub mod plot;
pub mod record;
pub mod report;
pub mod score;
pub mod signals;
pub mod speed;
pub mod svg;
pub mod table;
pub mod truth;
pub mod wfdb;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use host::exit::{Exit, Stop};

use self::{
    export::Export,
    file::{BadFile, Fault},
    goals::Set,
    play::Played,
    plot::{Marks, Span},
    record::{Collection, Found, Record},
    report::{Scored, Scores},
    table::Colours,
};

/// What to evaluate and what to do with it.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where recordings lie; without, only the shipped ones are played.
    pub recordings: Option<PathBuf>,
    /// Only these sets; empty for all.
    pub sets: Vec<Set>,
    /// Only this record.
    pub record: Option<String>,
    /// JSON in place of the table.
    pub json: bool,
    /// A line for each record.
    pub each: bool,
    /// Whether a missed goal is a failure.
    pub check: bool,
    /// A picture of the record, and of which part of it.
    pub plot: Option<(PathBuf, Span)>,
    /// Where to write detections.
    pub detections: Option<PathBuf>,
    /// Whether the table may be coloured.
    pub colours: bool,
}

/// Everything that was played.
#[derive(Default)]
struct Evaluation {
    scored: Vec<Scored>,
    refused: Vec<BadFile>,
    export: Option<Export>,
    /// What was drawn, in words.
    drawn: Option<String>,
}

/// Evaluates and shows the result on `out`, what is wrong on `complaints`.
///
/// # Errors
/// [`Stop`] for a folder that cannot be read or written, or an output that is closed.
pub fn run(options: &Options, out: &mut impl Write, complaints: &mut impl Write) -> Result<Exit, Stop> {
    let root = options.recordings.as_deref();
    let shipped =
        made::shipped().map_err(|error| Stop::new(Exit::Failed, format!("shipped recording: {error}")))?;
    let export =
        options.detections.as_deref().map(|folder| Export::to(folder).map_err(|e| failed(folder, &e)));
    let mut evaluation = Evaluation { export: export.transpose()?, ..Evaluation::default() };
    for record in shipped.iter().filter(|record| options.wants(&record.name)) {
        evaluation.add(record, options)?;
    }
    if let Some(root) = root {
        if !evaluation.add_folder(root, options)? {
            let folder = root.display();
            writeln!(
                complaints,
                "!!! NO RECORDING OF A KNOWN KIND in {folder}: wearable evaluate --help lists its folders"
            )
            .map_err(|error| closed(&error))?;
        }
    } else {
        writeln!(complaints, "{ONLY_SHIPPED}").map_err(|error| closed(&error))?;
    }
    if let Some(wanted) = &options.record
        && evaluation.scored.is_empty()
        && evaluation.refused.is_empty()
    {
        return Err(Stop::new(Exit::Usage, format!("there is no record {wanted:?}; --records lists them")));
    }
    let Evaluation { scored, refused, export, drawn } = evaluation;
    if let Some((export, folder)) = export.zip(options.detections.as_deref()) {
        export.finish().map_err(|error| failed(folder, &error))?;
    }
    let wants_speed =
        options.record.is_none() && (options.sets.is_empty() || options.sets.contains(&Set::Cost));
    let speed = wants_speed.then(|| speed::measure(&shipped).ok().flatten()).flatten();
    let figures = report::figures(&scored, speed, &options.sets);
    for bad in &refused {
        writeln!(complaints, "refused: {bad}").map_err(|error| closed(&error))?;
    }
    let shown = if options.json {
        serde_json::to_string_pretty(&json::document(root, &figures, &scored, &refused, speed))
            .map_err(io::Error::other)
            .and_then(|text| writeln!(out, "{text}"))
    } else {
        show(out, &figures, &scored, options).and_then(|()| match &drawn {
            Some(drawn) => writeln!(out, "{drawn}"),
            None => Ok(()),
        })
    };
    shown.map_err(|error| closed(&error))?;
    let missed = figures.iter().any(|figure| figure.is_met() == Some(false));
    Ok(match (refused.is_empty(), options.check && missed) {
        (_, true) => Exit::Failed,
        (false, false) => Exit::InPart,
        (true, false) => Exit::Done,
    })
}

const ONLY_SHIPPED: &str = "\
!!! ONLY THE SHIPPED EXCERPTS ARE EVALUATED: neither --recordings nor VITALWARD_RECORDINGS says where recordings
!!! with reference answers lie. Most figures below need them.";

fn show(
    out: &mut impl Write,
    figures: &[report::Figure],
    scored: &[Scored],
    options: &Options,
) -> io::Result<()> {
    let colours = Colours(options.colours);
    if options.record.is_none() {
        table::write(out, figures, colours)?;
    }
    if options.each || options.record.is_some() {
        table::write_records(out, scored, colours)?;
    }
    Ok(())
}

fn failed(path: &Path, error: &io::Error) -> Stop {
    Stop::new(Exit::Failed, format!("{}: {error}", path.display()))
}

fn closed(error: &io::Error) -> Stop {
    Stop::new(Exit::Failed, format!("cannot write the result: {error}"))
}

impl Options {
    /// By its full name or the part behind the folder.
    fn wants(&self, name: &str) -> bool {
        self.record.as_deref().is_none_or(|wanted| {
            name == wanted || name.split_once('/').is_some_and(|(_, stem)| stem == wanted)
        })
    }

    fn wants_set(&self, sets: &[Set]) -> bool {
        self.sets.is_empty() || sets.iter().any(|set| self.sets.contains(set))
    }
}

/// The sets that a collection has figures in.
const fn sets_of(collection: Collection) -> &'static [Set] {
    match collection {
        Collection::Shipped => &[Set::Ecg, Set::Pulse],
        Collection::Ecg | Collection::EcgMinute => &[Set::Ecg],
        Collection::Noise => &[Set::Noise],
        Collection::Camera => &[Set::Pulse, Set::Respiration],
        Collection::Desaturation => &[Set::Desaturation],
        Collection::Clips => &[Set::Spo2],
        Collection::Running => &[Set::Running],
        Collection::Breathing => &[Set::Respiration],
        Collection::Alarm => &[Set::Alarm],
    }
}

impl Evaluation {
    /// Every record of a folder, one after the other; a broken one is refused and the others go on. Whether there was
    /// anything.
    fn add_folder(&mut self, root: &Path, options: &Options) -> Result<bool, Stop> {
        let (found, bad) =
            record::find(root).map_err(|bad| Stop::new(Exit::Usage, format!("--recordings {bad}")))?;
        let any = !found.is_empty() || !bad.is_empty();
        self.refused.extend(bad);
        for found in found {
            self.add_found(&found, options)?;
        }
        Ok(any)
    }

    fn add_found(&mut self, found: &Found, options: &Options) -> Result<(), Stop> {
        let fallen = format!("{}.spo2", found.name);
        let direct = options.wants_set(sets_of(found.collection)) && options.wants(&found.name);
        let derived = found.collection == Collection::Camera
            && options.wants_set(sets_of(Collection::Desaturation))
            && options.wants(&fallen);
        if !direct && !derived {
            return Ok(());
        }
        match found.read() {
            Err(bad) => self.refused.push(bad),
            Ok(record) => {
                if direct {
                    self.add(&record, options)?;
                }
                if derived && let Some(record) = made::desaturation(&record) {
                    self.add(&record, options)?;
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, record: &Record, options: &Options) -> Result<(), Stop> {
        let played = match play::play(record) {
            Ok(played) => played,
            Err(unsupported) => {
                self.refused.push(Fault::Header(unsupported.to_string()).of(Path::new(&record.name)));
                return Ok(());
            }
        };
        if let Some(export) = &mut self.export {
            export.add(record, &played).map_err(|error| failed(Path::new(&record.name), &error))?;
        }
        if let Some((path, span)) = &options.plot {
            self.draw(record, &played, path, *span)?;
        }
        let (name, collection) = (record.name.clone(), record.collection);
        self.scored.push(Scored { name, collection, scores: Scores::of(record, &played) });
        Ok(())
    }

    /// The first record of the name is drawn; a second one would overwrite it.
    fn draw(&mut self, record: &Record, played: &Played, path: &Path, span: Span) -> Result<(), Stop> {
        if self.drawn.is_some() {
            let several = format!("more than one record matches, {} too: give FOLDER/NAME", record.name);
            return Err(Stop::new(Exit::Usage, several));
        }
        if span.from >= played.seconds {
            let end = played.seconds;
            return Err(Stop::new(Exit::Usage, format!("{} ends at {end:.1} s, before --from", record.name)));
        }
        let seconds = span.seconds.min(played.seconds - span.from);
        let (picture, marks) = plot::draw(record, played, Span { seconds, ..span });
        fs::write(path, picture).map_err(|error| failed(path, &error))?;
        let Marks { found, missed, invented } = marks;
        let beats = match (&record.signals.ecg, &record.truth.beats) {
            (Some(_), Some(_)) => format!(": {found} beats found, {missed} missed, {invented} invented"),
            (Some(_), None) => format!(": {found} beats"),
            (None, _) => String::new(),
        };
        let (from, to) = (span.from, span.from + seconds);
        self.drawn = Some(format!("\n{}: {}, {from} s to {to:.1} s{beats}", path.display(), record.name));
        Ok(())
    }
}

//! Files of recorded lines. All are looked at first, so that a file with mistakes tells all of them and does nothing.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::BacktestError;
use crate::{
    ingest::{
        declare::NewChange,
        recorded::{Reader, Recorded},
    },
    model::*,
    store::rehearsal::{Cue, NamedCause, Played, Which},
};

/// Mistakes that are told.
const TOLD: usize = 20;

/// One line, of any of its three kinds.
#[derive(Deserialize)]
struct Line<'a> {
    at: Time,
    #[serde(default)]
    platform: Option<Platform>,
    #[serde(default, borrow)]
    body: Option<&'a RawValue>,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    change: Option<NewChange>,
    #[serde(default)]
    resolve: Option<Resolve>,
    #[serde(default)]
    cause: Option<NamedCause>,
}

/// `"latest"`, an incident, or fingerprints of alerts: numbers of incidents are others with other settings.
#[derive(Deserialize)]
#[serde(untagged)]
enum Resolve {
    Word(String),
    Of(Vec<Fingerprint>),
}

/// What is wrong with one line.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// From 1, every physical line counted.
    pub line: u64,
    /// From 1, in bytes.
    pub column: usize,
    /// What, and what would be right.
    pub what: String,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    path: String,
    told: Vec<Fault>,
    count: usize,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => write!(f, "{} has a line that cannot be understood:", self.path)?,
            n => write!(f, "{} has {n} lines that cannot be understood:", self.path)?,
        }
        for Fault { line, column, what } in &self.told {
            write!(f, "\n  {}:{line}:{column}: {what}", self.path)?;
        }
        match self.count - self.told.len() {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

/// Where a line is.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: Time,
    line: u64,
    start: u64,
    length: usize,
}

/// A file of recorded lines whose form is known to be right.
#[derive(Debug)]
pub struct Input {
    path: PathBuf,
    file: BufReader<File>,
    position: u64,
    // In the order of the recorded time; lines of the same moment in the order of the file.
    places: Vec<Place>,
}

impl Input {
    /// Looks at every line.
    pub fn open(path: &Path) -> Result<Self, BacktestError> {
        let io = |source| BacktestError::Io { path: path.display().to_string(), source };
        let mut file = BufReader::with_capacity(1 << 16, File::open(path).map_err(io)?);
        let mut faults = Faults { path: path.display().to_string(), told: Vec::new(), count: 0 };
        let (mut places, mut buffer, mut start, mut number) = (Vec::new(), Vec::new(), 0, 0);
        loop {
            buffer.clear();
            let read = file.read_until(b'\n', &mut buffer).map_err(io)?;
            if read == 0 {
                break;
            }
            number += 1;
            let text = written(&buffer);
            if !text.is_empty() {
                match check(text) {
                    Ok(at) => places.push(Place { at, line: number, start, length: read }),
                    Err((column, what)) => {
                        let indent = buffer.len() - buffer.trim_ascii_start().len();
                        faults.add(number, column.max(1) + indent, what);
                    }
                }
            }
            start += read as u64;
        }
        if faults.count > 0 {
            return Err(BacktestError::Input(faults));
        }
        places.sort_by_key(|p| (p.at, p.line));
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        Ok(Self { path: path.to_owned(), file, position: 0, places })
    }

    /// The time of the last line; none in an empty file.
    pub fn last(&self) -> Option<Time> {
        self.places.last().map(|p| p.at)
    }

    /// The numbers of the lines, in the order in which they are played.
    pub fn lines(&self) -> impl Iterator<Item = u64> {
        self.places.iter().map(|p| p.line)
    }

    /// What happens, in order of the recorded time.
    pub fn cues<'a>(&'a mut self, reader: &'a Reader) -> impl Iterator<Item = Result<Cue, BacktestError>> + 'a {
        let Self { path, file, position, places } = self;
        let mut buffer = Vec::new();
        places.iter().map(move |place| {
            let io = |source| BacktestError::Io { path: path.display().to_string(), source };
            fetch(file, position, place, &mut buffer).map_err(io)?;
            cue(written(&buffer), place, reader).map_err(|(column, what)| {
                let mut faults = Faults { path: path.display().to_string(), told: Vec::new(), count: 0 };
                faults.add(place.line, column, what);
                BacktestError::Input(faults)
            })
        })
    }

    /// An error when a line names an incident that was not there by then.
    pub fn missing(&self, played: &[Played]) -> Result<(), BacktestError> {
        let mut faults = Faults { path: self.path.display().to_string(), told: Vec::new(), count: 0 };
        for (place, played) in self.places.iter().zip(played) {
            if let Some(id) = played.missing {
                faults.add(place.line, 1, format!("resolve: there was no incident {id} by then"));
            }
        }
        if faults.count == 0 { Ok(()) } else { Err(BacktestError::Input(faults)) }
    }
}

impl Faults {
    fn add(&mut self, line: u64, column: usize, what: String) {
        self.count += 1;
        if self.told.len() < TOLD {
            self.told.push(Fault { line, column, what });
        }
    }
}

/// Reads a line again. Most often it is the next one, which the buffer holds already.
fn fetch(file: &mut BufReader<File>, position: &mut u64, place: &Place, into: &mut Vec<u8>) -> io::Result<()> {
    let by = i64::try_from(place.start).unwrap_or(i64::MAX) - i64::try_from(*position).unwrap_or(i64::MAX);
    file.seek_relative(by)?;
    into.resize(place.length, 0);
    file.read_exact(into)?;
    *position = place.start + place.length as u64;
    Ok(())
}

/// A line without what editors put around it: spaces, line ends, and at the beginning of a file a byte order mark.
fn written(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii()
}

type Wrong = (usize, String);

/// What serde says, without the place, which is told apart from it.
pub fn plain(e: &serde_json::Error) -> String {
    let text = e.to_string();
    text.rfind(" at line ").map_or(text.clone(), |end| text.chars().take(end).collect())
}

fn line(text: &[u8]) -> Result<Line<'_>, Wrong> {
    serde_json::from_slice(text).map_err(|e| (e.column(), plain(&e)))
}

/// Whether a line is one of the three kinds; its time.
fn check(text: &[u8]) -> Result<Time, Wrong> {
    let line = line(text)?;
    let wrong = |what: &str| Err((1, what.to_owned()));
    let kinds = [line.platform.is_some(), line.change.is_some(), line.resolve.is_some()];
    if kinds.iter().filter(|k| **k).count() != 1 {
        return wrong("one of `platform` (with `body`), `change` and `resolve` is needed");
    }
    if line.platform.is_some() && line.body.is_none() {
        return wrong("`body` is missing");
    }
    if let Some(change) = line.change
        && let Err(found) = change.change(&Actor::System)
    {
        let found: Vec<String> = found.iter().map(|(path, what)| format!("change{path}: {what}")).collect();
        return Err((1, found.join("; ")));
    }
    if line.cause.is_some() && line.resolve.is_none() {
        return wrong("`cause` goes with `resolve` only");
    }
    line.resolve.map(resolve).transpose()?;
    Ok(line.at)
}

fn resolve(which: Resolve) -> Result<Which, Wrong> {
    match which {
        Resolve::Of(fingerprints) => Ok(Which::Of(fingerprints)),
        Resolve::Word(word) if word == "latest" => Ok(Which::Latest),
        Resolve::Word(id) => id
            .parse()
            .map(Which::Incident)
            .map_err(|_| (1, "resolve: `latest` or an incident such as INC-3 is needed".into())),
    }
}

fn cue(text: &[u8], place: &Place, reader: &Reader) -> Result<Cue, Wrong> {
    let Line { at, platform, body, headers, change, resolve: which, cause } = line(text)?;
    if let Some(which) = which {
        return Ok(Cue::Resolve { at, which: resolve(which)?, cause });
    }
    if let Some(change) = change {
        let change = reader.change(at, change).map_err(|_| (1, "change: not understood".to_owned()))?;
        return Ok(Cue::Delivery(Box::new(change)));
    }
    let body = body.map_or("", RawValue::get);
    // A text is the body itself: what was no JSON when it came.
    let body = match body.starts_with('"') {
        true => serde_json::from_str::<String>(body).map_err(|e| (1, plain(&e)))?.into_bytes(),
        false => body.as_bytes().to_vec(),
    };
    let headers = headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
    let recorded = Recorded { at, platform: platform.unwrap_or_default(), headers, body };
    Ok(Cue::Delivery(Box::new(reader.read(recorded, &format!("line-{}", place.line)))))
}

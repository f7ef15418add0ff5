//! What the people who run it have written for investigations: suggestions and runbooks in folders, runbooks in the store.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    folder::{File, Stamp, list, text_of},
    runbooks::Book,
    suggest::{Catalogue, Fault},
    symptoms::Symptoms,
};
use crate::{
    config::Config,
    model::{Runbook, RunbookId, Time},
};

/// The folders, with what was last read of them.
#[derive(Debug, Default)]
pub struct Library {
    suggestions: Option<PathBuf>,
    runbooks: Option<PathBuf>,
    symptoms: Option<PathBuf>,
    shelf: Mutex<Option<(Stamps, Shelf)>>,
    stored: Mutex<HashMap<RunbookId, (Time, Arc<Book>)>>,
}

/// What tells whether anything changed: suggestions, runbooks, the table of symptoms.
type Stamps = [Stamp; 3];

/// What the folders hold. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    /// The catalogue of the house with that of the folder over it.
    pub catalogue: Catalogue,
    /// The table of symptoms of the house with that of the file over it.
    pub symptoms: Symptoms,
    /// Runbooks of the folder, by name.
    pub runbooks: Arc<Vec<Arc<Book>>>,
    /// Their texts.
    pub texts: Arc<Vec<File>>,
    /// What is wrong, each with its file.
    pub faults: Arc<Vec<Fault>>,
}

impl Library {
    /// Over the folders and the file that these settings name.
    pub fn new(config: &Config) -> Self {
        Self {
            suggestions: config.suggestions_dir.clone(),
            runbooks: config.runbooks_dir.clone(),
            symptoms: config.symptoms_file.clone(),
            ..Self::default()
        }
    }

    /// The table of symptoms as it was last read. It asks the disk only when nothing was read yet.
    pub fn known_symptoms(&self) -> Symptoms {
        let known = self.shelf.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, s)| s.symptoms.clone());
        known.unwrap_or_else(|| if self.symptoms.is_none() { Symptoms::default() } else { self.look().symptoms })
    }

    /// What folders and file hold now: read again only when a file came, went or changed. It asks the disk, so it may wait.
    pub fn look(&self) -> Shelf {
        let suggestions = self.suggestions.as_deref().map(|dir| list(dir, &[".toml"])).unwrap_or_default();
        let runbooks = self.runbooks.as_deref().map(|dir| list(dir, &[".md", ".markdown"])).unwrap_or_default();
        let mut known = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let symptoms = self.symptoms.as_deref().map(stamp_of).unwrap_or_default();
        let stamps = [suggestions.stamp.clone(), runbooks.stamp.clone(), symptoms];
        if let Some((_, shelf)) = known.as_ref().filter(|(s, _)| *s == stamps) {
            return shelf.clone();
        }
        let (files, mut faults) = suggestions.read();
        let (catalogue, wrong) = if files.is_empty() { Default::default() } else { Catalogue::with(&files) };
        faults.extend(wrong);
        let (texts, wrong) = runbooks.read();
        faults.extend(wrong);
        let mut books = Vec::new();
        for file in &texts {
            let (book, wrong) = Book::of_file(file);
            books.push(Arc::new(book));
            faults.extend(wrong);
        }
        let (symptoms, wrong) = self.symptoms.as_deref().map(table_of).unwrap_or_default();
        faults.extend(wrong);
        for fault in &faults {
            tracing::warn!(%fault, "something in a file for investigations is left out");
        }
        let (runbooks, texts, faults) = (Arc::new(books), Arc::new(texts), Arc::new(faults));
        let shelf = Shelf { catalogue, symptoms, runbooks, texts, faults };
        *known = Some((stamps, shelf.clone()));
        shelf
    }

    /// Rows of the store as they are matched; those that did not change are not read again.
    pub(super) fn stored(&self, rows: Vec<Runbook>) -> Vec<Arc<Book>> {
        let mut known = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|id, _| rows.iter().any(|r| r.id == *id));
        rows.into_iter()
            .map(|row| match known.get(&row.id).filter(|(at, _)| *at == row.updated_at) {
                Some((_, book)) => book.clone(),
                None => {
                    let (id, at) = (row.id, row.updated_at);
                    let book = Arc::new(Book::of_row(row));
                    known.insert(id, (at, book.clone()));
                    book
                }
            })
            .collect()
    }
}

fn stamp_of(file: &Path) -> Stamp {
    let read = std::fs::metadata(file).ok();
    vec![(file.display().to_string(), read.as_ref().map_or(0, |m| m.len()), read.and_then(|m| m.modified().ok()))]
}

/// The table of a file over that of the house, and what is wrong with it.
fn table_of(file: &Path) -> (Symptoms, Vec<Fault>) {
    let name = file.display().to_string();
    let wrong =
        |what: String| (Symptoms::default(), vec![Fault { file: name.clone(), line: None, column: None, what }]);
    // Reading a pipe or a device would never end.
    match std::fs::metadata(file) {
        Ok(meta) if !meta.is_file() => {
            return wrong("it is no plain file; name one as investigation.symptoms_file".into());
        }
        _ => {}
    }
    match text_of(file) {
        Ok(text) => Symptoms::with(&name, &text),
        Err(what) => wrong(format!("{what}; it is named as investigation.symptoms_file")),
    }
}

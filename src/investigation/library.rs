//! What the people who run it have written for investigations: suggestions and runbooks in folders, runbooks in the store.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    folder::{File, Stamp, list},
    runbooks::Book,
    suggest::{Catalogue, Fault},
};
use crate::model::{Runbook, RunbookId, Time};

/// The folders, with what was last read of them.
#[derive(Debug, Default)]
pub struct Library {
    suggestions: Option<PathBuf>,
    runbooks: Option<PathBuf>,
    shelf: Mutex<Option<(Stamp, Stamp, Shelf)>>,
    stored: Mutex<HashMap<RunbookId, (Time, Arc<Book>)>>,
}

/// What the folders hold. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    /// The catalogue of the house with that of the folder over it.
    pub catalogue: Catalogue,
    /// Runbooks of the folder, by name.
    pub runbooks: Arc<Vec<Arc<Book>>>,
    /// Their texts.
    pub texts: Arc<Vec<File>>,
    /// What is wrong, each with its file.
    pub faults: Arc<Vec<Fault>>,
}

impl Library {
    /// Over these folders.
    pub fn new(suggestions: Option<PathBuf>, runbooks: Option<PathBuf>) -> Self {
        Self { suggestions, runbooks, ..Self::default() }
    }

    /// What the folders hold now: read again only when a file came, went or changed. It asks the disk, so it may wait.
    pub fn look(&self) -> Shelf {
        let suggestions = self.suggestions.as_deref().map(|dir| list(dir, &[".toml"])).unwrap_or_default();
        let runbooks = self.runbooks.as_deref().map(|dir| list(dir, &[".md", ".markdown"])).unwrap_or_default();
        let mut known = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((a, b, shelf)) = known.as_ref().filter(|(a, b, _)| *a == suggestions.stamp && *b == runbooks.stamp)
        {
            let _ = (a, b);
            return shelf.clone();
        }
        let stamps = (suggestions.stamp.clone(), runbooks.stamp.clone());
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
        for fault in &faults {
            tracing::warn!(%fault, "a file for investigations is left out");
        }
        let shelf = Shelf { catalogue, runbooks: Arc::new(books), texts: Arc::new(texts), faults: Arc::new(faults) };
        *known = Some((stamps.0, stamps.1, shelf.clone()));
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

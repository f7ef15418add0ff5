//! A body as expressions see it: nothing is copied until it is asked for, what is asked for is counted, and where it stood
//! can be told.

use std::{
    fmt,
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use minijinja::value::{Enumerator, Object, ObjectRepr, Value};

use crate::connectors::{explain::pointer_part, text};

/// What the expressions of one delivery may do in all: values looked at, and pieces of text looked at or made. It is well
/// under a second, and some times what ten thousand ordinary alerts need.
const STEPS: u64 = 2_000_000;
/// A piece of text, in bytes.
pub(super) const PIECE: usize = 16;
/// Longest text that an expression is given or makes, in bytes: longer than anything that an alert keeps.
pub(super) const LONGEST: usize = 16 << 10;

/// One body.
pub(super) struct Document {
    root: serde_json::Value,
    steps: AtomicU64,
    // The places that were read, when somebody asks.
    read: Option<Mutex<Vec<String>>>,
}

impl Document {
    /// With a memory of what was read, or without.
    pub fn new(root: serde_json::Value, remember: bool) -> Arc<Self> {
        Arc::new(Self { root, steps: AtomicU64::new(STEPS), read: remember.then(Mutex::default) })
    }

    pub fn root(&self) -> &serde_json::Value {
        &self.root
    }

    /// Takes this many steps; none when they are used up, and from then on.
    pub fn spend(&self, steps: usize) -> Option<()> {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        let left = self.steps.load(Ordering::Relaxed);
        if left < steps {
            self.steps.store(0, Ordering::Relaxed);
            return None;
        }
        // A document is read by one thread at a time.
        self.steps.store(left - steps, Ordering::Relaxed);
        Some(())
    }

    /// Whether expressions wanted more than they may.
    pub fn exhausted(&self) -> bool {
        self.steps.load(Ordering::Relaxed) == 0
    }

    /// The places that were read since the last time.
    pub fn take_read(&self) -> Vec<String> {
        let read =
            self.read.as_ref().map(|read| std::mem::take(&mut *read.lock().unwrap_or_else(PoisonError::into_inner)));
        read.unwrap_or_default()
    }
}

/// The way to a value.
enum Step {
    Root,
    Field(Arc<Step>, Box<str>),
    Index(Arc<Step>, usize),
}

impl Step {
    fn find<'a>(&self, root: &'a serde_json::Value) -> Option<&'a serde_json::Value> {
        match self {
            Self::Root => Some(root),
            Self::Field(parent, name) => parent.find(root)?.get(&**name),
            Self::Index(parent, at) => parent.find(root)?.get(*at),
        }
    }

    fn pointer(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Field(parent, name) => format!("{}/{}", parent.pointer(), pointer_part(name)),
            Self::Index(parent, at) => format!("{}/{at}", parent.pointer()),
        }
    }
}

/// A list or an object of the body.
#[derive(Clone)]
pub(super) struct Node {
    document: Arc<Document>,
    at: Arc<Step>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Node").field(&self.at.pointer()).finish()
    }
}

impl Node {
    /// The whole body.
    pub fn body(document: &Arc<Document>) -> Value {
        give(document, document.root(), || Step::Root)
    }

    /// The element of the root list, or of the list under this name of the root object.
    pub fn item(document: &Arc<Document>, name: Option<&str>, index: usize) -> Option<Value> {
        let list = match name {
            Some(name) => Step::Field(Arc::new(Step::Root), name.into()),
            None => Step::Root,
        };
        let value = list.find(document.root())?.get(index)?;
        Some(give(document, value, || Step::Index(Arc::new(list), index)))
    }

    /// As it stands in the body.
    pub fn value(&self) -> Option<&serde_json::Value> {
        self.at.find(&self.document.root)
    }

    /// Where it stands, as a JSON pointer.
    pub fn pointer(&self) -> String {
        self.at.pointer()
    }

    pub fn document(&self) -> &Arc<Document> {
        &self.document
    }
}

/// A value for an expression.
fn give(document: &Arc<Document>, value: &serde_json::Value, at: impl FnOnce() -> Step) -> Value {
    use serde_json::Value as Json;
    match value {
        Json::Null => Value::from(()),
        Json::Bool(b) => Value::from(*b),
        Json::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
            (Some(n), _, _) => Value::from(n),
            (_, Some(n), _) => Value::from(n),
            (_, _, n) => Value::from(n.unwrap_or_default()),
        },
        Json::String(s) => Value::from(text::head(s, LONGEST)),
        Json::Array(_) | Json::Object(_) => {
            Value::from_object(Node { document: Arc::clone(document), at: Arc::new(at()) })
        }
    }
}

impl Object for Node {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        if self.value().is_some_and(serde_json::Value::is_array) { ObjectRepr::Seq } else { ObjectRepr::Map }
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let (found, step) = match self.value()? {
            serde_json::Value::Object(map) => {
                let name = key.as_str()?;
                (map.get(name)?, Step::Field(Arc::clone(&self.at), name.into()))
            }
            serde_json::Value::Array(list) => {
                let index = key.as_usize()?;
                (list.get(index)?, Step::Index(Arc::clone(&self.at), index))
            }
            _ => return None,
        };
        self.document.spend(1 + found.as_str().map_or(0, |s| s.len().min(LONGEST) / PIECE))?;
        if let Some(read) = &self.document.read {
            let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
            // The way to what is read in the end goes through what it stands in.
            if read.last().is_some_and(|last| *last == self.at.pointer()) {
                read.pop();
            }
            if read.len() < 8 {
                read.push(step.pointer());
            }
        }
        Some(give(&self.document, found, || step))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match self.value() {
            Some(serde_json::Value::Array(list)) if self.document.spend(list.len()).is_some() => {
                Enumerator::Seq(list.len())
            }
            Some(serde_json::Value::Object(map)) => {
                let weight: usize = map.keys().map(|name| 1 + name.len() / PIECE).sum();
                if self.document.spend(weight).is_none() {
                    return Enumerator::Empty;
                }
                let names: Vec<Value> = map.keys().map(|name| Value::from(text::head(name, LONGEST))).collect();
                Enumerator::Iter(Box::new(names.into_iter()))
            }
            _ => Enumerator::Empty,
        }
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        match self.value()? {
            serde_json::Value::Array(list) => Some(list.len()),
            serde_json::Value::Object(map) => Some(map.len()),
            _ => None,
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut short = Short(Vec::new());
        if self.document.spend(LONGEST / PIECE).is_some()
            && let Some(value) = self.value()
        {
            // What is longer is cut: the writer refuses the rest.
            let _ = serde_json::to_writer(&mut short, value);
        }
        f.write_str(text::head(&String::from_utf8_lossy(&short.0), LONGEST))
    }
}

/// Takes as much as an expression may make.
struct Short(Vec<u8>);

impl Write for Short {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = LONGEST.saturating_sub(self.0.len());
        if room == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.0.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! A machine whose power goes: two files on one disk with a cache, and a cut that hits both at the same moment. What was
//! not synced by then is kept, lost or torn, each write on its own.

use std::{
    io,
    sync::{Arc, Mutex},
};

use redb::{Database, StorageBackend};

use super::{StoreError, file::File};

/// A disk writes this many bytes at once, or none of them.
const SECTOR: usize = 512;

/// When the power goes.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// Before the n-th change of a file from now on: a write, a new length, a sync.
    Change(u64),
    /// At the n-th sync from now on: it never comes back.
    Sync(u64),
}

/// What becomes of writes that were not synced.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// Each on its own: kept, lost, cut off at a sector, or a random choice of its sectors.
    Chance,
    /// All are kept, as after a kill of the process.
    Kept,
    /// None is.
    Lost,
    /// All are kept but the last, which is cut off.
    LastTorn,
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// The machine; it outlives its boots.
#[derive(Clone, Debug)]
pub struct Machine {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    files: [Medium; 2],
    /// Files that were opened before the last boot are gone.
    boot: u64,
    on: bool,
    cut: Option<When>,
    /// A disk that says of a sync that it is done, and has not begun it.
    lies: bool,
}

#[derive(Clone, Debug, Default)]
struct Medium {
    /// What is there whatever happens.
    safe: Vec<u8>,
    /// What the running machine reads.
    seen: Vec<u8>,
    waiting: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Machine {
    /// A disk with two new, empty databases.
    pub fn new(lies: bool) -> Self {
        let state = State { files: Default::default(), boot: 0, on: true, cut: None, lies: false };
        let machine = Self { state: Arc::new(Mutex::new(state)) };
        for which in 0..2 {
            Database::builder().create_with_backend(machine.backend(which)).unwrap();
        }
        machine.state.lock().unwrap().lies = lies;
        machine
    }

    /// Opens the database of this file; for this boot only.
    pub fn file(&self, which: usize) -> Result<File, StoreError> {
        let (machine, boot) = (self.clone(), self.state.lock().unwrap().boot);
        File::open(move || {
            let backend = Backend { boot, ..machine.backend(which) };
            Database::builder().set_cache_size(1 << 20).create_with_backend(backend).map_err(StoreError::from)
        })
    }

    fn backend(&self, which: usize) -> Backend {
        Backend { machine: self.clone(), which, boot: self.state.lock().unwrap().boot }
    }

    /// Has the power go then.
    pub fn cut_at(&self, when: When) {
        self.state.lock().unwrap().cut = Some(when);
    }

    /// Whether the power went.
    pub fn is_off(&self) -> bool {
        !self.state.lock().unwrap().on
    }

    /// Cuts the power now if it is still there, lets fate decide, and boots.
    pub fn boot(&self, fate: Fate, random: &mut Random) {
        let mut state = self.state.lock().unwrap();
        for file in &mut state.files {
            file.settle(fate, random);
            file.seen.clone_from(&file.safe);
        }
        state.boot += 1;
        state.on = true;
        state.cut = None;
    }
}

impl Medium {
    fn settle(&mut self, fate: Fate, random: &mut Random) {
        let waiting = std::mem::take(&mut self.waiting);
        let last = waiting.len().wrapping_sub(1);
        for (n, change) in waiting.into_iter().enumerate() {
            let torn = n == last && matches!(fate, Fate::LastTorn);
            match change {
                Change::Length(length) => {
                    let kept = match fate {
                        Fate::Chance => random.below(2) == 0,
                        Fate::Lost => false,
                        Fate::Kept | Fate::LastTorn => true,
                    };
                    if kept {
                        self.safe.resize(length, 0);
                    }
                }
                Change::Write(offset, bytes) => {
                    let sectors = bytes.len().div_ceil(SECTOR) as u64;
                    let kept: Box<dyn FnMut(u64) -> bool> = match fate {
                        Fate::Lost => continue,
                        Fate::Kept | Fate::LastTorn if !torn => Box::new(|_| true),
                        Fate::Chance if random.below(3) == 0 => continue,
                        Fate::Chance if random.below(2) == 0 => Box::new(|_| true),
                        Fate::Chance if random.below(2) == 0 => Box::new(|_| random.below(2) == 0),
                        _ => {
                            let first = random.below(sectors);
                            Box::new(move |sector| sector < first)
                        }
                    };
                    self.keep(offset, &bytes, kept);
                }
            }
        }
    }

    // What lies behind an end that was not kept is not there either.
    fn keep(&mut self, offset: usize, bytes: &[u8], mut kept: impl FnMut(u64) -> bool) {
        for (sector, part) in bytes.chunks(SECTOR).enumerate() {
            let from = offset + sector * SECTOR;
            if kept(sector as u64) && from < self.safe.len() {
                let to = (from + part.len()).min(self.safe.len());
                self.safe[from..to].copy_from_slice(&part[..to - from]);
            }
        }
    }
}

impl State {
    /// The power may go now; afterwards nothing works.
    fn change(&mut self, boot: u64, sync: bool) -> io::Result<()> {
        self.alive(boot)?;
        let (When::Change(left) | When::Sync(left)) = match &mut self.cut {
            Some(when @ When::Change(_)) => when,
            Some(when @ When::Sync(_)) if sync => when,
            _ => return Ok(()),
        };
        *left = left.saturating_sub(1);
        self.on = *left > 0;
        self.alive(boot)
    }

    fn alive(&self, boot: u64) -> io::Result<()> {
        if self.on && self.boot == boot { Ok(()) } else { Err(io::Error::other("the power is gone")) }
    }
}

#[derive(Clone, Debug)]
struct Backend {
    machine: Machine,
    which: usize,
    boot: u64,
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        let state = self.machine.state.lock().unwrap();
        state.alive(self.boot)?;
        Ok(state.files[self.which].seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.machine.state.lock().unwrap();
        state.alive(self.boot)?;
        let from = usize::try_from(offset).unwrap();
        let found = state.files[self.which].seen.get(from..from + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.machine.state.lock().unwrap();
        state.change(self.boot, false)?;
        let file = &mut state.files[self.which];
        let length = usize::try_from(len).unwrap();
        file.seen.resize(length, 0);
        file.waiting.push(Change::Length(length));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.machine.state.lock().unwrap();
        state.change(self.boot, true)?;
        if !state.lies {
            state.files[self.which].settle(Fate::Kept, &mut Random(0));
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.machine.state.lock().unwrap();
        state.change(self.boot, false)?;
        let file = &mut state.files[self.which];
        let from = usize::try_from(offset).unwrap();
        file.seen[from..from + data.len()].copy_from_slice(data);
        file.waiting.push(Change::Write(from, data.to_vec()));
        Ok(())
    }
}

//! Folders of text files that people keep: read whole, within bounds, and only again when something in them changed.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::suggest::Fault;

/// Files of one folder.
const FILES: usize = 1_000;
/// Bytes of one file, and of all.
const BYTES: u64 = 256 * 1024;
const BYTES_IN_ALL: u64 = 16 * 1024 * 1024;
/// Folders inside folders.
const DEPTH: usize = 4;
/// Entries looked at in all, files or not.
const LOOKED_AT: usize = 20_000;

/// A file with its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path inside the folder, with `/`.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// What tells whether a folder changed: its files with size and time.
pub(super) type Stamp = Vec<(String, u64, Option<SystemTime>)>;

/// The files of a folder with these endings, by name, and what is wrong with others.
#[derive(Debug, Default)]
pub(super) struct Listed {
    found: Vec<(String, PathBuf)>,
    pub(super) stamp: Stamp,
    faults: Vec<Fault>,
}

/// Looks which files there are, without reading them.
pub(super) fn list(dir: &Path, endings: &[&str]) -> Listed {
    let mut listed = Listed::default();
    let root = match fs::canonicalize(dir) {
        Ok(root) if root.is_dir() => root,
        Ok(_) => {
            listed.fault(dir.display().to_string(), "it is a file; name the folder around it".to_owned());
            return listed;
        }
        Err(e) => {
            listed.fault(dir.display().to_string(), format!("the folder cannot be read: {e}"));
            return listed;
        }
    };
    let mut left = vec![(root.clone(), String::new(), 0)];
    let mut looked = 0;
    while let Some((folder, prefix, depth)) = left.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) => {
                listed.fault(prefix, format!("the folder cannot be read: {e}"));
                continue;
            }
        };
        for entry in entries.flatten() {
            looked += 1;
            if looked > LOOKED_AT {
                listed.fault(
                    String::new(),
                    format!("the folder holds more than {LOOKED_AT} entries; the others are not used"),
                );
                return listed.sorted();
            }
            let Ok(name) = entry.file_name().into_string() else {
                listed.fault(prefix.clone(), "the name of a file is not UTF-8; rename it".to_owned());
                continue;
            };
            // `.git`, and what Kubernetes keeps behind the links of a ConfigMap.
            if name.starts_with('.') {
                continue;
            }
            let shown = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
            // A link may lead elsewhere in the folder, as in a ConfigMap, and nowhere else.
            let path = match fs::canonicalize(entry.path()) {
                Ok(path) if path.starts_with(&root) => path,
                Ok(_) => {
                    listed.fault(
                        shown,
                        "it is a link that leads out of the folder; put the file itself there".to_owned(),
                    );
                    continue;
                }
                Err(e) => {
                    listed.fault(shown, format!("it cannot be read: {e}"));
                    continue;
                }
            };
            if path.is_dir() {
                let linked = entry.file_type().is_ok_and(|t| t.is_symlink());
                if depth < DEPTH && !linked {
                    left.push((path, shown, depth + 1));
                }
            } else if endings.iter().any(|e| name.to_lowercase().ends_with(e)) {
                listed.take(shown, path);
            }
        }
    }
    listed.sorted()
}

impl Listed {
    fn fault(&mut self, file: String, what: String) {
        self.faults.push(Fault { file, line: None, column: None, what });
    }

    fn take(&mut self, name: String, path: PathBuf) {
        match fs::metadata(&path) {
            Ok(meta) if meta.is_file() => {
                self.stamp.push((name.clone(), meta.len(), meta.modified().ok()));
                self.found.push((name, path));
            }
            // Reading a pipe or a device would never end.
            Ok(_) => self.fault(name, "it is no plain file".to_owned()),
            Err(e) => self.fault(name, format!("it cannot be read: {e}")),
        }
    }

    // The order in which a system lists files means nothing.
    fn sorted(mut self) -> Self {
        self.found.sort();
        self.stamp.sort();
        self.faults.sort_by(|a, b| (&a.file, &a.what).cmp(&(&b.file, &b.what)));
        self
    }

    /// Reads them; what is too large or no text is left out and said.
    pub(super) fn read(mut self) -> (Vec<File>, Vec<Fault>) {
        let mut files = Vec::new();
        let mut sum = 0;
        for (name, path) in std::mem::take(&mut self.found) {
            if files.len() >= FILES || sum >= BYTES_IN_ALL {
                let what =
                    format!("the folder holds more than {FILES} files or 16 MiB; from here on they are not used");
                self.fault(name, what);
                break;
            }
            match text_of(&path) {
                Ok(text) => {
                    sum += text.len() as u64;
                    files.push(File { name, text });
                }
                Err(what) => self.fault(name, what),
            }
        }
        (files, self.faults)
    }
}

pub(super) fn text_of(path: &Path) -> Result<String, String> {
    let file = fs::File::open(path).map_err(|e| format!("it cannot be read: {e}"))?;
    let mut bytes = Vec::new();
    file.take(BYTES + 1).read_to_end(&mut bytes).map_err(|e| format!("it cannot be read: {e}"))?;
    if bytes.len() as u64 > BYTES {
        return Err(format!("it is larger than {} KiB; split it", BYTES / 1024));
    }
    let text = String::from_utf8(bytes)
        .map_err(|e| format!("it is not UTF-8 from byte {} on; save it as UTF-8", e.utf8_error().valid_up_to()))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_text_inside_the_folder_is_read_and_the_rest_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("team/a")).unwrap();
        fs::create_dir_all(at(".git")).unwrap();
        fs::write(at("b.md"), "\u{feff}# B").unwrap();
        fs::write(at("team/a/x.MD"), "# X").unwrap();
        fs::write(at(".git/c.md"), "no").unwrap();
        fs::write(at("notes.txt"), "no").unwrap();
        fs::write(at("latin.md"), b"ab\xe9").unwrap();
        fs::write(at("large.md"), vec![b'a'; 300 * 1024]).unwrap();
        std::os::unix::fs::symlink(at("b.md"), at("link.md")).unwrap();
        std::os::unix::fs::symlink(outside.path(), at("out.md")).unwrap();
        std::os::unix::fs::symlink(dir.path(), at("loop")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("zero.md")).unwrap();
        let (files, faults) = list(dir.path(), &[".md"]).read();
        let names: Vec<(&str, &str)> = files.iter().map(|f| (f.name.as_str(), f.text.as_str())).collect();
        assert_eq!(names, [("b.md", "# B"), ("link.md", "# B"), ("team/a/x.MD", "# X")]);
        let wrong: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let has = |name: &str, what: &str| {
            assert!(wrong.iter().any(|w| w.starts_with(name) && w.contains(what)), "{name}: {wrong:?}")
        };
        has("latin.md", "from byte 2");
        has("large.md", "256 KiB");
        has("out.md", "leads out");
        has("zero.md", "leads out");
        assert_eq!(wrong.len(), 4, "{wrong:?}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let (files, faults) = list(Path::new("/nowhere/at/all"), &[".md"]).read();
        assert!(files.is_empty());
        assert!(faults[0].to_string().starts_with("/nowhere/at/all: the folder cannot be read"), "{faults:?}");
    }
}

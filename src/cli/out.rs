//! Output. A reader that goes away (`watchfire incidents | head -1`) ends the command quietly.

use std::{fmt::Display, io::Write};

use super::CliError;

/// Standard output, in lines.
#[derive(Debug)]
pub struct Out {
    inner: std::io::BufWriter<std::io::Stdout>,
}

impl Out {
    /// Buffered; `flush` at the end.
    pub fn new() -> Self {
        Self { inner: std::io::BufWriter::new(std::io::stdout()) }
    }

    /// One line.
    pub fn line(&mut self, text: impl Display) -> Result<(), CliError> {
        writeln!(self.inner, "{text}").map_err(closed)
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.inner.write_all(bytes).map_err(closed)
    }

    /// Rows in columns as wide as their widest cell; the last one is not filled up.
    pub fn table(&mut self, head: &[&str], rows: &[Vec<String>]) -> Result<(), CliError> {
        let head: Vec<String> = head.iter().map(|h| (*h).to_owned()).collect();
        let all = || std::iter::once(&head).chain(rows);
        let width = |i: usize| all().filter_map(|r| r.get(i)).map(|c| c.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        for row in all() {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(c, w)| format!("{c:<w$}")).collect();
            self.line(cells.join("  ").trim_end())?;
        }
        Ok(())
    }

    /// Everything is out.
    pub fn flush(&mut self) -> Result<(), CliError> {
        self.inner.flush().map_err(closed)
    }
}

impl Default for Out {
    fn default() -> Self {
        Self::new()
    }
}

fn closed(e: std::io::Error) -> CliError {
    match e.kind() {
        std::io::ErrorKind::BrokenPipe => CliError::ReaderGone,
        _ => CliError::Failed(format!("cannot write to standard output: {e}")),
    }
}

/// A line for the person at the terminal, beside the output.
pub fn note(text: impl Display) {
    // Nobody is left to tell when standard error is gone.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Text from elsewhere for a terminal: control characters could move the cursor or rename the window.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_steers_it() {
        assert_eq!(plain("disk\x1b[2J\r\nfull é"), "disk [2J  full é");
    }
}

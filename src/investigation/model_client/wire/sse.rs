//! Events of a stream (`text/event-stream`), as the WHATWG's HTML standard describes them; only `data` is of use here,
//! since both kinds of endpoint say in it what it is.

/// Bytes of one event; a longer one is an error.
const MOST: usize = 1 << 20;

/// Takes a stream apart, however it is cut into pieces.
#[derive(Debug, Default)]
pub struct Sse {
    line: Vec<u8>,
    data: String,
    has_data: bool,
    // The last byte was a carriage return: a line feed after it belongs to the same line end.
    returned: bool,
    begun: bool,
}

impl Sse {
    /// Takes in a piece; the data of the events that it ends.
    ///
    /// # Errors
    /// An event is too long, as a clause.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<String>, String> {
        let mut events = Vec::new();
        for byte in bytes {
            match (*byte, std::mem::take(&mut self.returned)) {
                (b'\n', true) => {}
                (b'\n', false) => self.end_line(&mut events),
                (b'\r', _) => {
                    self.returned = true;
                    self.end_line(&mut events);
                }
                (byte, _) => self.line.push(byte),
            }
            if self.line.len() + self.data.len() > MOST {
                return Err("an event of its stream is too long".to_owned());
            }
        }
        Ok(events)
    }

    /// The end of the stream: an event that was not ended by an empty line counts nevertheless, since some servers leave
    /// the last one out.
    pub fn end(mut self) -> Option<String> {
        let mut events = Vec::new();
        if !self.line.is_empty() {
            self.end_line(&mut events);
        }
        self.end_line(&mut events);
        events.pop()
    }

    fn end_line(&mut self, events: &mut Vec<String>) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let line = if self.begun { &line } else { line.strip_prefix('\u{feff}').unwrap_or(&line) };
        self.begun = true;
        if line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                events.push(std::mem::take(&mut self.data));
            }
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        if field == "data" {
            if std::mem::replace(&mut self.has_data, true) {
                self.data.push('\n');
            }
            self.data.push_str(value.strip_prefix(' ').unwrap_or(value));
        }
    }
}
